"""Seeded fuzzers, which people and CI run: `python -m fuzz.models --cases 20000 --seed 1`, `python -m fuzz.graphs --cases 500`."""
