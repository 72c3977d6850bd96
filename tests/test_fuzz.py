"""A tenth of what the fuzzers of models and graphs try when they are run by hand, or what 45 seconds are enough for."""

import sys

import pytest

from fuzz import graphs, models
from fuzz.findings import Options
from tests.tiny_firmware import need


@pytest.mark.parametrize(("fuzzer", "cases"), [(models, 2000), (graphs, 200)], ids=["models", "graphs"])
def test_no_findings(fuzzer, cases):
    need("gcc")
    if sys.platform != "linux":
        pytest.skip("the tflite-micro wheel exists for Linux only")
    report = fuzzer.run_cases(Options(cases, seed=1, seconds=45, keep=None))
    report.show()
    assert report.cases > 20 and len(report.outcomes) >= 2
    assert not report.findings
