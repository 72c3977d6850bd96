"""The operators of audio front ends against TensorFlow Lite Micro, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.compile import compile
from smelt.errors import SmeltError
from smelt.importers import load
from smelt.importers.flexbuffer import read_map
from smelt.model.reference import run, run_sequence
from smelt.report.execute import execute
from smelt.report.verify import verify
from smelt.targets.boards import board
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
    arrays = [
        samples(rng, size) if seed % 3 else rng.choice(np.array([-(2**15), -300, 0, 1, 5, 2**15 - 1], np.int16), size)
    ]
    check(w, [x], [y, bits], arrays, folder)


def levels(rng: np.random.Generator, size: int, dtype: str) -> np.ndarray:
    """Silence, noise of any strength, square waves between the ends, and nothing but ends, where sums wrap."""
    if dtype == "float32":
        return (rng.normal(0, 1, size) * 10.0 ** rng.integers(-6, 7)).astype(np.float32)
    ends = np.iinfo(dtype)
    if rng.random() < 0.3:
        return np.where(np.sin(np.arange(size) * rng.uniform(0, 3)) > 0, ends.max, ends.min).astype(dtype)
    return values(rng, (size,), dtype) if rng.random() < 0.9 else np.zeros(size, dtype)


@cases(60)
@given(
    seed=seeds,
    length=st.integers(2, 11).map(lambda bits: 2**bits)
    | st.sampled_from([6, 10, 12, 18, 30, 60, 90, 150, 400, 480, 1350]),
    dtype=st.sampled_from(["int16", "int32", "float32"]),
    rows=st.integers(0, 2),
    less=st.integers(0, 5),
    inverse=st.booleans(),
)
def test_transforms(folder, seed, length, dtype, rows, less, inverse):
    """Floats, too, are equal to the bit: no product and sum become one."""
    rng, w = np.random.default_rng(seed), ModelWriter()
    outer, spectrum, samples = (rows,) * min(rows, 1), length + 2, length if inverse else max(length - less, 1)
    shapes = ((*outer, samples), (*outer, spectrum))
    x, y = (w.tensor(name, s, dtype) for name, s in zip("xy", shapes[::-1] if inverse else shapes, strict=True))
    options = {"T": {"int16": 7, "int32": 2, "float32": 0}[dtype], "fft_length": length}
    w.op("CUSTOM SignalIrfft" if inverse else "CUSTOM SignalRfft", [x], [y], **options)
    array = np.stack([levels(rng, shapes[inverse][-1], dtype) for _ in range(max(rows, 1))])
    check(w, [x], [y], [array.reshape(shapes[inverse])], folder)


@pytest.mark.parametrize(
    ("code", "x", "y", "options", "words"),
    [
        ("Rfft", 14, 16, {"T": 7, "fft_length": 14}, "product of 2, 3 and 5"),
        ("Rfft", 15, 17, {"T": 7, "fft_length": 15}, "product of 2, 3 and 5"),
        ("Rfft", 20, 18, {"T": 7, "fft_length": 16}, "does not fit"),
        ("Rfft", 16, 18, {"T": 0, "fft_length": 16}, "option 'T' is 0"),
        ("Rfft", 16, 18, {"T": 7, "fft_length": 2}, "'fft_length' is 2"),
        ("Rfft", 16, 18, {"T": 7, "fft_length": 2**20}, "'fft_length' is 1048576"),
        ("Irfft", 16, 16, {"T": 7, "fft_length": 16}, "has not 9 bins"),
        ("Irfft", 18, 17, {"T": 7, "fft_length": 16}, "computes"),
    ],
)
def test_transforms_that_are_refused(folder, code, x, y, options, words):
    w = ModelWriter()
    given, made = w.tensor("x", (x,), "int16"), w.tensor("y", (y,), "int16")
    w.op(f"CUSTOM Signal{code}", [given], [made], **options)
    (folder / "model.tflite").write_bytes(w.finish([given], [made]))
    with pytest.raises(SmeltError, match=words):
        load(folder / "model.tflite")


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


def test_there_and_back_on_a_board(tmp_path):
    """Spectra of all three types and their inverses in one firmware."""
    rng, w, path = np.random.default_rng(2), ModelWriter(), tmp_path / "transforms.tflite"
    xs, ys = [], []
    for dtype, number in (("int16", 7), ("int32", 2), ("float32", 0)):
        x, bins, y = (w.tensor(f"{n}_{dtype}", (s,), dtype) for n, s in (("x", 60), ("bins", 66), ("y", 64)))
        w.op("CUSTOM SignalRfft", [x], [bins], T=number, fft_length=64)
        w.op("CUSTOM SignalIrfft", [bins], [y], T=number, fft_length=64)
        xs.append(x)
        ys.append(y)
    path.write_bytes(w.finish(xs, ys))
    compilation = compile(path, board("nucleo_l4r5zi"))
    runs = [tuple(levels(rng, 60, t.dtype) for t in compilation.model.inputs) for _ in range(4)]
    assert verify(compilation, runs, "tflm", path).mismatches == 0
    for (array,), (x,) in zip((o[2:] for o in execute(compilation, runs).outputs), (r[2:] for r in runs), strict=True):
        np.testing.assert_allclose(array[:60], x, atol=1e-5 * np.abs(x).max())
