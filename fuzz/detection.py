"""A recipe of what detectors end with."""

from __future__ import annotations

import numpy as np

from fuzz.growth import Growth, Recipe


def detections(g: Growth, dtype: str) -> bool:
    """The regular way: in the other one the oracle leaves what is behind the last box as it was."""
    boxes, classes, background, most = g.integer(1, 40), g.integer(1, 4), g.integer(0, 1), g.integer(1, 10)
    centres, sizes = g.rng.integers(0, 3, (boxes, 2)) / 3, g.rng.uniform(0.1, 0.8, (boxes, 2))
    anchors = g.tensor((boxes, 4), dtype, data=np.concatenate([centres, sizes], axis=1))
    x, scores = g.input((1, boxes, 4), dtype), g.input((1, boxes, classes + background), dtype)
    ys = [g.tensor(shape, dtype) for shape in ((1, most, 4), (1, most), (1, most), (1,))]
    options = {"max_detections": most, "max_classes_per_detection": 1, "detections_per_class": g.integer(1, 10)}
    options |= {"use_regular_nms": True, "num_classes": classes, "nms_score_threshold": g.pick((0.0, 0.01, 0.5))}
    options |= {f"{name}_scale": g.pick((1.0, 5.0, 10.0)) for name in "yxhw"}
    g.op(
        "CUSTOM TFLite_Detection_PostProcess", [x, scores, anchors], ys, nms_iou_threshold=g.pick((0.2, 0.6)), **options
    )
    return True


DETECTION: dict[str, Recipe] = {"CUSTOM TFLite_Detection_PostProcess": detections}
