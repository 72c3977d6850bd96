"""`Plan` -> `Program` -> `Sources` -> `Image`: the C, and the firmware made of it."""

from smelt.firmware.build import build
from smelt.firmware.emit import emit, emit_suite
from smelt.firmware.harness import render_harness, render_suite_harness
from smelt.firmware.sources import render, render_suite

__all__ = ["build", "emit", "emit_suite", "render", "render_harness", "render_suite", "render_suite_harness"]
