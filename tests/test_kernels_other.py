"""Every schedule of every kernel that does not multiply and accumulate equals the reference, on awkward shapes."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from smelt.kernels.assembly import called, declarations
from smelt.kernels.exact import find_affine, find_halves
from smelt.kernels.implementation import Implementation, KernelCall, Schedule
from smelt.kernels.other import FLOATS, OTHERS
from smelt.loops.in_place import overlap
from smelt.loops.ir import SIZES, Scratch
from smelt.model import ops, ops_moves, reference
from smelt.model.graph import Graph, Op, Quantization, Tensor
from smelt.model.ops_pointwise import ChannelFunction, ChannelLookup, Prelu
from smelt.passes.functions import fuse_channel_functions
from smelt.planner.part_sums import can_sum, total_of, view_of
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from smelt.targets.intrinsics import DSP
from smelt.targets.types import Core, FloatUnit
from tests.mac_cases import dense_layers, rounded
from tests.paths import ROOT
from tests.pointwise_ops import POINTWISE
from tests.schedules import candidates
from tests.tiny_firmware import need

SUPPORT = ROOT / "smelt" / "kernels" / "support"
CORE = Core("host", "riscv32", (), (), FloatUnit((), ()), intrinsics=DSP)  # whatever a core may have
GUARD = 64
WARNINGS = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wundef", "-Werror"]
CASES_PER_OPERATOR = 40

# Strategies: an operator of each kind

SCALES = st.builds(lambda m, e: float(np.float32(m * 2.0**e)), st.floats(0.5, 1), st.integers(-9, 3))
ZEROS = st.integers(-128, 127)
SIZES_1D = st.sampled_from((1, 1, 2, 3, 4, 5, 7, 8, 13))
SHAPES = st.lists(SIZES_1D, min_size=1, max_size=4).map(tuple)
CLAMPS = st.sampled_from((ops.FULL, ops.FULL, (-128, 20), (-7, 127), (0, 6)))
FLAGS = st.booleans()


def tensor(name, shape, scale=0.5, zero=0, dtype="int8", data=None):
    return Tensor(name, tuple(shape), dtype, Quantization((scale,), (zero,)), data)


@st.composite
def quantized(draw, name, shape):
    return tensor(name, shape, draw(SCALES), draw(ZEROS))


@st.composite
def alike(draw, shape, shape_y):
    scale, zero = draw(SCALES), draw(ZEROS)
    return tensor("x", shape, scale, zero), tensor("y", shape_y, scale, zero)


def random_data(draw, shape):
    return np.random.default_rng(draw(st.integers(0, 99))).integers(-128, 128, shape).astype(np.int8)


@st.composite
def binaries(draw, cls):
    shape = draw(SHAPES)
    shapes = [shape, tuple(n if draw(FLAGS) else 1 for n in shape[draw(st.integers(0, len(shape) - 1)) :])]
    kind = draw(st.sampled_from(("same", "broadcast", "broadcast", "constant", "scalar")))
    if kind == "same":
        shapes[1] = shape
    if kind == "scalar":
        shapes[1] = draw(st.sampled_from(((), (1,))))
    x, x2 = (draw(quantized(n, s)) for n, s in zip(("x", "x2"), shapes, strict=True))
    if kind in ("constant", "scalar"):
        x2 = Tensor("x2", x2.shape, "int8", x2.quantization, random_data(draw, x2.shape))
    if draw(FLAGS):
        x, x2 = x2, x
    extra = {}
    if cls in (ops.Add, ops.Mul):
        extra["clamp"] = draw(CLAMPS)
    if cls is ops.Add:
        extra["subtract"] = draw(FLAGS)
    return cls(x=x, x2=x2, y=draw(quantized("y", np.broadcast_shapes(x.shape, x2.shape))), **extra)


@st.composite
def lookups(draw, dtype):
    shape = draw(SHAPES)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    data = rng.integers(-128, 128, 256).astype(dtype)
    table = Tensor("table", (256,), dtype, None, data)
    return ops.Lookup(x=tensor("x", shape), table=table, y=tensor("y", shape, dtype=dtype))


@st.composite
def channel_lookups(draw):
    """A table for each channel."""
    shape, source, target = (
        draw(SHAPES),
        draw(st.sampled_from(("int8", "uint8"))),
        draw(st.sampled_from(("int8", "float32"))),
    )
    data = np.random.default_rng(draw(st.integers(0, 99))).integers(-128, 128, (shape[-1], 256)).astype(target)
    table = Tensor("table", data.shape, target, None, data)
    return ChannelLookup(x=tensor("x", shape, dtype=source), table=table, y=tensor("y", shape, dtype=target))


@st.composite
def flips(draw):
    """Between int8 and uint8 of one meaning."""
    shape, types = draw(SHAPES), draw(st.permutations(("int8", "uint8")))
    data = (np.arange(256) + (0 if types[0] == "int8" else 128)).astype(np.uint8).view(types[1])
    table = Tensor("table", (256,), types[1], None, data)
    return ops.Lookup(x=tensor("x", shape, dtype=types[0]), table=table, y=tensor("y", shape, dtype=types[1]))


@st.composite
def quantizes(draw):
    shape = draw(SHAPES)
    return ops.Quantize(x=Tensor("x", shape, "float32"), y=draw(quantized("y", shape)))


@st.composite
def pools(draw, cls):
    rows, columns, channels = (draw(SIZES_1D) for _ in range(3))
    size = draw(st.sampled_from(((1, 1), (2, 2), (3, 3), (2, 3), (5, 1), (rows, columns))))
    stride = draw(st.sampled_from(((1, 1), (2, 2), (1, 3), (3, 2))))
    if draw(FLAGS):  # SAME
        out = [-(-n // s) for n, s in zip((rows, columns), stride, strict=True)]
    else:
        size = (min(size[0], rows), min(size[1], columns))
        out = [(n - k) // s + 1 for n, k, s in zip((rows, columns), size, stride, strict=True)]
    total = [max((o - 1) * s + k - n, 0) for o, s, k, n in zip(out, stride, size, (rows, columns), strict=True)]
    pad = ops.Padding(total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2)
    batch = draw(st.sampled_from((1, 1, 2)))
    x, y = draw(alike((batch, rows, columns, channels), (batch, *out, channels)))
    return cls(x=x, y=y, size=size, stride=stride, pad=pad, clamp=draw(CLAMPS))


@st.composite
def means(draw):
    shape = draw(SHAPES)
    axes = tuple(sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))
    keep = draw(FLAGS)
    out = tuple(1 if a in axes else n for a, n in enumerate(shape) if keep or a not in axes)
    if draw(FLAGS):
        x, y = draw(alike(shape, out))
    else:
        x, y = draw(quantized("x", shape)), draw(quantized("y", out))
    return ops.Mean(x=x, y=y, axes=axes)


@st.composite
def softmaxes(draw):
    shape = (*draw(SHAPES)[:2], draw(st.sampled_from((1, 2, 3, 10, 12, 100, 1030))))
    return ops.Softmax(
        x=draw(quantized("x", shape)), y=tensor("y", shape, 1 / 256, -128), beta=draw(st.sampled_from((1.0, 0.5, 3.0)))
    )


@st.composite
def resizes(draw, cls):
    batch, rows, columns, channels = (draw(SIZES_1D) for _ in range(4))
    out = [draw(st.one_of(st.just(2 * n), st.just(3 * n), st.integers(1, 20))) for n in (rows, columns)]
    aligned = draw(FLAGS)
    x, y = draw(alike((batch, rows, columns, channels), (batch, *out, channels)))
    return cls(x=x, y=y, align_corners=aligned, half_pixel_centers=not aligned and draw(FLAGS))


@st.composite
def pads(draw):
    shape = draw(SHAPES)
    before, after = (tuple(draw(st.sampled_from((0, 0, 1, 2, 5))) for _ in shape) for _ in range(2))
    out = tuple(b + n + a for b, n, a in zip(before, shape, after, strict=True))
    return ops.Pad(x=tensor("x", shape), y=tensor("y", out), before=before, after=after, value=draw(ZEROS))


DTYPES = st.sampled_from(("int8", "int8", "float32", "int32"))


@st.composite
def concats(draw):
    shape, dtype = draw(SHAPES), draw(DTYPES)
    axis = draw(st.integers(0, len(shape) - 1))
    extents = draw(st.lists(SIZES_1D, min_size=1, max_size=4))
    xs = [tensor(f"x{i}", (*shape[:axis], n, *shape[axis + 1 :]), dtype=dtype) for i, n in enumerate(extents)]
    if dtype == "int8" and draw(FLAGS):
        xs[-1] = tensor("c", xs[-1].shape, data=random_data(draw, xs[-1].shape))
    y = tensor("y", (*shape[:axis], sum(extents), *shape[axis + 1 :]), dtype=dtype)
    return ops.Concat(xs=tuple(xs), axis=axis - (len(shape) if draw(FLAGS) else 0), y=y)


@st.composite
def slices(draw):
    shape, dtype = draw(SHAPES), draw(DTYPES)
    begin, stride, out = [], [], []
    for n in shape:
        if draw(FLAGS):
            b, s = 0, 1
            m = n
        else:
            b = draw(st.integers(0, n - 1))
            s = draw(st.sampled_from((1, 1, 2, 3, -1, -2)))
            m = draw(st.integers(1, (n - 1 - b if s > 0 else b) // abs(s) + 1))
        begin.append(b), stride.append(s), out.append(m)
    x, y = tensor("x", shape, dtype=dtype), tensor("y", out, dtype=dtype)
    return ops.Slice(x=x, y=y, begin=tuple(begin), stride=tuple(stride))


@st.composite
def transposes(draw):
    shape, dtype = draw(SHAPES), draw(DTYPES)
    permutation = tuple(draw(st.permutations(range(len(shape)))))
    y = tensor("y", [shape[a] for a in permutation], dtype=dtype)
    return ops.Transpose(x=tensor("x", shape, dtype=dtype), y=y, permutation=permutation)


@st.composite
def reshapes(draw):
    shape, dtype = draw(SHAPES), draw(DTYPES)
    return ops.Reshape(x=tensor("x", shape, dtype=dtype), y=tensor("y", shape[::-1], dtype=dtype))


EVERY_TYPE = st.sampled_from(("int8", "uint8", "int16", "int32", "int64", "bool", "float32"))


@st.composite
def broadcasts(draw):
    shape, dtype = draw(SHAPES), draw(EVERY_TYPE)
    kept = tuple(n if draw(FLAGS) else 1 for n in shape)[draw(st.integers(0, len(shape))) :]
    return ops_moves.Broadcast(x=tensor("x", kept, dtype=dtype), y=tensor("y", shape, dtype=dtype))


@st.composite
def indices(draw, shape):
    """Places computed while the model runs, which may lie anywhere, or constant ones."""
    dtype = draw(st.sampled_from(("int32", "int64")))
    data = np.random.default_rng(draw(st.integers(0, 99))).integers(-1, 4, shape).astype(dtype) if draw(FLAGS) else None
    return Tensor("indices", tuple(shape), dtype, None, data)


@st.composite
def gathers(draw):
    shape, dtype, lead = draw(SHAPES), draw(EVERY_TYPE), draw(SHAPES)[:2]
    axis = draw(st.integers(0, len(shape) - 1))
    coordinates = draw(st.integers(0, len(shape) - axis))
    batch = 0 if coordinates else draw(st.integers(0, axis))
    places = (*lead, coordinates) if coordinates else (*shape[:batch], *lead)
    out = (*shape[:axis], *lead, *shape[axis + max(coordinates, 1) :])
    return ops_moves.Gather(
        x=tensor("x", shape, dtype=dtype), indices=draw(indices(places)), y=tensor("y", out, dtype=dtype), axis=axis, batch=batch,
        coordinates=coordinates,
    )  # fmt: skip


@st.composite
def updates(draw):
    shape, dtype = draw(SHAPES), draw(EVERY_TYPE)
    part = tuple(draw(st.integers(1, n)) for n in shape)
    x, update, y = (tensor(name, s, dtype=dtype) for name, s in (("x", shape), ("update", part), ("y", shape)))
    return ops_moves.UpdateSlice(x=x, update=update, y=y, start=draw(indices((len(shape),))))


@st.composite
def channel_functions(draw):
    """PRELU, and what it is decomposed into, with a slope for each channel."""
    shape = (draw(st.sampled_from((256, 257))), draw(st.sampled_from((2, 3, 4, 7))))
    x, slopes = draw(quantized("x", shape)), tensor("alpha", shape[1:], data=random_data(draw, shape[1:]))
    if draw(FLAGS):
        made = [Prelu(x=x, alpha=slopes, y=draw(quantized("y", shape)))]
    else:
        first, second, product = (draw(quantized(name, shape)) for name in ("above", "below", "product"))
        tables = [tensor(f"table{i}", (256,), data=random_data(draw, (256,))) for i in range(2)]
        made = [ops.Lookup(x=x, table=t, y=y) for t, y in zip(tables, (first, second), strict=True)]
        made.append(ops.Mul(x=second, x2=slopes, y=product))
        made.append(ops.Add(x=first, x2=product, y=draw(quantized("y", shape)), clamp=draw(CLAMPS)))
    fused = fuse_channel_functions(Graph("g", (x,), (made[-1].y,), tuple(made))).ops[-1]
    assert isinstance(fused, ChannelFunction)
    return fused


STRATEGIES = (
    *(binaries(cls) for cls in (ops.Add, ops.Mul, ops.Minimum, ops.Maximum)),
    *(pools(cls) for cls in (ops.AveragePool2D, ops.MaxPool2D)),
    *(resizes(cls) for cls in (ops.ResizeNearest, ops.ResizeBilinear)),
    *(lookups(dtype) for dtype in ("int8", "float32")),
    *(quantizes(), means(), softmaxes(), pads(), concats(), slices(), transposes(), reshapes()),
    *(broadcasts(), gathers(), updates(), flips(), channel_functions(), channel_lookups()),
)  # fmt: skip


def irregular_resizes() -> list[Op]:
    """Rows and columns that no product and shift gives: their kernels have tables, of bytes and of words."""
    shapes = (((1, 30, 70, 1), (1, 138, 161, 1)), ((1, 2, 391, 1), (1, 2, 1081, 1)))
    return [ops.ResizeNearest(x=tensor("x", x), y=tensor("y", y)) for x, y in shapes]


def rows_of_words() -> list[Op]:
    """Two operands with rows of 37 elements, which few are by chance."""
    x, x2, y = (tensor(name, (2, 37), scale, 3) for name, scale in (("x", 0.5), ("x2", 0.3), ("y", 0.7)))
    return [kind(x=x, x2=x2, y=y) for kind in (ops.Add, ops.Mul, ops.Minimum, ops.Maximum)]


def sums_in_parts() -> list[Op]:
    """What adds up the sums of dense layers that cores divided along the inputs; some of them in rows longer than the outputs."""
    layers = [op for op in dense_layers() if can_sum(op)]
    layers += [rounded(op, how) for op in layers for how in ("even", "floor")]
    widths = (max(op.y.elements, 4) for op in layers)
    return [total_of(view_of(op, 1 + at % 4, width)) for at, (op, width) in enumerate(zip(layers, widths, strict=True))]


def generated() -> list[Op]:
    """The same operators in every run."""
    found = [*irregular_resizes(), *rows_of_words(), *sums_in_parts()]
    for strategy, count in (*((strategy, CASES_PER_OPERATOR) for strategy in STRATEGIES), *POINTWISE):

        @given(strategy)
        def collect(op: Op) -> None:
            found.append(op)

        checks = (HealthCheck.too_slow, HealthCheck.data_too_large)
        settings(
            derandomize=True, max_examples=count, database=None, phases=[Phase.generate], deadline=None,
            suppress_health_check=checks,
        )(collect)()  # fmt: skip
    return found


# Building and running


@dataclass(frozen=True)
class Case:
    implementation: Implementation
    schedule: Schedule
    op: Op
    call: KernelCall

    def __str__(self) -> str:
        shapes = ", ".join(f"{t}" for t in (*self.op.inputs, self.op.y))
        return f"{self.implementation.name} [{self.schedule}] {shapes}\n{self.op!r}\n{self.call.kernel}"


def cases() -> list[Case]:
    return [
        Case(implementation, schedule, op, implementation.build(op, schedule))
        for op in generated()
        for implementation in OTHERS
        for schedule in candidates(implementation, op, (CORE,))
    ]


def test_no_core_is_offered_anything_else() -> None:
    """What a core may have decides whether a way is open, not how it goes: CORE stands for all."""
    for op in generated()[::20]:
        for implementation in OTHERS:
            assert {*candidates(implementation, op)} <= {*candidates(implementation, op, (CORE,))}


UNDEFINED = """
int undefined_behaviour = 0;
#define HANDLER(name) void __ubsan_handle_##name##_minimal(void); \\
    void __ubsan_handle_##name##_minimal(void) { ++undefined_behaviour; }
