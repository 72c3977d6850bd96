"""The end of detectors: of the boxes that are left, the best is taken again and again, and those that overlap with it go."""

from __future__ import annotations

from dataclasses import dataclass

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.loops.ir import AnyBuffer, Buffer, Const, Expr, Intrinsic, Var, binary, cast, maximum, minimum, real
from smelt.model.ops_detection import Detections
from smelt.targets.types import Core

MOST_BOXES = 2**16 - 1
BOX_CENTRE = Intrinsic("box_centre", "float", 300, 700)
BOX_HALF = Intrinsic("box_half", "float", 3000, 6000)


def few_boxes(op: Detections, core: Core) -> bool:
    """at most 65535 boxes"""
    return op.boxes <= MOST_BOXES


@dataclass(frozen=True)
class _Work:
    """A kernel under construction: operands, results, corners and best scores of boxes, which boxes are left and which were taken,
    how many of the latter."""

    k: CallBuilder
    op: Detections
    scores: Buffer
    labels: Buffer
    found: Buffer
    corners: Buffer
    best: Buffer
    left: Buffer
    chosen: Buffer
    taken: Var

    def box(self, place: Expr) -> Expr:
        """Of those that are left. The minimum changes nothing: only boxes are stored."""
        return minimum(self.left[minimum(place, self.op.boxes - 1)], self.op.boxes - 1)

    def score(self, box: Expr, column: Expr) -> Expr:
        if not self.op.choice.regular:
            return self.best[box]
        return self.scores[box * self.op.scores.shape[2] + column + self.op.first]


def build_detections(op: Detections, schedule: Plain) -> KernelCall:
    k, boxes, most = CallBuilder("detections"), op.boxes, op.most
    x, scores, anchors = k.operand("x", op.x), k.operand("scores", op.scores), k.operand("anchors", op.anchors)
    y, labels = k.result("y", op.y), k.result("labels", op.labels)
    found, count = k.result("found", op.found), k.result("count", op.count)
    corners, best = k.scratch("corners", "float", 4 * boxes), k.scratch("best", "float", boxes)
    left, chosen = k.scratch("left", "uint16_t", boxes), k.scratch("chosen", "uint16_t", most)
    with k.loop("i", 0, most) as i:
        k.store(labels, i, real(0.0))
        k.store(found, i, real(0.0))
    w = _Work(k, op, scores, labels, found, corners, best, left, chosen, k.var("taken", 0))
    _decode(w, x, anchors)
    with k.loop("column", 0, op.choice.classes if op.choice.regular else 1) as column:
        number = _above(w, column)
        with k.loop("round", 0, min(op.choice.per_class if op.choice.regular else most, boxes)), k.when(number > 0):
            _take(w, column, number)
    with k.loop("i", 0, most) as i, k.loop("corner", 0, 4) as c:
        with k.when(i < w.taken):
            k.store(y, i * 4 + c, corners[minimum(chosen[i], boxes - 1) * 4 + c])
        with k.otherwise():
            k.store(y, i * 4 + c, real(0.0))
    k.store(count, 0, cast("float", w.taken))
    return k.finish_call()


def _decode(w: _Work, x: Buffer, anchors: Buffer) -> None:
    """The best score of each box, and the corners of those that may be taken."""
    k, op, width = w.k, w.op, w.op.x.shape[2]
    with k.loop("box", 0, op.boxes) as box:
        best = _best(w, box)
        k.store(w.best, box, best)
        with k.when(best >= real(op.choice.least)):
            for axis in (0, 1):
                size = k.let("size", anchors[box * 4 + 2 + axis])
                place, scale = x[box * width + axis], real(op.scales[axis])
                centre = k.let("centre", k.call(BOX_CENTRE, place, scale, size, anchors[box * 4 + axis]))
                half = k.let("half", k.call(BOX_HALF, x[box * width + 2 + axis], real(op.scales[2 + axis]), size))
                k.store(w.corners, box * 4 + axis, centre - half)
                k.store(w.corners, box * 4 + 2 + axis, centre + half)


