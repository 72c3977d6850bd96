"""Packages that add ways to compute operators, and boards: seen without any change of smelt, refused with their names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import smelt
from smelt import plugins
from smelt.board_files import find_board
from smelt.errors import OptionError
from smelt.report.summary import board_rows
from smelt.report.supported import ways
from tests.tflite_writer import ModelWriter

MODULE = """
from dataclasses import dataclass, replace

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, plain
from smelt.model.ops import Lookup
from smelt.targets.boards import NUCLEO_L4R5ZI


def of_bytes(op, core):
    '''one byte in, one byte out'''
    return op.x.element.bits == op.y.element.bits == 8


def build(op, schedule):
    k = CallBuilder("lookup_backwards")
    x, table, y = k.operand("x", op.x), k.operand("table", op.table), k.result("y", op.y)
    last = op.y.elements - 1
    with k.loop("i", 0, op.y.elements) as i:
        k.store(y, last - i, table[x[last - i] - op.x.element.low])
    return k.finish_call()


BACKWARDS = Implementation("lookup_backwards", Lookup, plain, build, (of_bytes,))
BOARD = replace(NUCLEO_L4R5ZI, name="my_board", title="A board of one's own")
TWICE = replace(BOARD, name="pico")
NOTHING = 7
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install a package with these entry points for the time of a test."""

    def installed(*lines: str, module: str = MODULE) -> None:
        (tmp_path / "their_smelt.py").write_text(module, "utf-8")
        info = tmp_path / "their_smelt-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-smelt\nVersion: 1.0\n", "utf-8")
        (info / "entry_points.txt").write_text("\n".join(lines), "utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        forget()

    def forget() -> None:
        plugins.implementations.cache_clear()
        plugins.boards.cache_clear()
        sys.modules.pop("their_smelt", None)

    yield installed
    monkeypatch.undo()
    forget()


WAY = ("[smelt.implementations]", "backwards = their_smelt:BACKWARDS")


def test_a_way_of_another_package_is_taken_and_is_right(install: Callable[..., None], tmp_path: Path) -> None:
    writer = ModelWriter()
    x = writer.tensor("x", (1, 9), "int8", 0.1, 0)
    y = writer.tensor("y", (1, 9), "int8", 1 / 256, -128)
    writer.op("LOGISTIC", [x], [y])
    model = tmp_path / "model.tflite"
    model.write_bytes(writer.finish([x], [y]))
    before = smelt.compile(model, "nucleo_l4r5zi", compiler="none")
    install(*WAY, "[smelt.boards]", "mine = their_smelt:BOARD")
    made = smelt.compile(model, find_board("my_board"))
    assert [step.way.names[0] for step in before.plan.steps] != ["lookup_backwards"]
    assert [step.way.names[0] for step in made.plan.steps] == ["lookup_backwards"]
    inputs = smelt.random_inputs(made.model, 2)
    found = smelt.verify(made, inputs, "reference", model)
    assert found.mismatches == 0 and found.values == 18 and found.board == "my_board"
    outputs = smelt.execute(made, inputs).outputs
    assert not np.array_equal(outputs[0][0], outputs[1][0])


def test_what_is_added_is_listed(install: Callable[..., None]) -> None:
    assert "lookup_backwards" not in {w.name for w in ways()}
    install(*WAY, "[smelt.boards]", "mine = their_smelt:BOARD")
    (way,) = (w for w in ways() if w.name == "lookup_backwards")
    assert way.needs == ("one byte in, one byte out",)
    assert "my_board" in {row.name for row in board_rows()}
    with pytest.raises(OptionError, match="unknown board 'my_bord'"):
        find_board("my_bord")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("[smelt.implementations]", "a = their_smelt:MISSING"), "their-smelt adds 'a' .* AttributeError"),
        (("[smelt.implementations]", "a = their_smelt:NOTHING"), "of type int, not Implementation"),
        ((*WAY, "b = their_smelt:BACKWARDS"), "adds 'lookup_backwards' .* one of that name already"),
        (("[smelt.boards]", "a = their_smelt:TWICE"), "adds 'pico' to smelt.boards"),
        (("[smelt.boards]", "a = nowhere:BOARD"), "ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_name_of_its_package(
    install: Callable[..., None], lines: tuple[str, ...], words: str
) -> None:
    install(*lines)
    with pytest.raises(OptionError, match=words):
        plugins.implementations() and plugins.boards()