HANDLER(add_overflow) HANDLER(sub_overflow) HANDLER(mul_overflow) HANDLER(negate_overflow) HANDLER(divrem_overflow)
HANDLER(shift_out_of_bounds) HANDLER(out_of_bounds) HANDLER(pointer_overflow) HANDLER(type_mismatch)
HANDLER(builtin_unreachable) HANDLER(load_invalid_value) HANDLER(nonnull_arg) HANDLER(float_cast_overflow)
HANDLER(vla_bound_not_positive) HANDLER(missing_return) HANDLER(alignment_assumption) HANDLER(invalid_builtin)
HANDLER(nonnull_return) HANDLER(nullability_arg) HANDLER(nullability_return) HANDLER(implicit_conversion)
HANDLER(function_type_mismatch) HANDLER(cfi_check_fail) HANDLER(local_out_of_bounds)
"""


def source(built: list[Case]) -> str:
    kernels = {case.call.kernel.name: case.call.kernel for case in built}
    text = []
    for kernel in kernels.values():
        definition = kernel.in_full()
        text += [definition.split("\n", 1)[0] + ";\n", definition]
    code = "".join(text)
    known = declarations(called(code, CORTEX_M4), CORTEX_M4, "routines.S")
    return f'#include "smelt_float.h"\n#include "smelt_bytes.h"\n#include "smelt_rounding.h"\n{known}\n{code}'


@pytest.fixture(scope="module")
def built() -> list[Case]:
    return cases()


@pytest.fixture(scope="module")
def library(built, tmp_path_factory) -> ctypes.CDLL:
    """Every kernel, built without a warning, counting undefined behaviour instead of stopping at it."""
    folder: Path = tmp_path_factory.mktemp("kernels")
    (folder / "kernels.c").write_text(source(built), "utf-8")
    (folder / "handlers.c").write_text(UNDEFINED, "utf-8")
    sanitizer = ["-fsanitize=undefined", "-fsanitize-minimal-runtime"]
    common = [sys.executable, "-m", "ziglang", "cc", "-O0", "-fPIC", f"-I{SUPPORT}"]
    checked = [*common, *sanitizer, *WARNINGS, "-c", "kernels.c", "-o", "kernels.o"]
    subprocess.run(checked, check=True, cwd=folder)
    linked = [*common, "-fno-sanitize=all", "-shared", "kernels.o", "handlers.c", "-o", "kernels.so"]
    subprocess.run(linked, check=True, cwd=folder)
    return ctypes.CDLL(str(folder / "kernels.so"))


def guarded(size: int) -> np.ndarray:
    return np.full(size + 2 * GUARD, 0xA5, np.uint8)


@dataclass(frozen=True)
class Shared:
    """x and y in one memory: y begins `distance` bytes before x."""

    x: Tensor
    distance: int


def execute(
    library: ctypes.CDLL, case: Case, values: dict[Tensor, np.ndarray], shared: Shared | None = None
) -> np.ndarray:
    """y of one call; with `shared` y lies over an operand. Asserts that nothing else is written."""
    buffers, arguments = case.call.kernel.buffers, case.call.arguments
    memories = [guarded(buffer.size * SIZES[buffer.type]) for buffer in buffers]
    starts = [GUARD] * len(buffers)
    at_y = [a is case.op.y for a in arguments].index(True)
    if shared is not None:
        size = max(shared.distance + shared.x.bytes, case.op.y.bytes)
        for at in (at_y, [a is shared.x for a in arguments].index(True)):
            memories[at] = memories[at_y] if at != at_y else guarded(size)
            starts[at] += shared.distance * (at != at_y)
    for buffer, argument, memory, start in zip(buffers, arguments, memories, starts, strict=True):
        data = values[argument] if isinstance(argument, Tensor) and argument is not case.op.y else argument
        if not isinstance(data, Tensor | Scratch):
            content = np.asarray(data).reshape(-1).view(np.uint8)
            memory[start : start + content.size] = content
        assert not isinstance(argument, Scratch) or argument.bytes == buffer.size * SIZES[buffer.type]
    before = [memory.copy() for memory in memories]
    function = getattr(library, case.call.kernel.name)
    function(*(ctypes.c_void_p(m.ctypes.data + start) for m, start in zip(memories, starts, strict=True)))
    for buffer, memory, old in zip(buffers, memories, before, strict=True):
        assert (memory[:GUARD] == 0xA5).all() and (memory[-GUARD:] == 0xA5).all(), f"{buffer.name} overrun in {case}"
        if memory is not memories[at_y] and buffer.role in ("input", "constant"):
            assert np.array_equal(memory, old), f"{buffer.name} written in {case}"
    result = memories[at_y][GUARD : GUARD + case.op.y.bytes]
    return result.view(case.op.y.dtype).reshape(case.op.y.shape)


def random_value(rng: np.random.Generator, t: Tensor) -> np.ndarray:
    if t.data is not None:
        return t.data
    if t.dtype == "float32":
        special = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -3e38], np.float32)
        values = (rng.standard_normal(t.shape) * 10.0 ** rng.integers(-4, 4)).astype(np.float32)
        return np.where(rng.random(t.shape) < 0.1, rng.choice(special, t.shape), values).astype(np.float32)
    if t.dtype == "bool":
        return rng.random(t.shape) < 0.5
    limits = np.iinfo(t.dtype)
    if rng.random() < 0.1:  # all alike
        return np.full(t.shape, rng.integers(limits.min, limits.max, endpoint=True, dtype=t.dtype), t.dtype)
    if rng.random() < 0.2:  # the extremes
        return np.asarray(rng.choice(np.array([limits.min, limits.max], t.dtype), t.shape))
    return rng.integers(limits.min, limits.max, t.shape, t.dtype, endpoint=True)


def random_values(rng: np.random.Generator, op: Op) -> dict[Tensor, np.ndarray]:
    if isinstance(op, ops.Total):
        return {op.x: random_sums(rng, op)}
    return {t: random_value(rng, t) for t in op.inputs}


def random_sums(rng: np.random.Generator, total: ops.Total) -> np.ndarray:
    """What the parts of a layer's inputs give: other sums may leave 32 bits, which no layer's do."""
    x, weights = random_value(rng, total.of.x).reshape(-1).astype(np.int32), total.of.weights.constant.astype(np.int32)
    owner = rng.integers(0, total.x.shape[0], x.size)
    sums = np.zeros(total.x.shape, np.int32)
    for part in range(len(sums)):
        sums[part, : len(weights)] = weights[:, owner == part] @ x[owner == part]
    return sums


def places(case: Case) -> list[Shared]:
    """As near to each operand as y may be, by what the kernel's loops say."""
    buffers = case.call.kernel.buffers
    (y,) = (b for b in buffers if b.role == "output")
    found = []
    for x, argument in zip(buffers, case.call.arguments, strict=True):
        if x.role == "input" and isinstance(argument, Tensor):
            may = overlap(case.call.kernel, x, y)
            size = SIZES[x.type]  # pointers are aligned to elements
            found += [Shared(argument, -(-by // size) * size) for by in dict.fromkeys((may.least, may.by))]
    return found


def test_every_schedule_equals_the_reference(built, library):
    rng = np.random.default_rng(1)
    undefined = ctypes.c_int.in_dll(library, "undefined_behaviour")
    for case in built:
        for shared in (None, None, *places(case)):
            values = random_values(rng, case.op)
            wanted = reference.evaluate(case.op, *(values[t] for t in case.op.inputs))
            got = execute(library, case, values, shared)
            assert got.tobytes() == wanted.tobytes(), f"{shared} {case}\n{got}\n{wanted}"
            assert undefined.value == 0, f"undefined behaviour in {case}"


def test_every_implementation_is_tested(built):
    assert {case.implementation.name for case in built} == {i.name for i in OTHERS if i not in FLOATS}


def test_c_is_clean_for_gcc_too(built, tmp_path):
    need("arm-none-eabi-gcc")
    (tmp_path / "kernels.c").write_text(source(built), "utf-8")
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", *WARNINGS, "-fsyntax-only", f"-I{SUPPORT}", "kernels.c"]
    subprocess.run(command, check=True, cwd=tmp_path)


def test_affine_forms_are_proved():
    rng = np.random.default_rng(2)
    x = np.arange(-128, 128)
    found = 0
    for _ in range(20):
        ratio = rng.uniform(0.01, 2)
        wanted = np.clip(np.floor(x * ratio + 0.5).astype(np.int64), -128, 127)
        form = find_affine((x,), wanted, (-128, 127), (ratio,))
        if form is not None:
            found += 1
            got = (x * form.factors[0] + form.offset) >> form.shift
            assert np.array_equal(np.clip(got, -128, 127), wanted)
    assert found > 15


@pytest.mark.parametrize("ratios", [(0.513472, 0.874119), (-0.25, 0.5), (1.03e-4, 1.9171)])
def test_forms_with_halves_give_what_they_are_made_for(ratios):
    """Halves away from zero, as operators round; the second pair has many sums just between two results."""
    x, x2 = (a.reshape(-1) for a in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    real = x * ratios[0] + x2 * ratios[1]
    wanted = np.clip(np.sign(real) * np.floor(np.abs(real) + 0.5) + 128, 0, 255).astype(np.int64)
    form = find_halves((x * 256, x2 * 256), wanted, (0, 255), tuple(r / 256 for r in ratios))
    assert form is not None
    got = (form.factors[0] * x * 256 >> 16) + (form.factors[1] * x2 * 256 >> 16) + form.offset
    assert np.abs(got).max() < 2**31 and np.array_equal(np.clip(got >> 16, 0, 255), wanted)


def test_no_form_with_halves_is_made_up():
    x = np.arange(-128, 128)
    assert find_halves((x * 256,), np.where(x % 2, 0, 5), (0, 255), (1 / 256,)) is None
    assert find_halves((x * 256,), x + 128, (0, 255), (1.0,)) is None, "no factor of 32 bits"