def _best(w: _Work, box: Expr) -> Var:
    """The best score of a box."""
    k, columns = w.k, w.op.scores.shape[2]
    best = k.var("top", w.scores[box * columns + w.op.first])
    if w.op.choice.classes > 1:
        with k.loop("column", 1, w.op.choice.classes) as c:
            value = k.let("value", w.scores[box * columns + c + w.op.first])
            with k.when(value > best):
                k.assign(best, value)
    return best


def _label(w: _Work, box: Expr, best: Expr) -> Expr:
    """The first class that has the best score of a box."""
    k, last = w.k, w.op.choice.classes - 1
    if last == 0:
        return Const(0)
    label = k.var("label", 0)
    with k.loop("back", 0, last + 1) as back:
        c = k.let("column", last - back)
        with k.when(w.scores[box * w.op.scores.shape[2] + c + w.op.first] >= best):
            k.assign(label, c)
    return label


def _above(w: _Work, column: Expr) -> Var:
    """Fill `left` with the boxes that score enough; how many there are."""
    k, number = w.k, w.k.var("number", 0)
    with k.loop("box", 0, w.op.boxes) as box, k.when(w.score(box, column) >= real(w.op.choice.least)):
        k.store(w.left, minimum(maximum(number, 0), w.op.boxes - 1), box)
        k.assign(number, number + 1)
    return number


def _take(w: _Work, column: Expr, number: Var) -> None:
    """Take the best of the boxes that are left, and leave those that stay clear of it, in their order."""
    k, op = w.k, w.op
    place, score = k.var("place", 0), k.var("score", w.score(w.box(Const(0)), column))
    with k.loop("i", 1, minimum(number, op.boxes)) as i:
        value = k.let("value", w.score(w.box(i), column))
        with k.when(value > score):
            k.assign(score, value)
            k.assign(place, i)
    box = k.let("box", w.box(maximum(place, 0)))
    _insert(w, score, box, column if op.choice.regular else _label(w, box, score))
    own, staying = k.window("own", w.corners, box * 4), k.var("staying", 0)
    with k.loop("i", 0, minimum(number, op.boxes)) as i, k.when(binary("!=", i, place)):
        other = k.let("other", w.box(i))
        beside = k.window("beside", w.corners, other * 4)
        with k.when(binary("==", _overlaps(k, own, beside, op.choice.overlap), 0)):
            k.store(w.left, minimum(maximum(staying, 0), op.boxes - 1), other)
            k.assign(staying, staying + 1)
    k.assign(number, staying)


def _insert(w: _Work, score: Expr, box: Expr, label: Expr) -> None:
    """A box into those that were taken, behind all that score as well; what is one too many goes."""
    k, most = w.k, w.op.most
    place = k.var("place", 0)
    with k.loop("i", 0, most) as i, k.when((i < w.taken).both(w.found[i] >= score)):
        k.assign(place, place + 1)
    with k.when(place < most):
        if most > 1:
            with k.loop("back", 0, most - 1) as back:
                i = k.let("i", (most - 1) - back)
                with k.when(i > place):
                    for buffer in (w.found, w.labels, w.chosen):
                        k.store(buffer, i, buffer[i - 1])
        at = k.let("at", minimum(maximum(place, 0), most - 1))
        k.store(w.found, at, score)
        k.store(w.labels, at, cast("float", label))
        k.store(w.chosen, at, box)
        k.assign(w.taken, minimum(w.taken + 1, most))


def _overlaps(k: CallBuilder, a: AnyBuffer, b: AnyBuffer, most: float) -> Expr:
    """Whether two boxes with an area share more than `most` of what they cover together."""
    areas = [k.let("area", (box[2] - box[0]) * (box[3] - box[1])) for box in (a, b)]
    height, width = (minimum(a[2 + axis], b[2 + axis]) - maximum(a[axis], b[axis]) for axis in (0, 1))
    both = k.let("both", maximum(height, real(0.0)) * maximum(width, real(0.0)))
    share = k.let("share", both // (areas[0] + areas[1] - both))
    return (areas[0] > real(0.0)).both(areas[1] > real(0.0)).both(share > real(most))


DETECTION: tuple[Implementation, ...] = (
    Implementation("detections", Detections, plain, build_detections, (few_boxes,)),
)
