"""What people take away: one `Package` of a network, laid out for the project that is open on their screens.

A format is a file here and its line in `FORMATS`.
"""

from smelt.errors import OptionError
from smelt.firmware.exports import (
    arduino,
    c,
    cmake,
    cmsis_pack,
    esp_idf,
    mlf,
    mlperf_tiny,
    platformio,
    single_file,
    stm32cube,
    zephyr,
)
from smelt.firmware.exports.layout import MANIFEST, Format, lay_out
from smelt.firmware.exports.package import Figure, Golden, Label, Origin, Package, cluster_advice, package

FORMATS: tuple[Format, ...] = (
    c.FORMAT,
    single_file.FORMAT,
    cmake.FORMAT,
    arduino.FORMAT,
    platformio.FORMAT,
    zephyr.FORMAT,
    esp_idf.FORMAT,
    cmsis_pack.FORMAT,
    stm32cube.FORMAT,
    mlf.FORMAT,
    mlperf_tiny.FORMAT,
)


def format_named(name: str) -> Format:
    """The format of that name. Raises OptionError."""
    for format in FORMATS:
        if format.name == name:
            return format
    raise OptionError(f"there is no format '{name[:60]}': {', '.join(f.name for f in FORMATS)}")


def check_format(format: Format, name: str, label: Label) -> None:
    """Raise OptionError for a name or a label that the format, or any, refuses. To be asked before the work."""
    label.check()
    if reason := format.refused(name, label):
        raise OptionError(f"'{name}' cannot be exported as {format.name}: {reason}")


__all__ = [
    "FORMATS",
    "MANIFEST",
    "Figure",
    "Format",
    "Golden",
    "Label",
    "Origin",
    "Package",
    "check_format",
    "cluster_advice",
    "format_named",
    "lay_out",
    "package",
]
