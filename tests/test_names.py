"""Names in generated C (docs/names.md): whatever people call things, they meet nothing of C's, C++'s or each other's."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smelt.errors import OptionError
from smelt.firmware import emit, render
from smelt.firmware.names import LONGEST, check_name, part
from smelt.importers import load
from smelt.passes import prepare
from smelt.planner import make_plan
from smelt.targets.boards import BOARDS, board
from tests.paths import ROOT
from tests.tflite_writer import ModelWriter
from tests.tiny_firmware import need

RESNET = ROOT / "smelt" / "assets" / "resnet8.tflite"
C_WORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int long register restrict"
    " return short signed sizeof static struct switch typedef union unsigned void volatile while _Bool asm typeof main I errno"
    " bool true false complex NULL linux unix i386 assert stdin signal setjmp offsetof INT8_MAX EOF isnan va_start"
).split()
CPP_WORDS = (
    "alignas and and_eq bitand bitor catch class compl concept const_cast constexpr decltype delete dynamic_cast explicit export"
    " friend mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public requires template this"
    " thread_local throw try typename using virtual wchar_t xor xor_eq std string"
).split()
HEADERS = (
    "math time signal errno complex stdbool string stdint stddef stdio stdlib assert limits float ctype locale".split()
)
NAMES = tuple(dict.fromkeys(
    [w for w in (*C_WORDS, *CPP_WORDS, *HEADERS) if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", w)]
    + "memcpy malloc printf network sensor sensor_net sensor_weights sensor_in sensor_out sensor_get sensor_memory sensor_table"
    " sensor_in_x sensor_k inputs outputs init run net weights kernel aligned lines resident x fast extra x2".split()
))  # fmt: skip
TENSORS = (
    *C_WORDS, *CPP_WORDS, *HEADERS, "X", "x", "x_elements", "x elements", "alignment", "bytes", "in", "out", "in_x", "out_in_x",
    "net", "", " ", "_", "__", "_Reserved", "__reserved", "a__b", "0", "1x", "größe", "入力", "a" * 300, "a" * 300 + "b",
    "*/", "x;y", "memory", "main", "fast", "table_2", "x_2", "x", "x",
)  # fmt: skip


def model(folder: Path, names=("x",)) -> Path:
    """A network with an input and an output of each of `names`."""
    w = ModelWriter()
    xs = [w.tensor(name, (1, 4), "int8", 0.5, 3) for name in names]
    ys = [w.tensor(name, (1, 4), "int8", 0.5, 3) for name in names]
    for x, y in zip(xs, ys, strict=True):
        w.op("RELU", [x], [y])
    path = folder / "model.tflite"
    path.write_bytes(w.finish(xs, ys))
    return path


def plan_of(path: Path, board_name: str = "disco_f746ng"):
    return make_plan(prepare(load(path)), board(board_name))


def write(plan, folder: Path, *names: str) -> list[str]:
    """The networks of `names` in one folder; returns the names of their C files."""
    folder.mkdir(exist_ok=True)
    files = {}
    for name in names:
        files |= render(emit(plan, name)).files
    for file, text in files.items():
        (folder / file).write_text(text, encoding="utf-8")
    return sorted(f for f in files if f.endswith(".c"))


def gcc(*arguments: str, folder: Path, program: str = "gcc") -> str:
    need(program)
    done = subprocess.run([program, *map(str, arguments)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr[:3000]
    return done.stdout


def includes(headers, end=".h", marks="<>") -> str:
    return "".join(f"#include {marks[0]}{h}{end}{marks[1]}\n" for h in headers)


STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wundef", "-pedantic", "-Werror")


@pytest.mark.parametrize("dialect", ["c99", "gnu99"])
def test_any_name_of_a_network_builds_among_standard_headers_in_c(dialect, tmp_path):
    files = write(plan_of(model(tmp_path)), tmp_path / "out", *NAMES)
    odd = [f"-include{h}.h" for h in HEADERS] if dialect != "c99" else []
    gcc(f"-std={dialect}", *STRICT, "-fsyntax-only", "-I.", *odd, *files, folder=tmp_path / "out")
    networks = includes([f"{n}_net" for n in NAMES], marks='""')
    (tmp_path / "first.c").write_text(includes(HEADERS) + networks + "int main(void) { return 0; }\n")
    (tmp_path / "last.c").write_text(networks + includes(HEADERS) + "int main(void) { return 0; }\n")
    gcc(f"-std={dialect}", *STRICT, "-fsyntax-only", "-Iout", "first.c", "last.c", folder=tmp_path)


@pytest.mark.parametrize("dialect", ["c++98", "gnu++20"])
def test_any_name_of_a_network_is_valid_cpp(dialect, tmp_path):
    write(plan_of(model(tmp_path)), tmp_path / "out", *NAMES)
    networks = includes([f"{n}_net" for n in NAMES], marks='""')
    use = "sensor_net n;\nint main() { static const sensor_memory m = {0, 0}; return sensor_init(&n, &m); }\nSENSOR_IN_MEMORY(q);\n"
    use += "const void *user() { return &q; }\n"
    standard = includes(HEADERS) + includes(["vector", "iostream", "algorithm"], "")
    (tmp_path / "first.cpp").write_text(standard + networks + use)
    (tmp_path / "last.cpp").write_text(networks + standard + use)
    strict = [f for f in STRICT if dialect != "c++98" or f != "-pedantic"]  # C++98 has no <stdint.h>
    gcc(f"-std={dialect}", *strict, "-fsyntax-only", "-Iout", "first.cpp", "last.cpp", folder=tmp_path, program="g++")


def test_any_names_of_tensors_build(tmp_path):
    files = write(plan_of(model(tmp_path, TENSORS)), tmp_path / "out", "network")
    (tmp_path / "out" / "use.cpp").write_text(includes([*HEADERS]) + '#include "network_net.h"\n')
    for dialect in ("c99", "gnu99"):
        gcc(
            f"-std={dialect}",
            *STRICT,
            "-fsyntax-only",
            *[f"-include{h}.h" for h in HEADERS],
            *files,
            folder=tmp_path / "out",
        )
    gcc("-std=gnu++17", *STRICT, "-fsyntax-only", "use.cpp", folder=tmp_path / "out", program="g++")
    header = (tmp_path / "out" / "network_net.h").read_text()
    fields = re.findall(r"\*((?:in|out)_\w+);", header)
    macros = re.findall(r"#define (\w+)", header)
    assert len(fields) == len(set(fields)) == 2 * len(TENSORS) and len(macros) == len(set(macros))
    assert not any("__" in word for word in (*fields, *macros)), "C++ reserves these"
    assert max(map(len, fields)) < 63


@pytest.mark.parametrize("board_name", ["nucleo_l4r5zi", "esp32c3"])
def test_names_inside_of_kernels_meet_no_macro_of_standard_headers(board_name, tmp_path):
    """Whatever a build includes in front of everything: `I`, `errno`, `linux` and the like are macros then."""
    files = write(plan_of(RESNET, board_name), tmp_path / "out", "network")
    odd = "iso646 tgmath inttypes setjmp stdarg fenv wchar wctype unistd pthread stdatomic threads sys/types".split()
    gcc(
        "-std=gnu17",
        *STRICT,
        "-fsyntax-only",
        *[f"-include{h}.h" for h in (*HEADERS, *odd)],
        *files,
        folder=tmp_path / "out",
    )
    gcc("-std=gnu99", *STRICT, "-fsyntax-only", "-includecomplex.h", *files, folder=tmp_path / "out")


def test_many_networks_in_one_program(tmp_path):
    files = write(plan_of(model(tmp_path)), tmp_path / "out", *NAMES)
    calls = "".join(f"  {{ {n.upper()}_MEMORY(m); {n}_net n; {n}_init(&n, &m); {n}_run(&n); }}\n" for n in NAMES)
    (tmp_path / "out" / "main.c").write_text(
        includes([f"{n}_net" for n in NAMES], marks='""') + f"int main(void) {{\n{calls}  return 0;\n}}\n"
    )
    gcc("-std=c99", *STRICT, *files, "main.c", "-o", "main", folder=tmp_path / "out")
    subprocess.run([tmp_path / "out" / "main"], check=True)


WORDS = st.sampled_from(
    "in out table net memory init run x 2 elements bytes scale zero point get inputs k h main fast".split()
)
LABELS = st.lists(WORDS, min_size=1, max_size=4).map("_".join)


@settings(max_examples=30, deadline=None)
@given(st.lists(LABELS, min_size=1, max_size=4, unique=True))
def test_no_name_of_one_network_can_be_a_name_of_another(tmp_path_factory, names):
    """`sensor` and `sensor_more` share an identifier only if some ending of one's is one of the other's: there is none."""
    plan = plan_of(model(tmp_path_factory.mktemp("m"), names))
    text = "\n".join(t for f, t in render(emit(plan, "sensor")).files.items() if f.startswith("sensor"))
    found = set(re.findall(r"\b(?:sensor|SENSOR)_(\w+)", text))
    tails = {"_".join(words[i:]) for words in (f.split("_") for f in found) for i in range(1, len(words))}
    assert found and not found & tails


def test_no_standard_header_has_a_name_that_ends_as_ours_do(tmp_path):
    """Of C99's headers none, with all that GNU adds; of others only what docs/names.md names."""
    text = "\n".join(
        t for f, t in render(emit(plan_of(model(tmp_path)), "sensor")).files.items() if f.startswith("sensor")
    )
    endings = set(re.findall(r"\b(?:sensor|SENSOR)_(\w+)", text))
    c99 = "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdarg stdbool stddef stdint"
    (tmp_path / "c99.c").write_text(includes(f"{c99} stdio stdlib string tgmath time wchar wctype".split()))
    (tmp_path / "c11.c").write_text(includes("stdatomic threads semaphore pthread unistd".split()))

    def clashes(file: str) -> set[str]:
        seen = gcc("-std=gnu17", "-E", "-P", file, folder=tmp_path) + gcc(
            "-std=gnu17", "-E", "-dM", file, folder=tmp_path
        )
        words = [w.split("_") for w in set(re.findall(r"\b[A-Za-z]\w*", seen))]
        return {"_".join(w) for w in words if any("_".join(w[n:]) in endings for n in range(1, len(w)))}

    assert not clashes("c99.c")
    assert {"mtx_init", "sem_init"} <= clashes("c11.c") and all(n.endswith("_init") for n in clashes("c11.c"))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Net",
        "1x",
        "_x",
        "x_",
        "a__b",
        "größe",
        "a b",
        "a/b",
        "../x",
        "x\n",
        "x" * (LONGEST + 1),
        "smelt",
        "smelt_x",
    ],
)
def test_names_outside_the_rule_are_refused(name):
    with pytest.raises(OptionError, match="cannot be the name of a network"):
        check_name(name)
    check_name("smelted"), check_name("x" * LONGEST)


