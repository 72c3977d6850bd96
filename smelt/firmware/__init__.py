"""`Plan` -> `Program` -> `Sources` -> `Image`: the C, and the firmware made of it."""

from smelt.firmware.build import build
from smelt.firmware.harness import render_harness
from smelt.firmware.program import emit
from smelt.firmware.sources import render

__all__ = ["build", "emit", "render", "render_harness"]
