"""What stands between the generated library and the hand-written main: one instance, its memory, what it prints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from smelt.errors import OptionError
from smelt.firmware.image import Sources
from smelt.firmware.program import Port, Program
from smelt.firmware.sources import lines, smelt_version, template
from smelt.targets.types import Role

FILE = "smelt_firmware.c"


def render_harness(program: Program, library: Sources, labels: tuple[str, ...] = ()) -> Sources:
    """`library` with the file that makes firmware of it. `labels` name the classes of a classifier, in order.

    Raises OptionError if the number of labels is not the number of classes.
    """
    values = {
        "version": smelt_version(),
        "name": program.name,
        "arenas": lines(arena(r.memory, r.role, r.bytes) for r in program.regions),
        "set_up": lines(set_up(program, "smelt_net")),
        "input_spans": lines(_span("inputs", p) for p in program.inputs),
        "output_spans": lines(_span("outputs", p) for p in program.outputs),
        "report": _report(program, labels),
    }
    return replace(library, files={**library.files, FILE: template(FILE).substitute(values)})


def arena(memory: str, role: Role, size: int) -> str:
    """The definition of the buffer for a region."""
    return f'static uint8_t smelt_{role}[{size}] __attribute__((aligned(8), section(".smelt.ram.{memory}")));'


def set_up(program: Program, instance: str) -> Iterator[str]:
    """Binds an instance to the buffers."""
    yield f"    {program.name}_memory {instance}_memory = {{NULL, NULL}};"
    yield from (f"    {instance}_memory.{r.role} = smelt_{r.role};" for r in program.regions)
    yield f"    (void){program.name}_init(&{instance}, &{instance}_memory);"


def _span(struct: str, port: Port) -> str:
    return f"        {{(void *)(uintptr_t){struct}.{port.field}, {port.tensor.bytes}u}},"


def _report(program: Program, labels: tuple[str, ...]) -> str:
    output = program.outputs[0]
    classes = output.tensor.elements
    if labels and len(labels) != classes:
        raise OptionError(f"{len(labels)} labels were given, but the model's first output has {classes} values")
    if not _is_probability(output):
        return template("report_nothing.c").substitute({})
    names = labels or tuple(f"class {i}" for i in range(classes))
    return template("report_classes.c").substitute(
        name=program.name,
        field=output.field,
        classes=classes,
        labels=lines(f"    {_c_string(label)}," for label in names),
    )


def _is_probability(port: Port) -> bool:
    """Whether the output is a vector of probabilities as softmax and logistic leave it: 0 to 255/256."""
    q = port.tensor.quantization
    return q is not None and port.tensor.dtype == "int8" and (q.scales, q.zero_points) == ((1 / 256,), (-128,))


def _c_string(text: str) -> str:
    """A C string literal. Anything beyond ASCII becomes a question mark: consoles of boards speak ASCII. `\\?` ends no trigraph."""
    return json.dumps(text.encode("ascii", "replace").decode()).replace("\\u", "?").replace("?", "\\?")