def test_parts_are_words():
    for name in TENSORS:
        assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", part(name)) and len(part(name)) <= LONGEST
    assert part("X", ["x"]) == "x_2" and part("a_in", ["a_in"]) == "a_in2"


# --- what else a file may hold ------------------------------------------------------------------------------------------


def declared(text: str) -> set[str]:
    """What is declared at file scope in preprocessed C."""
    text = re.sub(r'"(\\.|[^"\\])*"', "S", text)
    while (shorter := re.sub(r"\{[^{}]*\}", "@", text)) != text:
        text = shorter
    text = re.sub(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)|\b__asm__[^;]*", "", text)
    found = set()
    for statement in re.split(r";|(?<=\))\s*@", text):
        if names := re.findall(r"(\w+)\s*(?:\(|\[|=|$)", statement.strip()):
            found.add(names[0])
    return found


def own_text(preprocessed: str) -> str:
    """The lines that come from files given by a relative name."""
    lines, own = [], True
    for line in preprocessed.splitlines():
        if mark := re.match(r'# \d+ "(.*?)"', line):
            own = not mark[1].startswith(("/", "<")) and "../" not in mark[1]
        elif own:
            lines.append(line)
    return "\n".join(lines)


@pytest.mark.parametrize("board_name", ["disco_f746ng", "esp32c3"])
@pytest.mark.parametrize("goal", ["balanced", "speed"])
def test_everything_at_file_scope_has_a_prefix(board_name, goal, tmp_path):
    plan = make_plan(prepare(load(RESNET)), board(board_name), goal=goal)
    files = write(plan, tmp_path, "sensor")
    core = board(board_name).core
    compiler, *flags = core.gcc
    flags += ["-std=c99", "-ffreestanding", "-O1", "-I", str(ROOT / "smelt" / "firmware" / "support")]
    (tmp_path / "standard.c").write_text(
        "#include <string.h>\n#include <stdint.h>\n#include <stddef.h>\n#ifdef __arm__\n#include <arm_acle.h>\n#endif\n"
    )
    known = set(gcc(*flags, "-E", "-dM", "standard.c", folder=tmp_path, program=compiler).splitlines())
    for file in files:
        macros = set(gcc(*flags, "-E", "-dM", file, folder=tmp_path, program=compiler).splitlines()) - known
        names = {line.split()[1].split("(")[0] for line in macros}
        names |= declared(own_text(gcc(*flags, "-E", file, folder=tmp_path, program=compiler)))
        wrong = {n for n in names if not n.startswith(("SENSOR_", "SMELT_", "sensor_", "smelt_"))}
        assert names and not wrong, (file, wrong)
        gcc(*flags, "-c", file, "-o", "x.o", folder=tmp_path, program=compiler)
        symbols = gcc("--defined-only", "x.o", folder=tmp_path, program=compiler.replace("gcc", "nm")).split("\n")
        wrong = {
            s for s in (line.split()[-1] for line in symbols if line) if not s.startswith(("sensor_", "smelt_", "$"))
        }
        assert not wrong, (file, wrong)


