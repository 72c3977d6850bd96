"""Boards as TOML files: all that there are read back as equal ones, and whatever is wrong with one has a key."""

import copy
import json
import re
import tomllib
from dataclasses import fields
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import smelt as smelt_package
from smelt.board_files import find_board, read_board
from smelt.cli import main
from smelt.errors import OptionError
from smelt.targets.board_file import board_of, board_text, parse_board
from smelt.targets.board_text import board_table, toml
from smelt.targets.boards import BOARDS, board
from smelt.targets.registers import Clock, Condition, Divider, Pin, RegisterStep, Uart
from smelt.targets.toml_table import BadKey
from smelt.targets.types import Debug, Dma, Reach, Role
from tests.paths import DATA, ROOT
from tests.test_cli import smelt

PLAIN = """
name = "mine"
title = "A board of mine"
core = "cortex_m4"
clock_hz = 80_000_000

[[memories]]
name = "flash"
start = 0x08000000
size = "256K"
holds = "code"
path = { first = 4, line = 5 }

[[memories]]
name = "sram"
start = 0x20000000
size = "64K"
holds = "data"
role = "main"
path = "no wait"
"""


def plain():
    """The values of a small board, to be changed."""
    return copy.deepcopy(tomllib.loads(PLAIN))


@pytest.mark.parametrize("b", BOARDS, ids=lambda b: b.name)
def test_every_board_reads_back_as_an_equal_one(b):
    text = board_text(b)
    assert parse_board(text.encode(), "x.toml") == b
    assert board_of(json.loads(json.dumps(board_table(b)))) == b
    code, out, _ = smelt("boards", "--show", b.name)
    assert code == 0 and out == text


