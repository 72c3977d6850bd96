"""Files as inputs: whatever they hold, an array of the model's type comes out, or one clear refusal, in bounded memory."""

import io
import struct
import zipfile

import numpy as np
import pytest

from smelt.errors import OptionError
from smelt.inputs import from_array, random_inputs, read_input, read_inputs
from smelt.inputs.npy import parse_npy
from smelt.model.graph import Graph, Quantization, Tensor

Q = Quantization((0.5,), (3,))
X = Tensor("x", (1, 4, 4, 3), "int8", Q)
F = Tensor("f", (1, 4, 4, 3), "float32")
SIZE = 48


def graph(*inputs):
    return Graph("g", inputs, inputs, ())


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "bool", "float32"])
def test_random_inputs_have_the_range_of_their_type(dtype):
    tensor = Tensor("x", (64, 64), dtype)
    (made,), (again,) = random_inputs(graph(tensor), 1, 5)[0], random_inputs(graph(tensor), 1, 5)[0]
    assert made.dtype == dtype and made.shape == tensor.shape and (made == again).all()
    if dtype != "float32":
        low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        assert (
            float(made.min()) < low + (high - low) / 100 + 0.5 and float(made.max()) > high - (high - low) / 100 - 0.5
        )


def test_random_int8_inputs_stay_the_ones_that_figures_were_measured_with():
    (x,) = random_inputs(graph(Tensor("x", (8,), "int8", Q)), 1, 0)[0]
    assert x.tolist() == np.random.default_rng(0).integers(-128, 128, 8, np.int8).tolist()
    with pytest.raises(OptionError, match="seed"):
        random_inputs(graph(X), 1, -1)


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("dtype", ["|i1", "|u1", "|b1", "<i2", ">i2", "<i8", ">f8", "<f2", "<f4"])
def test_arrays_are_read_as_numpy_reads_them(dtype, version):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    for given in (array, np.asfortranarray(array), array[0, 0, 0], array[:0]):
        found = parse_npy(npy(given, version=version), "x.npy")
        assert found.dtype == given.dtype.newbyteorder("=") and found.size == given.size
        assert given.size == 0 or (found.shape == given.shape and (found == given).all())


def header(text, data=b"", length=None):
    text = text.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) if length is None else length) + text + data


PLAIN = "{'descr': '|i1', 'fortran_order': False, 'shape': (1, 4, 4, 3), }"
DAMAGED = {
    "no magic": b"\x93NUMPX" + bytes(100),
    "cut in the magic": b"\x93NUM",
    "cut in the header": header(PLAIN)[:40],
    "version 9": b"\x93NUMPY\x09\x00" + bytes(100),
    "cut in the values": header(PLAIN, bytes(20)),
    "a header of 4 GB": b"\x93NUMPY\x02\x00" + struct.pack("<I", 0xFFFFFFFF) + PLAIN.encode(),
    "a shape of 2^120 bytes": header(
        PLAIN.replace("(1, 4, 4, 3)", "(1099511627776, 1099511627776, 1099511627776)"), bytes(48)
    ),
    "a shape beyond int64": header(PLAIN.replace("(1, 4, 4, 3)", "(9" + "9" * 30 + ", 3)"), bytes(48)),
    "a negative shape": header(PLAIN.replace("(1,", "(-1,"), bytes(48)),
    "99 axes": header(PLAIN.replace("(1, 4, 4, 3)", "(" + "1, " * 99 + ")"), bytes(48)),
    "a nested header": header("(" * 5000 + ")" * 5000),
    "an open bracket": header("{'descr': '|i1', 'fortran_order': False, 'shape': (1, "),
    "code": header("{'descr': __import__('os').abort()}"),
    "objects": header(PLAIN.replace("|i1", "|O"), bytes(48)),
    "records": header(PLAIN.replace("'|i1'", "[('a', '|i1')]"), bytes(48)),
    "complex": header(PLAIN.replace("|i1", "<c8"), bytes(480)),
    "no such type": header(PLAIN.replace("|i1", "<f1"), bytes(480)),
    "zero bytes": header("\0" * 64, bytes(48)),
    "no characters": header("\x80'descr'\xff"),
    "nothing": header(""),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_arrays_are_refused(tmp_path, name):
    (tmp_path / "x.npy").write_bytes(DAMAGED[name])
    with pytest.raises(OptionError, match=r"x\.npy"):
        read_input(tmp_path / "x.npy", X)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_of_arrays(tmp_path, save):
    path, first, second = tmp_path / "x.npz", np.full((2, *X.shape[1:]), 5, np.int8), np.zeros(X.shape, np.float32)
    save(path, anything=first)
    assert len(read_input(path, X)) == 2 and (read_input(path, X)[1] == 5).all()
    save(path, x=first, f=second)
    assert len(read_input(path, X)) == 2 and read_input(path, F)[0].dtype == np.float32
    save(path, a=first, b=second)
    with pytest.raises(OptionError, match=r"several arrays.*\(a, b\).*'x'"):
        read_input(path, X)


def test_archives_that_cannot_be_read(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.zeros(X.shape, np.int8))
    whole = path.read_bytes()
    monkeypatch.setattr("smelt.inputs.MOST_BYTES", 4096)
    np.savez_compressed(path, x=np.zeros((200, *X.shape[1:]), np.int8))
    with pytest.raises(OptionError, match=r"x\.npz unpacks to more than"):
        read_input(path, X)
    for wrong in (b"", whole[:-30], whole[:40] + bytes(20) + whole[60:]):
        path.write_bytes(wrong)
        with pytest.raises(OptionError, match=r"x\.npz"):
            read_input(path, X)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "no array")
    with pytest.raises(OptionError, match=r"'notes\.txt' is no \.npy file"):
        read_input(path, X)


