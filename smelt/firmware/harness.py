"""What stands between the generated library and the hand-written main: one instance, its memory, what it prints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from smelt.errors import OptionError
from smelt.firmware.image import Sources
from smelt.firmware.program import Port, Program
from smelt.firmware.sources import lines, smelt_version
from smelt.firmware.template import template
from smelt.kernels.c_types import C_TYPES
from smelt.model.ops_pointwise import ArgMax
from smelt.targets.types import Role

FILE = "smelt_firmware.c"
LONGEST_BURST = 128


def render_harness(program: Program, library: Sources, labels: tuple[str, ...] = ()) -> Sources:
    """`library` with the file that makes firmware of it. `labels` name the classes of a classifier, in order.

    Raises OptionError if the number of labels is not the number of classes.
    """
    values = {
        "version": smelt_version(),
        "name": program.name,
        "arenas": lines(arena(r.memory, r.role, r.bytes, _grain((program,))) for r in program.regions),
        "set_up": lines(set_up(program, "smelt_net")),
        **_run(program),
        "input_spans": lines(_span("inputs", p) for p in program.inputs),
        "output_spans": lines(_span("outputs", p) for p in program.outputs),
        "report": _report(program, labels),
    }
    if program.feed is None:
        return replace(library, files={**library.files, FILE: template(FILE).substitute(values)})
    port = program.feed.port
    values |= {"type": C_TYPES[port.tensor.dtype], "FIELD": f"{program.name}_{port.field}".upper()}
    files = {**library.files, FILE: template("smelt_firmware_fed.c").substitute(values)}
    return replace(library, files=files, entry="smelt_infer", flags={**library.flags, "main.c": ("-DSMELT_FED",)})


def render_suite_harness(programs: Sequence[Program], library: Sources) -> Sources:
    """`library` with the file that makes firmware of networks in one memory. An input is a 32-bit number, which chooses the
    network, and the inputs of that network."""
    return replace(library, files={**library.files, FILE: chooser(programs, FILE)})


def chooser(programs: Sequence[Program], file: str) -> str:
    """The text of a file called `file` that makes firmware of several programs, which share their memory."""
    values = {
        "file": file,
        "version": smelt_version(),
        "includes": lines(f'#include "{p.name}_net.h"' for p in programs),
        "arenas": lines(_arenas(programs)),
        "instances": lines(f"static {p.name}_net {_instance(p)};" for p in programs),
        "set_up": lines(line for p in programs for line in set_up(p, _instance(p))),
        "inputs": lines(_case(n, _ports(p, "in", "inputs", p.inputs)) for n, p in enumerate(programs)),
        "outputs": lines(_case(n, _ports(p, "out", "outputs", p.outputs)) for n, p in enumerate(programs)),
        "runs": lines(_case(n, [f"{p.name}_run(&{_instance(p)});"]) for n, p in enumerate(programs)),
    }
    return template("several.c").substitute(values)


def arena(memory: str, role: Role, size: int, grain: int = 8) -> str:
    """The definition of the buffer for a region, at a multiple of `grain` bytes."""
    return f'static uint8_t smelt_{role}[{size}] __attribute__((aligned({grain}), section(".smelt.ram.{memory}")));'


def set_up(program: Program, instance: str) -> Iterator[str]:
    """Binds an instance to the buffers."""
    yield f"    {program.name}_memory {instance}_memory = {{NULL, NULL}};"
    yield from (f"    {instance}_memory.{r.role} = smelt_{r.role};" for r in program.regions)
    yield f"    (void){program.name}_init(&{instance}, &{instance}_memory);"
    if program.plan.board.chip.cluster:
        yield "    smelt_cluster_start();"


def _run(program: Program) -> dict[str, str]:
    """How an inference is run: by the core that asks for it, or by a cluster, which that core starts before."""
    if program.plan.board.chip.cluster is None:
        return {"headers": "", "near": "", "task": "", "run": f"{program.name}_run(&smelt_net);"}
    values = {"name": program.name}
    return {
        "headers": '#include "smelt_cluster.h"\n',
        "near": "SMELT_L1 ",
        "task": template("cluster_task.c").substitute(values),
        "run": "smelt_cluster_call(run_on_cluster, &smelt_net);",
    }


def _span(struct: str, port: Port) -> str:
    return f"        {{(void *)(uintptr_t){struct}.{port.field}, {port.tensor.bytes}u}},"


def _report(program: Program, labels: tuple[str, ...]) -> str:
    output = program.outputs[0]
    chosen = chosen_of(program)
    classes = chosen or output.tensor.elements
    check_labels(program, labels)
    if not chosen and not _is_probability(output):
        return template("report_nothing.c").substitute({})
    names = labels or tuple(f"class {i}" for i in range(classes))
    return template("report_class.c" if chosen else "report_classes.c").substitute(
        name=program.name,
        field=output.field,
        classes=classes,
        labels=lines(f"    {c_string(label)}," for label in names),
    )


def check_labels(program: Program, labels: tuple[str, ...]) -> None:
    """Raise OptionError if labels are given, and another number of them than there are classes."""
    chosen, values = chosen_of(program), program.outputs[0].tensor.elements
    if labels and len(labels) != (chosen or values):
        told = f"is one of {chosen} classes" if chosen else f"has {values} values"
        raise OptionError(f"{len(labels)} labels were given, but the model's first output {told}")


def tells_classes(program: Program) -> bool:
    """Whether the firmware prints a line with the most probable class after each inference."""
    return chosen_of(program) > 0 or _is_probability(program.outputs[0])


def chosen_of(program: Program) -> int:
    """Of how many classes the first output is the number of one; 0 where it is something else."""
    output = program.outputs[0].tensor
    op = program.plan.graph.producer(output)
    return op.x.shape[op.axis] if isinstance(op, ArgMax) and output.elements == 1 else 0


def _is_probability(port: Port) -> bool:
    """Whether the output is a vector of probabilities as softmax and logistic leave it: 0 to 255/256."""
    q = port.tensor.quantization
    return q is not None and port.tensor.dtype == "int8" and (q.scales, q.zero_points) == ((1 / 256,), (-128,))


def c_string(text: str) -> str:
    """A C string literal. Anything beyond ASCII becomes a question mark: consoles of boards speak ASCII. `\\?` ends no trigraph."""
    return json.dumps(text.encode("ascii", "replace").decode()).replace("\\u", "?").replace("?", "\\?")


def _instance(program: Program) -> str:
    return f"smelt_{program.name}"


def _arenas(programs: Sequence[Program]) -> Iterator[str]:
    """One buffer for each memory, as large as the most that a program needs there."""
    sizes: dict[tuple[str, Role], int] = {}
    for region in (r for p in programs for r in p.regions):
        key = region.memory, region.role
        sizes[key] = max(sizes.get(key, 0), region.bytes)
    return (arena(memory, role, size, _grain(programs)) for (memory, role), size in sizes.items())


def _grain(programs: Sequence[Program]) -> int:
    """What buffers begin at a multiple of: with moves, of the longest burst of a DMA."""
    return LONGEST_BURST if any(p.uses_dma for p in programs) else 8


def _ports(program: Program, kind: str, all: str, ports: Sequence[Port]) -> Iterator[str]:
    for number, port in enumerate(ports):
        yield f"if (index == {number}u) {{"
        yield f"    const {program.name}_{kind} all = {program.name}_get_{all}(&{_instance(program)});"
        yield f"    span.data = (void *)(uintptr_t)all.{port.field};"
        yield f"    span.bytes = {port.tensor.bytes}u;"
        yield "}"


def _case(number: int, body: Sequence[str] | Iterator[str]) -> str:
    inside = "\n".join(f"        {line}" for line in body)
    return f"    case {number}u:\n{inside}\n        break;"
