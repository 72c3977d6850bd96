"""The programs that people run for figures do run: each in its smallest form, so that none of them rots."""

import importlib.util
import subprocess
import sys

import pytest

from smelt.targets.boards import BOARDS
from tests.oracle import need_oracle
from tests.paths import HELLO, HELLO_FLOAT, ROOT

FOLDER = ROOT / "benchmarks"
SMALLEST = {
    "acceptance": ("--models", "hello", "--boards", "disco_f746ng", "--inputs", "1"),
    "dtcm_cache": ("--layers", "KWS", "--only", "Depthwise", "--ways", "1"),
    "elementwise": ("--only", "add", "--boards", "nucleo_l4r5zi"),
    "first_guess": ("--models", "AD", "--boards", "nucleo_l4r5zi"),
    "field": (str(HELLO), "--boards", "nucleo_l4r5zi", "--runs", "2"),
    "float": (str(HELLO_FLOAT), "--boards", "nucleo_l4r5zi", "--runs", "1"),
    "gap8_ladder": ("--networks", "MobileNetV1-128", "--layers", "DW12"),
    "gap8": ("--models", "hello", "--layers"),
    "goals": ("--models", "hello", "--boards", "nucleo_l4r5zi", "--budgets", "2"),
    "kws_numbers": ("--boards", "nucleo_l4r5zi", "--numbers", "int4", "--runs", "1"),
    "layers": ("--models", "KWS", "--boards", "nucleo_l4r5zi"),
    "mlperf_accuracy": ("--models", "AD", "--boards", "esp32c3", "--inputs", "1"),
    "mlperf_tiny": ("--models", "KWS", "--boards", "nucleo_l4r5zi", "--markdown"),
    "mlperf_tiny_small": ("--models", "AD", "--boards", "pico"),
    "planning": ("--models", "hello", "--boards", "nucleo_l4r5zi", "--goals", "balanced"),
    "prices": ("--models", "KWS", "--boards", "disco_f746ng", "--seconds", "0.1"),
    "qdq_cycles": ("--models", "AD", "--boards", "nucleo_l4r5zi"),
    "simulator_speed": ("1", "--boards", "nucleo_l4r5zi"),
    "pytorch_differences": ("cnn1d_ort_qdq", "--inputs", "2", "--board", "pico"),
    "startup": ("--models", "hello", "--times", "1"),
}
ELSEWHERE = {
    "emx": "emx-onnx-cgen, which lies in an environment of its own, and models beside the repository",
    "quantize": "models and pictures that lie beside the repository, minutes for each; tests/test_quantization.py has the parts",
    "dtcm_reasons": "the same programs as dtcm_cache, minutes for each layer",
    "pytorch_exports": "PyTorch, which is gigabytes; tests/test_pytorch_files.py reads what it made",
    "timing_table": "tests/test_timing.py measures the same rules",
    "tuning": "minutes for the smallest model",
    "weight_bits": "a model and pictures that lie beside the repository; qdq_cycles measures firmware of such files",
}
"""What is not run here, but loads."""

NAMES = {board.name for board in BOARDS}

PARTS = {"data", "gap8_figures", "emx_models", "dtcm_layers", "dtcm_programs", "pytorch_networks", "tables"}
"""What the programs import."""


def test_every_program_is_run_or_has_a_reason_why_not():
    assert {file.stem for file in FOLDER.glob("*.py")} == {*SMALLEST, *ELSEWHERE, *PARTS}


@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark_in_its_smallest_form(name):
    if name in ("acceptance", "field", "float", "kws_numbers"):
        need_oracle()
    command = [sys.executable, str(FOLDER / f"{name}.py"), *SMALLEST[name]]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    boards = [word for word in SMALLEST[name] if word in NAMES]
    assert all(board in done.stdout for board in boards) and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_others_load(name, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look for their module there
    spec.loader.exec_module(module)
    assert callable(module.main)
