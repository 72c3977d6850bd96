"""What the fuzzers of files and command lines have in common: numbered cases, each from its own seed; findings, time, exit code."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable

import numpy as np

Case = Callable[[np.random.Generator], str]
"""Runs one case and returns how it ended, in a word; what it raises is a finding."""


class Finding(AssertionError):
    """A case ended as it must not, without an error of its own."""


def main(what: str, case: Case, cases: int, seconds: float) -> None:
    """The command line `--cases N --seed S [--first I]`: runs the cases, each of which may take `seconds`, prints what they
    came to, and exits with 1 if there are findings."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--cases", type=int, default=cases)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case: to repeat one")
    options = parser.parse_args()
    start = time.monotonic()
    findings, ends = run(case, options.seed, options.first, options.cases, seconds)
    for finding in findings[:20]:
        print(finding)
    print(f"ended as: {', '.join(f'{end} {count:,}' for end, count in sorted(ends.items()))}")
    print(
        f"{options.cases:,} cases (seed {options.seed}), {len(findings)} finding(s), {time.monotonic() - start:.0f} s"
    )
    sys.exit(1 if findings else 0)


def run(case: Case, seed: int, first: int, cases: int, seconds: float) -> tuple[list[str], Counter[str]]:
    """The findings, as texts that say how to repeat them, and how often cases ended how."""
    findings: list[str] = []
    ends: Counter[str] = Counter()
    for number in range(first, first + cases):
        before = time.process_time()
        try:
            ends[case(np.random.default_rng([seed, number]))] += 1
        except Exception:  # whatever escapes is what is looked for
            findings.append(f"case {number} (--seed {seed} --first {number} --cases 1):\n{traceback.format_exc()}")
        if time.process_time() - before > seconds:
            findings.append(f"case {number}: took more than {seconds:g} s")
    return findings, ends