def test_a_small_board_has_what_it_says(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(PLAIN)
    found = find_board(str(file))
    assert (found.name, found.clock_hz, found.chip.name, found.core) == (
        "mine",
        80_000_000,
        "mine",
        board("nucleo_l4r5zi").core,
    )
    assert [(m.name, m.size, m.path.first) for m in found.chip.memories] == [
        ("flash", 256 << 10, 4),
        ("sram", 64 << 10, 0),
    ]
    assert found == read_board(file) and "mine" not in [b.name for b in BOARDS]


def test_the_list_tells_memories_outside_of_the_chip_apart():
    code, out, _ = smelt("boards", "--json")
    rows = {row["name"]: row for row in json.loads(out)["boards"]}
    assert code == 0 and rows["stm32h750b_dk"]["outside"] == {"sdram": 16 << 20, "qspi": 128 << 20}
    assert rows["stm32h750b_dk"]["flash_bytes"] == 128 << 10 and "sdram" not in rows["stm32h750b_dk"]["ram"]
    assert "outside of the chip: sdram 8192 KB, qspi 16384 KB" in " ".join(smelt("boards")[1].split())


def test_files_are_not_names(tmp_path):
    with pytest.raises(OptionError, match="read_board"):
        board(str(tmp_path / "mine.toml"))
    assert smelt_package.read_board is read_board


def test_commands_take_a_file(tmp_path):
    file = tmp_path / "mine.TOML"
    file.write_text(PLAIN)
    code, out, err = smelt("boards", "--show", file, "--json")
    assert code == 0 and json.loads(out)["board"]["name"] == "mine", err
    code, _, err = smelt("compile", tmp_path / "no.tflite", "--board", "mine")
    assert code == 2 and "unknown board 'mine'" in err and ".toml" in err


def test_firmware_for_a_board_of_a_file_equals_the_reference(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(PLAIN)
    code, out, err = smelt("verify", DATA / "cases" / "lr_neg.tflite", "--board", file, "-n", "2")
    assert code == 0 and "2" in out, err


# --- what is wrong has a key ---------------------------------------------------------------------------------------------


def without(key):
    return lambda v: v.pop(key)


def put(place, value):
    """Change what is at a place such as memories.1.size."""
    *way, last = place.split(".")

    def change(values):
        for step in way:
            values = values[int(step) if step.isdigit() else step]
        values[last] = value

    return change


def drop(number, key):
    return lambda v: v["memories"][number].pop(key)


def more(**memory):
    return lambda v: v["memories"].append(
        {
            "name": "more",
            "start": 0x30000000,
            "size": "32K",
            "holds": "data",
            "role": "extra",
            "path": "no wait",
            **memory,
        }
    )


def cache(**values):
    def change(v):
        v["caches"] = [{"name": "c", "size": "4K", "ways": 4, "line": 32, **values}]
        v["memories"][0]["path"] = {"first": 4, "line": 5, "data": "c"}

    return change


WRONG = [
    (without("name"), "name", "missing"),
    (without("core"), "core", "missing"),
    (put("clocks", 1), "clocks", "did you mean clock"),
    (put("clock", 1), "clock", "not a table"),
    (put("name", "My-board"), "name", "no name"),
    (put("name", "disco_f746ng"), "name", "smelt knows"),
    (put("name", 5), "name", "not a text"),
    (put("title", "a */ b"), "title", "comment"),
    (put("title", "a\nb"), "title", "printable"),
    (put("core", "cortex_m44"), "core", "did you mean cortex_m4"),
    (put("clock_hz", 80e6), "clock_hz", "not a whole number"),
    (put("clock_hz", 0), "clock_hz", "not within"),
    (put("clock_hz", True), "clock_hz", "not a whole number"),
    (put("linker_script", "../../secret.ld"), "linker_script", "none of"),
    (put("linker_script", "flash_seen_twice.ld"), "linker_script", "reads_at"),
    (put("boot_bytes", 3), "boot_bytes", "multiple of 4"),
    (put("picojoules_per_cycle", float("nan")), "picojoules_per_cycle", "not within"),
    (put("qemu", "a; b"), "qemu", "no name"),
    (put("double_precision", 1), "double_precision", "true or false"),
    (put("memories", []), "memories", "2 to 16"),
    (put("memories", {}), "memories", "a list"),
    (put("memories", [1, 2]), "memories[0]", "no table"),
    (drop(0, "size"), "memories[0].size", "missing"),
    (put("memories.1.size", "65X"), "memories[1].size", "no size"),
    (put("memories.1.size", "1000"), "memories[1].size", "no multiple"),
    (put("memories.1.size", 0), "memories[1].size", "not within"),
    (put("memories.1.size", "1000M"), "memories[1].size", "not within"),
    (put("memories.1.size", []), "memories[1].size", "not a whole number"),
    (put("memories.1.start", 0x20000800), "memories[1].start", "no multiple"),
    (put("memories.1.start", 0x08010000), "memories[1].start", "overlaps flash"),
    (put("memories.1.start", 0x08040000), "memories[1].start", "right below"),
    (put("memories.1.start", 0x40000000), "memories[1].start", "peripherals"),
    (put("memories.1.start", 0xFFFFF000), "memories[1].start", "32-bit"),
    (put("memories.1.start", 1 << 32), "memories[1].start", "not within"),
    (put("memories.1.start", -4096), "memories[1].start", "not within"),
    (put("memories.1.holds", "both"), "memories[1].holds", "none of code, data"),
    (put("memories.1.holds", "code"), "memories", "no RAM"),
    (put("memories.0.holds", "data"), "memories", "no flash"),
    (put("memories.0.role", "main"), "memories[0].role", "only memories with"),
    (drop(1, "role"), "memories[1].role", "is missing"),
    (put("memories.1.role", "quick"), "memories[1].role", "none of"),
    (put("memories.1.role", "external"), "memories[1].role", "contradict"),
    (put("memories.1.external", True), "memories[1].external", "after a reset"),
    (put("memories.0.external", True), "memories[0].external", "after a reset"),
    (put("memories.1.name", "flash"), "memories[1].name", "two memories"),
    (put("memories.1.name", "len"), "memories[1].name", "linker"),
    (put("memories.1.name", "a b"), "memories[1].name", "no name"),
    (drop(1, "path"), "memories[1].path", "never taken as nothing"),
    (put("memories.1.path", "free"), "memories[1].path", "none of no wait"),
    (put("memories.1.path", {}), "memories[1].path.first", "missing"),
    (put("memories.1.path", {"first": 1.5}), "memories[1].path.first", "not a whole number"),
    (put("memories.1.path", {"first": -1}), "memories[1].path.first", "not within"),
    (put("memories.1.path", {"first": 1, "data": "c"}), "memories[1].path.data", "no [[caches]]"),
    (put("memories.1.path", {"first": 1, "bus": "x"}), "memories[1].path.bus", "none of own, code, ram"),
    (put("memories.0.aliases", [0]), "memories[0].aliases[0]", None),
    (put("memories.0.aliases", [1]), "memories[0].aliases[0]", "no multiple"),
    (put("memories.0.aliases", ["0"]), "memories[0].aliases[0]", "not a whole number"),
    (put("memories.0.aliases", [0x20000000]), "memories[1].start", "overlaps"),
    (put("memories.0.reads_at", 4096), "memories[0].reads_at", "aliases"),
    (more(role="main"), "memories[2].role", "two memories"),
    (more(name="sram"), "memories[2].name", "two memories"),
    (more(start=0x20008000), "memories[2].start", "overlaps sram"),
    (more(holds="code", role="fast"), "memories[2].role", "only memories with"),
    (more(start=0xC0800000, size="16M"), "memories[2].start", "power of two"),
    (more(start=0xC0000000, size="12K"), "memories[2].start", "power of two"),
    (lambda v: (more(start=0xC0000000)(v), put("core", "cortex_m33")(v)), "memories[2].start", "no MPU of cortex_m33"),
    (lambda v: [more(name=f"r{n}", role=r, start=0xA0000000 + 32768 * n)(v) for n, r in enumerate(get_args(Role)[2:])],
     "memories[6].role", "contradict"),
    (cache(line=24), "caches[0].line", "power of two"),
    (cache(size="3K"), "caches[0].size", "power of two of lines"),
    (cache(replacement="fifo"), "caches[0].replacement", "none of"),
    (cache(lines=5), "caches[0].lines", "did you mean line"),
    (put("caches", [{"name": "c", "size": "4K", "ways": 4, "line": 32}]), "caches[0]", "no path"),
    (put("setup", [{"address": 0x40000002, "value": 1, "why": "w"}]), "setup[0].address", "multiple of 4"),
    (put("setup", [{"address": 0x20000000, "value": 1, "why": "w"}]), "setup[0].address", "in the memory sram"),
    (put("setup", [{"address": 0x40000000, "value": 1}]), "setup[0].why", "missing"),
    (put("debug", {}), "debug.jtag_id", "missing"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "key", "says"), WRONG, ids=[f"{n}-{key}" for n, (_, key, _) in enumerate(WRONG)])
def test_what_is_wrong_has_a_key(change, key, says, tmp_path):
    values = plain()
    change(values)
    if says is None:
        board_of(values)
        return
    with pytest.raises(BadKey, match=re.escape(says)) as error:
        board_of(values)
    assert error.value.key == key and str(error.value).startswith(f"{key}: ")


@pytest.mark.parametrize("name", ["x" * 5000, "a b", "\n", ""])
def test_keys_of_any_text_are_told_in_short(name):
    with pytest.raises(BadKey, match="no such key") as error:
        board_of({**plain(), name: 1})
    assert len(str(error.value)) < 400 and error.value.key.startswith("'")


def test_lines_of_writable_caches_take_no_less_than_the_first_word():
    values = plain()
    cache()(values)
    values["memories"][0]["path"]["line"] = 3
    with pytest.raises(BadKey, match="takes no less"):
        board_of(values)


def test_memories_come_fastest_first():
    values = plain()
    put("memories.1.path", {"first": 3})(values)
    more()(values)
    with pytest.raises(BadKey, match="fastest memory first") as error:
        board_of(values)
    assert error.value.key == "memories[2].path.first"


def test_a_memory_without_a_price_gets_the_nearest_example():
    values = tomllib.loads(board_text(board("nucleo_h743zi"))) | {"name": "mine"}
    values["memories"][4].pop("path")
    with pytest.raises(BadKey) as error:
        board_of(values)
    assert "sram1 of nucleo_h743zi" in str(error.value) and "path = { first = 20, line = 28" in str(error.value)


# --- files ----------------------------------------------------------------------------------------------------------------


RUBBISH = {
    "binary": (bytes(range(256)), "not text"),
    "empty": (b"", "name: is missing"),
    "prose": (b"This is no TOML.", "is no TOML"),
    "huge": (b"#" * 70_000, "the most is 65,536"),
    "deep": (b"a = " + b"[" * 5000, "is no TOML"),
    "long_number": (b"a = " + b"1" * 5000, "is no TOML"),
    "twice": (b"name = 'a'\nname = 'b'", "is no TOML"),
    "infinite": (PLAIN.replace("80_000_000", "inf").encode(), "clock_hz"),
    "hex": (PLAIN.replace("80_000_000", f"0x{'f' * 6000}").encode(), "clock_hz"),
    "tables": (b"[[[x]]]", "is no TOML"),
}


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_is_told_with_the_name_of_the_file(name, tmp_path):
    content, says = RUBBISH[name]
    file = tmp_path / f"{name}.toml"
    file.write_bytes(content)
    code, out, err = smelt("compile", "model.tflite", "--board", file)
    assert code == 2 and not out and str(file) in err and says in err.replace("\n", " ")


WITH_BOARD = {name: c for name, c in main.commands.items() if "board_name" in [p.name for p in c.params]}
NEEDED = {
    "run": ("--input", "x.npy"),
    "evaluate": ("--data", "x.npz"),
    "export": ("--out", "x"),
    "report": ("--html", "x.html"),
}


@pytest.mark.parametrize("name", WITH_BOARD)
def test_every_command_with_a_board_takes_a_file(name, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(PLAIN.replace("64K", "65K"))
    words = ("c",) if name == "export" else ()
    model = () if name == "demo" else (*words, tmp_path / "model.tflite")
    code, _, err = smelt(name, *model, "--board", file, *NEEDED.get(name, ()))
    assert code == 2 and f"{file}: memories[1].size: 66,560 is no multiple" in err.replace("\n", " ")
    assert len(WITH_BOARD) >= 7


def test_folders_and_missing_files_are_told(tmp_path):
    for path in (tmp_path, tmp_path / "none.toml"):
        code, _, err = smelt("boards", "--show", path)
        assert code == 2 and str(path) in err


# --- boards at random -----------------------------------------------------------------------------------------------------


@st.composite
def boards_at_random(draw):
    """The values of a board that is right."""
    core = draw(st.sampled_from(sorted({b.core.name for b in BOARDS} - {"riscv32imc"})))
    shape = st.tuples(*(st.sampled_from([1, 2, 4, 8, 32]),) * 2, st.sampled_from([8, 16, 32]))
    caches = [
        {"name": f"c{n}", "size": sets * ways * line, "ways": ways, "line": line, "replacement": replacement}
        for n in range(draw(st.integers(0, 2)))
        for (sets, ways, line), replacement in [(draw(shape), draw(st.sampled_from(["lru", "random"])))]
    ]
    waits = sorted(draw(st.lists(st.integers(0, 200), min_size=4, max_size=4)))

    def memory(name, start, wait, **more):
        path = {"first": wait, "line": wait + draw(st.integers(0, 9)), "busy": draw(st.integers(0, 9))}
        path |= {"data": "c0"} if caches and draw(st.booleans()) else {}
        size = f"{4 * draw(st.integers(1, 100))}K"
        return {"name": name, "start": start, "size": size, "path": "no wait" if wait == 0 else path, **more}

    memories = [
        memory("flash", 0x08000000, waits[3], holds="code"),
        memory("ram", 0x20000000, waits[0], holds="data", role="main"),
        memory("other", 0x30000000, waits[1], holds="data", role="extra"),
        memory("sdram", 0x60000000, waits[2], holds="data", role="external", external=True),
        memory("qspi", 0x90000000, waits[3], holds="code", external=True),
    ][: draw(st.integers(2, 5))]
    used = {m["path"].get("data") for m in memories if isinstance(m["path"], dict)}
    values = {"name": "mine", "title": draw(st.text("abc äöü-()", min_size=1).filter(str.strip)), "core": core}
    values |= {
        "clock_hz": draw(st.integers(1000, 10**9)),
        "memories": memories,
        "caches": [c for c in caches if c["name"] in used],
    }
    values |= {"setup": [{"address": 0x40020000, "value": draw(st.integers(0, 2**32 - 1)), "why": "a register: why"}]}
    return values


@settings(max_examples=40, deadline=None)
@given(boards_at_random())
def test_boards_at_random_read_back_as_equal_ones(values):
    first = parse_board(toml(values).encode(), "x.toml")
    assert parse_board(board_text(first).encode(), "x.toml") == first
    assert len(first.chip.memories) == len(values["memories"])


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(), st.text(max_size=8), st.just([]), st.just({}),
    st.lists(st.integers(0, 3), max_size=2), st.sampled_from(["64K", "code", "data", "main", "c0", "no wait", 0x20000000]),
)  # fmt: skip


def places(value, place=""):
    """The names of all keys in a value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, f"{place}.{key}" if place else key)
            yield f"{place}.{key}" if place else key
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, f"{place}.{number}")


@settings(max_examples=80, deadline=None)
@given(boards_at_random(), st.data())
def test_boards_with_a_change_are_refused_with_a_key_or_read_back(values, data):
    """Whatever stands at a key instead, or if it is gone or called otherwise: an error that begins with a key, or a board."""
    place = data.draw(st.sampled_from(sorted(places(values))))
    *way, last = place.split(".")
    inner = values
    for step in way:
        inner = inner[int(step) if step.isdigit() else step]
    what = data.draw(st.sampled_from(["change", "gone", "renamed"]))
    old = inner.pop(last)
    if what != "gone":
        inner[last if what == "change" else last + "x"] = data.draw(VALUES) if what == "change" else old
    try:
        found = board_of(values)
    except BadKey as error:
        assert re.match(r"[a-z_]+(\[\d+\])?(\.\w+(\[\d+\])?)*: .", str(error)), str(error)
        return
    except OptionError:
        pytest.fail("an error without a key")
    assert parse_board(board_text(found).encode(), "x.toml") == found


def test_the_example_of_the_docs_is_a_board():
    text = (ROOT / "docs" / "boards.md").read_text("utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    found = parse_board(example.encode(), "docs")
    assert [m.name for m in found.chip.rams] == ["dtcm", "sram1", "sdram"] and found.chip.setup
    commented = re.findall(r"^# (\w+) = ", example, re.MULTILINE)  # what is left out there has keys as well
    shown = {key for b in BOARDS for table in flat(board_table(b)) for key in table}
    assert (
        shown - {"chip"}
        <= {*re.findall(r"^(?:# )?(\w+) = ", example, re.MULTILINE), *PATH_KEYS, *DEBUG_KEYS, *DMA_KEYS, *CLOCK_KEYS}
        and commented
    )
    assert all(re.search(rf"`\[*{key}\]*`", text) for key in DMA_KEYS)
    assert all(re.search(rf"\b{key}\b", text) for key in CLOCK_KEYS)


@pytest.mark.parametrize(
    "change, key",
    [
        ({"interface": "pl080"}, "dma[0].interface"),
        ({"channels": 0}, "dma[0].channels"),
        ({"reaches": [{"memory": "moon", "unit": 4, "first": 1, "beat": 1}]}, "dma[0].reaches[0].memory"),
        ({"reaches": [{"memory": "axi", "unit": 3, "first": 1, "beat": 1}]}, "dma[0].reaches[0].unit"),
        ({"reaches": [{"memory": "axi", "unit": 4, "first": 1, "beat": 1}] * 2}, "dma[0].reaches"),
        ({"setup": [{"address": 1}]}, "dma[0].setup[0].value"),
        ({"speed": 1}, "dma[0].speed"),
    ],
)
def test_what_is_wrong_with_a_dma_has_a_key(change, key):
    values = copy.deepcopy(board_table(board("nucleo_h743zi"))) | {"name": "mine"}
    values["dma"][0] |= change
    with pytest.raises(BadKey) as caught:
        board_of(values)
    assert caught.value.key == key


def test_a_divider_that_no_step_sets_would_leave_the_rate_as_it_is():
    values = copy.deepcopy(board_table(board("nucleo_h743zi"))) | {"name": "mine"}
    values["uart"]["divider"]["address"] += 4
    with pytest.raises(BadKey, match="would change nothing") as caught:
        board_of(values)
    assert caught.value.key == "uart.divider.address"


PATH_KEYS = {"first", "line", "busy", "prefetch", "instructions", "data", "bus"}
DEBUG_KEYS = {f.name for f in fields(Debug)} | {"debug", "caches", "memories", "setup"}
DMA_KEYS = {f.name for t in (Dma, Reach) for f in fields(t)} | {"dma"}
CLOCK_KEYS = {f.name for t in (Clock, Uart, Pin, Divider, RegisterStep, Condition) for f in fields(t)} | {
    "clock",
    "uart",
    "pin",
}


def flat(value):
    """All tables in a value."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from flat(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from flat(inner)
