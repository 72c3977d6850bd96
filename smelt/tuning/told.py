"""What is said of a tuning, while it goes on and when it is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smelt.nouns import Noun

Report = Callable[[int, int, int | None], None]
"""Told (candidates with a result, all candidates, the best sum of cycles so far or None) after every measurement."""


@dataclass(frozen=True)
class Tuning(Noun):
    """What a tuning did. `measured` and `failed` count this session, `known` what the log held already, `left` what the
    budget did not allow, `hopeless` what was judged to promise too little. Cycles are the sums over the steps of the default
    and of the tuned plan, with code and tables where `places` says;
    on a cluster those of whole runs of both. `log` is None where there is no such file."""

    model: str
    board: str
    device: str
    places: str
    steps: int
    distinct_steps: int
    candidates: int
    known: int
    measured: int
    failed: int
    left: int
    hopeless: int
    cycles_before: int | None
    cycles_after: int | None
    notes: tuple[str, ...]
    seconds: float = 0.0
    log: str | None = None

    def in_brief(self) -> str:
        known = (self.cycles_before, self.cycles_after)
        cycles = "" if None in known else ", {:,} cycles before and {:,} after".format(*known)
        done = f"{self.measured} of {self.candidates} candidates measured, {self.known} known before"
        return f"tuning of {self.model} for {self.board}: {done}{cycles}"
