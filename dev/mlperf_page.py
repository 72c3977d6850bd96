"""Write the transcripts of docs/mlperf.md, of simulated boards that are asked as the benchmark's runner asks them:
`python -m dev.mlperf_page`."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from smelt.compile import Compilation, compile
from smelt.devices.simulators.simulator import Simulator
from smelt.firmware.mlperf import Mlperf, Mode, modes
from tests import paths
from tests.mlperf_runner import Played, accuracy, inferred, loaded, performance, who

FILE = paths.ROOT / "docs" / "mlperf.md"
BEGIN, END = "<!-- transcripts, by python -m dev.mlperf_page -->\n", "<!-- end of transcripts -->\n"
SAMPLE = paths.INPUTS / "mlperf_tiny" / "kws_sample_class5.npy"
WRONG = ("db load 491", "db 00", "db load 2", "db 0g", "infer 0", "start", "x" * 81)


def compiled() -> Compilation:
    """The keyword spotting model, ready to be asked."""
    return compile(paths.KWS, "nucleo_l4r5zi", mlperf=Mlperf("somebody"))


def mistakes() -> Generator[str, list[str], None]:
    for command in WRONG:
        _ = yield command  # what is answered stands in the transcript


def said(mode: Mode, script: Generator[str, Any, Any]) -> str:
    """What was said, a line for each that was sent or came, in the middle of long loads none."""
    line = Played(script)
    Simulator(mode.board).talk(mode.image, line)
    text = []
    for number, found in enumerate(line.transcript):
        near = [line.transcript[n] for n in (number - 1, number + 1) if 0 <= n < len(line.transcript)]
        middle = is_data(found) and len(near) == 2 and all(map(is_data, near))
        if not middle:
            text.append(found if len(found) <= 100 else f"{found[:97]}...")
        elif text[-1] != "...":
            text.append("...")
    return "\n".join(text)


def is_data(line: str) -> bool:
    return line.startswith("db ") and len(line) > 40


def transcripts(made: Compilation) -> str:
    """All of them, as Markdown."""
    assert made.image is not None and made.firmware is not None
    sample = np.load(SAMPLE).tobytes()
    usual, energy = modes(made.firmware, made.plan.board, made.model, made.image)
    parts = {
        "Who is there": (usual, who()),
        "Performance mode, one window of three inferences in place of the five of ten seconds": (
            usual,
            performance(sample, 3, warm_ups=1, windows=1),
        ),
        "Accuracy mode, one input": (usual, accuracy([sample])),
        "What should not be sent": (usual, mistakes()),
        "Energy mode: the pin says when": (energy, performance_unheard(sample)),
    }
    return "\n".join(f"{title}:\n\n```text\n{said(mode, script)}\n```\n" for title, (mode, script) in parts.items())


def performance_unheard(data: bytes) -> Generator[str, Any, Any]:
    """A window of energy mode, in portions as they are with a power monitor between."""
    yield from loaded(data, 26)
    yield from inferred(2, 1)


def page(text: str, made: Compilation) -> str:
    """The page with new transcripts."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{transcripts(made)}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    FILE.write_text(page(FILE.read_text("utf-8"), compiled()), "utf-8")
