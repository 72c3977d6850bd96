"""Files that smelt leaves behind: written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from smelt.files import write
from smelt.report.execute import Execution


def save_outputs(execution: Execution, file: Path) -> None:
    """The outputs of all inferences as .npy, stacked along a first axis; of the first output where there are several."""
    buffer = io.BytesIO()
    np.save(buffer, np.stack([arrays[0] for arrays in execution.outputs]))
    write(file, buffer.getvalue())
