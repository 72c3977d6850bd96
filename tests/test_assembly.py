"""Assembly is built as loops are: what scheduling may change, what it costs, and that it is the same every time."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dev.orders import routines
from smelt.devices.simulators.decode import Decoder
from smelt.devices.simulators.pipeline import TICKS
from smelt.devices.simulators.pipelines import model_of
from smelt.kernels.assembly import assembly_file, routine_text
from smelt.kernels.routines import BUILT, ROUTINES, products
from smelt.loops.assembly import decisions
from smelt.loops.assembly.allocate import NoRegister, allocated
from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.compile import Assembled, as_written, assembled, decided
from smelt.loops.assembly.decisions import kept, key_of, numbers_of
from smelt.loops.assembly.ir import Block, Code, Lead, Place, Register, instruction
from smelt.loops.assembly.schedule import scheduled
from smelt.loops.assembly.text import section
from smelt.loops.assembly.timing import Timing, cycles
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from smelt.targets.types import Core
from tests.kernels_host import ZIG
from tests.paths import ROOT
from tests.routine_cases import CORES
from tests.thumb_programs import Machine, Program, build
from tests.tiny_firmware import need

BUFFER = ("x", "y", "words")
THREE = (
    "smlad", "smlabb", "smlatt", "smmla", "mla", "mls", "add", "sub", "eor", "and", "sadd16", "pkhbt", "lsl", "sxtb16", "ssat",
)  # fmt: skip
ASSEMBLED = tuple(r for r in ROUTINES if r.name in BUILT)
BLOCKS, LOOPS = 12, 8


def random_operation(a: Assembler, rng: random.Random, values: list[Register]) -> None:
    """One instruction whose result is new or takes an old one's place."""
    name = rng.choice(THREE)
    x, y, z = (rng.choice(values) for _ in range(3))
    into = a.register("v") if len(values) < 9 else rng.choice(values)
    if name in ("smlad", "smlabb", "smlatt", "smmla", "mla", "mls"):
        a.do(name, into, x, y, z)
    elif name == "lsl":
        a.do(name, into, x, rng.randrange(1, 8))
    elif name == "sxtb16":
        a.do(name, into, x)
    elif name == "ssat":
        a.do(name, into, 8, x)
    else:
        a.do(name, into, x, y)
    if into not in values:
        values.append(into)


def random_block(seed: int) -> Code:
    """Loads, arithmetic, stores to the same memory and to the stack, in any order."""
    rng = random.Random(seed)
    a = Assembler(f"block_{seed}", BUFFER)
    x, y, values = a.argument("x"), a.argument("y"), [a.argument("words")]
    slots = [a.slot(f"s{i}") for i in range(3)]
    for slot in slots:
        a.put(slot, values[0])
    for _ in range(30):
        what = rng.randrange(8)
        if what == 0 and len(values) < 9:
            values.append(
                a.new("ldr", Place(x, step=4, region="x") if rng.random() < 0.5 else Place(x, offset=8, region="x"))
            )
        elif what == 1 and len(values) < 9:
            values.append(a.new("ldr", Place(y, offset=4 * rng.randrange(4), region="y")))
        elif what == 2:
            a.do("str", rng.choice(values), Place(y, offset=4 * rng.randrange(4), region="y"))
        elif what == 3 and len(values) < 9:
            a.put(rng.choice(slots), rng.choice(values))
            values.append(a.get(rng.choice(slots)))
        else:
            random_operation(a, rng, values)
    for number, value in enumerate(values):
        a.do("str", value, Place(y, offset=16 + 4 * number, region="y"))
    return a.finish()


