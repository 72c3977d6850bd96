"""Fixtures that several files share, and the rules of what may be left out."""

import pytest

from smelt.answers import answered
from smelt.commands import compiling
from tests import left_out, schemas, tables
from tests.left_out import (
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_make_collect_report,
    pytest_runtest_makereport,
    pytest_sessionfinish,
    pytest_testnodedown,
)
from tests.links import link, ram

__all__ = [
    "any_width",
    "link",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_make_collect_report",
    "pytest_runtest_makereport",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "ram",
    "valid_answers",
]


@pytest.fixture(autouse=True)
def any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that do not say how wide a terminal is have none; pytest-xdist tells its workers the width of its own."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(autouse=True)
def valid_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test makes the command line answer for programs is what its schema says."""

    def checked(name, *parts):
        found = answered(name, *parts)
        schemas.check(name, found)
        return found

    monkeypatch.setattr(compiling, "answered", checked)


def pytest_terminal_summary(terminalreporter, config) -> None:
    tables.show(terminalreporter)
    left_out.pytest_terminal_summary(terminalreporter, config)
