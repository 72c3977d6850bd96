"""The texts that C is filled into."""

from __future__ import annotations

from importlib.resources import files
from string import Template


def template(name: str) -> Template:
    """The file of that name in `templates/`."""
    return Template(files("smelt.firmware").joinpath("templates", name).read_text("utf-8"))
