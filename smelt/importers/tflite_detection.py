"""TFLite_Detection_PostProcess: what detectors end with."""

from __future__ import annotations

import numpy as np

from smelt.importers.tflite_site import REAL, Arm, Site
from smelt.model.graph import Op, Tensor
from smelt.model.ops_detection import Choice, Detections

MOST_BOXES = 2**16 - 1
PER_CLASS = 100  # where the file does not say


def detection_post_process(at: Site) -> tuple[Op, ...]:
    x, scores, anchors = at.x(0), at.x(1), at.x(2)
    choice, most = _choice(at), _count(at, "max_detections")
    boxes = _checked_shapes(at, x, scores, anchors, choice)
    if anchors.is_constant and not np.all(anchors.constant[:, 2:] > 0):
        at.refuse(
            "some of its anchors have no area, and TFLM ends with an error on boxes without one; mend the anchors"
        )
    shapes = ((1, most, 4), (1, most), (1, most))
    y, labels, found = (at.agree(at.y(i), shape) for i, shape in enumerate(shapes))
    count = at.y(3)
    if count.elements != 1:
        at.broken(f"output '{count.name}' has the shape {list(count.shape)}, not one element")
    if boxes > MOST_BOXES:
        at.refuse(f"it has {boxes} boxes; at most {MOST_BOXES} are supported")
    height, width, rows, columns = (_positive(at, f"{name}_scale") for name in "hwyx")
    op = Detections(
        y=y, x=x, scores=scores, anchors=anchors, labels=labels, found=found, count=count,
        scales=(rows, columns, height, width), choice=choice,
    )  # fmt: skip
    return (op,)


def _choice(at: Site) -> Choice:
    regular, many = bool(at.custom("use_regular_nms", 0)), _count(at, "max_classes_per_detection")
    if not regular and many > 1:
        at.refuse(
            f"its option 'max_classes_per_detection' is {many}: TFLM writes its results beyond the outputs; 1 is supported"
        )
    overlap = at.custom_real("nms_iou_threshold")
    if not 0 < overlap <= 1:
        at.broken(f"its option 'nms_iou_threshold' is {overlap:g}, not between 0 and 1")
    return Choice(
        classes=_count(at, "num_classes"), least=at.custom_real("nms_score_threshold"), overlap=overlap, regular=regular,
        per_class=_count(at, "detections_per_class", PER_CLASS),
    )  # fmt: skip


def _count(at: Site, name: str, default: int | None = None) -> int:
    value = at.custom(name, default)
    if not 0 < value <= MOST_BOXES:
        at.broken(f"its option '{name}' is {value}, not 1 to {MOST_BOXES}")
    return value


def _positive(at: Site, name: str) -> float:
    value = at.custom_real(name)
    if not value > 0:
        at.broken(f"its option '{name}' is {value:g}, not positive")
    return value


def _checked_shapes(at: Site, x: Tensor, scores: Tensor, anchors: Tensor, choice: Choice) -> int:
    """How many boxes there are."""
    boxes = anchors.shape[0] if anchors.shape else 0
    if len(x.shape) != 3 or x.shape[:2] != (1, boxes) or x.shape[2] < 4 or anchors.shape != (boxes, 4):
        at.broken(f"boxes of shape {list(x.shape)} and anchors of shape {list(anchors.shape)} do not fit")
    fits = [(1, boxes, choice.classes + more) for more in (0, 1)]
    if scores.shape not in fits:
        at.broken(f"scores of shape {list(scores.shape)} do not fit {boxes} boxes of {choice.classes} classes")
    return boxes


DETECTING: tuple[Arm, ...] = (
    Arm(
        "CUSTOM TFLite_Detection_PostProcess",
        "one class for each box, or the regular way; boxes without an area overlap with none",
        (3, 3),
        detection_post_process,
        types=REAL,
        outputs=(4, 4),
    ),
)
