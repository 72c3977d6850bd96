"""The operators of audio front ends against TensorFlow Lite Micro, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.errors import SmeltError
from smelt.importers import load
from smelt.importers.flexbuffer import read_map
from smelt.model.reference import run, run_sequence
from tests.oracle import Oracle
from tests.reference_check import cases, seeds, values
from tests.tflite_writer import ModelWriter


def check(writer: ModelWriter, inputs: list[int], outputs: list[int], arrays: list[np.ndarray], path) -> None:
    """Reference and oracle agree; outputs of uint64 cannot be asked for, and are not among `outputs`."""
    model = writer.finish(inputs, outputs)
    file = path / "model.tflite"
    file.write_bytes(model)
    for found, expected in zip(run(load(file), arrays), Oracle(model).run(arrays), strict=True):
        np.testing.assert_array_equal(found, np.asarray(expected).reshape(found.shape))


def samples(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Silence, speech, noise, and the ends of the range."""
    level = rng.choice([0, 1, 300, 12000, 60000])
    return (
        np.clip(rng.normal(0, level, shape), -(2**15), 2**15 - 1).astype(np.int16)
        if level
        else np.zeros(shape, np.int16)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("signal")


@cases(20)
@given(seed=seeds, size=st.integers(1, 20), rows=st.integers(1, 3), shift=st.integers(0, 20))
def test_window(folder, seed, size, rows, shift):
    rng, w = np.random.default_rng(seed), ModelWriter()
    x, y = (w.tensor(name, (rows, size), "int16") for name in "xy")
    weights = w.constant("weights", values(rng, (size,), "int16"), "int16")
    w.op("CUSTOM SignalWindow", [x, weights], [y], shift=shift)
    check(w, [x], [y], [values(rng, (rows, size), "int16")], folder)


@cases(20)
@given(seed=seeds, size=st.integers(1, 40))
def test_fft_auto_scale(folder, seed, size):
    rng, w = np.random.default_rng(seed), ModelWriter()
    x, y, bits = w.tensor("x", (size,), "int16"), w.tensor("y", (size,), "int16"), w.tensor("bits", (), "int32")
    w.op("CUSTOM SignalFftAutoScale", [x], [y, bits])
    arrays = [samples(rng, size) if seed % 3 else rng.choice(np.array([-(2**15), 1, 5], np.int16), size)]
    check(w, [x], [y, bits], arrays, folder)


@pytest.mark.parametrize("length", [64, 128, 256, 512, 1024])
@pytest.mark.parametrize("less", [0, 3])
def test_rfft(folder, length, less):
    rng, w = np.random.default_rng(length + less), ModelWriter()
    x, y = w.tensor("x", (length - less,), "int16"), w.tensor("y", (length + 2,), "int16")
    w.op("CUSTOM SignalRfft", [x], [y], T=7, fft_length=length)
    for level in (0, 40, 5000, 40000):
        wave = np.clip(rng.normal(0, level, length - less), -(2**15), 2**15 - 1).astype(np.int16)
        check(w, [x], [y], [wave], folder)


@cases(15)
@given(seed=seeds, bins=st.integers(2, 40))
def test_energy(folder, seed, bins):
    """Bins outside the range are 0 here; the oracle leaves them as they are."""
    rng, w = np.random.default_rng(seed), ModelWriter()
    x, y = w.tensor("x", (2 * bins,), "int16"), w.tensor("y", (bins,), "uint32")
    w.op("CUSTOM SignalEnergy", [x], [y], start_index=0, end_index=bins)
    check(w, [x], [y], [values(rng, (2 * bins,), "int16")], folder)


@cases(15)
@given(seed=seeds, channels=st.integers(1, 8))
def test_filter_bank_and_root(folder, seed, channels):
    rng, w = np.random.default_rng(seed), ModelWriter()
    widths = rng.integers(1, 6, channels + 1)
    starts = np.cumsum(widths) - widths + rng.integers(0, 3)
    bins, count = int(starts[-1] + widths[-1]), int(widths.sum())
    x, wide, y = (
        w.tensor("x", (bins,), "uint32"),
        w.tensor("wide", (channels,), "uint64"),
        w.tensor("y", (channels,), "uint32"),
    )
    tables = [rng.integers(0, 4096, count), rng.integers(0, 4096, count), starts, np.cumsum(widths) - widths, widths]
    constants = [w.constant(f"table{i}", t, "int16") for i, t in enumerate(tables)]
    w.op("CUSTOM SignalFilterBank", [x, *constants], [wide], num_channels=channels)
    bits = w.tensor("bits", (), "int32")
    w.op("CUSTOM SignalFilterBankSquareRoot", [wide, bits], [y])
    check(w, [x, bits], [y], [values(rng, (bins,), "uint32"), np.array(rng.integers(0, 15), np.int32)], folder)


@pytest.mark.parametrize("clamping", [False, True])
@pytest.mark.parametrize("channels", [1, 5, 40])
def test_spectral_subtraction_over_time(folder, channels, clamping):
    rng, w = np.random.default_rng(channels), ModelWriter()
    x, y, noise = (w.tensor(name, (channels,), "uint32") for name in ("x", "y", "noise"))
    options = {"num_channels": channels, "smoothing": 409, "one_minus_smoothing": 15975, "alternate_smoothing": 983}
    options |= {"alternate_one_minus_smoothing": 15401, "smoothing_bits": 10, "min_signal_remaining": 819}
    options |= {"spectral_subtraction_bits": 14, "clamping": clamping}
    w.op("CUSTOM SignalFilterBankSpectralSubtraction", [x], [y, noise], **options)
    model = w.finish([x], [y, noise])
    (folder / "model.tflite").write_bytes(model)
    oracle, most = Oracle(model), rng.choice([10, 1000, 2**22, 2**32])
    arrays = [rng.integers(0, most, channels, np.uint64).astype(np.uint32) for _ in range(12)]
    for found, array in zip(run_sequence(load(folder / "model.tflite"), [(a,) for a in arrays]), arrays, strict=True):
        for mine, expected in zip(found, oracle.run([array]), strict=True):
            np.testing.assert_array_equal(mine, expected)


@cases(15)
@given(seed=seeds, shift=st.integers(0, 12))
def test_pcan(folder, seed, shift):
    rng, w = np.random.default_rng(seed), ModelWriter()
    x, noise, y = (w.tensor(name, (40,), "uint32") for name in ("x", "noise", "y"))
    gains = w.constant("gains", values(rng, (125,), "int16"), "int16")
    w.op("CUSTOM SignalPCAN", [x, noise, gains], [y], snr_shift=shift)
    arrays = [
        (rng.integers(0, 2**32, 40, np.uint64) >> rng.integers(0, 32, 40, np.uint64)).astype(np.uint32)
        for _ in range(2)
    ]
    check(w, [x, noise], [y], arrays, folder)


@cases(15)
@given(seed=seeds, scale=st.integers(0, 2**15 - 1), correction=st.integers(0, 8))
def test_filter_bank_log(folder, seed, scale, correction):
    rng, w = np.random.default_rng(seed), ModelWriter()
    x, y = w.tensor("x", (50,), "uint32"), w.tensor("y", (50,), "int16")
    w.op("CUSTOM SignalFilterBankLog", [x], [y], output_scale=scale, input_correction_bits=correction)
    arrays = [(rng.integers(0, 2**32, 50, np.uint64) >> rng.integers(0, 33, 50, np.uint64)).astype(np.uint32)]
    check(w, [x], [y], arrays, folder)


def test_options_of_custom_operators_are_read_and_distrusted():
    from flatbuffers import flexbuffers

    options = {"shift": 12, "x": -70000, "f": 1.5, "b": True, "s": "hello", "big": 2**40, "pi": 3.14159}
    data = bytes(flexbuffers.Dumps(options))
    assert read_map(data) == options and read_map(b"") == {}
    rng = np.random.default_rng(0)
    for _ in range(3000):
        damaged = bytearray(data[: rng.integers(1, len(data) + 1)])
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        try:
            read_map(bytes(damaged))
        except SmeltError as error:
            assert "options" in str(error)
