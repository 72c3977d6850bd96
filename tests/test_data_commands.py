"""`smelt quantize` and `smelt evaluate` as users meet them: data sets of every kind, what is kept in files, errors."""

import json
import re
import struct
import wave

import numpy as np
import pytest
from PIL import Image

from smelt.errors import OptionError
from smelt.importers import load, metadata
from smelt.inputs import read_inputs
from smelt.inputs.datasets import dataset
from smelt.inputs.preparation import Preparation, from_metadata, preparation
from smelt.inputs.recordings import samples_of
from smelt.model.graph import Graph
from smelt.quantization.batches import outputs_of
from tests import paths
from tests.float_ops import real
from tests.onnx_models import model as onnx_model
from tests.onnx_models import node
from tests.test_cli import smelt
from tests.test_quantization import by_onnxruntime
from tests.tflite_writer import ModelWriter

CLASSES = ("dark", "red", "green", "blue")


def classifier() -> bytes:
    """A float .tflite that tells which channel of an 8x8 picture (0 to 1) is bright: 4 classes."""
    w = ModelWriter()
    x = w.tensor("x", (1, 8, 8, 3), "float32")
    eye = np.zeros((4, 3, 3, 3), np.float32)
    for channel in range(3):
        eye[channel + 1, :, :, channel] = 1 / 9
    kernel = w.tensor("kernel", eye.shape, "float32", data=eye)
    bias = w.tensor("bias", (4,), "float32", data=np.array([0.4, 0, 0, 0], np.float32))
    seen = w.tensor("seen", (1, 6, 6, 4), "float32")
    w.op("CONV_2D", [x, kernel, bias], [seen], Padding=1, StrideW=1, StrideH=1, FusedActivationFunction=1)
    mean = w.tensor("mean", (1, 1, 1, 4), "float32")
    w.op("AVERAGE_POOL_2D", [seen], [mean], Padding=1, StrideW=1, StrideH=1, FilterWidth=6, FilterHeight=6)
    flat = w.tensor("flat", (1, 4), "float32")
    w.op("RESHAPE", [mean, w.constant("shape", [1, 4])], [flat], NewShape=[1, 4])
    y = w.tensor("y", (1, 4), "float32")
    w.op("SOFTMAX", [flat], [y], Beta=1.0)
    return w.finish([x], [y])


