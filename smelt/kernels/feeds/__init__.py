"""Feeds: how elements of x reach an inner product, which sees them side by side."""
