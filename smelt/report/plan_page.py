"""A plan as a page: one file with everything in it, which needs no network; or as a part of another page.

The page is `pages/plan.html`, `plan.css` and `plan.js`; what it draws is the plan's JSON. Names come from the model's file and are
trusted by nobody: in the JSON no character can end the element it stands in, and the script makes text nodes of them only.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from html import escape
from importlib.resources import files
from pathlib import Path

from smelt.errors import printable
from smelt.files import write
from smelt.report.plan_view import PlanView

ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&"}


def save_page(view: PlanView, file: Path) -> None:
    """Write the page of one plan. Raises BuildError or OptionError where the file cannot be written."""
    write(file, plan_page(view).encode("utf-8"))


def plan_page(view: PlanView) -> str:
    """The page of one plan, HTML."""
    parts = {
        "@TITLE@": escape(printable(f"{view.model} on {view.board}")),
        "@STYLE@": plan_style(),
        "@SCRIPT@": plan_script(),
        "@PLANS@": plan_element(view),
    }
    before, *after = _asset("plan.html").split("@")
    return before + "".join(parts[f"@{text}@"] if n % 2 == 0 else text for n, text in enumerate(after))


def plan_element(view: PlanView) -> str:
    """The element of one plan, for a page that has `plan_style` and `plan_script` and calls `drawPlan` with it."""
    data = json.dumps(asdict(view)).translate(ESCAPES)
    return (
        '<div class="plan"><noscript>This page draws the plan with a script.</noscript>'
        f'<script type="application/json">{data}</script></div>'
    )


def plan_style() -> str:
    """The style of plans, CSS: it says nothing of what is outside of their elements."""
    return _asset("plan.css")


def plan_script() -> str:
    """The function `drawPlan`, JavaScript."""
    return _asset("plan.js")


def _asset(name: str) -> str:
    return (files("smelt.report") / "pages" / name).read_text(encoding="utf-8")
