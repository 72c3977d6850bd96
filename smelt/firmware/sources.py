"""`render`: a program as C files. Pure text, the same for the same program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from string import Template

import numpy as np

from smelt.firmware.image import Sources
from smelt.firmware.program import C_TYPES, Constant, Invocation, Place, Port, Program
from smelt.kernels.headers import includes, needed, with_included
from smelt.loops.c import print_kernel
from smelt.loops.ir import Buffer, Kernel
from smelt.targets.types import Role

FILES = ("net.h", "net.c", "weights.h", "weights.c")
EVERYWHERE: tuple[Role, ...] = ("fast", "main")  # regions that every network has, be it of 0 bytes
MANY_LINES = 2048  # bytes of a table that is worth up to 28 bytes in front of it


def smelt_version() -> str:
    try:
        return version("smelt")
    except PackageNotFoundError:
        return "(not installed)"


def render(program: Program) -> Sources:
    """The library: `NAME_net.h`, `NAME_net.c`, `NAME_weights.h`, `NAME_weights.c`, and what kernels include."""
    code = "\n".join(_kernel(program, k) for k in program.kernels)
    headers = needed(code, program.plan.board.core)
    values = _values(program) | {"kernels": code, "includes": includes(headers)}
    library = {f"{program.name}_{file}": template(file).substitute(values) for file in FILES}
    kernels = tuple(program.function(i.kernel) for i in program.invocations)
    return Sources(library | with_included(headers), f"{program.name}_run", kernels, tables=program.table_memories)


def template(name: str) -> Template:
    return Template(files("smelt.firmware").joinpath("templates", name).read_text("utf-8"))


def _values(program: Program) -> dict[str, str]:
    name, plan = program.name, program.plan
    return {
        "name": name,
        "NAME": name.upper(),
        "version": smelt_version(),
        "model": comment(plan.graph.name),
        "board": plan.board.name,
        "plan_line": ", ".join(f"{r.bytes} bytes in {r.memory}" for r in program.regions)
        + f"; {program.constant_bytes} bytes of constants"
        + (f", of which {program.resident_bytes} in RAM" if program.resident_bytes else ""),
        "region_macros": lines(_region_macros(program)),
        "memory_fields": lines(f"    void *{role};" for role in _roles(program)),
        "memory_macro": _memory_macro(program),
        "region_fields": lines(f"    uint8_t *{r.role};" for r in program.regions),
        "init_checks": lines(_init(r.role) for r in program.regions),
        "tensor_macros": lines(_tensor_macros(program)),
        "input_fields": lines(f"    {C_TYPES[p.tensor.dtype]} *{p.field};" for p in program.inputs),
        "output_fields": lines(f"    const {C_TYPES[p.tensor.dtype]} *{p.field};" for p in program.outputs),
        "input_assignments": lines(_assignments(program, "inputs", program.inputs)),
        "output_assignments": lines(_assignments(program, "outputs", program.outputs)),
        "first_input": f"in.{program.inputs[0].field}[...]" if program.inputs else "the inputs",
        "first_output": f"out.{program.outputs[0].field}[...]",
        "calls": lines(_calls(program)) or "    (void)net;",
        "declarations": lines(_declaration(c) for c in program.constants),
        "definitions": "\n".join(_definition(program, c) for c in program.constants),
        "resident": "\n" + template("resident.c").substitute(NAME=name.upper()) if program.resident_bytes else "",
    }


def lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines).rstrip("\n")


def comment(text: str) -> str:
    """`text` made safe inside a C comment (names come from model files)."""
    return "".join(c if c.isprintable() else "?" for c in text).replace("*/", "* /").replace("/*", "/ *")


def _kernel(program: Program, kernel: Kernel) -> str:
    users = [i.step.name for i in program.invocations if i.kernel.name == kernel.name]
    printed = print_kernel(replace(kernel, name=program.function(kernel)))
    return f"/* {', '.join(users)} */\n{_macro(program, 'KERNEL')} {printed}"


def _macro(program: Program, *parts: str) -> str:
    return "_".join((program.name, *parts)).upper()


def _roles(program: Program) -> tuple[Role, ...]:
    """The regions that this network's code knows: those that all have, and more where the plan uses them."""
    return (*EVERYWHERE, *(r.role for r in program.regions if r.role not in EVERYWHERE))


