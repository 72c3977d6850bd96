"""The API as programs meet it: boards and files by name, nouns that print in a screenful."""

import dataclasses
from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np
import pytest

import smelt
from smelt.errors import OptionError
from smelt.importers.tflite_file import read_model
from smelt.loops.kernel import Kernel
from smelt.nouns import Noun
from smelt.tuning.shipped import shipped_log
from tests.tflite_writer import ModelWriter

BOARD = "nucleo_l4r5zi"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A dense layer and a softmax, as a file."""
    writer = ModelWriter()
    x = writer.tensor("x", (1, 12), "int8", 0.1, 0)
    w = writer.tensor("w", (5, 12), "int8", 0.01, 0, data=np.arange(60).reshape(5, 12).astype(np.int8))
    y = writer.tensor("y", (1, 5), "int8", 0.1, 0)
    z = writer.tensor("z", (1, 5), "int8", 1 / 256, -128)
    writer.op("FULLY_CONNECTED", [x, w, -1], [y])
    writer.op("SOFTMAX", [y], [z], Beta=1.0)
    path = tmp_path_factory.mktemp("api") / "model.tflite"
    path.write_bytes(writer.finish([x], [z]))
    return path


def test_boards_and_files_are_taken_by_name(model):
    compilation = smelt.compile(str(model), BOARD, compiler="none")
    assert compilation.sources.digest == smelt.compile(Path(model), smelt.board(BOARD), compiler="none").sources.digest
    assert smelt.load(str(model)).name == smelt.describe(str(model)).name == "model"
    with smelt.Session(BOARD) as session:
        assert session.board is smelt.board(BOARD)
    with pytest.raises(smelt.SmeltError, match="did you mean nucleo_l4r5zi"):
        smelt.compile(model, "nucleo_l4r5")


MOST = 2000


def reachable(value, seen):
    """Every dataclass of smelt that a value holds, itself included; the statements of kernels, which are code, excepted."""
    if id(value) in seen:
        return
    seen[id(value)] = value
    if isinstance(value, Mapping):
        inside = list(value.values())
    elif isinstance(value, list | tuple | set | frozenset):
        inside = list(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield value
        inside = (
            [] if isinstance(value, Kernel) else [getattr(value, field.name) for field in dataclasses.fields(value)]
        )
    else:
        return
    for part in inside:
        yield from reachable(part, seen)


def long_model():
    """Many operators, and names as long as they get."""
    writer = ModelWriter()
    x = first = writer.tensor("x" * 3000, (1, 8), "int8", 0.1, 0)
    for number in range(150):
        y = writer.tensor(f"{number}" + "y" * 1200, (1, 8), "int8", 0.1, number % 100)
        writer.op("QUANTIZE", [x], [y])
        x = y
    end = writer.tensor("z" * 900, (1, 8 * 30), "int8", 0.1, 99 - 50)
    parts = [writer.tensor(f"p{i}" + "p" * 900, (1, 8), "int8", 0.1, 49) for i in range(30)]
    for part in parts:
        writer.op("QUANTIZE", [x], [part])
    writer.op("CONCATENATION", parts, [end], Axis=1)
    return writer.finish([first], [end])


def test_nouns_print_in_a_screenful(tmp_path):
    path = tmp_path / "long.tflite"
    path.write_bytes(long_model())
    compilation = smelt.compile(path, BOARD)
    execution = smelt.execute(compilation, smelt.random_inputs(compilation.model, 2))
    found = list(
        reachable(
            (
                compilation,
                execution,
                smelt.profile(compilation, execution.run),
                smelt.verify(compilation, smelt.random_inputs(compilation.model, 1), "reference", path),
                smelt.describe(path),
                shipped_log(),
                read_model(path.read_bytes()),
            ),
            {},
        )
    )
    long = {type(v).__name__: (len(str(v)), len(repr(v))) for v in found if max(len(str(v)), len(repr(v))) > MOST}
    assert not long
    nouns = {type(v): v for v in found if isinstance(v, Noun)}.values()
    assert not {repr(v) for v in nouns if len(repr(v)) > 350 or repr(v).count("\n") > 2}  # three lines or so
    assert repr(compilation.plan).startswith("<plan of long for nucleo_l4r5zi: ")
    kinds = {type(value).__name__ for value in found}
    assert kinds > {
        "Graph",
        "Plan",
        "Program",
        "Sources",
        "Image",
        "Run",
        "Compilation",
        "Execution",
        "Kernel",
        "TuningLog",
    }
    texts = compilation.nouns()
    assert all(len(texts[name]) > MOST for name in texts)  # --keep has them whole
    assert sum(line.startswith("  ") for line in texts["3-plan.txt"].splitlines()) > len(compilation.plan.steps)
    assert "plan of long" in str(compilation) and "image for" in str(compilation)


def test_notebooks_show_tables_and_texts(model, tmp_path):
    compilation = smelt.compile(model, BOARD)
    execution = smelt.execute(compilation, smelt.random_inputs(compilation.model, 1))
    page = smelt.profile(compilation, execution.run)._repr_html_()
    assert "<caption>steps (2)</caption>" in page and "<th>cycles</th>" in page and "dense_0" in page
    page = compilation._repr_html_()
    assert f"<caption>compilation of model for {BOARD}</caption>" in page and "dense_0" in page
    assert compilation.plan._repr_html_() in page and "<caption>tensors</caption>" in page
    assert compilation.sources._repr_html_() == f"<pre>{escape(str(compilation.sources))}</pre>"
    found = smelt.verify(compilation, smelt.random_inputs(compilation.model, 1), "reference", model)
    assert f"<caption>model on {BOARD} (simulator): all 5 values" in found._repr_html_()
    assert "<caption>model (tflite): 2 operators" in smelt.inspect(model)._repr_html_()
    shown = execution._repr_html_()
    assert (
        "inference(s) of model" in shown and "exit code 0" in shown and str(int(execution.outputs[0][0][0, 0])) in shown
    )
    assert "<caption>memory</caption>" in compilation._repr_html_()


def test_compilations_are_saved(model, tmp_path):
    compilation = smelt.compile(model, BOARD)
    compilation.save(str(tmp_path / "out"))
    assert {"network_net.h", "network_net.c", "firmware.elf"} <= {p.name for p in (tmp_path / "out").iterdir()}
    compilation.keep(tmp_path / "kept")
    assert {"3-plan.txt", "5-sources", "6-firmware.elf"} <= {p.name for p in (tmp_path / "kept").iterdir()}
    for write in (compilation.save, compilation.keep):
        with pytest.raises(OptionError, match="no folder is named"):
            write("")


def test_tuning_is_part_of_the_api(model, tmp_path):
    found = smelt.tune(model, BOARD, tmp_path / "log", budget=0.0)
    assert found.candidates and found.measured == 0


@pytest.mark.parametrize("option", ["goal", "compiler", "effort", "layout", "input_type", "output_type", "weight_type"])
def test_words_that_are_no_choice_are_refused(model, option):
    with pytest.raises(OptionError, match=r"'x' is no .*: choose "):
        smelt.compile(model, BOARD, **{"compiler": "none", option: "x"})
