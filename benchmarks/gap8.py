"""Networks on GAP8 beside DORY and PULP-NN: `python benchmarks/gap8.py [--models a,b] [--layers] [--verify N] [--kernels] [--h7]
[--markdown]`.

Every network is compiled for `gapuino` and simulated. Its reference is compared with the golden layers beside its file, where there
are some, and the firmware's outputs with the reference: "wrong" counts layers and values that differ. Cycles are those of one
inference from its first step to its last, on the golden input or a random one. What is waited for is given in percent of them
(`smelt.devices.waits`); "hot code" are the bytes that cores run at the same time, at most (`smelt.firmware.hot_code`). DORY's
figures are in `gap8_figures.py`. Memories outside of the chip take what GreenWaves' driver takes, as fitted to silicon; "own L3" is
the same program with smelt's driver, where the hardware takes 79 cycles a burst and 1 a byte.

With --layers, every step of every network; with --verify, instead of that, golden layers beside the reference and beside what the
board's steps write, and all that they write on N random inputs beside the reference; with --kernels, single layers that lie in L1,
of which moves are not counted; with --h7, networks and their layers on the STM32H743, on one core of GAP8 and on all eight.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

from data import MLPERF_TINY, MODELS, ROOT, shared
from gap8_figures import DORY, KERNELS, Dory
from tables import show

from smelt import compile, execute, profile, random_inputs
from smelt.devices.choose import run_image
from smelt.errors import DoesNotFit
from smelt.firmware import build, render_harness
from smelt.report.execute import stream
from smelt.report.golden import compare_golden, golden_input, golden_on_board
from smelt.report.golden_files import read_golden
from smelt.report.layers import verify_layers
from smelt.report.verify import ORACLES, compared
from smelt.targets.boards import GAPUINO
from smelt.targets.chips.gap8 import TIGHT_DRIVER

sys.path.insert(0, str(ROOT))
from tests.integer_models import Net

FILES = {"TCN_T": "TCN.onnx", "quantlab_dronet": "DRONETV3_ql_integerized.onnx"}
FOLDERS = (*DORY, "TCN_T", "dscnn_test", "quantlab_dronet")
H7 = "nucleo_h743zi"
WAITS = ("compute", "banks", "fetches", "imbalance", "barriers", "dma", "outside")
COLUMNS = (
    "network",
    "MMAC",
    "cycles",
    "MAC/cycle",
    *WAITS,
    "hot code",
    "own L3",
    "uJ",
    "DORY",
    "ratio",
    "silicon",
    "must",
    "aim",
    "golden",
    "wrong",
)
VERIFIED = ("network", "golden: reference", "golden: board", "inputs", "steps", "values", "wrong")
STEPS = (
    "step",
    "kernel",
    "kMAC",
    "cycles",
    "MAC/cycle",
    *WAITS,
    "hot code",
    "uJ",
    "DORY k",
    "ratio",
    "silicon k",
    "ratio",
)


def file_of(name):
    """The file of a network, and the folder with its golden layers."""
    if name in MODELS:
        return MODELS[name], None
    folder = shared(f"models/dory/{name}")
    return folder / FILES.get(name, "model_int.onnx"), folder


def measured(file, folder, board):
    """The profile of an inference, its cycles with smelt's driver for what lies outside of the chip (None where nothing
    does), how many golden layers are equal of how many, and how much is wrong."""
    compilation = compile(file, board)
    inputs, golden, wrong = random_inputs(compilation.model, 2), "-", 0
    if folder is not None:
        layers = read_golden(folder)
        found = compare_golden(compilation.model, layers)
        inputs.append(golden_input(compilation.model, layers.input, found.order))
        equal = sum(layer.is_equal for layer in found.layers)
        golden, wrong = f"{equal} of {len(found.layers)}", len(found.layers) - equal
    execution = execute(compilation, inputs)
    expected = ORACLES["reference"](compilation, inputs, file, False)
    wrong += compared(execution, expected, "reference").mismatches
    own, more = own_driver(compilation, inputs, execution.run.outputs)
    return profile(compilation, execution.run), own, golden, wrong + more


def own_driver(compilation, inputs, outputs):
    """Cycles of the last inference where requests are cut into the hardware's bursts, and whether its outputs differ."""
    board = compilation.plan.board
    if not compilation.plan.brings:
        return None, 0
    board = replace(board, chip=replace(board.chip, outside=TIGHT_DRIVER))
    image = build(render_harness(compilation.program, compilation.sources), board)
    run = run_image(board, image, stream(inputs))
    return run.cycles, int(run.outputs != outputs)


