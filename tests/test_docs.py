"""Documents are true: the site builds, its links lead somewhere, commands exist, the notebook runs, pages from code are current."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from dev import cli_page, files_page
from smelt.cli import main

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
NOTEBOOK = ROOT / "examples" / "first_steps.ipynb"


def test_the_site_builds_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    """Strictly: a link to a page or a heading that is not there is an error, and so is a page that no menu leads to."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path)))
    assert "bare-metal firmware" in (tmp_path / "index.html").read_text("utf-8")
    assert not re.search(r'(src|href)="https?://(fonts|cdn|unpkg)', (tmp_path / "index.html").read_text("utf-8"))


def test_the_page_of_commands_is_current() -> None:
    assert cli_page.FILE.read_text("utf-8") == cli_page.markdown(), "run python -m dev.cli_page"


def test_the_page_of_files_is_current() -> None:
    assert files_page.FILE.read_text("utf-8") == files_page.markdown(), "run python -m dev.files_page"


def commands(text: str) -> Iterator[str]:
    """Command lines of smelt that a page shows: in blocks of a shell and in cells of tables, but those that leave something out."""
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        lines = re.sub(r"\\\n|\n  +(?=--)", " ", block).split("\n")
        for part in (part for line in lines for part in re.split(r"&&|;(?= smelt)", line.split("#")[0])):
            if re.match(r"\s*(\.venv/bin/)?smelt\s", part):
                yield part.strip().removeprefix(".venv/bin/")
    yield from re.findall(r"`(smelt [a-z]+ [^`]*)`", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_commands_that_pages_show_exist(page: Path) -> None:
    """Their names and options; nothing is run."""
    for line in commands(page.read_text("utf-8")):
        if "..." in line or "[" in line:
            continue
        name, *words = shlex.split(line)[1:]
        found = main.get_command(click.Context(main), name)
        assert found is not None, f"{page.name}: {line}"
        known = {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}
        unknown = {word.split("=")[0] for word in words if re.match(r"-{1,2}[a-z]", word)} - known - {"--help", "-h"}
        assert not unknown, f"{page.name}: {line}"


def test_the_notebook_runs() -> None:
    """Its cells one after the other, as a kernel would; what a cell ends with is shown as notebooks show it."""
    values: dict[str, object] = {}
    shown = []
    for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            *before, last = "".join(cell["source"]).split("\n")
            exec("\n".join(before), values)
            value = eval(last, values)
            shown.append(value._repr_html_() if hasattr(value, "_repr_html_") else repr(value))
    assert len(shown) == 5 and shown[2] == "'frog'"
    assert "<caption>operators (" in shown[0] and "<caption>steps (" in shown[3]
    assert "all 20 values of 2 input(s) equal reference" in shown[4]


def test_deviations_are_the_same_in_packages():
    """From coding rules: the page has the table that every package has."""
    shipped = (ROOT / "smelt/firmware/exports/templates/misra.md").read_text("utf-8")
    assert shipped[shipped.index("| rule |") :] in (ROOT / "docs/misra.md").read_text("utf-8")
