"""The tutorial for researchers, as it stands: its files become a package, which is installed, and its commands are run."""

import re
import shlex
import subprocess
import sys
import zipfile

import pytest
from click.testing import CliRunner

from smelt import plugins
from smelt.cli import main
from tests.paths import ROOT
from tests.tflite_writer import ModelWriter

PAGE = (ROOT / "docs" / "tutorials" / "researcher.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """What the page's files are as an installed package."""
    folder = tmp_path_factory.mktemp("our smelt")
    *module, _ = blocks("python")
    (folder / "our_smelt.py").write_text("\n".join(module), "utf-8")
    (folder / "pyproject.toml").write_text(blocks("toml")[0], "utf-8")
    program = "from setuptools import build_meta; build_meta.build_wheel('wheel')"
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, capture_output=True)
    (wheel,) = (folder / "wheel").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def installed(package, tmp_path, monkeypatch):
    def forget():
        plugins.implementations.cache_clear()
        plugins.boards.cache_clear()
        sys.modules.pop("our_smelt", None)

    monkeypatch.syspath_prepend(package)
    monkeypatch.setenv("PYTHONPATH", str(package), prepend=":")  # of the workers of tune
    monkeypatch.chdir(tmp_path)
    forget()
    yield
    monkeypatch.undo()
    forget()


def sigmoid():
    writer = ModelWriter()
    x, y = writer.tensor("x", (1, 16), "int8", 0.1, 0), writer.tensor("y", (1, 16), "int8", 1 / 256, -128)
    writer.op("LOGISTIC", [x], [y])
    return writer.finish([x], [y])


def test_the_researchers_commands_do_what_the_page_says(installed, tmp_path, capsys):
    (tmp_path / "model.tflite").write_bytes(sigmoid())
    said = {}
    for line in "".join(blocks("sh")).splitlines():
        command, *words = shlex.split(line)
        if command == "smelt":
            result = CliRunner().invoke(main, words)
            assert result.exit_code == 0, f"{line}: {result.output}"
            said[" ".join(words)] = result.stdout
    assert len(said) == 6
    assert 'core = "our_core"' in said["boards --show our_board"]
    assert "lookup_turns" in (tmp_path / "kept" / "3-plan.txt").read_text("utf-8")
    exec(blocks("python")[-1], {})
    assert {"elements=8", "elements=2", "elements=1"} <= set(
        re.findall(r"lookup_turns (\S+) \d+", capsys.readouterr().out)
    )
