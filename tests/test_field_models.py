"""Models that people deploy, as they are: over a sequence of inputs every output is TensorFlow Lite Micro's."""

import pytest

from smelt import compile, random_inputs
from smelt.report.verify import verify
from tests.oracle import need_oracle
from tests.paths import SHARED

BOARDS = ("nucleo_l4r5zi", "disco_f746ng", "esp32c3")
MODELS = ("microwakeword_okay_nabu_v2", "tflm_trained_lstm_int8", "tflm_audio_preprocessor_int8")


@pytest.mark.extra
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("model", MODELS)
def test_sequences_of_models_that_people_deploy(model, board):
    need_oracle()
    path = SHARED / "models" / "field" / f"{model}.tflite"
    compilation = compile(path, board)
    found = verify(compilation, random_inputs(compilation.model, 50), "tflm", path, sequence=True)
    assert not found.mismatches, found.verdict
