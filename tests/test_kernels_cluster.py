"""Kernels with XpulpV2 on the simulated core: bit for bit the reference, inside of their buffers, within their stacks."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from smelt.devices.simulators.cluster_simulator import ClusterSimulator
from smelt.firmware.build import build
from smelt.firmware.image import Sources
from smelt.kernels import DEPTHWISE_NINE, LINEAR
from smelt.kernels.binary_words import ADD_WORDS
from smelt.kernels.headers import includes, needed, with_included
from smelt.kernels.pool_words import MAX_POOL_WORDS
from smelt.kernels.routines import ROUTINES, SUM_WORDS
from smelt.loops.ir import SIZES, Scratch
from smelt.model.graph import Array, Op, Tensor
from smelt.model.ops import Add, MaxPool2D, Padding
from smelt.model.reference import evaluate
from smelt.model.slabs import Rows
from smelt.planner.shares import share, views
from smelt.targets.boards import GAPUINO
from tests.cluster_c import HARNESS
from tests.mac_cases import Maker, fine_numbers, large_numbers, of_bits, of_sums, rounded, small_numbers
from tests.routine_cases import routines_of
from tests.schedules import Made, built
from tests.test_kernels_mac import inputs_of

CORE = GAPUINO.core
GUARD = 8
WAYS = (
    DEPTHWISE_NINE,
    MAX_POOL_WORDS,
    ADD_WORDS,
    *(way for way in LINEAR if way.name.startswith(("conv2d_quads", "dense_quads"))),
)


def layers() -> list[Op]:
    m, around, narrow = Maker(91), (1, 1, 1, 1), "tensor narrow"
    return [
        m.conv((1, 3, 3, 8), 9, (1, 1)),
        m.conv((1, 5, 6, 3), 8, (3, 3), stride=(2, 2), pad=(0, 1, 0, 1)),
        m.conv((2, 3, 4, 4), 4, (3, 3), pad=around),
        rounded(m.conv((1, 3, 3, 1), 5, (3, 2), pad=around), "pow2"),
        m.conv((1, 2, 5, 7), 4, (1, 1), clamp=(-100, 50)),
        small_numbers(m.conv((1, 1, 7, 64), 16, (1, 1), style=narrow)),
        small_numbers(m.conv((1, 5, 5, 5), 6, (3, 3), style=narrow)),
        large_numbers(m.conv((1, 3, 5, 4), 6, (3, 3), pad=around, style=narrow)),
        rounded(m.conv((1, 4, 6, 6), 4, (2, 2), style=narrow, bias="none"), "even"),
        m.dense(1, 37, 10),
        rounded(m.dense(1, 12, 4), "pow2"),
        small_numbers(m.dense(1, 16, 8, style=narrow)),
        large_numbers(m.dense(1, 16, 8, style=narrow)),
        rounded(m.dense(1, 8, 6, style=narrow, bias="none"), "even"),
        *(
            of_bits(how(op), bits)
            for bits in (4, 2)
            for op in (m.conv((1, 1, 4, 119), 9, (1, 1), style=narrow, bias="none"), m.dense(1, 119, 9, style=narrow, bias="none"))
            for how in (small_numbers, fine_numbers, partial(rounded, how="pow2"))
        ),
        *(of_sums(m.conv((1, 2, 4, 6), 5, (3, 3), pad=around), how) for how in ("narrow", "split", "wide")),
        *(of_sums(m.dense(1, 22, 6), how) for how in ("narrow", "split", "wide")),
        m.depthwise((1, 6, 7, 3), 1, (3, 3), pad=around),
        m.depthwise((1, 9, 9, 2), 1, (3, 3), stride=(2, 2)),
        small_numbers(m.depthwise((1, 8, 9, 2), 1, (3, 3), pad=around, style=narrow)),
        small_numbers(m.depthwise((1, 8, 9, 2), 1, (3, 3), stride=(2, 2), pad=around, style=narrow)),
        large_numbers(m.depthwise((1, 4, 4, 4), 1, (3, 3), pad=around, style=narrow)),
        large_numbers(m.depthwise((1, 5, 9, 2), 1, (3, 3), stride=(2, 2), pad=around, style=narrow)),
        rounded(m.depthwise((1, 5, 7, 2), 1, (3, 3), pad=around, style=narrow), "even"),
        rounded(m.depthwise((1, 8, 12, 3), 1, (3, 3), pad=(0, 1, 0, 1), stride=(2, 2), style=narrow), "even"),
        MaxPool2D(
            x=m.tensor("x", (1, 5, 6, 8), 0.02, 0), y=m.tensor("y", (1, 2, 3, 8), 0.02, 0), size=(3, 2), stride=(2, 2),
            pad=Padding(0, 0, 0, 0), clamp=(-100, 100),
        ),
        *(
            Add(
                x=m.tensor("x", (1, 3, 45), first, -5), x2=m.tensor("x2", (1, 3, 45), second, 9),
                y=m.tensor("y", (1, 3, 45), 0.02, zero), subtract=subtract,
            )
            # factors of less and of more than 24 bits, whose products fit 32 bits or not
            for first, second, zero, subtract in ((0.011, 0.013, 0, False), (0.012, 0.051, 100, False), (0.031, 0.013, 7, True))
        ),
    ]  # fmt: skip


class Program:
    """C that calls kernels one after the other on worker 0. Every buffer lies in L1 on its own: nobody may read what is between
    them, because nothing is written there but behind those that kernels write, where it must stay."""

    def __init__(self) -> None:
        self.code: list[str] = []
        self.body: list[str] = []
        self.cases: list[str] = []
        self.given = self.made = 0
        self.inputs: list[bytes] = []

    def add(self, made: Made, values: list[Array]) -> None:
        op, _, call = made
        names = []
        given = iter(values)
        for buffer, argument in zip(call.kernel.buffers, call.arguments, strict=True):
            content = next(given) if buffer.role == "input" else argument
            name, size = f"b{len(self.code)}", buffer.size * SIZES[buffer.type]
            self.code.append(f"static SMELT_L1 {buffer.type} {name}[{buffer.size + 2 * GUARD}];")
            self._begin(buffer.role, name, size, content)
            names.append((name, buffer.role, size))
        self.body.append(f"{call.kernel.name}({', '.join(name for name, *_ in names)});")
        for name, role, size in names:
            if role in ("output", "scratch"):
                self.body.append(f"kept &= all_are((uint8_t *){name} + {size});")
        self.body.append(f"smelt_dma_wait(smelt_dma_out(output + {self.made}, {names[-1][0]}, {names[-1][2]}));")
        self.made += -(-op.y.bytes // 8) * 8
        self.cases.append(" ".join(self.body))
        self.body.clear()

    def _begin(self, role: str, name: str, size: int, content: Array | Tensor | Scratch) -> None:
        if role in ("output", "scratch"):
            self.body.append(f"memset((uint8_t *){name} + {size}, 0xA7, {GUARD});")
            return
        assert isinstance(content, np.ndarray)
        self.inputs.append(content.tobytes().ljust(-(-size // 8) * 8, b"\0"))
        self.body.append(f"smelt_dma_wait(smelt_dma_in({name}, input + {self.given}, {size}));")
        self.given += len(self.inputs[-1])

    def text(self, kernels: dict[str, str]) -> str:
        loop = f"for (int i = 0; i < {GUARD}; ++i) if (at[i] != 0xA7) return 0;"
        check = f"static int all_are(const uint8_t *at) {{ {loop} return 1; }}"
        cases = [
            f"KERNEL static int case_{i}(void) {{ int kept = 1; {case} return kept; }}"
            for i, case in enumerate(self.cases)
        ]
        calls = " & ".join(f"case_{i}()" for i in range(len(cases)))
        master = f"static void master(void *argument) {{ (void)argument; output[{self.made}] = (uint8_t)({calls}); }}"
        code = "\n".join([*kernels.values(), *self.code, check, *cases, master])
        return HARNESS % {"code": code, "inputs": self.given, "outputs": self.made + 1}


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_kernels_equal_the_reference_on_the_core(compiler: str) -> None:
    made = [m for way in WAYS for m in built(way, layers(), cores=(CORE,))]
    called = {r for _, _, call in made for r in routines_of(call.kernel)}
    assert {r.name for r in called} == {r.name for r in ROUTINES if r.source in ("smelt_quads.h", "smelt_nine.h")} | {
        SUM_WORDS.name
    }
    for part in (made[::2], made[1::2]):  # L1 has no room for all
        computed(part, compiler)


def computed(made: list[Made], compiler: str) -> None:
    """Every output is the reference's, and nothing else was written."""
    program, expected = Program(), []
    for seed, m in enumerate(made):
        values = inputs_of(m[0], seed)
        program.add(m, values)
        expected.append(evaluate(m[0], *values))
    kernels = {call.kernel.name: f"KERNEL {call.kernel.c()}" for _, _, call in made}
    headers = needed("\n".join(kernels.values()), CORE)
    text = f"{includes(headers)}\n{program.text(kernels)}"
    image = build(Sources({"smelt_firmware.c": text, **with_included(headers)}, entry="smelt_run"), GAPUINO, compiler)
    run = ClusterSimulator(GAPUINO).run(image, b"".join(program.inputs), 100_000_000)
    at = 0
    for (op, schedule, _), wanted in zip(made, expected, strict=True):
        found = np.frombuffer(run.outputs[at : at + op.y.bytes], np.int8).reshape(op.y.shape)
        assert np.array_equal(found, wanted), f"{op.x.shape} -> {op.y.shape} with {schedule}"
        at += -(-op.y.bytes // 8) * 8
    assert run.outputs[-1] == 1, "a kernel wrote behind one of its buffers"
    assert max(run.worker_stacks) <= 400


def test_blocks_of_channels_have_one_kernel_and_shares_of_the_numbers_of_the_whole() -> None:
    m, narrow = Maker(17), "tensor narrow"
    for op in (
        large_numbers(m.conv((1, 2, 6, 7), 12, (3, 3), pad=(1, 1, 1, 1), style=narrow)),
        m.conv((1, 1, 5, 8), 12, (1, 1)),
        m.dense(1, 9, 12),
        large_numbers(m.depthwise((1, 4, 8, 12), 1, (3, 3), pad=(1, 1, 1, 1), style=narrow)),
    ):
        (way,) = (w for w in WAYS if w.takes(op, CORE))
        assert way.blocks is not None
        view, numbers, schedule = next(views(op)), way.blocks.numbers(op), next(iter(way.schedules(op, CORE)))
        assert numbers is not None
        for size in (4, 8):
            calls = []
            for first in range(0, 12 - size + 1, 4):
                block, own = (
                    share(view, Rows(0, view.length), Rows(first, first + size)).op,
                    numbers.of(range(first, first + size)),
                )
                call = way.blocks.build(block, schedule, own)
                tables = [a for a in call.arguments if isinstance(a, np.ndarray)]
                for made, told in zip(tables, way.blocks.tables(block, schedule, own), strict=True):
                    np.testing.assert_array_equal(made, np.ravel(told))
                calls.append(call)
            assert len({call.kernel.name for call in calls}) == 1
