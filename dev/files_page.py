"""Renew what docs/files.md shows of files that smelt reads and writes, from the code: `python -m dev.files_page`.

The page is written by hand but for what stands between `<!-- NAME -->` and `<!-- end -->`: tables of fields with values as an
example, taken from files that are made here.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from smelt.compile import Compilation, compile
from smelt.firmware import weights_image
from smelt.firmware.exports import Golden, Label, format_named, package
from smelt.firmware.exports import Origin as ModelOrigin
from smelt.firmware.exports.layout import facts
from smelt.inputs import FORMATS, MOST_BYTES, PICTURES, RAW, random_inputs
from smelt.inputs.recordings import RECORDINGS
from smelt.model.reference import run
from smelt.planner.log import TuningLog
from smelt.planner.measurement import Measurement, Origin, Places
from smelt.report.board_profile import BoardProfile, BoardStep
from smelt.targets.board_file import CACHE, MEMORY, PATH, SETUP, TOP

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "docs" / "files.md"
MODEL = ROOT / "smelt" / "assets" / "resnet8.tflite"
BLOCK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
LONGEST = 80


def markdown() -> str:
    """The page as it should be."""
    made = Made()
    return BLOCK.sub(lambda found: f"{found[1]}\n{getattr(made, found[2])()}\n\n{found[3]}", FILE.read_text("utf-8"))


class Made:
    """What stands in each block, by its name."""

    @cached_property
    def _compiled(self) -> Compilation:
        return compile(MODEL, "pico", name="words", compiler="none", log=TuningLog.empty)

    def log(self) -> str:
        origin, places = Origin("simulator b44a4406", "zig 0.17.1"), Places(x="dtcm", y="dtcm")
        features = (("cost", 38912), ("loads", 8192), ("stores", 4096), ("schedule.unroll", 4))
        how = "add_70504a15", "Add x=int8[1x8x8x64] x2=int8[1x8x8x64] -> int8[1x8x8x64]", "add", "form=affine unroll=4"
        return table(
            json.loads(Measurement(*how, "disco_f746ng", 18000, None, origin, places, features, "c9440b0e").line)
        )

    def keep(self) -> str:
        with tempfile.TemporaryDirectory() as folder:
            self._compiled.keep(folder)
            names = sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())
        return "\n".join(["```text", *names, "6-firmware.elf", "```"])

    def weights(self) -> str:
        layout = [line.strip() for line in (weights_image.__doc__ or "").splitlines() if line.startswith("    ")]
        return "\n".join(["```text", *layout, "```"])

    def package(self) -> str:
        made, (inputs,) = self._compiled, random_inputs(self._compiled.model, 1)
        golden, origin = (
            Golden(inputs, run(made.model, inputs)),
            ModelOrigin("words.tflite", "0" * 64, {"--for": "speed"}),
        )
        found = facts(format_named("cmake"), package(made.program, made.sources, golden, Label(), origin))
        return table({**found, "generator": "smelt 1.2.3", "files": {"include/words_net.h": "0" * 64}})

    def share(self) -> str:
        step = BoardStep(
            "conv2d_0", "CONV_2D", ("conv2d_pairs_1a2b3c4d",), ("int8 1x8x8x16",), 147456, 120034, 118021, 1.017
        )
        found = BoardProfile(
            "words", "nucleo_l4r5zi", "openocd", "zig 0.17.1", "simulator 15780873", 120400, 118300, (step,), 366, 279
        ).to_share()
        return table({**found, "smelt": "1.2.3"})

    def board(self) -> str:
        parts = (("", TOP), ("memories", MEMORY), ("memories.path", PATH), ("caches", CACHE), ("setup", SETUP))
        rows = [(f"`[{name}]`" if name else "the file", words(must), words(may)) for name, (must, may) in parts]
        return lines(("table", "needed", "optional"), rows)

    def inputs(self) -> str:
        rows = (
            (
                "picture",
                words(PICTURES),
                f"{', '.join(FORMATS)}; of the input's size, or any where the model's file says one; grey or RGB like the input",
            ),
            (
                "recording",
                words(RECORDINGS),
                "16 bits, one channel; cut off or filled up with silence; what becomes of it: [preparation.md](preparation.md)",
            ),
            (
                "array",
                "`.npy`",
                "of the input's type, or reals, which are quantised; one run, or several along a new first axis",
            ),
            ("arrays", "`.npz`", "the one with the input's name, or the only one; then as `.npy`"),
            (
                "bytes",
                f"{words(filter(None, RAW))}, or none",
                "the input's own bytes, little-endian; one run after the other",
            ),
        )
        return f"{lines(('kind', 'names end with', 'what it holds'), rows)}\n\nAt most {MOST_BYTES >> 20:,} MiB each."


def table(values: Mapping[str, Any]) -> str:
    """The fields of an object of JSON, those of objects in it as well."""
    return lines(
        ("field", "type", "for example"),
        [(f"`{n}`", kind, f"`{e}`") for n, kind, e in fields_of(json.loads(json.dumps(values)))],
    )


def fields_of(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str, str]]:
    for name, value in values.items():
        inner = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
        plain = isinstance(inner, dict) and all(re.fullmatch(r"[a-z_0-9]+", key) for key in inner)
        if plain and name not in ("features", "options", "files"):
            yield from fields_of(inner, f"{before}{name}{'[]' if inner is not value else ''}.")
            continue
        text = json.dumps(value)
        yield f"{before}{name}", kind_of(value), text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def kind_of(value: Any) -> str:
    kinds = {
        bool: "boolean",
        int: "integer",
        float: "number",
        str: "string",
        list: "list",
        dict: "object",
        type(None): "string or null",
    }
    return kinds[type(value)]


def words(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names) or "-"


def lines(head: Sequence[str], rows: Any) -> str:
    marked = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([marked[0], f"|{'---|' * len(head)}", *marked[1:]])


if __name__ == "__main__":
    FILE.write_text(markdown(), "utf-8")
