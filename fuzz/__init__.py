"""Seeded fuzzers, which people and CI run; README.md tells which and how."""
