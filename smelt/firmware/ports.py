"""What the public header says of inputs and outputs: macros with their shape, layout, scale and zero point, and functions from and
to real numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import Template

from smelt.firmware.calls import comment
from smelt.firmware.program import Port, Program
from smelt.kernels.c_types import C_TYPES
from smelt.loops.c import float_literal
from smelt.model.graph import Graph, Tensor, scale_of
from smelt.model.ops import Pool, Resize, Transpose, TransposeConv2D, Windowed
from smelt.model.ops_pointwise import ChannelLookup

IMAGES = Windowed, Pool, Resize, TransposeConv2D, ChannelLookup
"""Operators that take four axes for images, their rows, their columns and their channels."""

AXES = {"N": "BATCH", "H": "HEIGHT", "W": "WIDTH", "C": "CHANNELS"}
ROW_MAJOR = "row-major"
"""What is said of tensors that are no images: the last axis is the one without gaps, as always in C."""

HELPED = ("int8", "uint8", "int16", "uint16")
"""Types whose values are quantised and read back by functions in the header."""


def macros(program: Program) -> Iterator[str]:
    """The lines about every input and output."""
    fed = (program.feed.port,) if program.feed else ()
    for port in (*fed, *program.inputs, *program.outputs):
        yield from _macros(f"{program.name}_{port.field}".upper(), port, program.plan.graph, program.exchanged)


def _macros(prefix: str, port: Port, graph: Graph, exchanged: bool) -> Iterator[str]:
    t, q = port.tensor, None if exchanged else scale_of(port.tensor)
    shape = "x".join(map(str, t.shape)) or "scalar"
    layout = layout_of(t, graph)
    real = f", real = {q.scale:.9g} * (value - ({q.zero_point}))" if q else ""
    yield f"\n/* {port.field}: {t.dtype} {shape}{real}; '{comment(t.name)}' in the model */"
    yield f"#define {prefix}_ELEMENTS {t.elements}"
    yield f"#define {prefix}_SIZE {t.bytes}u"
    yield f"#define {prefix}_RANK {len(t.shape)}"
    if t.shape:
        yield f"#define {prefix}_SHAPE {{{', '.join(map(str, t.shape))}}}"
    yield f'#define {prefix}_LAYOUT "{layout}"'
    if layout != ROW_MAJOR:
        yield from (f"#define {prefix}_{AXES[axis]} {size}" for axis, size in zip(layout, t.shape, strict=True))
    if q:
        yield f"#define {prefix}_SCALE {float_literal(q.scale)}"
        yield f"#define {prefix}_ZERO_POINT ({q.zero_point})"


def agreement(program: Program) -> Iterator[str]:
    """What the code takes for granted of the header that is included: files of two compilations do not go together."""
    sizes = {} if program.suite else {"fast": 0, "main": 0} | {r.role: r.bytes for r in program.regions}
    stated = [
        f"#define {program.name}_{role}_BYTES {size}u".upper().replace("#DEFINE", "#define")
        for role, size in sizes.items()
    ]
    stated += [*macros(program), f"#define {program.name.upper()}_STEPS {len(program.plan.steps)}u"]
    found = (re.fullmatch(r"#define (\w+) (\d+u?)", line, re.IGNORECASE) for line in stated)
    wrong = " || ".join(f"({m[1]} != {m[2].lower()})" for m in found if m)
    yield from (f"#if {wrong}", f'#error "{program.name}_net.h is of another compilation than this file"', "#endif")


def layout_of(tensor: Tensor, graph: Graph) -> str:
    """The axes of an image in their order, as those tell that read or write it; or that it is row-major, as all is."""
    if len(tensor.shape) == len(AXES):
        for op in graph.ops:
            if op.of_one_value and tensor in op.activations and op.y.shape == tensor.shape:
                return layout_of(op.y, graph)
            if isinstance(op, IMAGES) and tensor in (*op.activations, *op.ys):
                return "NHWC"
            if isinstance(op, Transpose) and (tensor, op.permutation) in ((op.x, (0, 2, 3, 1)), (op.y, (0, 3, 1, 2))):
                return "NCHW"
    return ROW_MAJOR


def helpers(program: Program, quantize: Template, dequantize: Template) -> Iterator[str]:
    """Functions for the header: reals to what inputs hold, outputs to reals."""
    fed = (program.feed.port,) if program.feed else ()
    pairs = [(p, quantize) for p in (*fed, *program.inputs)] + [(p, dequantize) for p in program.outputs]
    for port, text in pairs:
        if scale_of(port.tensor) and port.tensor.dtype in HELPED:
            yield text.substitute(_values(program, port))


def scaled(program: Program) -> tuple[Port, ...]:
    """The inputs and outputs that have a scale, in the order of the tables of an image of weights."""
    fed = (program.feed.port,) if program.feed else ()
    return tuple(p for p in (*fed, *program.inputs, *program.outputs) if scale_of(p.tensor))


def accessors(program: Program, text: Template) -> Iterator[str]:
    """What tells the scales of an instance, where another image of weights may have others."""
    for number, port in enumerate(scaled(program) if program.exchanged else ()):
        yield text.substitute(
            name=program.name, TABLE=f"{program.name}_table".upper(), field=port.field, number=f"{number}u"
        )


def _values(program: Program, port: Port) -> dict[str, str]:
    element, prefix = port.tensor.element, f"{program.name}_{port.field}".upper()
    function = f"{program.name}_{port.field}"
    asked = (
        f"    const int32_t zero_point = {function}_zero_point(net);\n    const float scale = {function}_scale(net);\n"
    )
    return {
        "function": function,
        "net": f"const {program.name}_net *net, " if program.exchanged else "",
        "asked": asked if program.exchanged else "",
        "scale": "scale" if program.exchanged else f"{prefix}_SCALE",
        "zero_point": "zero_point" if program.exchanged else f"{prefix}_ZERO_POINT",
        "field": port.field,
        "type": C_TYPES[port.tensor.dtype],
        "low": str(element.low),
        "high": str(element.high),
    }
