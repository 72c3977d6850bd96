"""What the C says where the weights are an image of their own (`weights_image.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smelt.firmware import ports
from smelt.firmware.calls import comment
from smelt.firmware.program import Program
from smelt.firmware.template import template
from smelt.firmware.weights_image import ALIGNMENT, HEAD, MAGIC, WeightsImage

PER_ROW = 10


def image_texts(program: Program) -> dict[str, str]:
    """What header and functions have besides; nothing where the weights are linked like all else."""
    own = " /* there is no step of that number */"
    if not program.exchanged:
        return {
            "image_statuses": own,
            "image_prototypes": "",
            "image_functions": "",
            "image_parameter": f"({program.name}_net *net, const {program.name}_memory *memory)",
        }
    image = WeightsImage(program)
    first, second = image.digest
    values = {"name": program.name, "NAME": program.name.upper(), "bytes": str(image.size), "head": str(HEAD)}
    values |= {"magic": f"0x{MAGIC:08X}", "layout_0": f"0x{first:08X}", "layout_1": f"0x{second:08X}"}
    values |= {"alignment": str(ALIGNMENT), "layout": f"{first:08x}{second:08x}"}
    values["accessors"] = "".join(ports.accessors(program, template("image_accessor.h"))).rstrip("\n")
    functions = "".join(ports.accessors(program, template("image_accessor.c")))
    return {
        "image_statuses": template("image_statuses.h").substitute(values).rstrip("\n"),
        "image_prototypes": template("image_prototypes.h").substitute(values),
        "image_functions": functions + template("image_check.c").substitute(values),
        "image_parameter": f"_image({program.name}_net *net, const {program.name}_memory *memory, const void *image)",
    }


def bound_to_image(program: Program, begun: Sequence[str]) -> Iterator[str]:
    """What binds an instance to its memory, once the image is known to be good."""
    yield f"    status = {program.name}_check_image(image);"
    yield f"    if (status == {program.name.upper()}_STATUS_OK) {{"
    yield "        net->weights = image;"
    yield from (f"    {line}" for line in begun)
    yield "    }"


def image_values(program: Program) -> dict[str, str]:
    """What the files of weights say in that case."""
    image = WeightsImage(program)
    tables = (
        f"#define {c.name.upper()} {image.offsets[c.name]}u /* {comment(c.comment)}: {c.type}[{c.data.size}] */"
        for c in program.constants
    )
    words = [f"0x{word:08X}u" for word in image.words]
    rows = (", ".join(words[i : i + PER_ROW]) for i in range(0, len(words), PER_ROW))
    return {
        "declarations": "\n".join(tables),
        "words": str(len(words)),
        "numbers": "\n".join(f"    {row}," for row in rows),
    }
