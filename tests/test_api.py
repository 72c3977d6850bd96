"""The API as programs meet it: boards and files by name, nouns that print in a screenful."""

from pathlib import Path

import numpy as np
import pytest

import smelt
from tests.tflite_writer import ModelWriter

BOARD = "nucleo_l4r5zi"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A dense layer and a softmax, as a file."""
    writer = ModelWriter()
    x = writer.tensor("x", (1, 12), "int8", 0.1, 0)
    w = writer.tensor("w", (5, 12), "int8", 0.01, 0, data=np.arange(60).reshape(5, 12).astype(np.int8))
    y = writer.tensor("y", (1, 5), "int8", 0.1, 0)
    z = writer.tensor("z", (1, 5), "int8", 1 / 256, -128)
    writer.op("FULLY_CONNECTED", [x, w, -1], [y])
    writer.op("SOFTMAX", [y], [z], Beta=1.0)
    path = tmp_path_factory.mktemp("api") / "model.tflite"
    path.write_bytes(writer.finish([x], [z]))
    return path


def test_boards_and_files_are_taken_by_name(model):
    compilation = smelt.compile(str(model), BOARD, compiler="none")
    assert compilation.sources.digest == smelt.compile(Path(model), smelt.board(BOARD), compiler="none").sources.digest
    assert smelt.load(str(model)).name == smelt.describe(str(model)).name == "model"
    with smelt.Session(BOARD) as session:
        assert session.board is smelt.board(BOARD)
    with pytest.raises(smelt.SmeltError, match="did you mean nucleo_l4r5zi"):
        smelt.compile(model, "nucleo_l4r5")
