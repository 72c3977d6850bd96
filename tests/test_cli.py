"""The command line as users meet it: answers, JSON contracts, bad input, nothing half-written."""

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from smelt.cli import main
from smelt.commands.options import models_argument
from tests import paths
from tests.paths import HELLO, INPUTS, PICTURES
from tests.tflite_writer import ModelWriter

KWS = str(paths.KWS)
IC = str(paths.IC)
REFUSED = str(paths.DATA / "cases" / "mini_logistic.tflite")
(FROG,) = (p for p in PICTURES if p.stem == "frog")
BOARD = ("--board", "disco_f746ng")


def smelt(*arguments):
    """(exit code, standard output, standard error), asserting that no traceback was shown."""
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result.exit_code, result.stdout, result.stderr


def answer(*arguments):
    code, out, err = smelt(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_help_imports_nothing_heavy():
    """What keeps `smelt --help` below 0.3 s (measured by benchmarks/startup.py)."""
    done = subprocess.run([sys.executable, "-m", "smelt", "--help"], capture_output=True, text=True, check=True)
    assert "profile" in done.stdout and "Exit codes" in done.stdout
    probe = "import sys, smelt.cli; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "ortools", "unicorn", "rich", "tflite"} & set(loaded)


def test_demo():
    found = answer("demo")
    assert found["picture"] == "frog.png"
    assert found["prediction"].startswith("prediction: frog (")
    assert found["profile"]["board"] == "disco_f746ng"


def test_compile_writes_library_and_firmware(tmp_path):
    out, keep = tmp_path / "out", tmp_path / "keep"
    code, text, err = smelt("compile", KWS, *BOARD, "--out", out, "--keep", keep, "--name", "words")
    assert code == 0, err
    headers = {p.name for p in out.glob("smelt_*.h")}
    assert {p.name for p in out.iterdir()} - headers == {
        "words_net.h", "words_net.c", "words_weights.h", "words_weights.c", "words_routines.S", "firmware.elf",
    }  # fmt: skip
    assert {"smelt_kernels.h", "smelt_dsp.h"} < headers
    assert (out / "firmware.elf").read_bytes()[:4] == b"\x7fELF"
    assert "plan of" in (keep / "3-plan.txt").read_text()
    assert (keep / "5-sources" / "words_net.c").read_text() == (out / "words_net.c").read_text()
    assert "kws_ref_model" in text


def test_run_reads_pictures_and_arrays(tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join("airplane automobile bird cat deer dog frog horse ship truck".split()))
    code, out, _ = smelt("run", IC, *BOARD, "--input", FROG, "--labels", labels)
    assert code == 0 and "prediction: frog" in out
    sample = INPUTS / "mlperf_tiny" / "kws_sample_class5.npy"
    array = np.load(sample)
    np.save(tmp_path / "several.npy", np.stack([array.reshape(49, 10, 1)] * 3))
    found = answer("run", KWS, *BOARD, "--input", tmp_path / "several.npy", "--output", tmp_path / "y.npy")
    assert found["inferences"] == 3 and "prediction: class 5" in found["text"]
    assert np.load(tmp_path / "y.npy").shape == (3, 1, 12)
    (tmp_path / "raw.bin").write_bytes(array.astype(np.int8).tobytes())
    assert answer("run", KWS, *BOARD, "--input", tmp_path / "raw.bin")["inferences"] == 1


@pytest.mark.parametrize("oracle", ["reference", "tflm"])
def test_verify_contract(oracle):
    found = answer("verify", KWS, *BOARD, "--inputs", 2, "--oracle", oracle)
    assert found["oracle"] == oracle and found["inputs"] == 2 and found["values"] == 24 and found["mismatches"] == 0


def test_an_oracle_that_gives_up_is_quoted(tmp_path):
    writer = ModelWriter()
    x, y = (writer.tensor(name, shape, "int16", 0.1, 0) for name, shape in (("x", (2, 3)), ("y", (2,))))
    writer.op("REDUCE_MAX", [x, writer.tensor("axes", (1,), "int32", data=np.array([1], np.int32))], [y])
    model = tmp_path / "largest.tflite"
    model.write_bytes(writer.finish([x], [y]))
    code, _, said = smelt("verify", model, *BOARD, "--oracle", "tflm")
    assert code == 2 and "REDUCE_MAX" in said and "Traceback" not in said and "--oracle reference" in said


def test_profile_contract():
    found = answer("profile", KWS, *BOARD)
    assert {"board", "instructions", "cycles", "macs", "ram_bytes", "flash_bytes", "steps"} <= set(found)
    assert found["macs"] == 2_656_768
    for step in found["steps"]:
        assert {"name", "op", "implementation", "schedule", "macs", "instructions"} <= set(step)
    assert sum(s["macs"] for s in found["steps"]) == found["macs"]
    assert sum(s["instructions"] for s in found["steps"]) <= found["instructions"]
    code, out, _ = smelt("profile", KWS, *BOARD)
    assert code == 0 and "simulated" in out


def test_inspect_needs_no_toolchain_and_gives_reasons():
    assert answer("inspect", KWS)["macs"] == 2_656_768
    code, out, _ = smelt("inspect", REFUSED)
    assert code == 4 and "LOGISTIC" in out


def test_lists():
    assert {b["name"] for b in answer("boards")["boards"]} >= {
        "nucleo_l4r5zi", "disco_f746ng", "nucleo_h743zi", "nucleo_u575zi_q", "esp32c3", "pico",
        "nucleo_g0b1re", "nucleo_l152re",
    }  # fmt: skip
    assert "CONV_2D" in {o["operator"]["name"] for o in answer("ops")["operators"]}
    assert {f["part"] for f in answer("doctor")["findings"]} >= {"python", "ziglang", "unicorn"}


def dense(depth, units):
    """The bytes of a model with one FULLY_CONNECTED."""
    writer = ModelWriter()
    x = writer.tensor("x", (1, depth), "int8", 0.1, 0)
    w = writer.tensor("w", (units, depth), "int8", 0.01, 0, data=np.ones((units, depth), np.int8))
    y = writer.tensor("y", (1, units), "int8", 1.0, 0)
    writer.op("FULLY_CONNECTED", [x, w, -1], [y])
    return writer.finish([x], [y])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("compile", "missing.tflite", *BOARD), 3, "missing.tflite"),
        (("compile", REFUSED, *BOARD), 4, "LOGISTIC"),
        (("compile", KWS, "--board", "disco"), 2, "disco_f746ng"),
        (("compile", KWS, *BOARD, "--name", "two words"), 2, "name"),
        (("compile", KWS, *BOARD, "--labels", "missing.txt"), 2, "missing.txt"),
        (("run", KWS, *BOARD, "--input", "missing.npy"), 2, "missing.npy"),
        (("run", KWS, *BOARD, "--input", FROG), 2, "32x32"),
        (("run", IC, *BOARD, "--input", INPUTS / "tflm" / "person.bmp"), 2, "resize"),
        (("verify", KWS, *BOARD, "--inputs", 0), 2, "nothing to verify"),
        (("demo", "--picture", "unicorn"), 2, "frog"),
        (("profile", KWS), 2, "--board"),
    ],
)
def test_bad_input_gets_one_clear_message(arguments, code, words):
    actual, _, err = smelt(*arguments)
    assert actual == code and words in err, err


