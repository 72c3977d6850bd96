"""Fixtures that several files share."""

from tests.links import link, ram

__all__ = ["link", "ram"]
