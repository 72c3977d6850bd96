"""Write SUPPORTED.md from the code: `python dev/supported.py`."""

from pathlib import Path

from smelt.report.supported import markdown

FILE = Path(__file__).resolve().parents[1] / "SUPPORTED.md"

if __name__ == "__main__":
    FILE.write_text(markdown(), "utf-8")
