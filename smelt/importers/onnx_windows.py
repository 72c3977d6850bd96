"""Windows that slide over images: how many there are, and the padding around them, as the attributes of ONNX say it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from smelt.importers.onnx_site import Site
from smelt.importers.onnx_views import View
from smelt.model.ops import Padding

CHANNELS_LAST = (0, 2, 3, 1)


@dataclass(frozen=True)
class Windows:
    """Of rows and columns: size, stride, dilation, padding, and how many windows there are."""

    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pad: Padding
    count: tuple[int, int]


def image(at: Site, view: View) -> View:
    """A value of (batch, channels, [rows,] columns) as one of (batch, channels, rows, columns), stored with the channels last."""
    if len(view.shape) == 3:
        view = replace(view, shape=(*view.shape[:2], 1, view.shape[2]))
    if len(view.shape) != 4:
        at.refuse(f"it works on {len(view.shape) - 2} axes; images (2) and sequences (1) are supported")
    return at.bench.arranged(view, CHANNELS_LAST)


def as_it_was(view: View, rank: int) -> View:
    """An image as a sequence again, where it came from one."""
    return view if rank == 4 else replace(view, shape=(*view.shape[:2], view.shape[3]))


def windows(at: Site, shape: tuple[int, ...], size: tuple[int, ...]) -> Windows:
    """From the attributes: `shape` is that of the image (batch, channels, rows, columns), `size` one number or two."""
    axes = len(size)
    stride, dilation = at.many("strides", (1,) * axes, axes), at.many("dilations", (1,) * axes, axes)
    pads = at.many("pads", (0,) * 2 * axes, 2 * axes)
    if min(*size, *stride, *dilation) < 1:
        at.broken("windows, strides and dilations are 1 or more")
    at.demand(min(pads) >= 0, "negative pads are not supported; slice before it")
    sizes, strides, dilations = both(size), both(stride), both(dilation)
    before, behind = both(pads[:axes], 0), both(pads[axes:], 0)
    found = [
        _along(at, shape[axis + 2], sizes[axis], strides[axis], dilations[axis], (before[axis], behind[axis]))
        for axis in (0, 1)
    ]
    (rows, top, bottom), (columns, left, right) = found
    return Windows(sizes, strides, dilations, Padding(top, bottom, left, right), (rows, columns))


def both(numbers: tuple[int, ...], rows: int = 1) -> tuple[int, int]:
    """For rows and columns; a sequence is one row."""
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (rows, numbers[0])


def _along(at: Site, extent: int, size: int, stride: int, dilation: int, pads: tuple[int, int]) -> tuple[int, int, int]:
    """How many windows there are along an axis, and the padding before and behind it that they see."""
    reach, auto = (size - 1) * dilation + 1, at.text("auto_pad", "NOTSET")
    before, behind = pads
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        count = -(-extent // stride)
        total = max(0, (count - 1) * stride + reach - extent)
        less, more = total // 2, total - total // 2
        return (count, less, more) if auto == "SAME_UPPER" else (count, more, less)
    if auto == "VALID":
        before = behind = 0
    room = extent + before + behind - reach
    if room < 0:
        at.broken(
            f"a window of {reach} does not fit in {extent} rows or columns with {before} and {behind} around them"
        )
    count = room // stride + 1
    if at.integer("ceil_mode", 0) and room % stride and count * stride < extent + before:
        return count + 1, before, (count * stride) + reach - extent - before
    return count, before, behind
