"""Firmware that answers the runner of MLPerf Tiny through the board's serial port."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Literal

import numpy as np

from smelt.errors import OptionError
from smelt.firmware.build import build, compiler_of
from smelt.firmware.harness import c_string
from smelt.firmware.hello import speaking, with_flags
from smelt.firmware.image import Image, Sources
from smelt.firmware.program import Port, Program
from smelt.firmware.sources import lines, smelt_version
from smelt.firmware.template import template
from smelt.model.graph import Graph, Tensor, scale_of
from smelt.nouns import Noun
from smelt.targets.registers import BAUD
from smelt.targets.types import Board

CODE = "smelt_mlperf.c"
MODEL = "smelt_mlperf_model.h"
ENERGY = "-DSMELT_MLPERF_ENERGY"
ENERGY_BAUD = 9600
Wire = Literal["int8", "uint8", "float32"]
TYPES = {
    "int8": "SMELT_INT8",
    "uint8": "SMELT_UINT8",
    "int16": "SMELT_INT16",
    "int32": "SMELT_INT32",
    "float32": "SMELT_FLOAT32",
}
VENDOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


@dataclass(frozen=True)
class Mlperf:
    """Who submits, and whether energy is measured: then a pin says when, and the port has 9600 baud. Raises OptionError for who
    cannot be the name of a folder of the submission."""

    vendor: str = "user"
    energy: bool = False

    def __post_init__(self) -> None:
        if not VENDOR.fullmatch(self.vendor):
            raise OptionError(
                f"who submits is the name of a folder, of up to 40 letters, digits, dots, - and _, not '{self.vendor[:60]}'"
            )


@dataclass(frozen=True, eq=False)
class Mode(Noun):
    """A firmware for some of the runner's modes, and the board as that sets it up."""

    name: Literal["performance", "energy"]
    board: Board
    sources: Sources
    image: Image


@dataclass(frozen=True)
class Benchmark(Noun):
    """One of MLPerf Tiny: `id` is how the runner knows it, `folder` how a submission does. An input has so many elements, which
    the runner sends as `wire`; `digest` is the SHA-256 of the quantised reference model."""

    id: str
    folder: str
    title: str
    elements: int
    classes: int
    wire: Wire
    baud: int
    digest: str

    @property
    def bytes(self) -> int:
        return self.elements * np.dtype(self.wire).itemsize


IC = "3c002613d1b2475eb51dd78dfb85a546c8ae658dee71cf6ade43b022fe205415"
VWW = "597a384c8c2c8a1276f04702f25013b7838f2f814f1ca7c174d295b73e3d6b7b"
KWS = "aeea436800704fce17b17292e4412630ad856e9d777c044c64ef748a880bd0ae"
AD = "87cf24194ef93d1d9b11a591d805526b98008e351655d29883c825c9c106ba24"
BENCHMARKS = (
    Benchmark("ic01", "ic", "image classification", 3072, 10, "uint8", BAUD, IC),
    Benchmark("vww01", "vww", "visual wake words", 27648, 2, "uint8", BAUD, VWW),
    Benchmark("kws01", "kws", "keyword spotting", 490, 12, "int8", BAUD, KWS),
    Benchmark("ad01", "ad", "anomaly detection", 640, 640, "float32", 921_600, AD),
)
"""Rates are those of the runner's own list of devices."""