def random_loop(seed: int) -> Code:
    """Sums of products of what lies behind one another, entered in the middle of a round."""
    rng = random.Random(seed)
    a = Assembler(f"loop_{seed}", BUFFER)
    y, words = a.argument("y"), a.argument("words")
    x, left = a.register("x"), a.register("left")
    sums = a.registers("sum", rng.randrange(1, 6))
    with a.apart() as turn:
        loads = [Place(x, offset=4 * n, region="x") for n in range(1, rng.randrange(1, 4))] + [
            Place(x, step=4, region="x")
        ]
        values = [a.new("ldr", place) for place in loads]
        values += [a.new("sxtb16", rng.choice(values)) for _ in range(rng.randrange(2))]
        for sum in sums:
            a.do(rng.choice(("smlad", "smlabt", "mla")), sum, rng.choice(values), rng.choice(values), sum)
    unroll = rng.choice((1, 2, 4, 8))
    a.do("mov", x, a.argument("x"))
    for number, sum in enumerate(sums):
        a.do("mov", sum, number)
    a.do("add", left, words, unroll - 1)
    a.do("lsr", left, left, unroll.bit_length() - 1) if unroll > 1 else None
    skipped = a.new("and", a.new("rsb", words, 0), unroll - 1)
    a.jump(a.enter("turns", len(turn), skipped))
    with a.apart() as ends:
        a.do("subs", left, left, 1)
    a.repeat("turns", turn, ends, "ne", unroll)
    a.do("sub", x, x, Lead("turns", x))
    last = a.new("ldr", Place(x, region="x"))
    for value in (*sums, last):
        a.do("str", value, Place(y, step=4, region="y"))
    return a.finish()


def built(folder: Path, routines: dict[str, Assembled]) -> Program:
    text = "".join(f"void {n}(void);\n" for n in routines)
    text += f"void *const everything[] = {{{', '.join(f'(void *){n}' for n in routines)}}};\n"
    assembly = ".syntax unified\n.thumb\n" + "\n".join(section(n, r) for n, r in routines.items())
    assert CORTEX_M4.floats is not None
    command = [*ZIG, *CORTEX_M4.floats.zig]
    flags = ["-std=gnu11", "-ffreestanding", "-fno-sanitize=all", "-O1"]
    link = [*command, "-nostdlib", "-static", "-Wl,--no-gc-sections"]
    return build(folder, text, [*command, *flags], command, link, assembly=assembly)


def results(machine: Machine, name: str, words: int) -> bytes:
    x, y = machine.free, machine.free + 0x1000
    machine.engine.mem_write(x, random.Random(5).randbytes(0x800))
    machine.engine.mem_write(y, bytes(range(256)))
    machine.call(name, [x, y, words])
    return bytes(machine.engine.mem_read(y, 256))


def test_scheduling_changes_no_result(tmp_path: Path) -> None:
    codes = [*map(random_block, range(BLOCKS)), *map(random_loop, range(LOOPS))]
    timings = {"written": None, **{c.name: c.scheduling for c in CORES}}
    routines = {
        f"{code.name}_{how}": as_written(code) if timing is None else assembled(code, timing)
        for code in codes
        for how, timing in timings.items()
    }
    machine = Machine(built(tmp_path, routines))
    moved = 0
    for code in codes:
        for words in (1, 2, 7, 8, 17):
            expected = results(machine, f"{code.name}_written", words)
            for core in CORES:
                assert results(machine, f"{code.name}_{core.name}", words) == expected, f"{code.name} for {core.name}"
        moved += sum(routines[f"{code.name}_{c.name}"].blocks != routines[f"{code.name}_written"].blocks for c in CORES)
    assert moved > len(codes)


@pytest.mark.parametrize("core", CORES, ids=lambda c: c.name)
def test_scheduling_never_makes_it_slower(core: Core) -> None:
    timing = core.scheduling
    saved = 0
    for seed in range(20):
        body = random_block(seed).parts[0].body
        order = scheduled(body, timing, frozenset(), None, 14)
        assert sorted(map(str, order)) == sorted(map(str, body))
        saved += cycles(body, timing) - cycles(order, timing)
        assert cycles(order, timing) <= cycles(body, timing)
    assert saved > 20


def test_registers_that_are_needed_at_once_differ() -> None:
    registers = [Register(f"v{n}") for n in range(14)]
    body = [instruction("mov", r, n) for n, r in enumerate(registers)]
    body += [instruction("add", registers[0], registers[0], r) for r in registers[1:]]
    found = allocated([Block("start", tuple(body))])
    assert len(set(found.values())) == 14 and not {"sp", "pc"} & set(found.values())
    more = Register("one_more")
    body = [instruction("mov", more, 1), *body, instruction("add", more, more, registers[0])]
    with pytest.raises(NoRegister, match="no register for"):
        allocated([Block("start", tuple(body))])


