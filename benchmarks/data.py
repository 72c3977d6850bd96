"""The models and recorded inputs that the benchmarks read: those of the tests, and for a few things larger ones in `shared`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
INPUTS = DATA / "inputs"
MLPERF_TINY = {
    "IC": ROOT / "smelt" / "assets" / "resnet8.tflite",
    "VWW": DATA / "models" / "mlperf_tiny" / "vww_96_int8.tflite",
    "KWS": DATA / "models" / "mlperf_tiny" / "kws_ref_model.tflite",
    "AD": DATA / "models" / "mlperf_tiny" / "ad01_int8.tflite",
}
MODELS = MLPERF_TINY | {
    "SWW": DATA / "models" / "mlperf_tiny" / "str_ww_ref_model.tflite",
    "person": DATA / "models" / "tflm" / "person_detect.tflite",
    "speech": DATA / "models" / "tflm" / "micro_speech_quantized.tflite",
    "hello": DATA / "models" / "tflm" / "hello_world_int8.tflite",
}
PICTURES = sorted((ROOT / "smelt" / "assets").glob("*.png"))


def shared(path: str) -> Path:
    """A file of `shared`, which lies beside the repository; the benchmark ends with a word where it does not."""
    file = ROOT.parent / "shared" / path
    if not file.exists():
        sys.exit(f"{file} is missing: this benchmark needs the larger models and inputs beside the repository")
    return file
