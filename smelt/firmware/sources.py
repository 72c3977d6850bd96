"""`render`: a program as C files. Pure text, the same for the same program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from smelt.firmware import ports, steps
from smelt.firmware.calls import address, bands_of, comment, offset, offset_macros, operand, region_helpers
from smelt.firmware.image import Sources
from smelt.firmware.image_texts import bound_to_image, image_texts, image_values
from smelt.firmware.invocations import Constant
from smelt.firmware.layout import LONGEST, wrapped
from smelt.firmware.mark import MARK_LETTERS, marked
from smelt.firmware.moves import COPIES, CORES, HEADERS, dma_of, switched_on
from smelt.firmware.program import Cell, Feed, Port, Program, Region
from smelt.firmware.template import template
from smelt.kernels.assembly import assembly_file, called, declarations
from smelt.kernels.c_types import C_TYPES
from smelt.kernels.headers import includes, needed, with_included
from smelt.kernels.reviewed import reviewed_header
from smelt.loops.c import float_literal
from smelt.loops.kernel import Kernel
from smelt.loops.reviewed import reviewed
from smelt.model.graph import Tensor
from smelt.planner.suite import Suite, state_bytes, turn_bytes
from smelt.targets.types import Role

CODE = ("net.c", "weights.h", "weights.c")  # of one network, or of all that share memory
FROM_IMAGE = {
    "weights.h": "image_weights.h",
    "weights.c": "image_weights.c",
}  # where the weights are an image of their own
FILES = ("net.h", *CODE)
ASSEMBLY = "routines.S"  # where there are any
MEMORY = "memory.h"  # of several networks
EVERYWHERE: tuple[Role, ...] = ("fast", "main")  # regions that every network has, be it of 0 bytes
LEAST = {"-2147483648": "INT32_MIN", "-9223372036854775808": "INT64_MIN"}  # C has no such literals
MANY_LINES = 2048  # bytes of a table that is worth up to 28 bytes in front of it


def smelt_version() -> str:
    try:
        return version("smelt")
    except PackageNotFoundError:
        return "(not installed)"


def render(program: Program) -> Sources:
    """The library: `NAME_net.h`, `NAME_net.c`, `NAME_weights.h`, `NAME_weights.c`, `NAME_routines.S` where kernels call any, and
    what they include."""
    name = program.name
    return _library(name, (program,), {f"{name}_net.h": _header(program)}, "this network")


def with_stack(sources: Sources, program: Program, measured: str) -> Sources:
    """The same library, whose header says what stack a run was measured to take: a sentence."""
    name = f"{program.name}_net.h"
    return replace(sources, files={**sources.files, name: laid_out(name, _header(program, f" {measured}"))})


def _header(program: Program, stack: str = "") -> str:
    values = _values(program) | _own_memory(program)
    values["stack_note"] += stack
    return template("net.h").substitute(values)


def render_suite(suite: Suite, programs: Sequence[Program]) -> Sources:
    """The library of networks that take one memory in turn: `NAME_net.h` for each, and with the name of the suite `NAME_memory.h`
    and the files of code and tables, in which equal kernels, tables and routines are once."""
    texts = {f"{suite.name}_{MEMORY}": template(MEMORY).substitute(_suite_values(suite, programs))}
    for program in programs:
        texts[f"{program.name}_net.h"] = template("net.h").substitute(
            _values(program) | _common_memory(program, programs)
        )
    return _library(suite.name, programs, texts, "these networks")


def _library(name: str, programs: Sequence[Program], texts: dict[str, str], whose: str) -> Sources:
    """`texts` and the files of code and tables called `name`."""
    core, assembly = programs[0].plan.board.core, f"{name}_{ASSEMBLY}"
    code = "\n".join(_kernel(kernel, programs) for kernel in kernels_of(programs))
    moved = {HEADERS[dma_of(p.plan.board.chip).interface]: 0 for p in programs if p.uses_dma}
    moved |= dict.fromkeys((COPIES,), 0) if any(t.channel is None for p in programs for t in p.transports) else {}
    moved |= {CORES[cluster.interface]: 0 for p in programs if p.acts and (cluster := p.plan.board.chip.cluster)}
    headers, routines = (*needed(code, core), *moved), called(code, core)
    strings = "\n#include <string.h>" if any(p.cells or p.feed for p in programs) else ""
    tables = {c.name: c for p in programs for c in p.constants}.values()
    values = {
        "name": name,
        "NAME": name.upper(),
        "version": smelt_version(),
        "model": comment(", ".join(p.plan.graph.name for p in programs)),
        "whose": whose,
        "own_headers": includes(f"{p.name}_net.h" for p in programs),
        "includes": "\n\n".join(filter(None, (includes(headers) + strings, declarations(routines, core, assembly)))),
        "kernels": code,
        "static_step": ""
        if programs[0].plan.board.chip.cluster
        else template("static_step.c").substitute(NAME=name.upper()),
        "functions": "\n".join(_functions(p) for p in programs).rstrip("\n"),
        "declarations": lines(_declaration(c) for c in tables),
        "definitions": "\n".join(_definition(name, c) for c in tables),
        **(image_values(programs[0]) if programs[0].exchanged else {}),
        "resident": "\n" + template("resident.c").substitute(NAME=name.upper())
        if any(c.memory for c in tables)
        else "",
        "outside": "\n" + template("outside.c").substitute(NAME=name.upper())
        if any(c.flash and not c.memory for c in tables)
        else "",
    }
    found = FROM_IMAGE if programs[0].exchanged else {}
    library = texts | {f"{name}_{file}": template(found.get(file, file)).substitute(values) for file in CODE}
    library |= {assembly: assembly_file(routines, core, assembly, smelt_version())} if routines else {}
    library |= {
        name: f"/* {name} - generated by smelt {smelt_version()}. */\n{reviewed_header(text)}"
        for name, text in with_included(headers).items()
    }
    files = {name: laid_out(name, text) for name, text in library.items()}
    return Sources(
        files,
        f"{programs[0].name}_run",
        tuple(call for p in programs for call in p.calls),
        tables=tuple(dict.fromkeys(memory for p in programs for memory in p.table_memories)),
        floats=any(p.floats for p in programs),
        copied_from=next((p.copied_from for p in programs if p.copied_from), None),
    )


def _functions(program: Program) -> str:
    """The functions of one network, and above them the offsets that they use."""
    values = _values(program)
    text = template("functions.c").substitute(values | {"offsets": ""})
    macros, helpers = lines(offset_macros(program, text)), "\n".join(region_helpers(program, text))
    title = "/* Where things lie in the regions of an instance, in bytes. */"
    words = (
        f"/* Words among these bytes: they lie where {program.owner.upper()}_ALIGNMENT allows it. */\n{helpers}\n"
        if helpers
        else ""
    )
    above = f"{lines(ports.agreement(program))}\n\n" + (f"{title}\n{macros}\n\n" if macros else "") + words
    return template("functions.c").substitute(values | {"offsets": above})


def laid_out(name: str, text: str) -> str:
    """A file marked as smelt's own, with lines that are not too long."""
    return marked(text if name.endswith(".S") else wrapped(text, LONGEST - MARK_LETTERS), smelt_version())


