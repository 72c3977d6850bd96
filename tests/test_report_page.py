"""The report: its data, its page in a real browser, the command."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

import smelt
from dev.pictures import FOLDER, VIEWS, pictures
from smelt.cli import main
from smelt.compile import Compilation
from smelt.planner import TuningLog
from smelt.report.making import make_report
from smelt.report.report_page import report_page
from smelt.report.story import Layer, Option, Progress, Report, layers_of, most_macs
from smelt.targets.boards import ESP32_C3, GAPUINO, NUCLEO_L4R5ZI
from tests.browser import Page, browser
from tests.paths import AD, DATA
from tests.tflite_writer import ModelWriter

OPTIONS: dict[str, Any] = {"log": TuningLog.empty, "goal": "balanced", "feed": False, "compiler": "zig"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Compilation]:
    """x -> softmax -> sum of both: an edge that passes a step by."""
    writer = ModelWriter()
    x = writer.tensor("<b>x & y</b>", (1, 16), "int8", 1 / 256, -128)
    p = writer.tensor("p", (1, 16), "int8", 1 / 256, -128)
    y = writer.tensor("y", (1, 16), "int8", 1 / 128, -128)
    writer.op("SOFTMAX", [x], [p], Beta=1.0)
    writer.op("ADD", [x, p], [y], FusedActivationFunction=0)
    file = tmp_path_factory.mktemp("report") / "model.tflite"
    file.write_bytes(writer.finish([x], [y]))
    return file, smelt.compile(file, NUCLEO_L4R5ZI, log=TuningLog.empty)


@pytest.fixture(scope="module")
def report(made: tuple[Path, Compilation]) -> Report:
    file, compilation = made
    return make_report(compilation, file, OPTIONS, (), (Option("--for", "speed"),), curve=False)


def test_steps_are_led_to_by_what_they_read(report: Report) -> None:
    assert [layer.reads_from for layer in report.layers] == [(-1,), (-1, 0)]
    assert [layer.op for layer in report.layers] == ["Softmax", "Add"]
    assert report.layers[1].origin == "operator 1 ADD" and report.layers[1].makes == ("int8 1x16",)


def test_a_view_leads_to_what_made_it() -> None:
    """A convolution of one dimension reads the quantised input in another shape, which no step makes."""
    made = smelt.compile(DATA / "pytorch" / "cnn1d_ort_qdq.onnx", NUCLEO_L4R5ZI, compiler="none")
    profile: Any = SimpleNamespace(steps=[SimpleNamespace(cycles=None)] * len(made.plan.steps))
    assert [layer.reads_from for layer in layers_of(made, profile)] == [(n - 1,) for n in range(len(made.plan.steps))]


def test_all_of_flash_is_accounted_for_once(report: Report) -> None:
    assert sum(use.bytes for use in report.flash) == report.profile.flash_bytes
    assert {use.use for use in report.flash} >= {"kernel", "constants", "other code"}
    assert len({(use.name, use.use) for use in report.flash}) == len(report.flash)


def test_the_ceiling_is_that_of_the_instructions() -> None:
    assert [most_macs(b) for b in (ESP32_C3, NUCLEO_L4R5ZI, GAPUINO)] == [1, 2, 32]


def test_progress_never_rises_and_begins_where_every_step_is_known() -> None:
    compilation = smelt.compile(AD, NUCLEO_L4R5ZI)
    found = make_report(compilation, AD, {**OPTIONS, "log": None}, (), (), curve=False)
    cycles = [p.cycles for p in found.progress]
    assert cycles == sorted(cycles, reverse=True) and found.progress[-1].measurements >= len(compilation.plan.steps)
    assert all(layer.least_cycles == -(-layer.macs // 2) for layer in found.layers)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


def test_the_page_is_whole_on_wide_and_narrow_screens(page: Page, tmp_path: Path, report: Report) -> None:
    """No script fails, nothing is fetched, nothing stands out to the right, names are text."""
    file = tmp_path / "report.html"
    long = replace(report, progress=tuple(Progress(n, 1000 - 10 * n) for n in range(1, 9)))
    file.write_text(report_page(long), "utf-8")
    page.events.clear()
    for width in (1280, 390):
        page.size(width, 900)
        page.open(file)
        assert page.find("document.documentElement.scrollWidth") <= width
        assert page.find("document.querySelectorAll('main > section').length") == 7
        assert page.find("[...document.querySelectorAll('.plan-box')].length") == len(report.plan.boxes)
        sizes = "[...document.querySelectorAll('.plan svg:not([viewBox])')].map(s => s.clientWidth - s.getAttribute('width'))"
        assert not any(page.find(sizes)), "the page's own style reaches into the plan"
    page.size(1280, 1000)
    text = page.find("document.body.innerText")
    assert f"{report.profile.cycles:,}" in text and report.model_digest in text and "--for" in text
    assert (
        "fell from 990 to 920 cycles over 8 measurements" in text
        and page.find("document.querySelector('b > b')") is None
    )
    happened = {e["method"] for e in page.events}
    assert "Runtime.exceptionThrown" not in happened
    asked = [e["params"]["request"]["url"] for e in page.events if e["method"] == "Network.requestWillBeSent"]
    assert {url.partition(":")[0] for url in asked} <= {"file", "about"}


def test_light_and_dark(page: Page, tmp_path: Path, report: Report) -> None:
    file = tmp_path / "report.html"
    file.write_text(report_page(report), "utf-8")
    grounds = set()
    for scheme in ("light", "dark"):
        page.scheme(scheme)
        page.open(file)
        grounds.add(page.find("getComputedStyle(document.body).backgroundColor"))
    assert grounds == {"rgb(246, 247, 249)", "rgb(20, 23, 28)"}


def test_a_network_of_many_steps_with_long_names(report: Report) -> None:
    layers = tuple(Layer(f"step_{n}", "Add", "operator " * 60, ("int8 1x1",), (n - 1, 0), 0, 7, 0) for n in range(300))
    steps = tuple(replace(report.profile.steps[0], name=layer.name) for layer in layers)
    text = report_page(replace(report, layers=layers, profile=replace(report.profile, steps=steps)))
    assert text.count("<rect ") == 300 and "operator " * 10 not in text and "..." in text


def test_the_command(made: tuple[Path, Compilation], tmp_path: Path) -> None:
    file, compilation = made
    page = tmp_path / "page.html"
    words = (
        "report",
        file,
        "-b",
        "nucleo_l4r5zi",
        "--html",
        page,
        "--also",
        "pico",
        "--no-curve",
        "--log",
        "none",
        "--json",
    )
    done = CliRunner().invoke(main, [str(w) for w in words])
    found = json.loads(done.stdout)
    assert done.exit_code == 0 and found["schema"] == "smelt/report/1"
    assert [b["board"] for b in found["boards"]] == ["nucleo_l4r5zi", "pico"] and found["plan"]["points"] == []
    assert {"name": "--also", "value": "pico"} in found["options"]
    assert found["firmware_digest"] == compilation.image.digest and page.read_text("utf-8").startswith(
        "<!doctype html>"
    )
    over = CliRunner().invoke(main, ["report", str(file), "-b", "pico", "--html", str(file)])
    assert over.exit_code == 2 and file.read_bytes()[4:8] == b"TFL3"


def test_pictures_for_the_documents(page: Page, tmp_path: Path, report: Report) -> None:
    """As `python -m dev.pictures` makes them, of a small network: each is another one, and is drawn."""
    found = pictures(page, report, tmp_path)
    assert {f"{name}.png" for name in found} == {f.name for f in FOLDER.iterdir()}
    for name, content in found.items():
        image = Image.open(io.BytesIO(content)).convert("L")
        assert image.size == VIEWS[name][1:] and image.getextrema()[1] - image.getextrema()[0] > 100
    assert len(set(found.values())) == 3
