"""Measures every timing rule on the simulated boards and writes the table into docs/timing.md.

python benchmarks/timing_table.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from smelt.targets.boards import board  # noqa: E402
from tests.timing_rules import RULES, measure  # noqa: E402

PAGE = ROOT / "docs" / "timing.md"
BEGIN, END = "<!-- begin of the table -->", "<!-- end of the table -->"


def table() -> str:
    """One table per core, in Markdown."""
    lines = []
    for name, rules in RULES:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(name, rules, Path(folder))
        lines += [
            f"### {board(name).title}",
            "",
            "| rule | code | published | simulated | source |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {r.name} | `{_short(r.code)}` | {r.cycles:g} | {n:.2f} | {r.source} |"
            for r, n in zip(rules, found, strict=True)
        ]
        lines.append("")
    return "\n".join(lines)


def _short(code: str) -> str:
    return code if len(code) < 60 else code[:57] + "..."


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table()}\n{END}{after}", encoding="utf-8")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