def benchmark_of(graph: Graph) -> Benchmark | None:
    """The benchmark whose inputs and outputs a model has, which is not float: None where it is none of them, and where reals are
    sent to an input that has no scale."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        return None
    x, y = graph.inputs[0], graph.outputs[0]
    if x.dtype not in ("int8", "uint8") or y.dtype not in ("int8", "uint8", "float32"):
        return None
    fitting = (b for b in BENCHMARKS if (b.elements, b.classes) == (x.elements, y.elements))
    return next((b for b in fitting if b.wire != "float32" or scale_of(x) is not None), None)


def wired(board: Board, graph: Graph, mlperf: Mlperf) -> Board:
    """The board with its serial port at the rate at which the runner asks for a model. Raises OptionError for boards that cannot
    be asked, or cannot tell time."""
    uart = board.uart
    if uart is None or uart.received is None:
        raise OptionError(
            f"{board.name}: smelt knows no serial port of it that receives, and the benchmark's runner asks through one"
        )
    if not board.core.counts_cycles:
        raise OptionError(f"{board.name}: its core counts no cycles, and the benchmark's runner asks for the time")
    if mlperf.energy and board.pin is None:
        raise OptionError(
            f"{board.name}: smelt knows no pin of it that tells an instrument when inferences begin and end"
        )
    found = benchmark_of(graph)
    return replace(board, uart=uart.at(ENERGY_BAUD if mlperf.energy else found.baud if found else BAUD))


def answering(firmware: Sources, program: Program, graph: Graph, mlperf: Mlperf) -> Sources:
    """`firmware` of `program` that, where no debugger gives it inputs, answers the benchmark's runner. `graph` is the model as
    its file has it; its input is not fed in rows. Raises OptionError where it gives what are no real numbers."""
    own = files("smelt.firmware") / "support" / "mlperf"
    texts = {f.name: f.read_text(encoding="utf-8") for f in own.iterdir() if f.name.endswith((".c", ".h"))}
    texts[MODEL] = _model(program, graph, mlperf)
    sources = speaking(replace(firmware, files={**firmware.files, **dict(sorted(texts.items()))}), program.plan.board)
    energy = f"{ENERGY}={int(mlperf.energy)}"
    return with_flags(with_flags(sources, ("main.c",), "-DSMELT_MLPERF"), (CODE,), energy)


def modes(firmware: Sources, board: Board, graph: Graph, image: Image) -> tuple[Mode, ...]:
    """The firmware, which `image` was built of, and the one for energy, where the board has pin and rate. Raises BuildError."""
    measured = Mode("performance", board, firmware, image)
    try:
        wired_for_energy = wired(board, graph, Mlperf(energy=True))
    except OptionError:
        return (measured,)
    flags = tuple(flag.replace(f"{ENERGY}=0", f"{ENERGY}=1") for flag in firmware.flags[CODE])
    sources = replace(firmware, flags={**firmware.flags, CODE: flags})
    return measured, Mode("energy", wired_for_energy, sources, build(sources, wired_for_energy, compiler_of(image)))


def _model(program: Program, graph: Graph, mlperf: Mlperf) -> str:
    found = benchmark_of(graph)
    (port, *others) = program.inputs or (None,)
    assert port is not None, "networks have inputs"
    size = sum(p.tensor.bytes for p in (port, *others))
    reals = found is not None and found.wire == "float32"
    return template(MODEL).substitute(
        version=smelt_version(),
        name=program.name,
        vendor=c_string(mlperf.vendor),
        model=c_string(found.id if found else program.name),
        bytes=found.bytes if found else size,
        memory=roomiest(program),
        flip="0x80" if found and not reals and found.wire != port.tensor.dtype else "0x00",
        reals=int(reals),
        quantisation=lines(_quantisation(port.tensor)) if reals else "",
        outputs=lines(_output(p) for p in program.outputs),
    )


def roomiest(program: Program) -> str:
    """The RAM of the chip in which the plan leaves most room, for an input beside the network's own."""
    taken: Counter[str] = Counter()
    for memory, size in _taken(program):
        taken[memory] += size
    rams = [m for m in program.plan.board.chip.rams if m.mapped and not m.external]
    return max(rams, key=lambda m: m.size - taken[m.name]).name


def _taken(program: Program) -> Iterator[tuple[str, int]]:
    """The bytes of each buffer, and of each table that is copied to a RAM."""
    yield from ((r.memory, r.bytes) for r in program.regions)
    yield from ((c.memory, c.data.nbytes) for c in program.constants if c.memory)


def _quantisation(tensor: Tensor) -> Iterator[str]:
    """How reals become bytes of the network."""
    q = scale_of(tensor)
    assert q is not None, "else it is none of the benchmarks"
    yield f"#define SMELT_MLPERF_SCALE {_bits(q.scale)} /* {q.scale:.9g} */"
    yield f"#define SMELT_MLPERF_ZERO_POINT ({q.zero_point})"
    yield f"#define SMELT_MLPERF_LOW ({tensor.element.low})\n"


def _output(port: Port) -> str:
    tensor, q = port.tensor, scale_of(port.tensor)
    if tensor.dtype not in TYPES:
        raise OptionError(
            f"output '{tensor.name}' is {tensor.dtype}, of which the protocol's real numbers are not made"
        )
    scale, zero = (q.scale, q.zero_point) if q is not None else (1.0, 0)
    return f"    {{{TYPES[tensor.dtype]}, {tensor.elements}u, {_bits(scale)}, {zero}}}, /* {scale:.9g} */"


def _bits(real: float) -> str:
    return f"{int(np.float32(real).view(np.uint32)):#010x}u"
