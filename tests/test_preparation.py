"""What is done before and after a network, on the device: the same numbers as on the host, bit for bit."""

import io
import re
import subprocess
import sys
from types import SimpleNamespace

import flatbuffers
import numpy as np
import pytest
from PIL import Image

from smelt.commands.suite import _read_inputs
from smelt.compile import compile
from smelt.errors import ModelError, OptionError
from smelt.importers import load, metadata
from smelt.inputs import from_picture, read_input
from smelt.inputs.before import prepared_picture
from smelt.inputs.preparation import Preparation, from_metadata, picture_spec
from smelt.kernels.flip import only_flips
from smelt.model.graph import Graph, Quantization, Tensor
from smelt.model.ops import Lookup, Resize
from smelt.model.ops_pointwise import ArgMax, ChannelLookup
from smelt.model.reference import run
from smelt.passes import prepare
from smelt.report.execute import execute
from smelt.report.verify import verify
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from tests.paths import ROOT
from tests.test_cli import answer, smelt
from tests.test_feed import camera
from tests.test_library import WARNINGS
from tests.tflite_writer import ModelWriter

BOARD = "nucleo_l4r5zi"
RNG = np.random.default_rng(8)
THREE = "mean=110.5,120,130.25:std=60,61.5,63"


def png(rows, columns, channels=3) -> bytes:
    data = io.BytesIO()
    pixels = RNG.integers(0, 256, (rows, columns, channels), np.uint8)
    Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(data, "PNG")
    return data.getvalue()


def pixels_of(picture: bytes, channels=3):
    return np.asarray(Image.open(io.BytesIO(picture))).reshape(1, *Image.open(io.BytesIO(picture)).size[::-1], channels)


def mirror(rows, columns, dtype="int8", scale=0.02, zero=-3) -> bytes:
    """A network that gives what it is given: the maximum of that and the least number."""
    w = ModelWriter()
    quantization = (scale, zero) if dtype == "int8" else (0.0, 0)
    x, y = (w.tensor(name, (1, rows, columns, 3), dtype, *quantization) for name in ("x", "y"))
    least = np.full((1,), -128 if dtype == "int8" else -1e9, dtype)
    w.op("MAXIMUM", [x, w.tensor("least", (1,), dtype, *quantization, data=least)], [y])
    return w.finish([x], [y])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("preparation")
    (path / "camera.tflite").write_bytes(camera())
    (path / "mirror.tflite").write_bytes(mirror(9, 11))
    (path / "real.tflite").write_bytes(mirror(9, 11, "float32"))
    (path / "picture.png").write_bytes(png(17, 20))
    return path


def edge(dtype, scale=0.02, zero=-3, channels=3) -> Graph:
    x = Tensor("x", (1, 5, 4, channels), dtype, None if dtype == "float32" else Quantization((scale,), (zero,)))
    return Graph("g", (x,), (x,), ())


