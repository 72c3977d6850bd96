"""Features of sounds before a network: near those that frameworks define, and the same bits on host and device."""

import subprocess
import sys
import wave
from math import cos, log, pi

import numpy as np
import pytest

from smelt.compile import compile
from smelt.errors import OptionError
from smelt.importers import metadata
from smelt.inputs import read_input
from smelt.inputs.features import features_of, prepared_sound
from smelt.inputs.preparation import Preparation, from_metadata
from smelt.inputs.sounds import sound_spec
from smelt.kernels.features import FEATURES
from smelt.kernels.implementation import plain
from smelt.model.graph import Graph, Quantization, Tensor
from smelt.model.mel import filter_bank
from smelt.model.ops_features import LogMel
from smelt.model.reference import evaluate, run, run_sequence
from smelt.model.reference_features import natural_logarithm
from smelt.model.slabs import Rows, slab
from smelt.planner.software_floats import software_notes
from smelt.report.verify import verify
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from tests.kernels_host import run_calls
from tests.test_cli import answer, smelt
from tests.tflite_writer import ModelWriter

BOARD = "nucleo_l4r5zi"
RNG = np.random.default_rng(11)
KWS = "mfcc:rate=16000:window=30:stride=20:n_fft=512:n_mels=40:low=20:high=4000:n_mfcc=10"
AD = "log-mel:window=64:stride=32:n_mels=128:low=0:mel=slaney:power=2:log=db:floor=2.220446049250313e-16"
SMALL = "mfcc:rate=1000:window=20:stride=8:n_fft=32:n_mels=6:low=10"


