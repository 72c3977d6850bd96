"""TFLite_Detection_PostProcess against TensorFlow Lite Micro, and its kernel against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.compile import compile
from smelt.errors import ModelError, Unsupported
from smelt.importers.tflite import load_tflite
from smelt.kernels.detection import DETECTION
from smelt.kernels.implementation import Plain
from smelt.model.reference import results, run
from smelt.report.verify import verify
from smelt.targets.boards import board
from tests.kernels_host import run_all
from tests.oracle import Oracle
from tests.reference_check import cases, seeds
from tests.tflite_writer import ModelWriter

OPTIONS = {
    "max_detections": 5, "max_classes_per_detection": 1, "detections_per_class": 4, "use_regular_nms": False,
    "nms_score_threshold": 0.25, "nms_iou_threshold": 0.5, "num_classes": 3, "y_scale": 10.0, "x_scale": 10.0,
    "h_scale": 5.0, "w_scale": 5.0,
}  # fmt: skip


def anchors_of(rng: np.random.Generator, boxes: int) -> np.ndarray:
    """Few places, so that many overlap."""
    return np.concatenate([rng.integers(0, 3, (boxes, 2)) / 3, rng.uniform(0.1, 0.8, (boxes, 2))], axis=1)


def model(boxes=20, coordinates=4, background=1, anchors=None, outputs=None, **options) -> bytes:
    w, options = ModelWriter(), OPTIONS | options
    most, classes = options["max_detections"], options["num_classes"] + background
    x, scores = (
        w.tensor(name, s, "float32")
        for name, s in (("boxes", (1, boxes, coordinates)), ("scores", (1, boxes, classes)))
    )
    data = anchors_of(np.random.default_rng(boxes), boxes) if anchors is None else anchors
    shapes = outputs or ((1, most, 4), (1, most), (1, most), (1,))
    ys = [w.tensor(n, s, "float32") for n, s in zip(("places", "labels", "found", "count"), shapes, strict=True)]
    options = {name: value for name, value in options.items() if value is not None}
    w.op("CUSTOM TFLite_Detection_PostProcess", [x, scores, w.constant("anchors", data, "float32")], ys, **options)
    return w.finish([x, scores], ys)


def drawn(rng: np.random.Generator, boxes: int, coordinates: int, classes: int) -> list[np.ndarray]:
    """Scores of which many are equal."""
    x = rng.normal(0, rng.choice([0.3, 3]), (1, boxes, coordinates)).astype(np.float32)
    return [x, (rng.integers(0, rng.choice([4, 40, 4000]), (1, boxes, classes)) / 40 % 1).astype(np.float32)]


def agree(found, expected, regular: bool) -> None:
    """In the regular way the oracle writes zeros behind the last box, in the other one nothing."""
    count = int(expected[3].reshape(-1)[0])
    for mine, theirs in zip(found, expected, strict=True):
        until = mine.size if regular or mine.size == 1 else count * mine.size // found[1].size
        np.testing.assert_array_equal(mine.reshape(-1)[:until], theirs.reshape(-1)[:until])
        assert mine.size == 1 or not np.any(mine.reshape(-1)[count * mine.size // found[1].size :])


@cases(60)
@given(
    seed=seeds,
    boxes=st.integers(1, 60),
    coordinates=st.integers(4, 6),
    background=st.integers(0, 1),
    classes=st.integers(1, 4),
    most=st.integers(1, 12),
    per_class=st.integers(1, 6) | st.none(),
    regular=st.booleans(),
    overlap=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    least=st.sampled_from([-1.0, 0.0, 0.3, 0.7]),
)
def test_detections(seed, boxes, coordinates, background, classes, most, per_class, regular, overlap, least):
    rng = np.random.default_rng(seed)
    options = {"max_detections": most, "detections_per_class": per_class, "use_regular_nms": regular}
    options |= {"nms_iou_threshold": overlap, "nms_score_threshold": least, "num_classes": classes}
    file = model(boxes, coordinates, background, anchors_of(rng, boxes), **options)
    graph, oracle = load_tflite(file, "m"), Oracle(file)
    for _ in range(3):
        inputs = drawn(rng, boxes, coordinates, classes + background)
        agree(run(graph, inputs), [np.asarray(y) for y in oracle.run(inputs)], regular)


@pytest.mark.parametrize("regular", [False, True])
def test_the_kernel_is_the_reference(regular):
    rng, calls, given, wanted = np.random.default_rng(regular), [], [], []
    sizes = ((20, 4, 1, 3, 5), (1, 4, 0, 1, 1), (33, 5, 0, 2, 40), (300, 4, 1, 5, 10))
    for boxes, coordinates, background, classes, most in sizes:
        options = {"max_detections": most, "num_classes": classes, "use_regular_nms": regular}
        (op,) = load_tflite(model(boxes, coordinates, background, **options), "m").ops
        (way,) = DETECTION
        call = way.build(op, Plain())
        for spread in (1, 1, 40, 2000):
            x, scores = drawn(rng, boxes, coordinates, classes + background)
            arrays = dict(zip((op.x, op.scores), (x * np.float32(spread), scores), strict=True))
            calls.append(call)
            given.append(arrays)
            wanted.append(results(op, *arrays.values(), op.anchors.constant))
    for found, expected in zip(run_all(calls, given, sanitize=True), wanted, strict=True):
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mine.reshape(theirs.shape), theirs)


def test_firmware_finds_the_same(tmp_path):
    rng, path = np.random.default_rng(8), tmp_path / "m.tflite"
    path.write_bytes(model(use_regular_nms=True))
    compilation = compile(path, board("nucleo_l4r5zi"))
    runs = [tuple(drawn(rng, 20, 4, 4)) for _ in range(5)]
    assert verify(compilation, runs, "tflm", path).mismatches == 0


REFUSALS = [
    (model(max_classes_per_detection=2), "beyond the outputs"),
    (model(max_detections=0), "'max_detections' is 0"),
    (model(num_classes=2, background=2), "do not fit 20 boxes of 2 classes"),
    (model(nms_iou_threshold=0.0), "not between 0 and 1"),
    (model(nms_iou_threshold=None), "'nms_iou_threshold' is missing"),
    (model(nms_score_threshold=float("nan")), "no number"),
    (model(y_scale=0.0), "'y_scale' is 0"),
    (model(w_scale="wide"), "'wide', no number"),
    (model(anchors=np.zeros((20, 4))), "no area"),
    (model(anchors=np.ones((19, 4))), "do not fit"),
    (model(coordinates=3), "do not fit"),
    (model(outputs=((1, 5, 4), (1, 4), (1, 5), (1,))), "computes"),
    (model(outputs=((1, 5, 4), (1, 5), (1, 5), (2,))), "not one element"),
]


@pytest.mark.parametrize(("file", "words"), REFUSALS, ids=[words for _, words in REFUSALS])
def test_refusals(file, words):
    with pytest.raises((ModelError, Unsupported), match=words):
        load_tflite(file, "m")
