"""The custom operators that cut and join signals, whose memory becomes states."""

from __future__ import annotations

import numpy as np

from smelt.importers.tflite_signal import alike
from smelt.importers.tflite_site import Arm, Site
from smelt.model.graph import DType, Op, Tensor
from smelt.model.ops import Reshape
from smelt.model.ops_streams import Delay, Framer, OverlapAdd, Stacker

INT16, BOOL = ("int16",), ("bool",)
MOST_SAMPLES = 1 << 16


def positive(at: Site, name: str, least: int = 1) -> int:
    """An option that counts something."""
    value = at.custom(name)
    if not least <= value <= MOST_SAMPLES:
        at.broken(f"its option '{name}' is {value}, not {least} to {MOST_SAMPLES}")
    return value


def remembered(at: Site, name: str, shape: tuple[int, ...], dtype: DType, initial: int = 0) -> tuple[Tensor, Tensor]:
    """A state of the operator: as the last run left it, and as this one leaves it."""
    names = (f"{at.result().name}.{name}", f"{at.result().name}.{name}.next")
    read, write = (at.bench.named(Tensor(n, shape, dtype), n) for n in names)
    at.bench.keep(read, write, initial)
    return read, write


def _valid(at: Site) -> Tensor:
    valid = at.y(1, BOOL)
    if valid.elements != 1:
        at.broken(f"'{valid.name}' has the shape {list(valid.shape)}, not one element")
    return valid


def _rows(at: Site, x: Tensor, axes: int) -> int:
    if len(x.shape) < axes:
        at.broken(f"an input of shape {list(x.shape)} has fewer than {axes} axes")
    size = 1
    for extent in x.shape[: len(x.shape) - axes]:
        size *= extent
    return size


def _plain(at: Site, x: Tensor, y: Tensor) -> tuple[Op, ...]:
    """Where nothing need be remembered, y is x, and always valid."""
    if len(at.operator.outputs) > 1:
        at.bench.define(_valid(at), np.ones((1,), np.bool_))
    return (Reshape(x=x, y=y),)


def framer(at: Site) -> tuple[Op, ...]:
    x, y, valid = at.x(raw=True), at.y(raw=True), _valid(at)
    size, step, prefill = positive(at, "frame_size"), positive(at, "frame_step"), bool(at.custom("prefill"))
    rows = _rows(at, x, 1)
    if step > size:
        at.refuse(f"frames of {size} samples come every {step}; frames that leave no samples out are supported")
    if x.shape[-1] % step:
        at.broken(f"an input of shape {list(x.shape)} is no multiple of the {step} samples between frames")
    frames = x.shape[-1] // step
    y = at.agree(y, (*x.shape[:-1], frames, size))
    if step == size:
        return _plain(at, x, y)
    needed = 1 if prefill else -(-size // step)
    kept = size - step if prefill else (needed - 1) * step
    history, following = remembered(at, "history", (rows, kept), "int16")
    seen, next_seen = remembered(at, "seen", (1,), "int32")
    op = Framer(
        y=y, x=x, history=history, seen=seen, valid=valid, next_history=following, next_seen=next_seen, step=step,
        needed=needed,
    )  # fmt: skip
    return (op,)


def stacker(at: Site) -> tuple[Op, ...]:
    x, y, valid = at.x(raw=True), at.y(raw=True), _valid(at)
    channels = positive(at, "num_channels")
    left, right = positive(at, "stacker_left_context", 0), positive(at, "stacker_right_context", 0)
    step, frames = positive(at, "stacker_step"), left + right + 1
    if x.shape != (channels,):
        at.broken(f"an input of shape {list(x.shape)} is not one frame of {channels} channels")
    if step > frames:
        at.refuse(f"{frames} frames come every {step}; the oracle aborts where frames are left out")
    y = at.agree(y, (frames * channels,))
    if frames == 1:
        return _plain(at, x, y)
    history, following = remembered(at, "history", ((frames - 1) * channels,), "int16")
    missing, next_missing = remembered(at, "missing", (1,), "int32", frames + 1)
    op = Stacker(
        y=y, x=x, history=history, missing=missing, valid=valid, next_history=following, next_missing=next_missing,
        right=right, step=step,
    )  # fmt: skip
    return (op,)


def overlap_add(at: Site) -> tuple[Op, ...]:
    (x, y), step = alike(at), positive(at, "frame_step")
    rows = _rows(at, x, 2)
    frames, size = x.shape[-2:]
    if step > size:
        at.refuse(f"frames of {size} samples come every {step}; frames that leave no gaps are supported")
    y = at.agree(y, (*x.shape[:-2], frames * step))
    if step == size:
        return _plain(at, x, y)
    tail, following = remembered(at, "tail", (rows, size - step), x.dtype)
    return (OverlapAdd(y=y, x=x, tail=tail, next_tail=following),)


def delay(at: Site) -> tuple[Op, ...]:
    x, y, late = at.x(raw=True), at.y(raw=True), positive(at, "delay_length", 0)
    rows = _rows(at, x, 1)
    y = at.agree(y, x.shape)
    if late == 0:
        return _plain(at, x, y)
    line, following = remembered(at, "line", (rows, late), "int16")
    return (Delay(y=y, x=x, line=line, next_line=following),)


STREAMS: tuple[Arm, ...] = (
    Arm("CUSTOM SignalFramer", "frames that overlap or meet", (1, 1), framer, types=INT16, outputs=(2, 2)),
    Arm("CUSTOM SignalStacker", "no frames left out", (1, 1), stacker, types=INT16, outputs=(2, 2)),
    Arm("CUSTOM SignalOverlapAdd", "frames that overlap or meet", (1, 1), overlap_add, types=(*INT16, "float32")),
    Arm("CUSTOM SignalDelay", "", (1, 1), delay, types=INT16),
)