def kernels_of(programs: Iterable[Program]) -> tuple[Kernel, ...]:
    """Each kernel of several programs once, in order of first use."""
    return tuple({k.name: k for p in programs for k in p.kernels}.values())


def _values(program: Program) -> dict[str, str]:
    """What the templates say of one network."""
    name, plan = program.name, program.plan
    return {
        "name": name,
        "NAME": name.upper(),
        "OWNER": program.owner.upper(),
        "version": smelt_version(),
        "model": comment(plan.graph.name),
        "board": plan.board.name,
        "plan_line": ", ".join(_share(program, region) for region in program.regions)
        + f"; {program.constant_bytes} bytes of constants"
        + (f", of which {program.resident_bytes} in RAM" if program.resident_bytes else ""),
        "region_fields": lines([*(f"    uint8_t *{r.role};" for r in program.regions), *_own_fields(program)]),
        "init_checks": lines(_init(name.upper(), program.owner.upper(), r.role) for r in program.regions),
        "tensor_macros": lines(ports.macros(program)),
        "helpers": "\n".join(ports.helpers(program, template("quantize.h"), template("dequantize.h"))),
        "output_fields": lines(f"    const {C_TYPES[p.tensor.dtype]} *{p.field};" for p in program.outputs),
        "output_assignments": lines(_assignments(program, "outputs", program.outputs)),
        "stack_note": _stack_note(program),
        "threads_note": _threads_note(program),
        **_step_texts(program),
        **image_texts(program),
        **_state_texts(program),
        **_input_texts(program),
        "begin": _begin(program),
    }