@pytest.mark.parametrize("core", CORES, ids=lambda c: c.name)
@pytest.mark.parametrize("compiler", ["zig", "arm-none-eabi-gcc", "clang"])
def test_every_assembler_takes_the_text(core: Core, compiler: str, tmp_path: Path) -> None:
    (tmp_path / "routines.S").write_text(assembly_file(ASSEMBLED, core, "routines.S", "0"))
    assert core.floats is not None
    for way, computes in ((core, False), (core.floats, True)):
        commands = {
            "zig": [*ZIG, *way.zig],
            "arm-none-eabi-gcc": [*way.gcc],
            "clang": ["clang", "--target=arm-none-eabi", *way.gcc[1:]],
        }
        need(commands[compiler][0])
        command = [*commands[compiler], "-c", "routines.S", "-o", "routines.o"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr, done.stderr[:2000]
        assert (b"smelt_quantize" in (tmp_path / "routines.o").read_bytes()) == computes


def test_other_processors_get_nothing(tmp_path: Path) -> None:
    (tmp_path / "routines.S").write_text(assembly_file(ASSEMBLED, CORTEX_M4, "routines.S", "0"))
    done = subprocess.run([*ZIG, "-E", "-P", "routines.S"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "smlad" not in done.stdout


def test_the_text_is_the_same_every_time() -> None:
    program = (
        "from smelt.kernels.assembly import routine_text\nfrom smelt.kernels.routines import PRODUCTS\n"
        "from tests.routine_cases import CORES\nimport hashlib\n"
        "print(hashlib.sha256(''.join(routine_text(f, c) for f in PRODUCTS[:3] for c in CORES).encode()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1


def test_what_is_written_out_fits_the_cache() -> None:
    """A loop for small caches of instructions is written out less often."""
    texts = {c.name: routine_text(f, c) for f in [products(1)] for c in CORES}
    assert all(t.count("smlad") == 16 for t in texts.values())
    small = assembled(BUILT["products_1"](Timing(round_bytes=50)), Timing())
    assert sum(one.name == "smlad" for block in small.blocks for one in block.body) == 4


MOST = {"cortex_m4": 100, "cortex_m7": 51, "cortex_m33": 92}
"""Cycles of eight turns with 12 multiplications each: what loads, or multiplications, or all instructions take; and the end."""


@pytest.mark.parametrize("core", CORES, ids=lambda c: c.name)
def test_cycles_of_a_loop(core: Core, tmp_path: Path) -> None:
    """By the simulator's model, which is another one than the scheduler's."""
    routine = assembled(BUILT[products(3).name](core.scheduling), core.scheduling)
    made = built(tmp_path, {"routine": routine})
    start, size = made.functions["routine"], made.sizes["routine"]
    (code,) = (c[start - a : start - a + size] for a, c in made.segments if a <= start < a + len(c))
    ops = Decoder().block(code, start)
    last = max(i for i, op in enumerate(ops) if op.name == "smlad")
    end = next(i for i in range(last, len(ops)) if ops[i].is_branch)
    loop = ops[end - 8 * 11 - 2 : end + 1]
    assert sum(op.name == "smlad" for op in loop) == 8 * 6 and loop[0].at % 8 == 0
    pipeline = model_of(core.timed).create(core.timed)
    once = pipeline.block(loop, pipeline.idle())
    again = pipeline.block(loop, once.state)
    assert again.cost + pipeline.leave(loop, True, loop[0]) <= TICKS * MOST[core.name]


def test_what_was_decided_is_kept_and_current():
    """All of it is found again; some of it is decided again, and comes out the same."""
    missing = [code.name for code, timing in routines() if key_of(code, timing) not in decisions._all()]
    assert not missing, "run python -m dev.orders"
    again = [(code, timing) for code, timing in routines() if code.name.startswith("products_1")]
    assert again and all(kept(code, timing) == decided(code, timing) for code, timing in again)


def test_what_is_not_kept_is_decided():
    """For another core than smelt's, and the same code as for one that is kept."""
    build, timing = BUILT["products_1"], CORTEX_M4.scheduling
    other = replace(timing, round_bytes=timing.round_bytes + 1)
    assert kept(build(timing), other) is None
    assert section("one", assembled(build(timing), other)) == section("one", assembled(build(timing), timing))


def test_equal_instructions_are_told_apart_by_their_places():
    one, two = (instruction("mov", Register(name), 1) for name in ("a", "b"))
    assert numbers_of((two, one, one), (one, two, one)) == (1, 0, 2)
