"""MISRA C:2012 by cppcheck: `python -m dev.misra [MODEL] [--board NAME]` counts its reports on the C of a network.

By rule and by file, with nothing suppressed. cppcheck has no texts of the rules, and takes from seconds to minutes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from smelt.compile import compile
from smelt.firmware.build import write_texts

MODEL = Path(__file__).resolve().parents[1] / "tests/data/models/mlperf_tiny/kws_ref_model.tflite"
REPORT = re.compile(r"^([^:\n]+):\d+:\d+: .*\[misra-c2012-([\d.]+)\]$", re.MULTILINE)


def reports(texts: Mapping[str, str], name: str) -> Counter[tuple[str, str]]:
    """How often each file breaks each rule: (rule, file) -> reports."""
    with tempfile.TemporaryDirectory() as folder:
        write_texts(Path(folder), texts)
        files = [f"{name}_net.c", f"{name}_weights.c"]
        command = ["cppcheck", "-q", "--addon=misra", "--enable=style", *files]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return Counter((rule, file) for file, rule in REPORT.findall(done.stderr))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?", default=MODEL)
    parser.add_argument("--board", default="nucleo_l4r5zi")
    options = parser.parse_args(arguments)
    made = compile(options.model, options.board, name="words", compiler="none")
    found = reports(made.sources.files, "words")
    for kind in (0, 1):
        counts = Counter[str]()
        for key, count in found.items():
            counts[key[kind]] += count
        for key, count in counts.most_common():
            print(f"{count:5} {key}")
        print()
    print(f"{sum(found.values()):5} reports")


if __name__ == "__main__":
    main()
