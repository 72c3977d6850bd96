"""Fixtures that several files share."""

import os

import pytest

from tests.links import link, ram
from tests.paths import MODELS

__all__ = ["link", "ram"]


def pytest_configure() -> None:
    """Without the shared models whole files would be skipped: in CI that is a failure."""
    if os.environ.get("CI") and not MODELS.is_dir():
        pytest.exit("CI needs the shared models beside the repository", returncode=1)
