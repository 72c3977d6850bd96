"""The self-test of a package: a header with one inference whose outputs are known, which costs nothing unless it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from smelt.firmware.exports.package import Package
from smelt.firmware.exports.texts import filled
from smelt.firmware.layout import LONGEST, wrapped
from smelt.firmware.mark import MARK_LETTERS, marked
from smelt.firmware.program import Port
from smelt.firmware.sources import lines, smelt_version
from smelt.kernels.c_types import C_TYPES
from smelt.loops.c import float_literal
from smelt.model.graph import Array

PER_ROW = 110  # characters of values in a line
LEAST = {"-2147483648": "INT32_MIN", "-9223372036854775808": "INT64_MIN"}  # C has no such literals


def self_test(package: Package) -> dict[str, str]:
    """`NAME_self_test.h`."""
    program, name = package.program, f"{package.name}_self_test.h"
    inputs = ((package.fed,) if package.fed else ()) + program.inputs
    ports = (
        *zip(inputs, package.golden.inputs, strict=True),
        *zip(program.outputs, package.golden.outputs, strict=True),
    )
    floats = any(port.tensor.element.is_float for port in program.outputs)
    text = filled(
        "self_test.h",
        package,
        arrays="\n".join(_array(package, port, array) for port, array in ports),
        tolerance=filled("self_test_floats.h", package) if floats else "",
        exactness="to the last bit"
        if not floats
        else "floats within a ten-thousandth, since compilers may contract sums",
        reset=f"    {package.name}_reset(net);\n" if program.cells else "",
        inputs=lines(_input(package)),
        comparisons=lines(_comparison(package, port) for port in program.outputs),
    )
    return {name: marked(wrapped(text, LONGEST - MARK_LETTERS), smelt_version())}


def _array(package: Package, port: Port, array: Array) -> str:
    values = _values(port, array)
    rows, row = [], ""
    for value in values:
        if row and len(row) + len(value) > PER_ROW:
            rows.append(row)
            row = ""
        row += f"{value},"
    rows.append(row)
    type = C_TYPES[port.tensor.dtype]
    body = "\n".join(f"    {row}" for row in rows)
    return f"static const {type} {_golden(package, port)}[{len(values)}] = {{\n{body}\n}};\n"


def _values(port: Port, array: Array) -> list[str]:
    """The elements as C has them."""
    if port.tensor.element.is_float:
        return [float_literal(float(v)) for v in array.reshape(-1)]
    stored = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8) if port.tensor.element.is_packed else array
    return [LEAST.get(w, w) for w in np.char.mod("%d", stored.reshape(-1).astype(np.int64)).tolist()]


def _golden(package: Package, port: Port) -> str:
    return f"{package.name}_golden_{port.field}"


def _input(package: Package) -> Iterator[str]:
    """The statements that give the network its inputs."""
    name, feed = package.name, package.program.feed
    if feed is not None:
        yield f"    (void){name}_feed(net, {_golden(package, feed.port)}, {feed.rows}u);"
    elif package.program.inputs:
        yield f"    const {name}_in in = {name}_get_inputs(net);"
        for port in package.program.inputs:
            yield f"    (void)memcpy(in.{port.field}, {_golden(package, port)}, sizeof {_golden(package, port)});"


def _comparison(package: Package, port: Port) -> str:
    golden = _golden(package, port)
    found = f"out.{port.field}[i], {golden}[i]"
    differs = (
        f"{package.name}_apart({found})" if port.tensor.element.is_float else f"{found.replace(', ', ' != ')} ? 1 : 0"
    )
    return f"    for (i = 0u; i < sizeof {golden} / sizeof {golden}[0]; ++i) {{\n        wrong += {differs};\n    }}"
