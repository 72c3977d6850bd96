"""Routines are right in every build that users make: a part of the matrix here, all of it by `python -m tests.routine_matrix`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernels_host import SUPPORT
from tests.routine_calls import calls, host_program
from tests.routine_matrix import Cell, check, compilers, covering, every_cell, table
from tests.tables import TABLE
from tests.thumb_programs import run_command
from tests.tiny_firmware import need


def test_every_build_is_right_or_refused_by_name(record_property: Callable[[str, object], None]) -> None:
    need("arm-none-eabi-gcc")
    cells = covering([c for c in every_cell() if c.compiler in compilers()])
    results: dict[Cell, str] = {cell: check(cell) for cell in cells}
    record_property(
        TABLE, f"{len(results)} builds, {len(calls())} calls of routines in each; . was not tried\n{table(results)}"
    )
    expected = {c: "#error smelt" if c.extra == "big" else "right" for c in results}
    wrong = [f"{c}: {r}" for c, r in results.items() if not r.startswith(expected[c])]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_portable_bodies_keep_to_their_memory(level: str, tmp_path: Path) -> None:
    """On this computer, with sanitizers of addresses and of what C leaves undefined."""
    need("gcc")
    (tmp_path / "calls.c").write_text(host_program())
    flags = ["-std=gnu11", "-g", level, "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-I", str(SUPPORT)]
    run_command(["gcc", *flags, "calls.c", "-o", "calls"], tmp_path)
    done = subprocess.run([str(tmp_path / "calls")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]
