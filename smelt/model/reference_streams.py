"""What the operators compute that cut and join signals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smelt.model.graph import Array, Op
from smelt.model.ops_streams import CircularBuffer, Countdown, Delay, Framer, OverlapAdd, Stacker

Results = tuple[Array, ...]


def framer(op: Framer, x: Array, history: Array, seen: Array) -> Results:
    """y, whether all of it is of samples, and the states."""
    line = np.concatenate([history, x.reshape(op.rows, -1)], axis=1)
    frames = [line[:, f * op.step : f * op.step + op.size] for f in range(op.frames)]
    valid = seen + 1 >= op.needed
    return np.stack(frames, axis=1), valid, line[:, op.frames * op.step :], np.minimum(seen + op.frames, op.needed)


def stacker(op: Stacker, x: Array, history: Array, missing: Array) -> Results:
    """y, whether it is due, and the states."""
    first = int(missing[0]) > op.frames
    line = np.concatenate([np.tile(x, op.frames - 1) if first else history, x])
    left = op.right if first else int((missing - 1)[0])
    following = np.array([left or op.step], np.int32)
    return line, np.array(left == 0), line[x.size :], following


def overlap_add(op: OverlapAdd, x: Array, tail: Array) -> Results:
    """y and the tail."""
    steps, none = [], np.zeros((op.rows, op.step), x.dtype)
    for frame in np.moveaxis(x.reshape(op.rows, op.frames, op.size), 1, 0):
        total = _added(np.concatenate([tail, none], axis=1), frame)
        steps.append(total[:, : op.step])
        tail = total[:, op.step :]
    return np.concatenate(steps, axis=1), tail


def _added(a: Array, b: Array) -> Array:
    if a.dtype == np.float32:
        return np.asarray(a + b)
    return np.clip(a.astype(np.int32) + b, -(2**15), 2**15 - 1).astype(np.int16)


def delay(op: Delay, x: Array, line: Array) -> Results:
    """y and the line."""
    line = np.concatenate([line, x.reshape(op.rows, -1)], axis=1)
    return line[:, : op.samples], line[:, op.samples :]


def circular_buffer(op: CircularBuffer, x: Array, history: Array) -> Array:
    """Stored values, moved."""
    return np.concatenate([history.reshape(-1)[x.size :], x.reshape(-1)])


def countdown(op: Countdown, left: Array) -> Results:
    """Whether it is time, and how many runs are left."""
    due = left <= 1
    return due, np.where(due, np.int32(op.period), left - 1)


STREAMS: dict[type[Op], Callable[..., Array | Results]] = {
    Framer: framer,
    Stacker: stacker,
    OverlapAdd: overlap_add,
    Delay: delay,
    CircularBuffer: circular_buffer,
    Countdown: countdown,
}
REAL_STREAMS: dict[type[Op], Callable[..., Results]] = {OverlapAdd: overlap_add}
