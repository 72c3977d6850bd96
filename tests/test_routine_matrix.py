"""Routines are right in every build that users make: a part of the matrix here, all of it by `python -m tests.routine_matrix`."""

from __future__ import annotations

import pytest

from tests.routine_matrix import Cell, check, compilers, covering, every_cell, table
from tests.tiny_firmware import need


def test_every_build_is_right_or_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    need("arm-none-eabi-gcc")
    cells = covering([c for c in every_cell() if c.compiler in compilers()])
    results: dict[Cell, str] = {cell: check(cell) for cell in cells}
    with capsys.disabled():
        print(f"\nroutines in {len(results)} builds (. was not tried):\n{table(results)}")
    expected = {c: "#error smelt" if c.extra == "big" else "right" for c in results}
    wrong = [f"{c}: {r}" for c, r in results.items() if not r.startswith(expected[c])]
    assert not wrong, "\n".join(wrong)
