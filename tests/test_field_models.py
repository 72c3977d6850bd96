"""Models that people deploy, as they are: over a sequence of inputs every output is TensorFlow Lite Micro's."""

import pytest

from smelt import compile, random_inputs
from smelt.report.verify import verify
from tests.oracle import need_oracle
from tests.paths import SHARED

BOARDS = ("nucleo_l4r5zi", "disco_f746ng", "esp32c3")
REMEMBERING = (
    "microwakeword_okay_nabu_v2",
    "tflm_audio_preprocessor_int8",
    "tflm_keyword_scrambled_8bit",
    "tflm_trained_lstm_int8",
)
ONCE = (
    "mlcommons_resnet_large_int8",
    "mltk_image_example1",
    "mltk_pacman_v3",
    "mltk_visual_wake_words",
    "tinyengine_vww1",
)


def mismatches(model: str, board: str, inputs: int) -> str:
    """What differs, in words; nothing where nothing does."""
    need_oracle()
    path = SHARED / "models" / "field" / f"{model}.tflite"
    compilation = compile(path, board)
    found = verify(compilation, random_inputs(compilation.model, inputs), "tflm", path, sequence=True)
    return found.verdict if found.mismatches else ""


@pytest.mark.extra
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("model", REMEMBERING)
def test_sequences(model, board):
    assert not mismatches(model, board, 50)


@pytest.mark.extra
@pytest.mark.parametrize("model", ONCE)
def test_models_as_they_are(model):
    """On the board that has room for all of them."""
    assert not mismatches(model, "nucleo_h743zi", 2)
