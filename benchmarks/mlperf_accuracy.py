"""The MLPerf Tiny models asked through the benchmark's protocol, on simulated boards: `python benchmarks/mlperf_accuracy.py`.

What comes back is compared with the reference, and with what the inputs are known to be: of CIFAR-10 500 pictures of the test set
beside the repository (ten of the package without them), two pictures of TensorFlow Lite Micro, one keyword, the windows of one
recording without an anomaly. That is not the data set of the benchmark, nothing was measured on a board: no MLPerf results.
Milliseconds are between the protocol's timestamps of two inferences after one.
"""

import argparse
import sys

import numpy as np
from data import INPUTS, MLPERF_TINY, PICTURES, ROOT
from PIL import Image
from tables import add_options, show

from smelt import compile
from smelt.devices.simulators.simulator import Simulator
from smelt.firmware.mlperf import Mlperf, benchmark_of
from smelt.model.reference import run

sys.path.insert(0, str(ROOT))
from tests.mlperf_runner import Played, accuracy, inferred, loaded

BOARDS = ("nucleo_l4r5zi", "disco_f746ng", "nucleo_h743zi", "nucleo_u575zi_q", "esp32c3")
MORE_PICTURES = ROOT.parent / "shared" / "inputs" / "cifar10_test_500.npz"
COLUMNS = ("model", "board", "inputs", "as the reference", "accuracy", "ms")
KEYWORD = 5


def pictures():
    """Pictures of CIFAR-10 and their classes."""
    if MORE_PICTURES.exists():
        with np.load(MORE_PICTURES) as found:
            return list(found["images"]), [int(n) for n in found["labels"]]
    return [np.array(Image.open(p).convert("RGB").resize((32, 32))) for p in PICTURES], list(range(len(PICTURES)))


def inputs(model):
    """Arrays as the runner sends them, and the classes that they are, None where there are no classes."""
    if model == "IC":
        return pictures()
    if model == "VWW":
        files = [INPUTS / "tflm" / f"{name}.bmp" for name in ("no_person", "person")]
        return [np.array(Image.open(f).convert("RGB")) for f in files], [0, 1]
    if model == "KWS":
        return [np.load(INPUTS / "mlperf_tiny" / "kws_sample_class5.npy")], [KEYWORD]
    frames = np.fromfile(INPUTS / "mlperf_tiny" / "ad01_normal_id_01_hist.bin", "<f4").reshape(-1, 640)
    return list(frames), None


def reference(graph, wire, sent):
    """What the protocol should say of an input."""
    (x,), (y,) = graph.inputs, graph.outputs
    stored = sent.astype(np.int16) - 128 if wire == "uint8" else sent
    if wire == "float32":
        whole = np.round(sent / np.float32(x.quantization.scale)) + x.quantization.zero_point
        stored = np.clip(whole, -128, 127)
    (found,) = run(graph, (stored.astype(np.int8).reshape(x.shape),))
    q = y.quantization
    reals = (found.reshape(-1).astype(np.float32) - q.zero_point) * np.float32(q.scale)
    return np.array([np.mean((reals - sent) ** 2)]) if wire == "float32" else reals


def asked(compilation, script, timing):
    line = Played(script)
    Simulator(compilation.plan.board, timing).talk(compilation.image, line)
    return line.result


def one_window(data):
    yield from loaded(data)
    return (yield from inferred(2, 1))


def cells(model, board, count):
    """The cells of a model on a board."""
    made = compile(MLPERF_TINY[model], board, mlperf=Mlperf("smelt"))
    wire = benchmark_of(made.model).wire
    arrays, classes = inputs(model)
    arrays = arrays[:count]
    results = [np.array(r) for r in asked(made, accuracy([a.tobytes() for a in arrays]), False)]
    # half of the last digit that is written, and, for errors, what their sum in floats may be off
    same = sum(
        bool(np.abs(r - reference(made.model, wire, a)).max() < 0.001) for r, a in zip(results, arrays, strict=True)
    )
    right = classes and sum(int(r.argmax()) == c for r, c in zip(results, classes, strict=False))
    told = (
        f"{right} of {len(results)} right"
        if classes
        else f"mean squared error {min(results)[0]:.2f} to {max(results)[0]:.2f}"
    )
    _, elapsed = asked(made, one_window(arrays[0].tobytes()), True)
    return model, board, f"{len(results)}", f"{same}", told, f"{elapsed / 2000:.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, help="No more than so many of each model.")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/mlperf.md")
    add_options(parser, BOARDS, MLPERF_TINY)
    options = parser.parse_args()
    rows = [cells(model, board, options.inputs) for board in options.boards for model in options.models]
    show("Asked through MLPerf Tiny's protocol: simulated, no MLPerf results", COLUMNS, rows, options.markdown)


if __name__ == "__main__":
    main()