@pytest.mark.parametrize("suffix", [".bin", ".data"])
def test_archives_are_not_raw_bytes(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(np.zeros(X.shape, np.int8)))
    with pytest.raises(OptionError, match=r"numpy\.save"):
        read_input(path, X)


@pytest.mark.parametrize("tensor", [X, F])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_not_finite_is_refused_with_its_place(tmp_path, tensor, value):
    array = np.zeros(X.shape)
    array[0, 2, 1, 0] = value
    np.save(tmp_path / "x.npy", array)
    if tensor is X and np.isfinite(value):
        assert read_input(tmp_path / "x.npy", tensor)[0][0, 2, 1, 0] == 127  # saturated
        return
    with pytest.raises(OptionError, match=r"at \[0, 2, 1, 0\].*finite"):
        read_input(tmp_path / "x.npy", tensor)
    if tensor is F:
        (tmp_path / "x.bin").write_bytes(
            array.astype(np.float32).tobytes() if abs(value) > 1e300 or np.isnan(value) else b""
        )
        with pytest.raises(OptionError):
            read_input(tmp_path / "x.bin", tensor)


def test_raw_bytes_fit_or_are_refused(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(b"\xff\xd8\xff" + bytes(2 * SIZE - 3))  # begins as a JPEG does
    assert len(read_inputs((str(path),), graph(X))) == 2
    path.write_bytes(bytes(SIZE - 1))
    with pytest.raises(OptionError, match="47 bytes"):
        read_input(path, X)
    path.write_bytes(b"\2" * 4)
    with pytest.raises(OptionError, match="0 or 1"):
        read_input(path, Tensor("b", (4,), "bool"))
    with pytest.raises(OptionError):
        read_input(path, Tensor("none", (0,), "int8"))


def png(array):
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def test_grey_pictures_of_16_bits_are_rounded_to_8(tmp_path):
    path, grey = tmp_path / "grey.png", np.arange(16, dtype=np.uint16).reshape(4, 4)
    path.write_bytes(png(grey * 4369 + (grey % 3).astype(np.uint16)))  # 17 times 257 each, and a little
    (one,) = read_input(path, Tensor("grey", (1, 4, 4, 1), "int8", Q))
    assert np.array_equal(one.reshape(4, 4), grey.astype(np.int32) * 17 - 128)
    (three,) = read_input(path, X)
    assert all(np.array_equal(three[0, :, :, c], one[0, :, :, 0]) for c in range(3))


def test_damaged_pictures_are_refused(tmp_path):
    path = tmp_path / "x.png"
    good = png(np.random.default_rng(0).integers(0, 256, (4, 4, 3)).astype(np.uint8))
    for data in (
        good[:20],
        good[:50],
        good.replace(b"IDAT", b"IDAX"),
        b"",
        b"GIF89a",
        good.replace(b"\0\0\0\4", b"\x7f\xff\xff\xff"),
    ):
        path.write_bytes(data)
        with pytest.raises(OptionError, match=r"x\.png"):
            read_input(path, X)
    path.write_bytes(png(np.zeros((12_000, 12_000), np.uint8)))  # larger than Pillow warns of
    with pytest.raises(OptionError, match="12000x12000"):
        read_input(path, X)
    path.write_bytes(png(np.zeros((4, 4, 3), np.uint8)))
    assert (read_input(path, X)[0] == -128).all() and (read_input(path, F)[0] == 0).all()
    with pytest.raises(OptionError, match="pictures are for"):
        read_input(path, Tensor("u", X.shape, "int16", Q))


def test_shapes_of_one_run_and_of_several():
    for shape, runs in (((1, 4, 4, 3), 1), ((4, 4, 3), 1), ((5, 4, 4, 3), 5), ((2, 1, 4, 4, 3), 2)):
        assert len(from_array(np.zeros(shape, np.int8), X, "x")) == runs
    for shape in ((48,), (1, 4, 3, 4), (), (0, 4, 4, 3)):
        with pytest.raises(OptionError, match="shape"):
            from_array(np.zeros(shape, np.int8), X, "x")
