"""What a run of the tests may leave out: the extra set without its files, and nothing else in CI.

- `@pytest.mark.extra`: the test reads `shared`, which lies beside the repository. Where it does not, the test is left out, and the
  summary counts those. Where it does, a skip is a failure.
- With CI=true any skip is a failure, except for one whose reason starts with "platform: ".
- No file is skipped whole but for a platform: nobody would see which tests were meant.
"""

import os

import pytest

from tests.paths import SHARED

LEFT_OUT = pytest.StashKey[int]()


def pytest_configure(config) -> None:
    config.stash[LEFT_OUT] = 0


@pytest.hookimpl(trylast=True)  # what -m and -k left
def pytest_collection_modifyitems(config, items) -> None:
    if not SHARED.is_dir():
        extra = [item for item in items if is_extra(item)]
        config.stash[LEFT_OUT] = len(extra)
        config.hook.pytest_deselected(items=extra)
        items[:] = [item for item in items if not is_extra(item)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and (is_extra(item) or (os.environ.get("CI") and not by_platform(report))):
        report.longrepr = f"{item.nodeid} may not be left out here: {reason(report)}"
        report.outcome = "failed"
        vars(report).pop("wasxfail", None)  # with it, it would not count
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    if report.skipped and not by_platform(report):
        report.longrepr = f"{collector.nodeid}: skip tests, not the file: {reason(report)}"
        report.outcome = "failed"
    return report


def is_extra(item) -> bool:
    return item.get_closest_marker("extra") is not None


def by_platform(report) -> bool:
    return reason(report).startswith("platform: ")


def reason(report) -> str:
    """Why something was skipped, or was expected to fail."""
    if hasattr(report, "wasxfail"):
        return f"expected to fail: {report.wasxfail}"
    return report.longrepr[2].removeprefix("Skipped: ")


# What was left out is counted where tests are collected, which is in each worker of pytest-xdist, and told where they are reported.


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus) -> None:
    left_out = session.config.stash[LEFT_OUT]
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = left_out
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and left_out:
        session.exitstatus = pytest.ExitCode.OK


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error) -> None:
    if not error:
        node.config.stash[LEFT_OUT] = node.workeroutput["left_out"]


def pytest_terminal_summary(terminalreporter, config) -> None:
    if left_out := config.stash[LEFT_OUT]:
        terminalreporter.write_line(f"extra set: not run ({left_out} tests)")