def network_row(name, figures, own, golden, wrong):
    dory = DORY.get(name, Dory())
    waits = [sum(getattr(s.waits, n) for s in figures.steps) / figures.cycles for n in WAITS]
    return (
        name, f"{figures.macs / 1e6:.2f}", f"{figures.cycles:,}", ratio(figures.macs, figures.cycles), *map(percent, waits),
        number(max(s.hot_bytes or 0 for s in figures.steps)), number(own), f"{figures.microjoules:,.0f}",
        number(dory.total), ratio(dory.total, figures.cycles), number(dory.silicon), number(dory.must), number(dory.aim),
        golden, str(wrong),
    )  # fmt: skip


def step_rows(name, figures):
    """Layers as DORY counts them stand beside its figures, if there are as many."""
    dory = DORY.get(name, Dory())
    layers = [s for s in figures.steps if s.macs or any(word in s.name for word in ("pool", "add", "mean"))]
    fits = len(layers) == len(dory.layers)
    theirs = {s.name: k for s, k in zip(layers, dory.layers, strict=True)} if fits else {}
    silicon = {s.name: k for s, k in zip(layers, dory.silicon_layers, strict=False)} if fits else {}
    for s in figures.steps:
        others = [f(k) for k in (theirs.get(s.name), silicon.get(s.name)) for f in (number, kilo(s.cycles))]
        waits = [getattr(s.waits, n) / max(s.cycles, 1) for n in WAITS]
        yield (
            s.name, s.schedule, f"{s.macs / 1e3:,.0f}", f"{s.cycles:,}", ratio(s.macs, s.cycles),
            *map(percent, waits), number(s.hot_bytes), f"{s.microjoules:.1f}", *others,
        )  # fmt: skip


def kilo(cycles):
    return lambda k: ratio(k * 1000 if k else None, cycles)


def networks(names, layers, markdown):
    for name in names:
        try:
            figures, own, golden, wrong = measured(*file_of(name), GAPUINO)
        except DoesNotFit as refusal:
            print(f"{name}: {refusal}")
            continue
        show("GAP8, simulated", COLUMNS, [network_row(name, figures, own, golden, wrong)], markdown)
        if layers:
            show(name, STEPS, step_rows(name, figures), markdown)
        sys.stdout.flush()


