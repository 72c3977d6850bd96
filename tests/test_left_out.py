"""The rules of what a run may leave out, on a small project that lies alone or beside `shared`."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.paths import ROOT

CONFTEST = "from tests.left_out import *\n"
TESTS = """
import pytest

def test_product():
    pass

@pytest.mark.extra
@pytest.mark.parametrize("n", [1, 2])
def test_extra(n):
    pass

@pytest.mark.skipif(CONDITION, reason="REASON")
def test_skipped():
    pass
"""
SKIPPING = """
import pytest
pytestmark = pytest.mark.extra

def test_by_hand():
    pytest.skip("no tool")

def test_that_is_expected_to_fail():
    pytest.xfail("no tool")

def test_without_a_package():
    pytest.importorskip("no_such_package")

@pytest.mark.parametrize("file", [])
def test_no_files(file):
    pass
"""


@pytest.fixture
def project(tmp_path):
    """Runs pytest in a repository with nothing beside it; returns the exit code and the output."""
    tests = tmp_path / "repository" / "tests"
    tests.mkdir(parents=True)
    for name in ("__init__.py", "paths.py", "left_out.py"):
        shutil.copy(ROOT / "tests" / name, tests)
    (tests / "conftest.py").write_text(CONFTEST)
    (tests.parent / "pytest.ini").write_text("[pytest]\nmarkers = extra\n")

    def run(*arguments, text=TESTS, condition=False, reason="no reason", ci=False):
        (tests / "test_it.py").write_text(text.replace("CONDITION", str(condition)).replace("REASON", reason))
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "PYTEST"))}
        done = subprocess.run(
            command, cwd=tests.parent, env=environment | ({"CI": "true"} if ci else {}), capture_output=True, text=True
        )
        return done.returncode, done.stdout

    run.shared = tmp_path / "shared"
    return run


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_without_its_files_the_extra_set_is_left_out_and_counted(project, workers):
    for arguments, count in (("-k", "test_extra and 1"), 1), (("-m", "extra"), 2):
        code, text = project(*arguments, *workers)
        assert code == 0 and f"extra set: not run ({count} tests)" in text, text


def test_other_tests_are_run_and_needed(project):
    code, text = project()
    assert code == 0 and "2 passed" in text and "extra set: not run (2 tests)" in text
    assert project("-k", "nothing")[0] == pytest.ExitCode.NO_TESTS_COLLECTED


def test_with_its_files_the_extra_set_is_run_and_not_skipped(project):
    project.shared.mkdir()
    code, text = project()
    assert code == 0 and "4 passed" in text and "extra set" not in text
    code, text = project(text=SKIPPING)
    assert code == 1 and "3 failed, 1 error" in text and text.count("may not be left out here") >= 4, text


def test_in_ci_nothing_but_a_platform_skips(project):
    assert project(condition=True)[0] == 0
    code, text = project(condition=True, reason="no tool", ci=True)
    assert code == 1 and "no tool" in text
    assert project(condition=True, reason="platform: needs pipes", ci=True)[0] == 0


def test_no_file_is_skipped_whole_but_for_a_platform(project):
    whole = "import pytest\npytest.importorskip('no_such_tool', reason='REASON')\n" + TESTS
    assert project(text=whole, reason="platform: needs pipes", ci=True)[0] == pytest.ExitCode.NO_TESTS_COLLECTED
    code, text = project(text=whole, reason="no_such_tool is missing")
    assert code and "skip tests, not the file" in text and "no_such_tool" in text
