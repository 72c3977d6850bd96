"""Fixtures that several files share, and the rules of what may be left out."""

import pytest

from tests import left_out, tables
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
]


@pytest.fixture(autouse=True)
def any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that do not say how wide a terminal is have none; pytest-xdist tells its workers the width of its own."""
    monkeypatch.delenv("COLUMNS", raising=False)


def pytest_terminal_summary(terminalreporter, config) -> None:
    tables.show(terminalreporter)
    left_out.pytest_terminal_summary(terminalreporter, config)
