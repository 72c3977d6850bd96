"""The backend node tests of the package onnx, for every operator that is read: none that is read is wrong."""

from collections import Counter

import onnx

from dev.onnx_nodes import PAGE, by_reference, outcomes, page


def test_the_page_is_current():
    """`python dev/onnx_nodes.py` writes it; another version of the package has other tests."""
    found = list(outcomes(by_reference))
    ends = Counter(outcome.end for outcome in found)
    assert not ends["wrong"] and ends["passed"] > 420
    written = PAGE.read_text("utf-8")
    assert written == page(found) or f"onnx {onnx.__version__} " not in written