def _step_texts(program: Program) -> dict[str, str]:
    """What there is about the steps of a run."""
    values = {"name": program.name, "NAME": program.name.upper(), "steps": str(len(program.plan.steps))}
    values |= {"OWNER": program.owner.upper(), "OWNER_FILE": program.owner, "first": "1" if program.feed else "0"}
    values |= {"calls": lines(steps.calls(program)), "cases": lines(steps.cases(program))}
    values["table"] = lines(steps.table(program))
    values["unused"] = "" if program.own else "    (void)net;\n"
    single = steps.can_step(program)
    return {
        "steps": values["steps"],
        "step_functions": "".join(steps.functions(program)),
        "step_prototype": template("step_prototype.h").substitute(values) if single else "",
        "step_table": template("step_table.c").substitute(values) if values["table"] else "",
        "run_function": template("step_function.c" if single else "run_function.c").substitute(values),
    }


def _threads_note(program: Program) -> str:
    """What is there only once."""
    if program.plan.board.chip.cluster:
        return "\n * The cluster and its DMA are there once: one instance of any network runs at a time."
    if program.uses_dma:
        return "\n * The DMA is there once: of the networks that use it, one instance runs at a time."
    return ""


def _begin(program: Program) -> str:
    """What an instance begins with."""
    begun = [f"    net->{r.role} = memory->{r.role};" for r in program.regions]
    begun += list(switched_on(dma_of(program.plan.board.chip))) if program.uses_dma else []
    begun += [f"    {program.name}_reset(net);"] if program.cells else []
    begun += ["    net->fed = 0u;", "    net->band = 0u;"] if program.feed else []
    return lines(f"    {line}" for line in (bound_to_image(program, begun) if program.exchanged else begun))


def _own_fields(program: Program) -> Iterator[str]:
    """What an instance knows of its weights, and of what it was fed."""
    if program.exchanged:
        yield "    const uint8_t *weights;"
    if program.feed:
        yield from ("    uint32_t fed;", "    uint32_t band;")


def _input_texts(program: Program) -> dict[str, str]:
    """What there is about inputs: where they are written, or how they are fed."""
    values = {"name": program.name, "first_output": f"out.{program.outputs[0].field}[...]"}
    if program.feed is None:
        values["first_input"] = f"in.{program.inputs[0].field}[...]" if program.inputs else "the inputs"
        values["input_fields"] = lines(f"    {C_TYPES[p.tensor.dtype]} *{p.field};" for p in program.inputs)
        values["input_assignments"] = lines(_assignments(program, "inputs", program.inputs))
    else:
        values |= _feed_values(program, program.feed)
    kind = "feed" if program.feed else "inputs"
    parts = {"usage": ".h", "struct": ".h", "prototype": ".h", "function": ".c"}
    texts = {part: template(f"{kind}_{part}{end}").substitute(values).rstrip("\n") for part, end in parts.items()}
    return {"usage": texts.pop("usage"), **{f"input_{part}": text for part, text in texts.items()}} | {
        "input_struct": f"{texts['struct']}\n\n"
    }


def _feed_values(program: Program, feed: Feed) -> dict[str, str]:
    """What the templates say of an input that is fed."""
    return {
        "type": C_TYPES[feed.port.tensor.dtype],
        "field": feed.port.field,
        "FIELD": _macro(program.name, feed.port.field),
        "rows": str(feed.rows),
        "row_elements": str(feed.row_elements),
        "row_bytes": str(feed.row_bytes),
        "role": program.role(feed.port.place.memory),
        "count": str(len(feed.bands)),
        "until": ", ".join(f"{band.until}u" for band in feed.bands),
        "places": ", ".join(" + ".join(offset(program, band.place)) or "0u" for band in feed.bands),
        "bands": lines(bands_of(program, feed.bands)),
    }


def _share(program: Program, region: Region) -> str:
    """What a network takes up of a region."""
    if program.suite is None:
        return f"{region.bytes} bytes in {region.memory}"
    own = turn_bytes(program.plan, region.memory) + state_bytes(program.plan, region.memory)
    return f"{own} of {region.bytes} bytes in {region.memory}"


