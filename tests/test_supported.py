"""`smelt ops` and SUPPORTED.md: what can be compiled, from the code itself."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from dev.supported import FILE
from smelt.cli import main
from smelt.errors import OptionError
from smelt.importers.tflite import ARMS
from smelt.kernels import IMPLEMENTATIONS
from smelt.report.supported import CORES, chosen, markdown, operators, ways


def test_the_page_is_current():
    """`python dev/supported.py` writes it."""
    assert FILE.read_text("utf-8") == markdown()


def test_every_operator_is_named_once():
    names = [operator.name for operator in operators()]
    assert len(names) == len(set(names)) and len({arm.code for arm in ARMS}) == len(ARMS)
    assert {"CONV_2D", "GATHER", "SHAPE", "RANGE"} <= set(names) and len(names) >= len(ARMS)
    assert all(operator.types for operator in operators())


@pytest.mark.parametrize(
    ("name", "ops"),
    [("CONV_2D", {"Conv2D"}), ("SPACE_TO_DEPTH", {"Reshape", "Transpose"}), ("AVERAGE_POOL_2D", {"AveragePool2D"})],
)
def test_what_operators_become(name, ops):
    (operator,) = chosen((name.lower(),))
    assert set(operator.ops) == ops


def test_what_cores_get():
    """What only looks at the core is asked of every core; the rest is told as a need."""
    portable = next(way for way in ways() if way.name == "conv2d_portable")
    dual = next(way for way in ways() if way.name == "conv2d_dsp")
    assert portable.cores == tuple(core.name for core in CORES) and not portable.needs
    assert 0 < len(dual.cores) < len(CORES) and dual.needs and not any("SMLAD" in need for need in dual.needs)
    assert len(ways()) == len(IMPLEMENTATIONS)


def test_the_command():
    table = CliRunner().invoke(main, ["ops", "conv_2d"])
    assert table.exit_code == 0 and "conv2d_portable" in table.output and "GATHER" not in table.output
    assert "GATHER" in CliRunner().invoke(main, ["ops"]).output
    with pytest.raises(OptionError, match="near is CONV_2D"):
        chosen(("CONV2D",))
