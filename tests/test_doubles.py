"""Double precision on the simulated boards: bit for bit as NumPy where the chip has it, a fault where it has not."""

from __future__ import annotations

import math
import random
import struct
import subprocess
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from smelt.devices.faults import Fault
from smelt.devices.simulators.machine import Machine
from smelt.devices.simulators.memory_map import memory_map, write
from smelt.devices.simulators.simulator import Simulator
from smelt.firmware.build import compiler_environment, zig
from smelt.targets.boards import board
from tests.foreign import build

H743 = board("nucleo_h743zi")
CODE, RAM = 0x08001000, 0x20001000
SPECIAL = (
    0.0, -0.0, 1.0, -1.5, 0.5, 2.5, 3.5, -2.5, 5e-324, -2.2e-308, 1e-310, 1.7e308, -1.7e308, math.inf, -math.inf, math.pi,
    2147483647.5, -2147483648.5, 4294967295.5, 0.49999999999999994, 65504.0, 65519.9, 65520.0, 6e-8, 3.4028235e38, 1e39,
)  # fmt: skip


def values(count: int = 60) -> list[float]:
    chosen = random.Random(7)
    anything = [struct.unpack("<d", chosen.randbytes(8))[0] for _ in range(count // 2)]
    near = [chosen.uniform(-4, 4) * 2.0 ** chosen.randint(-40, 40) for _ in range(count // 2)]
    return [*SPECIAL, *(v for v in anything if not math.isnan(v)), *near]


def f64(bits: int) -> np.float64:
    return np.uint64(bits).view(np.float64)


def exact_sum(acc, x, y):
    """acc + x * y, rounded once."""
    if not all(np.isfinite(v) for v in (acc, x, y)):
        big = x * y if not (np.isfinite(x) and np.isfinite(y)) else np.float64(0)
        return acc + big
    exact = Fraction(float(acc)) + Fraction(float(x)) * Fraction(float(y))
    if exact == 0:
        return acc + x * y if x * y == 0 and acc == 0 else np.float64(0)
    try:
        return np.float64(exact.numerator / exact.denominator)
    except OverflowError:
        return np.float64(math.inf if exact > 0 else -math.inf)


BINARY = {
    "vadd.f64 d0, d1, d2": lambda d, x, y: x + y,
    "vsub.f64 d0, d1, d2": lambda d, x, y: x - y,
    "vmul.f64 d0, d1, d2": lambda d, x, y: x * y,
    "vnmul.f64 d0, d1, d2": lambda d, x, y: -(x * y),
    "vdiv.f64 d0, d1, d2": lambda d, x, y: x / y,
    "vmla.f64 d0, d1, d2": lambda d, x, y: d + x * y,
    "vmls.f64 d0, d1, d2": lambda d, x, y: d + -(x * y),
    "vnmla.f64 d0, d1, d2": lambda d, x, y: -d + -(x * y),
    "vnmls.f64 d0, d1, d2": lambda d, x, y: -d + x * y,
    "vfma.f64 d0, d1, d2": lambda d, x, y: exact_sum(d, x, y),
    "vfms.f64 d0, d1, d2": lambda d, x, y: exact_sum(d, -x, y),
    "vfnma.f64 d0, d1, d2": lambda d, x, y: exact_sum(-d, -x, y),
    "vfnms.f64 d0, d1, d2": lambda d, x, y: exact_sum(-d, x, y),
    "vmaxnm.f64 d0, d1, d2": lambda d, x, y: x if (x, not np.signbit(x)) > (y, not np.signbit(y)) else y,
    "vminnm.f64 d0, d1, d2": lambda d, x, y: x if (x, not np.signbit(x)) < (y, not np.signbit(y)) else y,
    "vmov.f64 d0, d1": lambda d, x, y: x,
    "vneg.f64 d0, d1": lambda d, x, y: -x,
    "vabs.f64 d0, d1": lambda d, x, y: abs(x),
    "vsqrt.f64 d0, d1": lambda d, x, y: np.sqrt(x),
    "vmov.f64 d0, #-1.25": lambda d, x, y: np.float64(-1.25),
    "vmov.f64 d0, #31.0": lambda d, x, y: np.float64(31),
    "vrintr.f64 d0, d1": lambda d, x, y: np.rint(x),
    "vrintx.f64 d0, d1": lambda d, x, y: np.rint(x),
    "vrintn.f64 d0, d1": lambda d, x, y: np.rint(x),
    "vrintz.f64 d0, d1": lambda d, x, y: np.trunc(x),
    "vrintp.f64 d0, d1": lambda d, x, y: np.ceil(x),
    "vrintm.f64 d0, d1": lambda d, x, y: np.floor(x),
    "vrinta.f64 d0, d1": lambda d, x, y: np.copysign(half_away(x), x),
}


def half_away(x):
    whole = np.floor(abs(x))
    return whole + (abs(x) - whole >= 0.5) if np.isfinite(x) else abs(x)


def saturated(x, low: int, high: int) -> int:
    whole = high if x > high else low if x < low else int(x)
    return whole & 0xFFFFFFFF


SIGNED, UNSIGNED = (-(1 << 31), (1 << 31) - 1), (0, (1 << 32) - 1)
TO_WORD = {
    "vcvt.s32.f64 s0, d1": lambda x: saturated(np.trunc(x), *SIGNED),
    "vcvt.u32.f64 s0, d1": lambda x: saturated(np.trunc(x), *UNSIGNED),
    "vcvtr.s32.f64 s0, d1": lambda x: saturated(np.rint(x), *SIGNED),
    "vcvtr.u32.f64 s0, d1": lambda x: saturated(np.rint(x), *UNSIGNED),
    "vcvta.s32.f64 s0, d1": lambda x: saturated(np.copysign(half_away(x), x), *SIGNED),
    "vcvtn.u32.f64 s0, d1": lambda x: saturated(np.rint(x), *UNSIGNED),
    "vcvtp.s32.f64 s0, d1": lambda x: saturated(np.ceil(x), *SIGNED),
    "vcvtm.s32.f64 s0, d1": lambda x: saturated(np.floor(x), *SIGNED),
    "vcvt.f32.f64 s0, d1": lambda x: int(np.float32(x).view(np.uint32)),
    "vcvtb.f16.f64 s0, d1": lambda x: int(np.float16(x).view(np.uint16)),
}
FROM_WORD = {
    "vcvt.f64.s32 d0, s2": lambda w: np.float64(np.uint32(w).view(np.int32)),
    "vcvt.f64.u32 d0, s2": lambda w: np.float64(w),
    "vcvt.f64.f32 d0, s2": lambda w: np.float64(np.uint32(w).view(np.float32)),
    "vcvtt.f64.f16 d0, s2": lambda w: np.float64(np.uint16(w >> 16).view(np.float16)),
}
OTHERS = ("vcmp.f64 d1, d2", "vcmpe.f64 d1, #0", "vseleq.f64 d0, d1, d2", "vselgt.f64 d0, d1, d2",
          "vcvt.s32.f64 d0, d0, #8", "vcvt.f64.u16 d0, d0, #3", "vcvtt.f16.f64 s0, d1")  # fmt: skip


@cache
def encodings() -> dict[str, bytes]:
    """Machine code of all instructions of this file."""
    names = (*BINARY, *TO_WORD, *FROM_WORD, *OTHERS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "code.S").write_text(
            ".syntax unified\n.thumb\n.fpu fpv5-d16\n.text\n" + "".join(f"{n}\n" for n in names)
        )
        command = (
            str(zig()),
            "cc",
            "-target",
            "thumb-freestanding-eabi",
            "-mcpu=cortex_m7",
            "-c",
            "code.S",
            "-o",
            "out.o",
        )
        done = subprocess.run(command, cwd=folder, env=compiler_environment(folder), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        text = _text_section((folder / "out.o").read_bytes())
    return {n: text[4 * i : 4 * i + 4] for i, n in enumerate(names)}


def _text_section(elf: bytes) -> bytes:
    table, size, count, names = struct.unpack_from("<I", elf, 32)[0], *struct.unpack_from("<HHH", elf, 46)
    headers = [struct.unpack_from("<10I", elf, table + i * size) for i in range(count)]
    start = headers[names][4]
    return next(elf[h[4] : h[4] + h[5]] for h in headers if elf[start + h[0] :].startswith(b".text\0"))


class Core:
    """Runs one instruction at a time on the simulated H743."""

    def __init__(self, code: bytes) -> None:
        maps = memory_map(H743, frozenset())
        write(maps, CODE, code + b"\x00\xbe", even_flash=True)  # and a breakpoint
        self.machine = Machine(H743, maps)
        self.machine.on_interrupt(lambda _: self.machine.stop())

    def run(self, **registers: int) -> None:
        for name, value in registers.items():
            if name[0] == "d":
                self.machine.set(f"s{2 * int(name[1:])}", value & 0xFFFFFFFF)
                self.machine.set(f"s{2 * int(name[1:]) + 1}", value >> 32)
            else:
                self.machine.set(name, value)
        reason = self.machine.run(CODE)
        assert reason is None
        assert self.machine.pc == CODE + 4

    def double(self, number: int) -> int:
        return self.machine.get(f"s{2 * number}") | self.machine.get(f"s{2 * number + 1}") << 32


def pattern(value) -> int:
    return int(np.float64(value).view(np.uint64))


def alike(name: str, found: int, wanted) -> bool:
    """Equal to the bit; an invalid operation gives the default NaN of Arm, whose sign a negation of the product turns."""
    negated = 1 << 63 if name.split(".")[0] in ("vnmul", "vmls", "vnmla") else 0
    return found | negated == 0x7FF8 << 48 | negated if np.isnan(wanted) else found == pattern(wanted)


@pytest.mark.parametrize("name", BINARY)
def test_arithmetic(name):
    core, chosen = Core(encodings()[name]), random.Random(3)
    two = (
        [(x, y) for x in SPECIAL for y in SPECIAL]
        if name.count("d") > 4 or "d2" in name
        else [(x, 1.0) for x in values()]
    )
    two += list(zip(values(), reversed(values()), strict=True))
    for x, y in two:
        d = chosen.choice((0.0, -0.0, 1.0, -x * y, math.inf, chosen.uniform(-9, 9)))
        core.run(d0=pattern(d) if d == d else 0, d1=pattern(x), d2=pattern(y))
        with np.errstate(all="ignore"):
            wanted = BINARY[name](np.float64(d if d == d else 0.0), np.float64(x), np.float64(y))
        assert alike(name, core.double(0), wanted), (name, d, x, y, hex(core.double(0)), wanted)


@pytest.mark.parametrize("name", TO_WORD)
def test_conversions_to_words(name):
    core = Core(encodings()[name])
    for x in values():
        core.run(s0=0, d1=pattern(x))
        with np.errstate(all="ignore"):
            assert core.machine.get("s0") == TO_WORD[name](np.float64(x)), (name, x)


@pytest.mark.parametrize("name", FROM_WORD)
def test_conversions_from_words(name):
    core, chosen = Core(encodings()[name]), random.Random(5)
    for word in (
        0,
        1,
        0x80000000,
        0x7FFFFFFF,
        0xFFFFFFFF,
        0x3F800001,
        1,
        0x7F800000,
        *(chosen.getrandbits(32) for _ in range(60)),
    ):
        wanted = FROM_WORD[name](word)
        if not np.isnan(wanted):
            core.run(s2=word)
            assert core.double(0) == pattern(wanted), (name, hex(word))


def test_not_a_number():
    """A signalling operand first, then the first quiet one, made quiet; conversions keep sign and payload."""
    quiet, signalling, one = 0xFFF8_0000_0000_1234, 0x7FF4_0000_0000_0001, pattern(1)
    cases = {
        "vadd.f64 d0, d1, d2": quiet, "vmul.f64 d0, d1, d2": quiet, "vsqrt.f64 d0, d1": quiet, "vrintz.f64 d0, d1": quiet,
        "vmaxnm.f64 d0, d1, d2": one, "vneg.f64 d0, d1": quiet ^ 1 << 63,
    }  # fmt: skip
    for name, wanted in cases.items():
        core = Core(encodings()[name])
        core.run(d1=quiet, d2=one)
        assert core.double(0) == wanted, name
    core = Core(encodings()["vadd.f64 d0, d1, d2"])
    core.run(d1=quiet, d2=signalling)
    assert core.double(0) == signalling | 1 << 51
    core = Core(encodings()["vfma.f64 d0, d1, d2"])
    core.run(d0=quiet, d1=pattern(math.inf), d2=0)
    assert core.double(0) == 0x7FF8 << 48
    core = Core(encodings()["vcvt.f32.f64 s0, d1"])
    core.run(d1=signalling)
    assert core.machine.get("s0") == 0x7FE00000


@pytest.mark.parametrize(
    ("x", "y", "flags"), [(1, 2, 8), (2, 1, 2), (3, 3, 6), (0.0, -0.0, 6), (math.nan, 1, 3), (-math.inf, 1, 8)]
)
def test_comparisons_and_selections(x, y, flags):
    core = Core(encodings()["vcmp.f64 d1, d2"])
    core.run(fpscr=0, d1=pattern(x), d2=pattern(y))
    assert core.machine.get("fpscr") >> 28 == flags
    core = Core(encodings()["vcmpe.f64 d1, #0"])
    core.run(fpscr=0, d1=pattern(x))
    assert core.machine.get("fpscr") >> 28 == (3 if x != x else 6 if x == 0 else 2 if x > 0 else 8)
    for name, holds in (("vseleq.f64 d0, d1, d2", flags == 6), ("vselgt.f64 d0, d1, d2", flags == 2)):
        core = Core(encodings()[name])
        core.run(apsr=flags << 28, d1=pattern(x), d2=pattern(y))
        assert core.double(0) == pattern(x if holds else y)


def test_fixed_point_and_halves():
    core = Core(encodings()["vcvt.s32.f64 d0, d0, #8"])
    for x, wanted in (
        (1.5, 384),
        (-1.5, -384),
        (1e300, (1 << 31) - 1),
        (-math.inf, -(1 << 31)),
        (math.nan, 0),
        (0.0039, 0),
    ):
        core.run(d0=pattern(x))
        assert core.double(0) == wanted & (1 << 64) - 1
    core = Core(encodings()["vcvt.f64.u16 d0, d0, #3"])
    core.run(d0=0xABCD_FFFF)
    assert core.double(0) == pattern(0xFFFF / 8)
    core = Core(encodings()["vcvtt.f16.f64 s0, d1"])
    core.run(s0=0x12345678, d1=pattern(1.5))
    assert core.machine.get("s0") == 0x3E005678


@pytest.mark.parametrize("fpscr", [1 << 22, 1 << 24, 1 << 25])
def test_other_modes_of_rounding_are_refused(fpscr):
    core = Core(encodings()["vadd.f64 d0, d1, d2"])
    core.machine.set("fpscr", fpscr)
    assert "INSN_INVALID" in core.machine.run(CODE)


PROGRAM = """
__attribute__((naked, noinline)) void work(uint32_t choose, const uint32_t *from, uint32_t *to)
{
    __asm__ volatile(".fpu fpv5-d16\\n vldr d1, [r1]\\n vldr d2, [r1, #8]\\n cmp r0, #1\\n"
                     "itte eq\\n vaddeq.f64 d0, d1, d2\\n moveq r3, #7\\n vmulne.f64 d0, d1, d2\\n"
                     "adds r3, #1\\n vstr d0, [r2]\\n str r3, [r2, #8]\\n bx lr");
}
int main(void)
{
    static const double numbers[2] = {1.5, -4.0};
    uint32_t out[4] __attribute__((aligned(8)));
    for (uint32_t choose = 0; choose < 2; choose++) {
        work(choose, (const uint32_t *)numbers, out);
        print_number(out[1]);
        print_number(out[0]);
    }
    print_number(out[2]);
    return 0;
}
"""


def test_programs_compute_in_double_precision_within_it_blocks_and_over_time(tmp_path):
    run = Simulator(H743).run_elf(build("nucleo_h743zi", PROGRAM, tmp_path), function="work")
    product, total = pattern(-6.0), pattern(-2.5)
    words = [int(n) for n in run.text.split()]
    assert words == [product >> 32, product & 0xFFFFFFFF, total >> 32, total & 0xFFFFFFFF, 8]
    assert run.cycles > 8


@pytest.mark.parametrize("name", ["disco_f746ng", "nucleo_l4r5zi", "nucleo_u575zi_q"])
def test_chips_without_double_precision_fault(name, tmp_path):
    with pytest.raises(Fault, match=r"undefined instruction.*work|work.*undefined instruction") as caught:
        Simulator(board(name)).run_elf(build(name, PROGRAM, tmp_path))
    assert "double precision" in str(caught.value)