def kernel_rows():
    """Layers of uint8 in NEMO's rounding: what a fork takes, its call and barriers included."""
    for kernel in KERNELS:
        net = Net((1, *kernel.shape), 3)
        net.conv(
            kernel.channels, kernel.size, kernel.stride, kernel.size // 2, kernel.groups, bits=kernel.bits
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "net.onnx"
            file.write_bytes(net.model())
            figures, _, _, wrong = measured(file, None, GAPUINO)
        (step,) = (s for s in figures.steps if s.macs)
        cycles = step.waits.cycles - step.waits.dma
        yield (
            kernel.name, f"{step.macs:,}", f"{cycles:,.0f}", f"{step.macs / cycles:.2f}", kernel.pulp_nn, number(kernel.must),
            number(kernel.aim), f"{step.cycles:,}", ratio(step.macs, step.cycles), str(wrong),
        )  # fmt: skip


def single_core():
    """GAP8 with one worker."""
    cluster = replace(GAPUINO.chip.cluster, count=1)
    return replace(GAPUINO, chip=replace(GAPUINO.chip, cluster=cluster))


def comparison(names, layers, markdown):
    """The same networks on a Cortex-M7 and on one and on eight cores, and the layers that are steps of all three."""
    rows, single, ratios = [], [], []
    for name in names:
        try:
            found = [measured(*file_of(name), board) for board in (H7, single_core(), GAPUINO)]
        except DoesNotFit as refusal:
            print(f"{name}: {refusal}")
            continue
        assert not any(wrong for *_, wrong in found), name
        rows.append((name, *beside(*(figures.cycles for figures, *_ in found))))
        of = [{s.name: s for s in figures.steps if s.macs} for figures, *_ in found]
        for step in of[0]:
            if all(step in steps and steps[step].macs == of[0][step].macs for steps in of):
                cycles = [steps[step].cycles for steps in of]
                ratios.append(cycles[0] / cycles[1])
                single.append((f"{name}: {step}", *beside(*cycles)))
    columns = ("", H7, "one core", "eight", "H7 / one", "H7 / eight", "one / eight")
    show("Cycles", columns, rows, markdown)
    if layers:
        show("Layers", columns, single, markdown)
    if len(ratios) > 1:
        told = f"{mean(ratios):.2f} +- {stdev(ratios):.2f}"
        print(
            f"{len(ratios)} layers: {told} times fewer cycles on one core than on the Cortex-M7; published: 2.5 +- 0.9"
        )


def beside(h7, one, eight):
    return (f"{h7:,}", f"{one:,}", f"{eight:,}", f"{h7 / one:.2f}", f"{h7 / eight:.1f}", f"{one / eight:.2f}")


def verified(names, count, markdown):
    """Layer by layer: golden files, and random inputs."""
    for name in names:
        file, folder = file_of(name)
        try:
            compilation = compile(file, GAPUINO)
        except DoesNotFit as refusal:
            print(f"{name}: {refusal}")
            continue
        golden = ("-", "-")
        if folder is not None:
            found = golden_on_board(compilation, read_golden(folder))
            told = [sum(layer.reference is None and layer.tensor is not None for layer in found.layers)]
            told.append(sum(layer.seen and layer.board is None for layer in found.layers))
            golden = tuple(f"{equal} of {len(found.layers)}" for equal in told)
        steps = verify_layers(compilation, random_inputs(compilation.model, count))
        wrong = 0 if steps.first is None else steps.first.mismatches
        row = (name, *golden, str(count), f"{steps.steps:,}", f"{steps.values:,}", str(wrong))
        show("Layer by layer", VERIFIED, [row], markdown)
        sys.stdout.flush()


def number(value):
    return "-" if value is None else f"{value:,}"


def ratio(above, below):
    return f"{above / below:.2f}" if above and below else "-"


def percent(share):
    return f"{100 * share:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--models", default=",".join((*MLPERF_TINY, *FOLDERS)), type=lambda names: names.split(","), help="just these"
    )
    parser.add_argument("--layers", action="store_true", help="every step")
    parser.add_argument(
        "--verify", type=int, metavar="N", help="golden layers and N random inputs, layer by layer, instead"
    )
    parser.add_argument("--kernels", action="store_true", help="single layers in L1 instead")
    parser.add_argument("--h7", action="store_true", help="cycles beside those of a Cortex-M7 instead")
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    given = parser.parse_args()
    if given.kernels:
        columns = (
            "kernel",
            "MACs",
            "cycles",
            "MAC/cycle",
            "PULP-NN",
            "must",
            "aim",
            "with moves",
            "MAC/cycle",
            "wrong",
        )
        show(f"Layers in L1 of {GAPUINO.name}", columns, kernel_rows(), given.markdown)
    elif given.h7:
        comparison(given.models, given.layers, given.markdown)
    elif given.verify:
        verified(given.models, given.verify, given.markdown)
    else:
        networks(given.models, given.layers, given.markdown)


if __name__ == "__main__":
    main()