# --- roles ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", BOARDS, ids=lambda b: b.name)
def test_each_ram_of_a_chip_has_a_role_of_its_own(target):
    roles = [m.role for m in target.chip.rams]
    outside = [m.role for m in target.chip.rams if m.external]
    assert roles[len(roles) - len(outside) :] == outside == ["external", "external2"][: len(outside)]
    roles = roles[: len(roles) - len(outside)]
    others = [f"extra{n or ''}" for n in (0, 2, 3, 4)]
    assert roles == [*(["fast"] if "fast" in roles else []), "main", *others[: len(roles) - roles.index("main") - 1]]
    assert all(m.role is None for m in target.chip.memories if m.holds == "code")


@pytest.mark.parametrize("target", BOARDS, ids=lambda b: b.name)
def test_application_code_is_the_same_for_all_boards(target, tmp_path):
    w = ModelWriter()
    x = w.tensor("serving_default_dense_input:0", (1, 1), "int8", 0.5, 3)
    y = w.tensor("StatefulPartitionedCall:0", (1, 1), "int8", 0.5, 3)
    w.op("RELU", [x], [y])
    (tmp_path / "model.tflite").write_bytes(w.finish([x], [y]))
    files = write(plan_of(tmp_path / "model.tflite", target.name), tmp_path, "sine")
    shutil.copy(ROOT / "examples" / "cmake_project" / "main.c", tmp_path)
    gcc("-std=c99", *STRICT, *files, "main.c", "-o", "main", folder=tmp_path)
    lines = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout.splitlines()
    assert lines == [f"{v} {max(v, 3)}" for v in range(-128, 128)]
