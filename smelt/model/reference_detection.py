"""What is computed at the end of detectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smelt.model.graph import Array, Op
from smelt.model.ops_detection import Detections

Taken = tuple[float, int, int]
"""A score, a box, a class."""


def detections(op: Detections, x: Array, scores: Array, anchors: Array) -> tuple[Array, ...]:
    """Corners, classes, scores, and how many there are."""
    corners, choice = decoded(op, x[0], anchors), op.choice
    columns = scores[0, :, op.first :]
    best = columns.argmax(axis=1)
    taken = list[Taken]()
    for label in range(choice.classes) if choice.regular else (0,):
        ranked = columns[:, label] if choice.regular else columns.max(axis=1)
        for box in _apart(op, corners, ranked):
            taken.append((float(ranked[box]), box, label if choice.regular else int(best[box])))
    taken = sorted(taken, key=lambda one: -one[0])[: op.most]
    y, labels, found = (np.zeros(t.shape, np.float32) for t in (op.y, op.labels, op.found))
    for place, (score, box, label) in enumerate(taken):
        y[0, place], labels[0, place], found[0, place] = corners[box], label, score
    return y, labels, found, np.full(op.count.shape, len(taken), np.float32)


def decoded(op: Detections, x: Array, anchors: Array) -> Array:
    """The corners of every box: computed in double precision up to its centre and half its size."""
    t, a, scales = x[:, :4].astype(np.float64), anchors.astype(np.float64), np.array(op.scales)
    with np.errstate(over="ignore", invalid="ignore"):
        centre = (t[:, :2] / scales[:2] * a[:, 2:] + a[:, :2]).astype(np.float32)
        half = (0.5 * np.exp(t[:, 2:] / scales[2:]) * a[:, 2:]).astype(np.float32)
        return np.concatenate([centre - half, centre + half], axis=1)


def _apart(op: Detections, corners: Array, ranked: Array) -> list[int]:
    """Boxes that score enough, best first, without those that overlap with a better one."""
    left = [int(i) for i in np.argsort(-ranked, kind="stable") if ranked[i] >= np.float32(op.choice.least)]
    most, taken = op.choice.per_class if op.choice.regular else op.most, list[int]()
    while left and len(taken) < most:
        taken.append(left[0])
        shared = overlaps(corners[left[0]], corners[left[1:]])
        left = [box for box, share in zip(left[1:], shared, strict=True) if not share > np.float32(op.choice.overlap)]
    return taken


def overlaps(box: Array, others: Array) -> Array:
    """The share of the common area that a box has with each of others, in float32; 0 where one of them has no area."""
    zero = np.float32(0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        own = (box[2] - box[0]) * (box[3] - box[1])
        areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
        sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
        both = np.maximum(sides[:, 0], zero) * np.maximum(sides[:, 1], zero)
        share = both / (own + areas - both)
    return np.where((own > zero) & (areas > zero), share, zero)


DETECTION: dict[type[Op], Callable[..., tuple[Array, ...]]] = {Detections: detections}
