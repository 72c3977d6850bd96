"""Files beside the C of a network by which a vendor's SDK makes an application of it: where a chip has a cluster, starting that,
its DMA and the RAM outside are the SDK's business. PMSIS is the interface of GreenWaves' SDK to all of it.

`smelt_pulp_cores.h`, compiled with SMELT_PMSIS defined, calls what is here instead of the chip's registers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from smelt.firmware.image import Sources
from smelt.firmware.mark import marked
from smelt.firmware.program import Port, Program
from smelt.firmware.sources import lines, smelt_version
from smelt.firmware.template import template
from smelt.model.graph import Array
from smelt.planner.placement import WORKER_STACK_BYTES

INTERFACE = "pulp"
"""The clusters for which there is this SDK, by `Cluster.interface`."""


FILES = ("pmsis.c", "pmsis.h", "pmsis_main.c", "example.h", "pmsis.mk")
"""What names of files end with, behind the network's; they have templates of these names."""

PER_ROW = 24


@dataclass(frozen=True, eq=False)
class Example:
    """One inference: an array for each input and what is computed from them, in the graph's order."""

    inputs: Sequence[Array]
    outputs: Sequence[Array]


def has_sdk(program: Program) -> bool:
    """Whether there is an SDK for the chip of a program that takes whole inputs and has its memory for itself."""
    cluster = program.plan.board.chip.cluster
    return cluster is not None and cluster.interface == INTERFACE and program.feed is None and program.suite is None


def render_pmsis(program: Program, library: Sources, example: Example) -> dict[str, str]:
    """The application that runs `program`, whose C is `library`, on `example`: file name -> text, for the folder of the library.
    Raises ValueError where `has_sdk` says no."""
    cluster = program.plan.board.chip.cluster
    if cluster is None or not has_sdk(program):
        raise ValueError(f"there is no SDK for the {program.plan.board.chip.name}")
    name = program.name
    code = sorted(n for n in library.files if n.endswith((".c", ".S")))
    values = {
        "name": name,
        "NAME": name.upper(),
        "version": smelt_version(),
        "title": program.plan.board.title,
        "hertz": program.plan.board.clock_hz,
        "near": cluster.memory,
        "workers": cluster.count,
        "numbers": cluster.dma.ids,
        "stack_bytes": WORKER_STACK_BYTES,
        "sources": " ".join((f"{name}_pmsis_main.c", f"{name}_pmsis.c", *code)),
        "memories": lines(_memories(program, cluster.memory)),
        "inputs": lines(_copy(port) for port in program.inputs),
        "input_binding": f"    const {name}_in inputs = {name}_get_inputs(&net);\n" if program.inputs else "",
        "comparisons": lines(_comparison(port) for port in program.outputs),
        "first": program.outputs[0].field,
        "elements": program.outputs[0].tensor.elements,
        "bytes": sum(port.tensor.bytes for port in program.outputs),
        "arrays": "\n".join(_arrays(program, example)),
    }
    texts = {f"{name}_{file}": template(file).substitute(values) for file in FILES}
    return {file: marked(text, smelt_version()) for file, text in texts.items()}


def _memories(program: Program, near: str) -> Iterator[str]:
    """Each region where the SDK has memory of its kind; all that is not the cluster's own is L2."""
    for region in program.regions:
        where = "near" if region.memory == near else "far"
        size = f"{program.name}_{region.role}_BYTES".upper()
        yield f"    memory.{region.role} = smelt_{where}_memory({size});"


def _copy(port: Port) -> str:
    return f"    memcpy(inputs.{port.field}, example_{port.field}, sizeof example_{port.field});"


def _comparison(port: Port) -> str:
    return f"    wrong += differences(outputs.{port.field}, example_{port.field}, sizeof example_{port.field});"


def _arrays(program: Program, example: Example) -> Iterator[str]:
    ports: Mapping[Port, Array] = dict(
        zip((*program.inputs, *program.outputs), (*example.inputs, *example.outputs), strict=True)
    )
    for port, array in ports.items():
        data = array.tobytes()
        rows = (data[i : i + PER_ROW] for i in range(0, len(data), PER_ROW))
        values = lines("    " + ", ".join(map(str, row)) + "," for row in rows)
        yield f"static const uint8_t example_{port.field}[{len(data)}] = {{\n{values}\n}};"
