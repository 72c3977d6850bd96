"""`check` trusts nothing of what made a plan: with one thing changed it refuses it, or firmware of it is exact all the same."""

from __future__ import annotations

from collections import Counter
from functools import partial
from math import inf

import pytest

from fuzz.harness import Fuzzer, Options, Report, run
from fuzz.plans import KINDS, attempt, moved

SMALL = tuple(kind for kind in KINDS if kind.model == "KWS")


def tried(cases: int) -> Report:
    return run(Fuzzer("plans", "", partial(attempt, SMALL), cases, 90.0), Options(cases, 3, inf, None, 0))


def test_plans_that_are_wrong_in_one_thing_are_refused_or_harmless() -> None:
    report = tried(24)
    assert not report.findings and report.cases == 24
    ends = Counter(end.rpartition(": ")[2].partition(",")[0] for end in report.ends.elements())
    assert ends["refused"] >= 12 and ends["harmless"] > 0


def test_the_plans_have_what_is_changed() -> None:
    assert [kind for kind in SMALL if kind.plan.stages] == [SMALL[2]] and len(SMALL[1].plan.memories) == 2
    assert {kind.model for kind in KINDS} == {"KWS", "VWW", "IC"}


def test_a_check_that_looked_away_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the check a moved placement computes something else, and that is a finding."""
    monkeypatch.setattr("fuzz.plans.check", lambda plan: plan)
    monkeypatch.setattr("fuzz.plans.MUTATIONS", (moved,))
    assert tried(6).findings
