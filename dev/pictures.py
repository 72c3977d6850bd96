"""Make the pictures of docs/report.md: `python -m dev.pictures`. The page is that of the ResNet-8 in the package."""

from __future__ import annotations

import tempfile
from importlib.resources import as_file, files
from pathlib import Path

from smelt.compile import compile
from smelt.report.making import make_report, run_once
from smelt.report.report_page import report_page
from smelt.report.story import Report, on_board
from smelt.targets.boards import DISCO_F746NG, ESP32_C3, NUCLEO_L4R5ZI
from tests.browser import Page, browser

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
VIEWS = {
    "report_light": ("light", 1280, 1150),
    "report_dark": ("dark", 1280, 1150),
    "report_narrow": ("light", 390, 1150),
}


def report_of_the_demo() -> Report:
    """ResNet-8 on three boards, with what budgets buy."""
    options = {"log": None, "goal": "balanced", "feed": False, "compiler": "zig"}
    with as_file(files("smelt") / "assets" / "resnet8.tflite") as model:
        compilation = compile(model, NUCLEO_L4R5ZI)
        others = [on_board(board, run_once(compile(model, board))) for board in (DISCO_F746NG, ESP32_C3)]
        return make_report(compilation, model, options, others, (), curve=True)


def pictures(page: Page, report: Report, folder: Path) -> dict[str, bytes]:
    """PNGs by name, of a page that is written into `folder`."""
    file = folder / "report.html"
    file.write_text(report_page(report), "utf-8")
    found = {}
    for name, (scheme, width, height) in VIEWS.items():
        page.size(width, height)
        page.scheme(scheme)
        page.open(file)
        found[name] = page.picture()
    return found


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder)) as page:
        for name, content in pictures(page, report_of_the_demo(), Path(folder)).items():
            (FOLDER / f"{name}.png").write_bytes(content)
