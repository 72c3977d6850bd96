"""What users say of sounds before a network: mel features of frames, and which numbers they have."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from smelt.errors import OptionError
from smelt.model.mel import MelScale

Kind = Literal["log-mel", "mfcc"]
KINDS: tuple[Kind, ...] = ("log-mel", "mfcc")
MOST_RATE = 192_000
MOST_SAMPLES = 1 << 15
"""Of a spectrum, and of a stride."""

LEAST_BAND = 1.0
"""Hz that all mel bands cover together: sides of narrower ones have no slope in float64."""

NUMBERS = {
    "rate": (16000.0, "samples a second"),
    "window": (30.0, "milliseconds of a frame"),
    "stride": (20.0, "milliseconds from a frame to the next"),
    "n_fft": (0.0, "samples of a spectrum"),
    "n_mels": (40.0, "mel bands"),
    "low": (20.0, "Hz, where the first band begins"),
    "high": (0.0, "Hz, where the last band ends"),
    "n_mfcc": (0.0, "cosine coefficients"),
    "power": (1.0, "of magnitudes: 1 or 2"),
    "floor": (1e-6, "what is added before the logarithm"),
    "mean": (0.0, "taken off features"),
    "std": (1.0, "what features are divided by then"),
    "slide": (0.0, "new frames in each inference"),
}
"""Fields that are numbers, with their defaults; 0 is for those that follow from others."""

WORDS = {"mel": ("htk", "slaney"), "log": ("ln", "db"), "gain": ("none", "peak")}
"""Fields that are words, the default first."""


@dataclass(frozen=True)
class SoundSpec:
    """Features of sounds as users say them; `numbers` has the fields of `NUMBERS`. `text` is what was said."""

    text: str
    kind: Kind
    mel: MelScale
    log: Literal["ln", "db"]
    peak: bool
    numbers: dict[str, float]

    @property
    def slides(self) -> bool:
        """Whether each inference is given the newest samples only."""
        return self.numbers["slide"] > 0

    @property
    def rate(self) -> int:
        return int(self.numbers["rate"])

    def samples(self, field: str) -> int:
        """The milliseconds of a field, in samples. Raises OptionError where they are no whole number of them, or too many."""
        found = self.numbers[field] * self.rate / 1000
        if not 1 <= found <= MOST_SAMPLES or abs(found - round(found)) > 1e-6:
            raise OptionError(
                f"features of sounds: a {field} of {self.numbers[field]:g} ms has {found:g} samples at {self.rate:,} Hz, and it "
                f"must be a whole number of at most {MOST_SAMPLES:,}"
            )
        return round(found)


def sound_spec(text: str) -> SoundSpec:
    """From what users write, such as mfcc:rate=16000:window=30:stride=20:n_mels=40. Raises OptionError."""
    first, *more = text.split(":")
    kind = next((kind for kind in KINDS if kind == first), None)
    if kind is None:
        raise OptionError(f"features of sounds begin with {' or '.join(KINDS)}, not '{first}'")
    given: dict[str, str] = {}
    for field in more:
        key, equals, value = field.partition("=")
        if key in given:
            raise OptionError(f"features of sounds say {key} twice")
        if not equals or key not in (*NUMBERS, *WORDS):
            known = ", ".join((*NUMBERS, *WORDS))
            raise OptionError(
                f"features of sounds have no '{field}': fields are {known}, with a colon before each, such as mfcc:n_mels=40"
            )
        given[key] = value
    words = {key: _word(key, given.get(key, choices[0])) for key, choices in WORDS.items()}
    numbers = {key: _number(key, given[key]) if key in given else default for key, (default, _) in NUMBERS.items()}
    _check(numbers)
    peak = words["gain"] == "peak"
    if peak and numbers["slide"]:
        raise OptionError("features of sounds: gain=peak is of a whole sound, and slide=N is for sounds that go on")
    return SoundSpec(
        text,
        kind,
        "slaney" if words["mel"] == "slaney" else "htk",
        "db" if words["log"] == "db" else "ln",
        peak,
        numbers,
    )


def _word(key: str, value: str) -> str:
    if value not in WORDS[key]:
        raise OptionError(f"features of sounds: {key} is {' or '.join(WORDS[key])}, not '{value}'")
    return value


def _number(key: str, text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not isfinite(found):
        raise OptionError(f"features of sounds: {key} is a number ({NUMBERS[key][1]}), not '{text}'")
    return found


def _check(numbers: dict[str, float]) -> None:
    """Raise OptionError for numbers that cannot be."""
    for key, least, most in (
        ("rate", 1, MOST_RATE),
        ("n_fft", 0, MOST_SAMPLES),
        ("n_mels", 1, 1024),
        ("n_mfcc", 0, 1024),
        ("power", 1, 2),
        ("slide", 0, 1 << 15),
    ):
        if numbers[key] != int(numbers[key]) or not least <= numbers[key] <= most:
            raise OptionError(
                f"features of sounds: {key} is a whole number from {least} to {most}, not {numbers[key]:g}"
            )
    if not 1e-30 <= numbers["floor"] <= 1e30:
        raise OptionError(f"features of sounds: floor is more than 0 (1e-30 to 1e30), not {numbers['floor']:g}")
    if not 1e-6 <= abs(numbers["std"]) <= 1e6 or abs(numbers["mean"]) > 1e6:
        raise OptionError("features of sounds: std is not 0, and neither std nor mean is beyond a million")
    nyquist = numbers["rate"] / 2
    low, high = numbers["low"], numbers["high"] or nyquist
    if not 0 <= low <= high - LEAST_BAND or high > nyquist:
        raise OptionError(
            f"features of sounds: bands lie between 0 Hz and half the rate, {nyquist:g} Hz, low at least {LEAST_BAND:g} Hz below "
            f"high; not from {low:g} to {high:g}"
        )
