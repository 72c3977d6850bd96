"""Where tests find models and inputs: small ones in `tests/data`, the demo's among smelt's assets, larger ones in `shared`.

`shared` lies beside the repository or does not. What needs it is marked `@pytest.mark.extra`, which is all there is to do:
`conftest` leaves those tests out where `shared` is missing. Other tests never read it.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "smelt" / "assets"
DATA = ROOT / "tests" / "data"
MODELS = DATA / "models"
INPUTS = DATA / "inputs"
SHARED = ROOT.parent / "shared"

AD = MODELS / "mlperf_tiny" / "ad01_int8.tflite"
IC = ASSETS / "resnet8.tflite"
KWS = MODELS / "mlperf_tiny" / "kws_ref_model.tflite"
SWW = MODELS / "mlperf_tiny" / "str_ww_ref_model.tflite"
VWW = MODELS / "mlperf_tiny" / "vww_96_int8.tflite"
HELLO = MODELS / "tflm" / "hello_world_int8.tflite"
PERSON = MODELS / "tflm" / "person_detect.tflite"
SPEECH = MODELS / "tflm" / "micro_speech_quantized.tflite"
INT8_MODELS = {
    "IC": IC,
    "VWW": VWW,
    "KWS": KWS,
    "AD": AD,
    "SWW": SWW,
    "person": PERSON,
    "speech": SPEECH,
    "hello": HELLO,
}
KWS_FLOAT = MODELS / "mlperf_tiny" / "kws_ref_model_float32.tflite"
HELLO_FLOAT = MODELS / "tflm" / "hello_world_float.tflite"
# One test picture of each class of CIFAR-10, by class in the order of their names.
PICTURES = tuple(sorted(ASSETS.glob("*.png")))
