"""The promises of the project, measured: `python benchmarks/acceptance.py [--inputs 100] [--boards a,b] [--models IC,KWS]`.

For every int8 model of `data.py` and every board it fits: bit-exactness against TensorFlow Lite Micro on random and on real
inputs, instructions, RAM, flash, compile time; then the 500 CIFAR-10 pictures. Exits with 1 if a single value differs.
"""

import argparse
import sys
import time

import numpy as np
from data import INPUTS, MODELS, PICTURES, shared
from rich.console import Console
from rich.table import Table
from tables import add_options

from smelt import board, compile, execute, profile, random_inputs
from smelt.errors import DoesNotFit
from smelt.inputs import from_array, read_input
from smelt.report.verify import verify
from smelt.targets.boards import PRODUCTS


def real_inputs(model, graph):
    """The recorded inputs that fit `model`, as runs."""
    (tensor,) = graph.inputs
    if model == "IC":
        return [tuple(read_input(file, tensor)) for file in PICTURES]
    if model == "person":
        return [tuple(read_input(file, tensor)) for file in sorted((INPUTS / "tflm").glob("*.bmp"))]
    if model == "KWS":
        return [
            (a,)
            for a in from_array(
                np.load(INPUTS / "mlperf_tiny/kws_sample_class5.npy").reshape(tensor.shape), tensor, "kws"
            )
        ]
    if model == "AD":
        frames = np.fromfile(INPUTS / "mlperf_tiny/ad01_normal_id_01_hist.bin", np.float32).reshape(-1, 640)
        return [(a,) for a in from_array(frames, tensor, "ad")]
    if model == "SWW":
        samples = np.load(INPUTS / "mlperf_tiny/str_ww_calibration_samples.npz")
        arrays = [
            samples[name].reshape(-1, *tensor.shape)
            for name in samples.files
            if samples[name].size % tensor.elements == 0
        ]
        return [(from_array(a, tensor, "sww")[0],) for array in arrays for a in array.astype(np.float32)][:50]
    return []


def measure(model, target, count):
    """A row of the table, and the number of values that differ."""
    path = MODELS[model]
    start = time.perf_counter()
    compilation = compile(path, target)
    seconds = time.perf_counter() - start
    inputs = random_inputs(compilation.model, count) + real_inputs(model, compilation.model)
    verdict = verify(compilation, inputs, "tflm", path)
    p = profile(compilation, execute(compilation, inputs[:1]).run)
    row = (
        model, target.name, verdict.inputs, verdict.values, verdict.mismatches, p.instructions, f"{p.macs / p.instructions:.2f}",
        p.live_tensor_bytes, p.scratch_bytes, p.ram_bytes,
        p.code_bytes, p.constant_bytes, f"{seconds:.1f}",
    )  # fmt: skip
    return row, verdict.mismatches


def cifar(target, data):
    """Predictions for the 500 pictures `data`: how many equal TFLM's, and how many are right."""
    from tflite_micro import runtime

    path = MODELS["IC"]
    compilation = compile(path, target)
    inputs = [((image.astype(np.int16) - 128).astype(np.int8)[None],) for image in data["images"]]
    mine = np.array([int(outputs[0].argmax()) for outputs in execute(compilation, inputs, timing=False).outputs])
    interpreter = runtime.Interpreter.from_file(str(path))
    theirs = []
    for (image,) in inputs:
        interpreter.set_input(image, 0)
        interpreter.invoke()
        theirs.append(int(np.argmax(interpreter.get_output(0))))
    return int((mine == np.array(theirs)).sum()), float((mine == data["labels"]).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100)
    add_options(parser, (b.name for b in PRODUCTS), MODELS)
    options = parser.parse_args()
    pictures = np.load(shared("inputs/cifar10_test_500.npz")) if "IC" in options.models else None
    columns = ("model", "board", "inputs", "values", "differ", "instructions", "MAC/instr", "tensors", "scratch", "RAM", "code",
               "constants", "compile s")  # fmt: skip
    table, wrong = Table(*columns, title="simulated boards, against TensorFlow Lite Micro"), 0
    for name in options.boards:
        for model in options.models:
            try:
                row, differ = measure(model, board(name), options.inputs)
            except DoesNotFit as error:
                row, differ = (model, name, str(error).splitlines()[0]), 0
            wrong += differ
            table.add_row(*(f"{cell:,}" if isinstance(cell, int) else cell for cell in row))
            print(*row, flush=True)
    Console(width=180).print(table)
    if pictures is not None:
        same, accuracy = cifar(board("disco_f746ng"), pictures)
        print(f"CIFAR-10, 500 pictures on disco_f746ng: {same} predictions equal TFLM's, accuracy {accuracy:.1%}")
        wrong += 500 - same
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
