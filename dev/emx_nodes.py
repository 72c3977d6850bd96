"""The other end of `python dev/onnx_nodes.py --emx PYTHON`, run by a Python that has emx-onnx-cgen: models and inputs come by the
standard input, what its C computes on this computer (built with -O2) goes back, or a text where there is none."""

import pickle
import sys
import tempfile
from functools import partial

import onnx
from emx_onnx_cgen.codegen import c_emitter
from emx_onnx_cgen.onnx_backend.backend import run_model
from jinja2 import FileSystemBytecodeCache

FAILURES = (ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""What a model that it does not take ends in: its own errors are RuntimeErrors."""


def answers() -> None:
    """Until the input ends."""
    pipe, sys.stdout = sys.stdout.buffer, sys.stderr
    with tempfile.TemporaryDirectory() as folder:  # it compiles all its templates for each model: seconds
        c_emitter.Environment = partial(c_emitter.Environment, bytecode_cache=FileSystemBytecodeCache(folder))
        _answer(pipe)


def _answer(pipe):
    while True:
        try:
            model, inputs = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            found = list(run_model(onnx.ModelProto.FromString(model), inputs))
        except FAILURES as error:
            found = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        pickle.dump(found, pipe)
        pipe.flush()


if __name__ == "__main__":
    answers()