def _region_macros(program: Program) -> Iterator[str]:
    regions = {r.role: r for r in program.regions}
    for role in _roles(program):
        size = f"#define {_macro(program, role, 'BYTES')} {regions[role].bytes if role in regions else 0}u"
        yield size + (f" /* {regions[role].memory} of the board */" if role in regions else "")


def _memory_macro(program: Program) -> str:
    used = {r.role for r in program.regions}
    buffers = "".join(
        f"    static uint32_t instance##_{r.role}[({_macro(program, r.role, 'BYTES')} + 3u) / 4u]; \\\n"
        for r in program.regions
    )
    values = ", ".join(f"instance##_{role}" if role in used else "NULL" for role in _roles(program))
    return f"\\\n{buffers}    static const {program.name}_memory instance = {{{values}}}"


def _tensor_macros(program: Program) -> Iterator[str]:
    for port in (*program.inputs, *program.outputs):
        t = port.tensor
        shape = "x".join(map(str, t.shape)) or "scalar"
        yield f"\n/* {port.field}: {t.dtype} {shape}{_meaning(port)}; '{comment(t.name)}' in the model */"
        yield f"#define {_macro(program, port.field, 'ELEMENTS')} {t.elements}"
        q = t.quantization
        if q is not None and len(q.scales) == 1:
            yield f"#define {_macro(program, port.field, 'SCALE')} {float_literal(q.scale)}"
            yield f"#define {_macro(program, port.field, 'ZERO_POINT')} ({q.zero_point})"


def _meaning(port: Port) -> str:
    q = port.tensor.quantization
    return f", real = {q.scale:.9g} * (value - ({q.zero_point}))" if q is not None and len(q.scales) == 1 else ""


def _init(role: Role) -> str:
    given = f"memory->{role}"
    return (
        f"    if ({given} == NULL || ((uintptr_t){given} & 3u) != 0u) {{\n        return -1;\n    }}\n"
        f"    net->{role} = {given};"
    )


def _assignments(program: Program, struct: str, ports: tuple[Port, ...]) -> Iterator[str]:
    for port in ports:
        const = "const " if struct == "outputs" else ""
        yield f"    {struct}.{port.field} = {_operand(program, port.place, f'{const}{C_TYPES[port.tensor.dtype]}')};"


def _operand(program: Program, place: Place | Constant, type: str) -> str:
    if isinstance(place, Constant):
        return place.name
    pointer = f"net->{program.role(place.memory)}" + (f" + {place.offset}" if place.offset else "")
    return f"({type} *)(void *)({pointer})"


def _calls(program: Program) -> Iterator[str]:
    for number, invocation in enumerate(program.invocations):
        step = invocation.step
        how = comment(f"{type(step.op).__name__} by {step.implementation.name} [{step.schedule}]")
        yield f"    /* {number}: {step.name} = {how} */"
        yield f"    {program.function(invocation.kernel)}({_arguments(program, invocation)});"


def _arguments(program: Program, invocation: Invocation) -> str:
    return ", ".join(
        _operand(program, argument, _pointed(buffer))
        for buffer, argument in zip(invocation.kernel.buffers, invocation.arguments, strict=True)
    )


def _pointed(buffer: Buffer) -> str:
    return ("const " if buffer.role in ("input", "constant") else "") + buffer.type


def _declaration(constant: Constant) -> str:
    const = "" if constant.memory else "const "
    return f"extern {const}{constant.type} {constant.name}[{constant.data.size}]; /* {comment(constant.comment)} */"


def _definition(program: Program, constant: Constant) -> str:
    if constant.memory:
        how = f'{_macro(program, "RESIDENT")}("{constant.memory}")'
    else:
        how = _macro(program, "LINES" if constant.data.nbytes >= MANY_LINES else "ALIGNED") + " const"
    return f"{how} {constant.type} {constant.name}[{constant.data.size}] = {{\n{_numbers(constant)}\n}};\n"


def _numbers(constant: Constant) -> str:
    """Rows of about 120 characters."""
    if constant.type == "float":
        words = [float_literal(float(v)) for v in constant.data]
    else:
        words = np.char.mod("%d", constant.data).tolist()
        words = ["INT32_MIN" if w == "-2147483648" else w for w in words]
    per_row = max(4, 116 // (max(map(len, words)) + 1))
    return "\n".join("    " + ",".join(words[i : i + per_row]) + "," for i in range(0, len(words), per_row))


def float_literal(value: float) -> str:
    """A float32 as C: nine digits give back exactly the same float32."""
    text = f"{value:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"
