"""Cutting and joining signals. States are renewed from front to back, so that the new one may lie over the old one."""

from __future__ import annotations

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.loops.ir import AnyBuffer, Buffer, Const, Expr, Value, maximum, minimum, real
from smelt.model.ops_streams import CircularBuffer, Countdown, Delay, Framer, OverlapAdd, Stacker


def build_framer(op: Framer, schedule: Plain) -> KernelCall:
    kept, step, size = op.history.shape[-1], op.step, op.size
    k = CallBuilder("framer", in_place=True)
    x, history, seen = k.operand("x", op.x), k.operand("history", op.history), k.operand("seen", op.seen)
    y, valid = k.result("y", op.y), k.result("valid", op.valid)
    following, next_seen = k.result("next_history", op.next_history), k.result("next_seen", op.next_seen)
    with k.loop("row", 0, op.rows) as row:
        old, new = _state(k, history, following, row * kept, kept, op.frames)
        with k.loop("frame", 0, op.frames) as frame:
            samples = k.window("samples", x, (row * op.frames + frame) * step)
            to = k.window("to", y, (row * op.frames + frame) * size)
            _moved(k, to, 0, old, 0, kept)
            _moved(k, to, kept, samples, 0, size - kept)
            _shifted(k, new, old, samples, kept, step)
    count = k.let("count", seen[0])
    k.store(valid, 0, count + 1 >= op.needed)
    k.store(next_seen, 0, minimum(count, op.needed - op.frames) + op.frames)
    return k.finish_call()


def _state(
    k: CallBuilder, old: Buffer, new: Buffer, start: Value, size: int, rounds: int
) -> tuple[AnyBuffer, AnyBuffer]:
    """A row of a state as it is read and as it is written: in several rounds, what is read is what was written."""
    new_row = k.window("next", new, start)
    if rounds == 1:
        return k.window("last", old, start), new_row
    with k.loop("i", 0, size) as i:
        k.store(new_row, i, old[start + i])
    return new_row, new_row


def _moved(k: CallBuilder, y: AnyBuffer, at: Value, x: AnyBuffer, start: Value, count: int) -> None:
    if count > 0:
        with k.loop("i", 0, count) as i:
            k.store(y, i + at, x[i + start])


def _shifted(k: CallBuilder, new: AnyBuffer, old: AnyBuffer, x: AnyBuffer, size: int, count: int) -> None:
    """The last `size` values of `old`, which has as many, and `count` of `x`."""
    _moved(k, new, 0, old, count, size - count)
    _moved(k, new, max(size - count, 0), x, max(count - size, 0), min(size, count))


def build_stacker(op: Stacker, schedule: Plain) -> KernelCall:
    channels, kept = op.x.elements, op.history.elements
    k = CallBuilder("stacker", in_place=True)
    x, history, missing = k.operand("x", op.x), k.operand("history", op.history), k.operand("missing", op.missing)
    y, valid = k.result("y", op.y), k.result("valid", op.valid)
    following, next_missing = k.result("next_history", op.next_history), k.result("next_missing", op.next_missing)
    count = k.var("count", missing[0])
    with k.when(count > op.frames):
        k.assign(count, Const(op.right))
        with k.loop("frame", 0, op.frames - 1) as frame, k.loop("i", 0, channels) as i:
            k.store(y, frame * channels + i, x[i])
    with k.otherwise():
        k.assign(count, count - 1)
        _moved(k, y, 0, history, 0, kept)
    _moved(k, y, kept, x, 0, channels)
    _moved(k, following, 0, y, channels, kept)
    k.store(valid, 0, count < 1)
    with k.when(count < 1):
        k.assign(count, Const(op.step))
    k.store(next_missing, 0, count)
    return k.finish_call()


def build_overlap_add(op: OverlapAdd, schedule: Plain) -> KernelCall:
    kept, step, size = op.tail.shape[-1], op.step, op.size
    k = CallBuilder("overlap_add", in_place=True)
    x, tail = k.operand("x", op.x), k.operand("tail", op.tail)
    y, following = k.result("y", op.y), k.result("next_tail", op.next_tail)
    with k.loop("row", 0, op.rows) as row:
        old, new = _state(k, tail, following, row * kept, kept, op.frames)
        with k.loop("frame", 0, op.frames) as frame:
            samples = k.window("samples", x, (row * op.frames + frame) * size)
            to = k.window("to", y, (row * op.frames + frame) * step)
            _summed(k, to, samples, old, 0, step, kept)
            _summed(k, new, samples, old, step, size, kept)
    return k.finish_call()


def _summed(k: CallBuilder, y: AnyBuffer, x: AnyBuffer, tail: AnyBuffer, first: int, end: int, kept: int) -> None:
    """x from `first` to `end` and as much as there is of the tail."""
    both = min(max(kept, first), end)
    if first < both:
        with k.loop("i", first, both) as i:
            k.store(y, i - first, _sum(x[i], tail[i]))
    if both < end:
        with k.loop("i", both, end) as i:
            k.store(y, i - first, x[i] + real(0.0) if x.type == "float" else x[i])


def _sum(a: Expr, b: Expr) -> Expr:
    return a + b if a.type == "float" else minimum(maximum(a + b, -(2**15)), 2**15 - 1)


def build_delay(op: Delay, schedule: Plain) -> KernelCall:
    samples, late = op.samples, op.delay
    k = CallBuilder("delay", in_place=True)
    x, line = k.operand("x", op.x), k.operand("line", op.line)
    y, following = k.result("y", op.y), k.result("next_line", op.next_line)
    with k.loop("row", 0, op.rows) as row:
        old, new = _state(k, line, following, row * late, late, 1)
        source, to = k.window("samples", x, row * samples), k.window("to", y, row * samples)
        _moved(k, to, 0, old, 0, min(late, samples))
        _moved(k, to, late, source, 0, samples - late)
        _shifted(k, new, old, source, late, samples)
    return k.finish_call()


def build_circular_buffer(op: CircularBuffer, schedule: Plain) -> KernelCall:
    k = CallBuilder("circular_buffer", in_place=True)
    x, history, y = k.operand("x", op.x), k.operand("history", op.history), k.result("y", op.y)
    _shifted(k, y, history, x, op.y.elements, op.x.elements)
    return k.finish_call()


def build_countdown(op: Countdown, schedule: Plain) -> KernelCall:
    k = CallBuilder("countdown", in_place=True)
    left, y, following = k.operand("left", op.left), k.result("y", op.y), k.result("next_left", op.next_left)
    now = k.let("now", left[0])
    k.store(y, 0, now <= 1)
    with k.when(now <= 1):
        k.store(following, 0, Const(op.period))
    with k.otherwise():
        k.store(following, 0, now - 1)
    return k.finish_call()


STREAMS: tuple[Implementation, ...] = (
    Implementation("framer", Framer, plain, build_framer),
    Implementation("stacker", Stacker, plain, build_stacker),
    Implementation("overlap_add", OverlapAdd, plain, build_overlap_add),
    Implementation("delay", Delay, plain, build_delay),
    Implementation("circular_buffer", CircularBuffer, plain, build_circular_buffer),
    Implementation("countdown", Countdown, plain, build_countdown),
)