def _own_memory(program: Program) -> dict[str, str]:
    """The memory of a network that has it for itself."""
    values = _values(program) | _memory_values(program.name, program.regions)
    names = {"story": "story_feed.h" if program.feed else "story_alone.h", "memory": "memory_alone.h"}
    return {part: template(name).substitute(values).rstrip("\n") for part, name in names.items()} | {"include": ""}


def _common_memory(program: Program, programs: Sequence[Program]) -> dict[str, str]:
    """The memory that a network shares with the others of its suite."""
    values = _values(program) | {"suite": program.owner, "networks": named(p.name for p in programs)}
    parts = {part: template(f"{part}_suite.h").substitute(values).rstrip("\n") for part in ("story", "memory")}
    return {**parts, "include": f'\n\n#include "{program.owner}_memory.h"'}


def _suite_values(suite: Suite, programs: Sequence[Program]) -> dict[str, str]:
    """What the header of the common memory says."""
    found = {r.memory: r for p in programs for r in p.regions}
    regions = tuple(found[m.name] for m in suite.memories)
    parts = ((m.name, suite.shared(m.name), suite.private(m.name)) for m in suite.memories)
    values = {"suite": suite.name, "SUITE": suite.name.upper(), "version": smelt_version(), "board": suite.board.name}
    values["networks"] = named(p.name for p in programs)
    values["parts"] = lines(
        f" * In {m}: {shared} bytes in turn, {own} of states, each its network's own" for m, shared, own in parts
    )
    values["inits"] = lines(f" *     {p.name}_init(&{p.name}, &memory);" for p in programs)
    return values | _memory_values(suite.name, regions)


def named(names: Iterable[str]) -> str:
    """Names in a sentence: "a", "a and b", "a, b and c"."""
    *some, last = names
    return f"{', '.join(some)} and {last}" if some else last


def _memory_values(name: str, regions: Sequence[Region]) -> dict[str, str]:
    return {
        "region_macros": lines(_region_macros(name, regions)),
        "memory_fields": lines(f"    void *{role};" for role in _roles(regions)),
        "memory_macro": _memory_macro(name, regions),
    }


def lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines).rstrip("\n")


def _kernel(kernel: Kernel, programs: Sequence[Program]) -> str:
    """A kernel, and above it the steps that it computes; of several networks, with the network's name."""
    users = [
        f"{p.name} {i.step.name}" if p.suite else i.step.name
        for p in programs
        for i in p.invocations
        if i.kernel.name == kernel.name
    ]
    first = programs[0]
    text = f"{_macro(first.owner, 'STATIC_KERNEL')} {reviewed(kernel, first.function(kernel))}"
    return f"/* {', '.join(dict.fromkeys(users))} */\n{text}"


def _macro(*parts: str) -> str:
    return "_".join(parts).upper()


def _roles(regions: Sequence[Region]) -> tuple[Role, ...]:
    """The regions that code knows: those that all have, and more where a plan uses them."""
    return (*EVERYWHERE, *(r.role for r in regions if r.role not in EVERYWHERE))


def _region_macros(name: str, all: Sequence[Region]) -> Iterator[str]:
    regions = {r.role: r for r in all}
    for role in _roles(all):
        size = f"#define {_macro(name, role, 'BYTES')} {regions[role].bytes if role in regions else 0}u"
        yield size + (f" /* {regions[role].memory} of the board */" if role in regions else "")
    yield from (_section_macro(_macro(name, r.role, "SECTION")) for r in all)


def _section_macro(name: str, otherwise: str = "") -> str:
    """A macro that users may define before smelt does."""
    return f"#ifndef {name}\n#define {name}{otherwise and ' '}{otherwise}\n#endif"


def _memory_macro(name: str, regions: Sequence[Region]) -> str:
    used = {r.role for r in regions}
    buffers = "".join(
        f"    static {_macro(name, r.role, 'SECTION')} uint32_t "
        f"instance##_{r.role}[({_macro(name, r.role, 'BYTES')} + 3u) / 4u]; \\\n"
        for r in regions
    )
    values = ", ".join(f"instance##_{role}" if role in used else "NULL" for role in _roles(regions))
    return f"\\\n{buffers}    static const {name}_memory instance = {{{values}}}"


