"""smelt: a trained model in, bare-metal firmware out.

    >>> import smelt
    >>> compilation = smelt.compile("model.tflite", "disco_f746ng")
    >>> execution = smelt.execute(compilation, smelt.random_inputs(compilation.model, 1))
    >>> print(smelt.profile(compilation, execution.run).instructions)

Names are imported on first use, so that `import smelt` is cheap.
"""

from importlib import import_module
from typing import Any

from smelt.compile import Compilation, compile  # at once, or the module of the same name would take the name

_API = {
    "Board": "smelt.targets.types",
    "Session": "smelt.devices.session",
    "SmeltError": "smelt.errors",
    "board": "smelt.targets.boards",
    "compile_suite": "smelt.several",
    "describe": "smelt.importers",
    "execute": "smelt.report.execute",
    "export": "smelt.report.export",
    "inspect": "smelt.compile",
    "load": "smelt.importers",
    "profile": "smelt.report.profile",
    "random_inputs": "smelt.inputs",
    "read_board": "smelt.board_files",
    "read_inputs": "smelt.inputs",
    "tune": "smelt.tuning.tune",
    "verify": "smelt.report.verify",
    "verify_layers": "smelt.report.layers",
}

__all__ = ["Compilation", "compile", *_API]


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module 'smelt' has no attribute '{name}'")
    return getattr(import_module(_API[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_API]