def test_wrong_arrays_are_refused(tmp_path):
    for array, words in ((np.zeros((1, 49, 10, 2), np.int8), "shape"), (np.zeros((1, 49, 10, 1), np.uint8), "uint8")):
        np.save(tmp_path / "x.npy", array)
        code, _, err = smelt("run", KWS, *BOARD, "--input", tmp_path / "x.npy")
        assert code == 2 and words in err
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY garbage")
    assert smelt("run", KWS, *BOARD, "--input", tmp_path / "x.npy")[0] == 2


def test_models_that_do_not_fit(tmp_path):
    (tmp_path / "ram.tflite").write_bytes(dense(400_000, 1))
    code, _, err = smelt("compile", tmp_path / "ram.tflite", *BOARD)
    assert code == 5 and "bytes" in err
    (tmp_path / "flash.tflite").write_bytes(dense(2000, 600))
    code, _, err = smelt("compile", tmp_path / "flash.tflite", *BOARD)
    assert code == 5 and "flash" in err


def test_unwritable_folder_leaves_nothing(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    code, _, err = smelt("compile", KWS, *BOARD, "--out", blocked / "out")
    assert code == 2 and str(blocked) in err
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("smelt.files._stage", full)
    code, _, err = smelt("compile", KWS, *BOARD, "--out", tmp_path / "a" / "b")
    assert code == 6 and "No space left" in err
    assert not list(tmp_path.iterdir())


def test_missing_compiler_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    code, _, err = smelt("compile", KWS, *BOARD, "--compiler", "gcc")
    assert code == 6 and "arm-none-eabi-gcc" in err


def test_options_that_several_models_do_not_take_are_found_when_commands_are_made():
    def command(model, share): ...

    def several(models): ...

    def refusing(*arguments, **options): ...

    models_argument(refusing)(command)
    with pytest.raises(TypeError, match="share"):
        models_argument(several)(command)


def test_empty_words_are_no_folder_and_no_option(tmp_path, monkeypatch):
    """As a variable of the shell leaves them that is not set."""
    monkeypatch.chdir(tmp_path)
    code, out, err = smelt("compile", HELLO, "--board", "nucleo_l4r5zi", "--compiler", "none", "--json", "--out", "")
    assert code == 2 and "an empty word stands after '--out'" in err and not any(tmp_path.iterdir())
    assert json.loads(out)["error"] == "OptionError"