def pictures(count=40):
    """Pixels and classes."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 4
    pixels = random.integers(0, 60, (count, 8, 8, 3))
    for number, label in enumerate(labels):
        if label:
            pixels[number, :, :, label - 1] += 180
    return pixels.astype(np.uint8), labels


@pytest.fixture
def model(tmp_path):
    file = tmp_path / "colours.tflite"
    file.write_bytes(classifier())
    return file


@pytest.fixture
def folder(tmp_path):
    """Pictures of 10x10 in a folder for each class, numbered so that they are in order."""
    pixels, labels = pictures()
    for number, label in enumerate(labels):
        place = tmp_path / "pictures" / str(label)
        place.mkdir(parents=True, exist_ok=True)
        large = np.pad(pixels[number], ((1, 1), (1, 1), (0, 0)))
        Image.fromarray(large).save(place / f"{number:02}.png")
    return tmp_path / "pictures"


def answer(*arguments):
    code, out, err = smelt(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_from_a_float_model_to_a_board(model, folder, tmp_path):
    """The preparation is given once; float, quantised and firmware stand side by side."""
    file = tmp_path / "colours.onnx"
    made = answer("quantize", model, "--data", folder, "--size", "10x10", "--mean", "0", "--std", "255", "--out", file)
    assert made["inputs"] == 40 and made["sqnr_db"] > 30 and {r["weight_bits"] for r in made["layers"]} == {8, None}
    assert metadata(file) == {"smelt.mean": "0", "smelt.std": "255", "smelt.size": "10x10"}
    found = answer(
        "evaluate",
        file,
        "--data",
        folder,
        "--against",
        model,
        "--board",
        "disco_f746ng",
        "--limit",
        "12",
        "--worst",
        "2",
    )
    assert found["inputs"] == 12 and found["differing"] == 0 and found["classes"] == ["0", "1", "2", "3"]
    assert [p["name"] for p in found["predictions"]] == ["against: colours", "colours", "firmware on disco_f746ng"]
    assert all(p["accuracy"] == 1 for p in found["predictions"])
    assert found["predictions"][1]["agreement"] == 1 and found["predictions"][2]["sqnr_db"] > 25
    assert np.array_equal(found["confusion"]["colours"], np.diag([3] * 4)) and not found["worst"]


def test_run_prepares_pictures_as_the_file_says(model, folder, tmp_path):
    file = tmp_path / "colours.onnx"
    assert not smelt("quantize", model, "--data", folder, "--size", "10x10", "--std", "255", "--out", file)[0]
    picture = folder / "2" / "02.png"
    out = tmp_path / "y.npy"
    assert not smelt("run", file, "--board", "disco_f746ng", "--input", picture, "--output", out)[0]
    assert np.load(out).argmax() == 2


def test_a_float_onnx_file_with_its_own_arrays(tmp_path):
    """Arrays lie as the file has them, channels first; the file that is made is computed by onnxruntime as by smelt."""
    random = np.random.default_rng(1)
    constants = {
        "w": random.normal(0, 0.3, (6, 3, 3, 3)),
        "b": random.normal(0, 0.1, 6),
        "v": random.normal(0, 0.1, (4, 216)),
    }
    nodes = [node("Conv", "x w b", "c", strides=[1, 1]), node("Relu", "c", "r"), node("Flatten", "r", "f")]
    nodes += [node("Gemm", "f v", "y", transB=1)]
    single = {name: value.astype(np.float32) for name, value in constants.items()}
    (tmp_path / "float.onnx").write_bytes(onnx_model(nodes, {"x": ["N", 3, 8, 8]}, ["y"], single))
    x = random.normal(0, 1, (30, 3, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x)
    file = tmp_path / "q.onnx"
    answer(
        "quantize", tmp_path / "float.onnx", "--data", tmp_path / "d.npz", "--layout", "channels_first", "--out", file
    )
    assert metadata(file) == {"smelt.layout": "channels_first"}
    found = answer("evaluate", file, "--data", tmp_path / "d.npz", "--against", tmp_path / "float.onnx")
    assert found["predictions"][1]["sqnr_db"] > 28
    mine = outputs_of(load(file), [np.ascontiguousarray(x.transpose(0, 2, 3, 1))])[0]
    assert np.array_equal(mine, by_onnxruntime(file.read_bytes(), x.transpose(0, 2, 3, 1)))


def test_tables(model, tmp_path):
    pixels, labels = pictures()
    np.savez(tmp_path / "d.npz", x=pixels, y=np.roll(labels, 1))
    code, out, err = smelt(
        "quantize", model, "--data", tmp_path / "d.npz", "--std", "255", "--out", tmp_path / "q.onnx"
    )
    assert not code and "dB alone" in out and "written to" in out, err
    code, out, err = smelt("evaluate", tmp_path / "q.onnx", "--data", tmp_path / "d.npz", "--worst", "1")
    assert not code and "0.00%" in out and "worst input" in out, err


def test_worst_inputs_without_labels(model, tmp_path):
    pixels, _ = pictures()
    np.savez(tmp_path / "d.npz", x=(pixels / 255).astype(np.float32))
    smelt("quantize", model, "--data", tmp_path / "d.npz", "--weight-bits", "4", "--out", tmp_path / "q.onnx")
    found = answer("evaluate", tmp_path / "q.onnx", "--data", tmp_path / "d.npz", "--against", model, "--worst", "3")
    by = [w["by"] for w in found["worst"]]
    assert len(by) == 3 and by == sorted(by, reverse=True) and found["confusion"] == {}


# Data sets


def image_graph():
    x = real("x", (1, 8, 8, 3))
    return Graph("g", (x,), (x,), ())


def test_archives_and_folders_hold_the_same(folder, tmp_path):
    pixels, labels = pictures()
    given = preparation("10", "2,3,4", "10x10", None)
    np.savez(tmp_path / "last.npz", images=pixels, labels=labels, names=np.array(["a", "b"]))
    np.savez(tmp_path / "first.npz", x=pixels.transpose(0, 3, 1, 2), y=np.eye(4)[labels])
    last = dataset(tmp_path / "last.npz", image_graph(), given)
    first = dataset(tmp_path / "first.npz", image_graph(), preparation(None, None, None, "channels_first", given))
    files = dataset(folder, image_graph(), given)
    assert last.count == first.count == files.count == 40
    assert np.array_equal(last.labels, labels) and np.array_equal(first.labels, labels)
    order = np.argsort(labels, kind="stable")
    assert files.classes == ("0", "1", "2", "3") and np.array_equal(files.labels, labels[order])
    wanted = ((pixels.astype(np.float32) - 10) / np.array([2, 3, 4], np.float32))[3]
    for found in (last.read(3), first.read(3), files.read(int(np.flatnonzero(order == 3)[0]))):
        assert np.array_equal(found[0][0], wanted)
    few = last.chosen(5)
    assert few.count == 5 and np.array_equal(few.stacked()[0][4], last.read(39)[0][0]) and few.sources(4) == "39"


def test_recordings(tmp_path):
    graph = Graph("g", (real("x", (1, 100)),), (), ())
    samples = np.arange(-60, 60, dtype="<i2") * 256
    for name, used in (("a", samples), ("b", samples[:30])):
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(used.tobytes())
    (long,), (brief,) = (dataset(tmp_path, graph).read(i) for i in range(2))
    assert np.array_equal(long[0], samples[:100] / np.float32(32768))
    assert np.array_equal(brief[0], np.pad(samples[:30] / np.float32(32768), (0, 70)))
    with pytest.raises(OptionError, match="save these as"):
        dataset(tmp_path, image_graph())
    whole = (tmp_path / "a.wav").read_bytes()
    guid = struct.pack("<HHI", 22, 16, 0) + b"\1\0" + bytes.fromhex("000000001000800000aa00389b71")
    by_another_name = whole[:12] + b"fmt \x28\0\0\0\xfe\xff" + whole[22:36] + guid + whole[36:]
    assert np.array_equal(samples_of(by_another_name, 100, "x.wav"), samples[:100])
    for content, reason in (
        (b"RIFF....", "not a WAVE file"),
        (b"RIFF", "it is cut off"),
        (b"", "it is cut off"),
        (whole[:143], "it is cut off"),
        (whole.replace(b"\1\0\1\0", b"\3\0\1\0", 1), "recordings have format 1, PCM, and this is format 3"),
    ):
        (tmp_path / "a.wav").write_bytes(content)
        with pytest.raises(OptionError, match=f"cannot read recording .*: {reason}"):
            dataset(tmp_path, graph)


def test_several_inputs_by_name(tmp_path):
    graph = Graph("g", (real("a", (1, 2)), real("b", (1, 3))), (), ())
    np.savez(tmp_path / "d.npz", a=np.ones((4, 2)), b=np.zeros((4, 3)))
    assert [a.shape for a in dataset(tmp_path / "d.npz", graph).stacked()] == [(4, 2), (4, 3)]
    np.savez(tmp_path / "d.npz", a=np.ones((4, 2)), b=np.zeros((5, 3)))
    with pytest.raises(OptionError, match=r"different numbers of inputs: \[4, 5\]"):
        dataset(tmp_path / "d.npz", graph)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"z": np.ones(3)}, "no array called x or images"),
        ({"x": np.ones((0, 8, 8, 3))}, "holds no inputs"),
        ({"x": np.ones((4, 8, 7, 3))}, r"has shape \(8, 7, 3\), but the model's input is"),
        ({"x": np.ones((4, 3, 8, 8))}, "--layout channels_first"),
        ({"x": np.full((4, 8, 8, 3), np.nan)}, "has nan at"),
        ({"x": np.ones((4, 8, 8, 3)), "y": np.arange(3)}, r"has 4 inputs, but labels of shape \(3,\)"),
        ({"x": np.ones((4, 8, 8, 3)), "y": np.arange(4) / 2}, "labels that are no whole numbers"),
        ({"x": np.ones((4, 8, 8, 3)), "y": -np.arange(4)}, "negative labels"),
        ({"x": np.ones((4, 8, 8, 3)), "y": np.arange(4) + 1}, "labels of 5 classes, but .* tells 4 apart"),
    ],
)
def test_archives_that_do_not_fit(model, tmp_path, arrays, message):
    np.savez(tmp_path / "d.npz", **arrays)
    code, _, err = smelt("evaluate", model, "--data", tmp_path / "d.npz")
    assert code == 2 and re.search(message, " ".join(err.split()))


def test_folders_that_do_not_fit(model, folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for data, words in ((empty, "holds no files to read"), (tmp_path / "none", "neither a folder nor a .npz")):
        code, _, err = smelt("quantize", model, "--data", data)
        assert code == 2 and words in " ".join(err.split())
    code, _, err = smelt("quantize", model, "--data", folder)
    assert code == 2 and "the model's input is 8x8: resize it first" in " ".join(err.split()) and "--size 8x8" in err
    code, _, err = smelt("quantize", model, "--data", folder, "--size", "4x4")
    assert code == 2 and "too small" in err
    code, _, err = smelt("quantize", paths.KWS, "--data", folder)
    assert code == 2
    for name in ("4", "5"):
        (folder / name).mkdir()
    code, _, err = smelt("evaluate", model, "--data", folder, "--size", "10x10")
    assert code == 2 and "6 classes" in err


def test_arrays_in_folders_are_prepared_as_those_in_archives(tmp_path):
    pixels, _ = pictures(3)
    first = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    np.savez(tmp_path / "d.npz", x=first)
    folder = tmp_path / "arrays"
    folder.mkdir()
    for number, array in enumerate((first[0], first[1:2], first[2])):  # with the batch, and without
        np.save(folder / f"{number}.npy", array)
    chosen = preparation("10", "20", None, "channels_first", Preparation())
    wanted = dataset(tmp_path / "d.npz", image_graph(), chosen).stacked()[0]
    assert np.array_equal(wanted, (pixels.astype(np.float32) - 10) / 20)
    assert np.array_equal(dataset(folder, image_graph(), chosen).stacked()[0], wanted)
    with pytest.raises(OptionError, match="say --layout channels_first"):
        dataset(folder, image_graph())
    np.save(folder / "0.npy", pixels)
    with pytest.raises(OptionError, match="holds 3 inputs; in a folder each file is one"):
        dataset(folder, image_graph())


def test_nothing_that_is_read_is_written_over(model, tmp_path):
    before = model.read_bytes()
    np.savez(tmp_path / "d.npz", x=np.ones((4, 8, 8, 3), np.float32))
    (tmp_path / "link.onnx").symlink_to(model)
    for name in (model.name, "link.onnx", "d.npz"):
        code, _, err = smelt("quantize", model, "--data", tmp_path / "d.npz", "--out", tmp_path / name)
        assert code == 2 and "is what is read: say another name" in " ".join(err.split())
    code, _, err = smelt("quantize", model, "--data", tmp_path / "d.npz", "--out", tmp_path)
    assert code == 2 and "it is a folder; say the name of a file" in " ".join(err.split())
    code, _, err = smelt("plan", model, "--board", "disco_f746ng", "--html", model)
    assert code == 2 and "is what is read" in " ".join(err.split()) and model.read_bytes() == before


@pytest.mark.parametrize("option", ["--percentile", "--kept-wide", "--least-sqnr"])
def test_nan_is_no_number(model, option):
    code, _, err = smelt("quantize", model, "--data", "d.npz", option, "nan")
    assert code == 2 and "'nan' is not a number" in err


def test_numbers_that_pixels_cannot_be_divided_by_get_one_message(model, tmp_path):
    np.savez(tmp_path / "d.npz", x=pictures(2)[0])
    code, _, err = smelt("quantize", model, "--data", tmp_path / "d.npz", "--std", "1e-40")
    assert code == 2 and "a network's input is made of finite numbers" in " ".join(err.split()) and "Warning" not in err


def test_folders_of_too_many_files(folder, monkeypatch):
    monkeypatch.setattr("smelt.inputs.datasets.MOST_FILES", 39)
    with pytest.raises(OptionError, match="holds more than 39 files"):
        dataset(folder, image_graph(), Preparation(size=(10, 10)))


def test_options_of_the_preparation():
    given = preparation("123.7,116.3,103.5", "58.4", "256x200", "channels_first")
    assert from_metadata(given.as_metadata()) == given and from_metadata({}) == Preparation()
    for wrong in (("a", None, None), ("nan", None, None), (None, "0", None), (None, None, "8"), (None, None, "0x4")):
        with pytest.raises(OptionError):
            preparation(*wrong, None)
    with pytest.raises(OptionError, match="has 2 numbers, but pictures have 3 channels"):
        preparation("1,2", None, None, None).reals(np.zeros((1, 2, 2, 3)))


def test_integer_inputs_are_quantised_from_prepared_pixels():
    """The int8 ResNet-8 has pixels less 128: a mean of 0 and a std of 1 say the same."""
    graph = load(paths.IC)
    picture = paths.PICTURES[0]
    (plain,), (prepared,) = (read_inputs([picture], graph, p) for p in (None, preparation("0", "1", None, None)))
    assert np.array_equal(plain[0], prepared[0])