def sound(count):
    """A tone that rises, noise, and silence."""
    t = np.arange(count) / 16000
    made = 9000 * np.sin(2 * pi * 300 * t * (1 + 2 * t)) + RNG.normal(0, 200, count)
    made[count * 4 // 5 :] = 0
    return made.astype(np.int16)


def network(shape, dtype="float32", scale=0.5, zero=5) -> Graph:
    x = Tensor("x", shape, dtype, None if dtype == "float32" else Quantization((scale,), (zero,)))
    return Graph("g", (x,), (x,), ())


def features(shape, text, samples):
    graph = prepared_sound(network(shape), sound_spec(text))
    (found,) = run(graph, [samples.reshape(graph.inputs[0].shape)])
    return found


def spectra(samples, window, stride, length, count):
    """Magnitudes in float64, with the periodic window of Hann."""
    frames = np.stack([samples[i * stride : i * stride + window] for i in range(count)]) / 32768
    return np.abs(np.fft.rfft(frames * (0.5 - 0.5 * np.cos(2 * pi * np.arange(window) / window)), length))


def test_mfcc_is_that_of_tensorflow():
    """tf.signal's stft, linear_to_mel_weight_matrix and mfccs_from_log_mel_spectrograms, written down anew in float64."""
    samples = sound(16000)

    def mel(hertz):
        return 1127 * np.log(1 + np.asarray(hertz) / 700)

    bins, edges = mel(np.linspace(0, 8000, 257))[1:], np.linspace(mel(20), mel(4000), 42)
    weights = np.zeros((257, 40))
    for m in range(40):
        up, down = (bins - edges[m]) / (edges[m + 1] - edges[m]), (edges[m + 2] - bins) / (edges[m + 2] - edges[m + 1])
        weights[1:, m] = np.maximum(0, np.minimum(up, down))
    logs = np.log(spectra(samples, 480, 320, 512, 49) @ weights + 1e-6)
    dct = [[2 * cos(pi * (2 * n + 1) * k / 80) / 80**0.5 for n in range(40)] for k in range(10)]
    found = features((1, 49, 10, 1), KWS, samples)
    assert np.abs(found[0, :, :, 0] - logs @ np.array(dct).T).max() < 1e-4
    assert np.array_equal(features((1, 490), KWS, samples).reshape(-1), found.reshape(-1))


def test_log_mel_is_that_of_librosa():
    """Its mel filters with Slaney's scale and areas, decibels of power, without centring, written down anew in float64."""
    samples = sound(6 * 512)
    scale = [
        m * 200 / 3 if m < 15 else 1000 * np.exp(log(6.4) / 27 * (m - 15))
        for m in np.linspace(0, 15 + 27 * log(8) / log(6.4), 130)
    ]
    weights = np.zeros((513, 128))
    for m in range(128):
        low, middle, high = scale[m : m + 3]
        for b in range(513):
            hertz = b * 16000 / 1024
            weights[b, m] = (
                max(0, min((hertz - low) / (middle - low), (high - hertz) / (high - middle))) * 2 / (high - low)
            )
    expected = 10 * np.log10(spectra(samples, 1024, 512, 1024, 5) ** 2 @ weights + 2.220446049250313e-16)
    found = features((1, 640), AD, samples).reshape(5, 128)
    loud = expected > -100
    assert loud.sum() > 500 and np.abs(found - expected)[loud].max() < 1e-3


def test_features_are_scaled_like_pictures():
    samples = sound(4000)
    for text in (SMALL, SMALL.replace("mfcc", "log-mel")):
        shape = (1, 9, 4 if text == SMALL else 6, 1)
        count = (9 + 2) * 8
        plainly = features(shape, text, samples[:count])
        scaled = features(shape, f"{text}:mean=-3.5:std=1.75", samples[:count])
        assert np.allclose(scaled, (plainly + 3.5) / 1.75, atol=1e-5)


def test_a_peak_is_what_quiet_sounds_are_divided_by():
    """As MLPerf Tiny divides recordings by their largest sample, not by the largest magnitude."""
    loud = sound(16000)
    quiet = (loud // 64).astype(np.int16)
    reals = quiet / np.float64(quiet.max())
    for power in (1, 2):
        text = f"log-mel:n_mels=20:high=4000:floor=1e-3:power={power}"
        bank = filter_bank(20, 512, 16000, 20, 4000, "htk")
        spans = zip(bank.starts, bank.weight_starts, bank.widths, strict=True)
        spectrum = spectra(reals * 32768, 480, 320, 512, 49) ** power
        bands = [spectrum[:, a : a + n] @ bank.weights[w : w + n] for a, w, n in spans]
        found = features((1, 49, 20), f"{text}:gain=peak", quiet).reshape(49, 20)
        assert np.abs(found - np.log(np.stack(bands, axis=1) + 1e-3)).max() < 1e-4
    silent = np.zeros(16000, np.int16)
    assert np.array_equal(features((1, 49, 20), f"{text}:gain=peak", silent), features((1, 49, 20), text, silent))


def test_the_logarithm_is_near_and_what_c_computes():
    x = np.concatenate([np.exp(RNG.uniform(-60, 60, 5000)), 1 + RNG.uniform(-0.01, 0.01, 500)]).astype(np.float32)
    error = np.abs(natural_logarithm(x) - np.log(x.astype(np.float64))) / np.spacing(np.abs(np.log(x)))
    assert error.max() < 2


def test_kernels_are_the_reference():
    calls, inputs, expected = [], [], []
    for text, dtype in (
        (SMALL, "int8"),
        (SMALL.replace("n_fft=32", "n_fft=20"), "int16"),
        (SMALL.replace("mfcc", "log-mel") + ":power=2:log=db:mean=-40:std=20", "float32"),
        ("log-mel:rate=1000:window=6:stride=8:n_mels=4:mel=slaney:floor=1:std=-1", "float32"),
        (SMALL.replace("mfcc", "log-mel") + ":power=2:gain=peak", "float32"),
        (f"{SMALL}:gain=peak", "float32"),
    ):
        values = 4 if "mfcc" in text or "n_mels=4" in text else 6
        graph = prepared_sound(network((1, 7, values, 1), dtype), sound_spec(text))
        x = RNG.integers(-32768, 32768, graph.inputs[0].shape).astype(np.int16)
        x[:, 3:5] //= 4000
        x[:, 5:] = 0
        known = {graph.inputs[0]: x}
        for op in graph.ops:
            way = next((way for way in FEATURES if isinstance(op, way.op)), None)
            arrays = [known[t] if t.data is None else t.data for t in op.inputs]
            known[op.y] = evaluate(op, *arrays)
            if way is not None:
                assert all(accepts(op, CORTEX_M4) for accepts in way.accepts)
                (schedule,) = plain(op, CORTEX_M4)
                calls.append(way.build(op, schedule))
                inputs.append({t: known[t] for t in op.activations})
                expected.append(known[op.y])
    for made, wanted in zip(run_calls(calls, inputs, sanitize=True), expected, strict=True):
        assert made.tobytes() == wanted.tobytes()


def test_frames_can_be_cut_out():
    graph = prepared_sound(network((1, 7, 4, 1)), sound_spec(SMALL))
    op = graph.ops[0]
    x = RNG.integers(-3000, 3000, op.x.shape).astype(np.int16)
    part = slab(op, Rows(2, 5), 1)
    assert isinstance(part, LogMel) and part.x.shape == (1, 5, 1, 8)
    constants = [t.data for t in op.inputs[1:]]
    assert np.array_equal(evaluate(part, x[:, 2:7], *constants), evaluate(op, x, *constants)[:, 2:5])


def test_the_rows_are_those_that_frames_need():
    for window, stride, frames, rows in (
        (30, 20, 49, 50),
        (25, 10, 98, 100),
        (64, 32, 5, 6),
        (20, 20, 7, 7),
        (10, 20, 7, 7),
    ):
        spec = sound_spec(f"log-mel:window={window}:stride={stride}:n_mels=8")
        assert features_of(Tensor("x", (1, frames, 8), "float32"), spec).rows == rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network that gives the features that it is given, and a recording."""
    path, w = tmp_path_factory.mktemp("sounds"), ModelWriter()
    x, y = (w.tensor(name, (1, 7, 4, 1), "int8", 0.15, 30) for name in ("x", "y"))
    w.op("MAXIMUM", [x, w.tensor("least", (1,), "int8", 0.15, 30, data=np.full((1,), -128, np.int8))], [y])
    (path / "mirror.tflite").write_bytes(w.finish([x], [y]))
    record(path / "x.wav", sound(60), 1000)
    record(path / "other.wav", sound(60), 8000)
    return path


def record(path, samples, rate):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def test_the_network_on_the_board_hears_what_the_reference_hears(folder):
    found = answer(
        "run", folder / "mirror.tflite", "--board", BOARD, "--input", folder / "x.wav", "--input-sound", SMALL
    )
    graph = prepared_sound(compile(folder / "mirror.tflite", BOARD, compiler="none").model, sound_spec(SMALL))
    (samples,) = read_input(folder / "x.wav", graph.inputs[0], Preparation(rate=1000))
    (expected,) = run(graph, [samples])
    assert found["outputs"] == [{"y": expected.tolist()}] and len(np.unique(expected)) > 10
    assert samples.reshape(-1)[60:].any() == 0 and samples.size == 72


def test_strides_are_fed_as_they_come(folder):
    """A row is the samples of one stride."""
    compilation = compile(folder / "mirror.tflite", BOARD, input_sound=SMALL, feed=True, name="ear")
    inputs = [(RNG.integers(-9000, 9000, (1, 9, 1, 8)).astype(np.int16),)]
    assert verify(compilation, inputs, "reference", "").mismatches == 0
    header = compilation.sources.files["ear_net.h"]
    assert "EAR_IN_X_ROWS 9u" in header and "EAR_IN_X_ROW_ELEMENTS 8u" in header and "const int16_t *rows" in header


def test_the_exported_self_test_has_samples_and_passes_on_this_computer(folder, tmp_path):
    """Another core, another compiler, the same bits."""
    asked = ("--board", BOARD, "--compiler", "none", "--no-run", "--input-sound", SMALL, "--input", folder / "x.wav")
    code, _, err = smelt("export", "c", folder / "mirror.tflite", *asked, "--name", "ear", "--out", tmp_path / "ear")
    assert code == 0, err
    package = tmp_path / "ear"
    sources = [p.name for p in package.glob("*.c")] + ["examples/main.c"]
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-std=c99",
        "-O2",
        "-ffp-contract=off",
        "-I.",
        *sources,
        "-o",
        "ear",
    ]
    subprocess.run(command, cwd=package, check=True)
    told = subprocess.run([package / "ear"], capture_output=True, text=True, check=True).stdout
    assert "self-test: 0 wrong" in told and "int16_t" in (package / "ear_self_test.h").read_text("utf-8")


@pytest.mark.parametrize("slide", [1, 3, 7])
@pytest.mark.parametrize(("shape", "window"), [((1, 7, 4, 1), 20), ((1, 28), 8), ((1, 7, 4), 12)])
def test_a_window_that_slides_sees_the_frames_of_the_whole_sound(shape, window, slide):
    text = SMALL.replace("window=20", f"window={window}") + ":n_mfcc=4"
    graph = prepared_sound(network(shape, "int8"), sound_spec(f"{text}:slide={slide}"))
    lag = -(-window // 8) - 1
    samples = RNG.integers(-20000, 20000, (8 * slide, 8)).astype(np.int16)
    parts = [samples[i * slide : (i + 1) * slide].reshape(graph.inputs[0].shape) for i in range(8)]
    found = [outputs[0].reshape(7, 4) for outputs in run_sequence(graph, [[part] for part in parts])]
    heard = np.concatenate([np.zeros((7 + lag, 8), np.int16), samples])
    whole = prepared_sound(network((1, 7 + len(samples), 4, 1), "int8"), sound_spec(text))
    (expected,) = run(whole, [heard.reshape(whole.inputs[0].shape)])
    for i, made in enumerate(found):
        last = (i + 1) * slide
        assert np.array_equal(made, expected[0, last : last + 7, :, 0])


def test_a_recording_slides_through_the_firmware(folder):
    said = ("--board", BOARD, "--input-sound", f"{SMALL}:slide=3", "--sequence", "--input", folder / "x.wav")
    found = answer("verify", folder / "mirror.tflite", *said, "--inputs", 0)
    assert (found["inputs"], found["values"], found["mismatches"]) == (3, 84, 0)
    code, _, err = smelt("verify", folder / "mirror.tflite", *said, "--feed")
    assert code == 2 and "cannot be fed in rows" in err


def test_features_are_kept_in_the_file_that_quantize_writes(folder, tmp_path):
    """They calibrate it; the host computes them for `run`, and the device where it is asked to, with the same bits."""
    w, data = ModelWriter(), tmp_path / "data"
    x, y = w.tensor("x", (1, 28), "float32"), w.tensor("y", (1, 5), "float32")
    weights = w.tensor("w", (5, 28), "float32", data=RNG.normal(0, 0.3, (5, 28)).astype(np.float32))
    w.op("FULLY_CONNECTED", [x, weights, -1], [y])
    (tmp_path / "real.tflite").write_bytes(w.finish([x], [y]))
    data.mkdir()
    for number in range(3):
        record(data / f"{number}.wav", sound(72), 1000)
    text, model = f"{SMALL}:n_mfcc=4", tmp_path / "q.onnx"
    code, _, err = smelt("quantize", tmp_path / "real.tflite", "--data", data, "--sound", text, "--out", model)
    assert code == 0, err
    assert from_metadata(metadata(model)).sound == sound_spec(text)
    asked = ("run", model, "--board", BOARD, "--input", data / "0.wav")
    on_host, on_device = answer(*asked), answer(*asked, "--input-sound", "stored")
    assert on_host["outputs"] == on_device["outputs"] and on_device["cycles"] > 2 * on_host["cycles"]
    code, _, err = smelt("compile", folder / "mirror.tflite", "--board", BOARD, "--input-sound", "stored")
    assert code == 2 and "says nothing of sounds" in err


def test_boards_without_floats_are_told_apart(folder):
    """What is slow there is the preparation, which quantising does not help."""
    (note,) = software_notes(compile(folder / "mirror.tflite", "esp32c3", compiler="none", input_sound=SMALL).plan)
    assert "they prepare the input" in note and "quantise the model" not in note


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("fbank", "begin with log-mel or mfcc"),
        ("mfcc:hop=10", "have no 'hop=10'"),
        ("mfcc:high=4000:high=3000", "say high twice"),
        ("mfcc:window=x", "window is a number"),
        ("mfcc:window=0.33", "a window of 0.33 ms has 5.28 samples"),
        ("mfcc:n_fft=256", "no spectrum of a window of 480"),
        ("mfcc:n_fft=602", "no spectrum"),
        ("mfcc:n_mfcc=5", "frames have 5 features"),
        ("log-mel:n_mels=40", "frames have 40 features"),
        ("mfcc:n_mels=3", "at most n_mels"),
        ("mfcc:power=3", "power is a whole number from 1 to 2"),
        ("mfcc:high=9000", "half the rate, 8000 Hz"),
        ("log-mel:n_mels=4:mel=slaney:low=100:high=100.00000000000001", "at least 1 Hz below high"),
        ("mfcc:floor=0", "floor is more than 0"),
        ("mfcc:std=0", "std is not 0"),
        ("mfcc:mel=bark", "mel is htk or slaney"),
        ("mfcc:low=7000:high=7001", "no bin of spectra of 512 samples lies between 7000 and 7001 Hz"),
        ("mfcc:slide=8", "at most the 7 frames"),
        ("mfcc:slide=1:gain=peak", "sounds that go on"),
    ],
)
def test_what_cannot_be_is_told(folder, said, told):
    code, _, err = smelt("compile", folder / "mirror.tflite", "--board", BOARD, "--input-sound", said)
    assert code == 2 and told in err


def test_features_have_one_number_for_each_value_of_a_frame():
    with pytest.raises(OptionError, match="frames have 8 features"):
        features_of(Tensor("x", (1, 7, 8, 3), "float32"), sound_spec("log-mel:n_mels=8"))


def test_recordings_of_another_rate_are_refused(folder):
    tensor = Tensor("x", (1, 9, 1, 8), "int16")
    with pytest.raises(OptionError, match="8,000 samples a second, but 1,000"):
        read_input(folder / "other.wav", tensor, Preparation(rate=1000))
    code, _, err = smelt(
        "compile", folder / "mirror.tflite", "--board", BOARD, "--input-sound", SMALL, "--input-picture", "same"
    )
    assert code == 2 and "one of them" in err
