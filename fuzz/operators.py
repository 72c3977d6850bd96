"""Every operator and how it grows: a recipe for each that smelt has, in all its types (`tests/test_fuzz_growth.py`)."""

from __future__ import annotations

from fuzz.detection import DETECTION
from fuzz.growth import Recipe
from fuzz.linear import LINEAR
from fuzz.memory import MEMORY
from fuzz.moves import MOVES
from fuzz.pointwise import POINTWISE
from fuzz.signal import SIGNAL

RECIPES: dict[str, Recipe] = {**LINEAR, **MOVES, **POINTWISE, **MEMORY, **SIGNAL, **DETECTION}