def _init(name: str, owner: str, role: Role) -> str:
    given, status = f"memory->{role}", f"        status = {name}_STATUS"
    return (
        f"    }} else if ({given} == NULL) {{\n{status}_NULL_POINTER;\n"
        f"    }} else if (((uintptr_t){given} % {owner}_ALIGNMENT) != 0u) {{\n{status}_MISALIGNED;"
    )


def _assignments(program: Program, struct: str, ports: tuple[Port, ...]) -> Iterator[str]:
    for port in ports:
        const = "const " if struct == "outputs" else ""
        yield f"    {struct}.{port.field} = {operand(program, port.place, f'{const}{C_TYPES[port.tensor.dtype]}')};"


def _state_texts(program: Program) -> dict[str, str]:
    """What networks have that remember something, and others do not."""
    if not program.cells:
        return dict.fromkeys(("state_note", "state_declarations", "state_functions"), "")
    values = {"name": program.name, "NAME": program.name.upper(), "bytes": sum(c.tensor.bytes for c in program.cells)}
    values["cells"] = lines(comment(f" *   {_described(c.tensor)}") for c in program.cells)
    parts = {"resets": _reset, "saves": _save, "restores": _restore}
    values |= {part: lines(line for c in program.cells for line in write(program, c)) for part, write in parts.items()}
    return {
        "state_note": "\n * but for what runs remember: that gets its initial values",
        "state_declarations": template("states.h").substitute(values),
        "state_functions": template("states.c").substitute(values),
    }


def _described(tensor: Tensor) -> str:
    return f"{tensor.name}: {tensor.dtype} {'x'.join(map(str, tensor.shape)) or 'scalar'}"


def _reset(program: Program, cell: Cell) -> Iterator[str]:
    if isinstance(cell.initial, Constant):
        initial = operand(program, cell.initial, "const void")
        yield f"    memcpy({address(program, cell.place)}, {initial}, {cell.tensor.bytes}u);"
    else:
        yield f"    memset({address(program, cell.place)}, {cell.initial}, {cell.tensor.bytes}u);"


def _save(program: Program, cell: Cell) -> Iterator[str]:
    yield f"    memcpy(bytes, {address(program, cell.place)}, {cell.tensor.bytes}u);"
    yield f"    bytes += {cell.tensor.bytes};"


def _restore(program: Program, cell: Cell) -> Iterator[str]:
    yield f"    memcpy({address(program, cell.place)}, bytes, {cell.tensor.bytes}u);"
    yield f"    bytes += {cell.tensor.bytes};"


def _stack_note(program: Program) -> str:
    """What tools that measure stacks by the compiler's notes must add."""
    most = max((k.assembly_stack for k in program.kernels), default=0)
    return f" Routines in assembly use up to {most} bytes of stack that -fstack-usage does not see." if most else ""


def _declaration(constant: Constant) -> str:
    const = "" if constant.memory else "const "
    return f"extern {const}{constant.type} {constant.name}[{constant.data.size}]; /* {comment(constant.comment)} */"


def _definition(owner: str, constant: Constant) -> str:
    section = _macro(constant.name, "SECTION")
    if constant.memory:
        where, how = f'{_macro(owner, "RESIDENT")}("{constant.memory}")', f"{_macro(owner, 'ALIGNED')} {section}"
    else:
        aligned = _macro(owner, "LINES" if constant.data.nbytes >= MANY_LINES else "ALIGNED")
        outside = f'{_macro(owner, "OUTSIDE")}("{constant.flash}")' if constant.flash else ""
        where, how = outside or _macro(owner, "FLASH", "SECTION"), f"{aligned} {section} const"
    values = f"{how} {constant.type} {constant.name}[{constant.data.size}] = {{\n{_numbers(constant)}\n}};\n"
    return f"{_section_macro(section, where)}\n{values}"


def _numbers(constant: Constant) -> str:
    """Rows of about 120 characters."""
    if constant.type == "float":
        words = [float_literal(float(v)) for v in constant.data]
    else:
        words = np.char.mod("%d", constant.data).tolist()
        words = [LEAST.get(w, w) for w in words]
        if constant.type == "uint64_t":
            words = [f"{w}u" for w in words]
    per_row = max(4, 116 // (max(map(len, words)) + 1))
    return "\n".join("    " + ",".join(words[i : i + per_row]) + "," for i in range(0, len(words), per_row))
