"""TensorFlow Lite Micro as a program: `python -m smelt.report.tflm MODEL INPUTS.npz OUTPUTS.npz carried|anew`.

The archives hold arrays x0, x1, ... and y0, y1, ...: every input and output of the model, stacked over the inferences.
What the model remembers is carried from each inference to the next, or each is the first one of an interpreter of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tflite_micro import runtime


def main(model: Path, given: Path, made: Path, anew: bool) -> None:
    try:
        from tflite_micro import runtime
    except ImportError:
        sys.exit("TensorFlow Lite Micro is not installed (Linux only): pip install 'smelt[oracle]'")
    with np.load(given) as archive:
        inputs = [archive[f"x{i}"] for i in range(len(archive.files))]
    try:
        stacks = _computed(runtime, model, inputs, anew)
    except RuntimeError as error:  # it has said why on stderr
        sys.exit(str(error))
    np.savez(made, **stacks)


def _computed(runtime: Any, model: Path, inputs: list[np.ndarray], anew: bool) -> dict[str, Any]:
    """Raises RuntimeError where it does not like the model."""
    interpreter = runtime.Interpreter.from_file(str(model), arena_size=64 << 20)
    outputs: list[list[np.ndarray]] = []
    for arrays in zip(*inputs, strict=True):
        if anew:
            interpreter = runtime.Interpreter.from_file(str(model), arena_size=64 << 20)
        for index, array in enumerate(arrays):
            interpreter.set_input(array, index)
        interpreter.invoke()
        outputs.append(all_outputs(interpreter))
    return {f"y{i}": np.stack(column) for i, column in enumerate(zip(*outputs, strict=True))}


def all_outputs(interpreter: runtime.Interpreter) -> list[np.ndarray]:
    """Copies of every output; the interpreter says by an error where they end."""
    found: list[np.ndarray] = []
    while True:
        try:
            found.append(np.array(interpreter.get_output(len(found))))
        except (IndexError, ValueError, RuntimeError):
            return found


if __name__ == "__main__":
    files = [Path(name) for name in sys.argv[1:4]]
    main(files[0], files[1], files[2], anew=sys.argv[4:] == ["anew"])
