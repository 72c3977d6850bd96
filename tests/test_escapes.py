"""Ctrl-C and TERM, and whatever else a function raises that C calls, end a simulation."""

import pytest

import smelt
from smelt.devices.simulators.alignment import Alignment
from smelt.devices.simulators.clock import BlockCosts
from smelt.devices.simulators.counter import Counter
from tests.paths import HELLO


@pytest.fixture(scope="module")
def compilation():
    return smelt.compile(HELLO, "nucleo_l4r5zi")


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, MemoryError])
@pytest.mark.parametrize("owner, name", [(BlockCosts, "edge"), (Alignment, "of_block"), (Counter, "_grow")])
def test_what_a_called_function_raises_ends_the_run(compilation, monkeypatch, capfd, owner, name, raised):
    if name == "_grow":
        monkeypatch.setattr("smelt.devices.simulators.counter.STEPS", 1)
    calls, original = [], getattr(owner, name)

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == (1 if name == "_grow" else 2):
            raise raised
        return original(*arguments)

    monkeypatch.setattr(owner, name, interrupted)
    with pytest.raises(raised):
        smelt.execute(compilation, smelt.random_inputs(compilation.model, 1))
    assert "Exception ignored" not in capfd.readouterr().err


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
def test_an_exit_before_the_first_line_of_a_called_function_ends_the_run(compilation, monkeypatch, capfd, raised):
    monkeypatch.setattr("smelt.devices.simulators.escapes.Escapes.carried", lambda self, function: function)

    def interrupted(*arguments):
        raise raised

    monkeypatch.setattr(BlockCosts, "edge", interrupted)
    with pytest.raises(raised):
        smelt.execute(compilation, smelt.random_inputs(compilation.model, 1))
    assert "Exception ignored" not in capfd.readouterr().err