@pytest.mark.parametrize("said", ["", ":mean=127.5:std=127.5", f":{THREE}"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
def test_scaling_is_one_table_and_what_the_host_makes_of_pictures(dtype, said):
    graph, spec = edge(dtype), picture_spec(f"same{said}", Preparation())
    prepared = prepare(prepared_picture(graph, spec))
    picture = png(5, 4)
    (made,) = run(prepared, [pixels_of(picture)])
    expected = from_picture(picture, graph.inputs[0], "picture", spec.preparation)
    assert made.dtype == expected.dtype and np.array_equal(made, expected)
    kinds = [type(op) for op in prepared.ops]
    assert kinds == ([] if dtype == "uint8" and not said else [ChannelLookup] if "," in said else [Lookup])
    assert prepared.inputs[0].name == "x" and prepared.inputs[0].dtype == "uint8"


def test_pixels_less_128_are_flipped_bits():
    """Also where mean and standard deviation say so, of a network with the scale of its pictures."""
    for graph, said in ((edge("int8"), ""), (edge("int8", 1 / 64, 0), ":mean=128:std=64")):
        (op,) = prepare(prepared_picture(graph, picture_spec(f"same{said}", Preparation()))).ops
        assert isinstance(op, Lookup) and only_flips(op, CORTEX_M4)


def near(pixels, rows, columns):
    """Bilinear in float64, half-pixel centres."""

    def axis(count, wanted):
        place = np.clip((np.arange(wanted) + 0.5) * count / wanted - 0.5, 0, count - 1)
        low = np.floor(place).astype(int)
        return low, np.minimum(low + 1, count - 1), place - low

    (t, b, v), (left, right, h) = axis(pixels.shape[1], rows), axis(pixels.shape[2], columns)
    v, h = v[:, None, None], h[:, None]
    top = pixels[0][t][:, left] * (1 - h) + pixels[0][t][:, right] * h
    return top * (1 - v) + (pixels[0][b][:, left] * (1 - h) + pixels[0][b][:, right] * h) * v


@pytest.mark.parametrize(("rows", "columns"), [(9, 11), (4, 30), (5, 4)])
def test_resizing_is_near_that_in_reals(rows, columns):
    pixels = pixels_of(png(rows, columns))
    said = f"{columns}x{rows}"
    bilinear, nearest = (
        prepared_picture(edge("uint8"), picture_spec(f"{said}:resize={how}", Preparation()))
        for how in ("bilinear", "nearest")
    )
    assert np.abs(run(bilinear, [pixels])[0] - near(pixels, 5, 4)).max() < 1
    row, column = (((np.arange(n) + 0.5) * have / n).astype(int) for n, have in ((5, rows), (4, columns)))
    assert np.array_equal(run(nearest, [pixels])[0], pixels[:, row][:, :, column])
    assert any(isinstance(op, Resize) for op in prepare(bilinear).ops) == ((rows, columns) != (5, 4))


def test_blocks_of_pixels_become_their_mean():
    graph = prepared_picture(edge("uint8"), picture_spec("8x15:resize=area", Preparation()))
    pixels = pixels_of(png(15, 8))
    blocks = pixels.reshape(5, 3, 4, 2, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(run(graph, [pixels])[0][0] - blocks).max() <= 0.5


def test_the_middle_of_larger_pictures_is_taken():
    graph = prepared_picture(edge("uint8"), picture_spec("8x9:size=8x9", Preparation()))
    pixels = pixels_of(png(9, 8))
    assert np.array_equal(run(graph, [pixels])[0], pixels[:, 2:7, 2:6])


@pytest.mark.parametrize("model", ["mirror", "real"])
def test_the_network_on_the_board_sees_what_the_reference_sees(folder, model):
    """Its output is its input."""
    spec = f"20x17:{THREE}:size=12x10"
    compilation = compile(folder / f"{model}.tflite", BOARD, input_picture=spec)
    pixels = read_input(folder / "picture.png", compilation.model.inputs[0])
    ((made,),) = execute(compilation, [tuple(pixels)]).outputs
    (expected,) = run(compilation.model, pixels)
    assert made.dtype == load(folder / f"{model}.tflite").inputs[0].element.numpy
    assert made.tobytes() == expected.tobytes() and len(np.unique(made)) > 50
    with pytest.raises(OptionError, match="prepares its input"):
        verify(compilation, [tuple(pixels)], "tflm", folder / f"{model}.tflite")


def test_pictures_on_the_command_line(folder, tmp_path):
    """A picture goes in and the name of a class comes out."""
    (tmp_path / "labels.txt").write_text("\n".join(f"number {n}" for n in range(16)))
    more = ("--input-picture", f"20x17:{THREE}", "--output-type", "class", "--labels", tmp_path / "labels.txt")
    found = answer("run", folder / "camera.tflite", "--board", BOARD, "--input", folder / "picture.png", *more)
    prepared = prepared_picture(load(folder / "camera.tflite"), picture_spec(f"20x17:{THREE}", Preparation()))
    best = int(run(prepared, [pixels_of((folder / "picture.png").read_bytes())])[0].argmax())
    assert found["text"] == f"prediction: number {best}\n" and found["outputs"] == [{"mean": [best]}]


def test_rows_of_a_picture_are_scaled_as_they_come(folder):
    compilation = compile(folder / "camera.tflite", BOARD, feed=True, input_picture=f"20x46:resize=area:{THREE}")
    shape = compilation.model.inputs[0].shape
    inputs = [(RNG.integers(0, 256, shape, np.uint8),)]
    assert compilation.plan.fed is not None and verify(compilation, inputs, "reference", "").mismatches == 0


def test_a_class_is_the_first_of_the_best(folder):
    for dtype in ("int8", "float32"):
        path = folder / ("mirror.tflite" if dtype == "int8" else "real.tflite")
        graph = compile(path, BOARD, compiler="none", output_type="class").graph
        x = np.zeros((1, 9, 11, 3), dtype)
        x[0, 0, 0] = [1, 5, 5]
        (found,) = run(graph, [x])
        assert isinstance(graph.ops[-1], ArgMax) and found.dtype == np.int32 and graph.outputs[0].name == "y"
        assert found[0, 0, 0] == 1 and not found[0, 1:].any()


def normalized(mean, std) -> bytes:
    """The metadata of a file that TensorFlow Lite's Task Library reads: what its only input is normalised by."""
    b = flatbuffers.Builder(256)

    def table(**fields) -> int:
        b.StartObject(8)
        for number, value in fields.items():
            if isinstance(value, tuple):
                b.PrependUint8Slot(int(number[1:]), value[0], 0)
            else:
                b.PrependUOffsetTRelativeSlot(int(number[1:]), value, 0)
        return b.EndObject()

    def vector(offset) -> int:
        b.StartVector(4, 1, 4)
        b.PrependUOffsetTRelative(offset)
        return b.EndVector()

    numbers = [b.CreateNumpyVector(np.array(values, np.float32)) for values in (mean, std)]
    options = table(f0=numbers[0], f1=numbers[1])
    unit = table(f0=(1,), f1=options)
    b.Finish(table(f3=vector(table(f2=vector(table(f4=vector(unit)))))), b"M001")
    return bytes(b.Output())


@pytest.mark.parametrize(
    ("dtype", "mean", "std", "expected"),
    [
        ("float32", (127.5,), (127.5,), Preparation((127.5,), (127.5,))),
        ("float32", (0.0,), (1.0,), Preparation((0.0,), (1.0,))),
        ("int8", (123.5, 116.25, 103.5), (58.0,), Preparation((123.5, 116.25, 103.5), (58.0,))),
        ("int8", (0.0,), (1.0,), Preparation()),
        ("int8", (0.0,), (0.0,), Preparation()),
    ],
)
def test_what_a_tflite_file_says_of_its_input(tmp_path, dtype, mean, std, expected):
    w = ModelWriter()
    scale = () if dtype == "float32" else 0.05
    x, y = (w.tensor(name, (1, 4, 4, 3), dtype, scale) for name in ("x", "y"))
    w.op("RELU", [x], [y])
    (tmp_path / "model.tflite").write_bytes(w.finish([x], [y], normalized(mean, std)))
    assert from_metadata(metadata(tmp_path / "model.tflite")) == expected
    damaged = w.finish([x], [y], normalized(mean, std)[:40])
    (tmp_path / "damaged.tflite").write_bytes(damaged)
    with pytest.raises(ModelError, match="damaged"):
        metadata(tmp_path / "damaged.tflite")


def test_each_of_several_networks_is_given_what_its_file_says(tmp_path):
    w = ModelWriter()
    x, y = (w.tensor(name, (1, 4, 4, 3), "float32", ()) for name in ("x", "y"))
    w.op("RELU", [x], [y])
    models = [tmp_path / "scaled.tflite", tmp_path / "plain.tflite"]
    for model, said in zip(models, (normalized([100], [50]), ()), strict=True):
        model.write_bytes(w.finish([x], [y], *([said] if said else [])))
    (tmp_path / "x.png").write_bytes(png(4, 4))
    parts = [SimpleNamespace(model=load(model), program=SimpleNamespace(name=model.stem)) for model in models]
    ((scaled,),), ((plain,),) = _read_inputs(models, SimpleNamespace(parts=parts), [tmp_path / "x.png"] * 2)
    pixels = pixels_of((tmp_path / "x.png").read_bytes())
    assert np.allclose(scaled, (pixels - 100.0) / 50) and np.allclose(plain, pixels / 255)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (("--input-picture", "20"), "columns x rows"),
        (("--input-picture", "20x17:sharpen=1"), "has no 'sharpen=1'"),
        (("--input-picture", "20x17:mean=1:mean=2"), "says mean twice"),
        (("--input-picture", "20x17:resize=cubic"), "not 'cubic'"),
        (("--input-picture", "21x46:resize=area"), "21x46 are no multiple of 10x23"),
        (("--input-picture", "20x17:std=0"), "must not be 0"),
        (("--input-picture", "20x17:mean=1e39"), "made of finite numbers"),
        (("--input-picture", "9000x9000"), "more than 16,777,216 pixels"),
        (("--input-picture", "20x17:mean=1,2"), "2 numbers"),
        (("--input-picture", "20x17:size=5x5"), "too small"),
        (("--input-picture", "same", "--layout", "keep"), None),
        (("--output-type", "class", "--labels", "LABELS"), "one of 16 classes"),
    ],
)
def test_what_cannot_be_is_told(folder, option, told, tmp_path):
    (tmp_path / "labels").write_text("one\ntwo")
    option = [str(tmp_path / "labels") if word == "LABELS" else word for word in option]
    code, _, err = smelt("compile", folder / "camera.tflite", "--board", BOARD, "--compiler", "none", *option)
    assert (code, told) == (0, None) or (code == 2 and told in err)


def test_numbers_beyond_float32_are_refused_for_networks_of_reals():
    with pytest.raises(OptionError, match="made of finite numbers"):
        prepared_picture(edge("float32"), picture_spec("same:mean=3e38:std=1e-30", Preparation()))


def test_models_of_other_inputs_have_no_pictures():
    for graph in (edge("int8", channels=2), edge("int16")):
        with pytest.raises(OptionError, match="one input of pictures"):
            prepared_picture(graph, picture_spec("same", Preparation()))


def test_the_hook_of_the_documentation_compiles(folder, tmp_path):
    text = (ROOT / "docs" / "preparation.md").read_text("utf-8")
    (example,) = re.findall(r"^```c\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for file, content in compile(folder / "camera.tflite", BOARD, name="eye", compiler="none").sources.files.items():
        (tmp_path / file).write_text(content, encoding="utf-8")
    (tmp_path / "main.c").write_text(example)
    command = [sys.executable, "-m", "ziglang", "cc", *WARNINGS, "-c", "main.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
