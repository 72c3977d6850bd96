"""What a tuning learns: a Gaussian process from what is known of a kernel without running it to the cycles it will take.

It predicts how many cycles a kernel takes for each instruction of its static cost, and how sure it is. What was measured for
other steps and models counts as well: kernels are known by their counts, their schedules and their shapes, not by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, log1p, log2
from typing import Any

import numpy as np

from smelt.planner.measurement import Measurement
from smelt.planner.ways import Way
from smelt.targets.types import Core
from smelt.tuning.features import SCHEDULE, features

Array = np.ndarray[Any, np.dtype[np.float64]]

MOST = 600
"""Measurements that a model learns from, the latest; the time to fit grows with their cube."""

CHOOSE = 150
"""Of them, about how many decide which prior is the likeliest."""

LINEAR, SAME_STEP, SAME_WAY = 0.02, 0.05, 0.05  # variances of the parts of the prior, in squared logarithms of cycles
SMOOTH = (0.02, 0.1)  # variance of what is smooth in the features: the likelier is taken
LENGTHS = (0.5, 1.0, 2.0)  # how far that reaches, in units of a typical distance
NOISE = (1e-5, 1e-3)

Prior = tuple[float, float, float]
"""Variance and length of what is smooth, and the variance of the noise."""

SIZES = ("tables", "scratch", "x", "y")


@dataclass(frozen=True)
class Example:
    """A kernel as the model sees it. `op_key` tells which ones do the same; `way` is the implementation."""

    op_key: str
    way: str
    cost: float
    features: Mapping[str, float]


def of_candidate(op_key: str, way: Way, core: Core) -> Example:
    """What is known of a way before it is measured."""
    return _example(op_key, way.implementation.name, dict(features(way, core)), way.resident)


def of_measurement(m: Measurement) -> Example | None:
    """What a line of the log says about its kernel; None for lines from before it was noted."""
    tables_in_ram, _ = m.place
    return _example(m.op_key, m.implementation, dict(m.features), tables_in_ram) if m.features else None


def _example(op_key: str, way: str, known: Mapping[str, int], resident: bool) -> Example:
    cost = max(known.get("cost", 0), 1)
    found = {"size": log(cost), "resident": float(resident), f"by {way}": 1.0}
    for name, count in known.items():
        # shares of the cost say what the kernel is made of; sizes are in themselves what matters to caches
        if name.startswith(SCHEDULE):
            found[f"{way} {name}"] = log2(1 + count)
        else:
            found[name] = log2(1 + count) / 4 if name in SIZES else log1p(16 * count / cost)
    if resident:
        found["tables in RAM"] = found.get("tables", 0.0)
    return Example(op_key, way, cost, found)


@dataclass(frozen=True, eq=False)
class Prediction:
    """Natural logarithms of cycles: what is expected, and the standard deviations."""

    mean: Array
    deviation: Array

    def optimistic(self, deviations: float = 2.0) -> Array:
        """The cycles that may just be possible."""
        return np.asarray(np.exp(self.mean - deviations * self.deviation), np.float64)

    def gain(self, base: Array) -> Array:
        """How far below `base` cycles a measurement is expected to be, where being above counts as nothing."""
        sigma = np.maximum(self.deviation, 1e-6)
        z = (np.log(np.maximum(base, 1)) - self.mean) / sigma
        below = np.exp(self.mean + sigma**2 / 2) * _normal(z - sigma)
        return np.asarray(np.maximum(base * _normal(z) - below, 0), np.float64)


def _normal(z: Array) -> Array:
    """The distribution function of the normal distribution, to about 1e-3: its logistic approximation."""
    return np.asarray(1 / (1 + np.exp(-np.clip(1.5976 * z + 0.070566 * z**3, -60, 60))), np.float64)


@dataclass(frozen=True, eq=False)
class Learned:
    """A model that was fitted."""

    examples: Sequence[Example]
    names: tuple[str, ...]
    scale: Array
    prior: Prior
    factor: Array
    weights: Array
    centre: float

    def predict(self, examples: Sequence[Example]) -> Prediction:
        """The cycles of kernels, measured or not."""
        across = _covariance(examples, self.examples, self.names, self.scale, self.prior)
        ratio = self.centre + across @ self.weights
        solved = np.linalg.solve(self.factor, across.T)
        variance = _variance(examples, self.names, self.scale, self.prior[0]) - np.sum(solved**2, axis=0)
        return Prediction(ratio + np.log([e.cost for e in examples]), np.sqrt(np.maximum(variance, 1e-8)))


def fit(examples: Sequence[Example], cycles: Sequence[int], prior: Prior | None = None) -> Learned:
    """Learn from at least one measurement. Without `prior`, the likeliest is looked for, which takes longer."""
    examples, cycles = examples[-MOST:], cycles[-MOST:]
    if prior is None:
        few = max(len(examples) // CHOOSE, 1)
        priors = [(v, length, noise) for v in SMOOTH for length in LENGTHS for noise in NOISE]
        prior = max(priors, key=lambda one: _fitted(examples[::few], cycles[::few], one)[0])
    return _fitted(examples, cycles, prior)[1]


def _fitted(examples: Sequence[Example], cycles: Sequence[int], prior: Prior) -> tuple[float, Learned]:
    """The logarithm of the likelihood of what was measured under a prior, and the model."""
    names = tuple(sorted({name for e in examples for name in e.features}))
    scale = _scale(_matrix(examples, names))
    ratios = np.log(np.maximum(np.asarray(cycles, np.float64), 1)) - np.log([e.cost for e in examples])
    centre = float(np.median(ratios))
    covariance = _covariance(examples, examples, names, scale, prior)
    factor = np.asarray(np.linalg.cholesky(covariance + (prior[2] + 1e-9) * np.eye(len(examples))), np.float64)
    half = np.linalg.solve(factor, ratios - centre)
    likelihood = -0.5 * float(half @ half) - float(np.sum(np.log(np.diag(factor))))
    weights = np.asarray(np.linalg.solve(factor.T, half), np.float64)
    return likelihood, Learned(examples, names, scale, prior, factor, weights, centre)


def _matrix(examples: Sequence[Example], names: Sequence[str]) -> Array:
    return np.array([[e.features.get(name, 0.0) for name in names] for e in examples], np.float64)


def _scale(matrix: Array) -> Array:
    """What makes each feature vary by about one; features that are always the same say nothing yet."""
    return np.asarray(1 / np.maximum(matrix.std(axis=0), 0.1), np.float64)


def _covariance(a: Sequence[Example], b: Sequence[Example], names: Sequence[str], scale: Array, prior: Prior) -> Array:
    x, y = _matrix(a, names) * scale, _matrix(b, names) * scale
    apart = (x**2).sum(1)[:, None] + (y**2).sum(1)[None, :] - 2 * x @ y.T
    smooth, length, _ = prior
    reach = 2 * len(names) * length**2
    result = LINEAR / len(names) * (x @ y.T) + smooth * np.exp(-np.maximum(apart, 0) / reach)
    return np.asarray(result + SAME_STEP * _same([e.op_key for e in a], [e.op_key for e in b])
                      + SAME_WAY * _same([e.way for e in a], [e.way for e in b]), np.float64)  # fmt: skip


def _same(a: Sequence[str], b: Sequence[str]) -> Array:
    numbers: dict[str, int] = {}
    codes = [np.array([numbers.setdefault(text, len(numbers)) for text in texts]) for texts in (a, b)]
    return np.asarray(codes[0][:, None] == codes[1][None, :], np.float64)


def _variance(examples: Sequence[Example], names: Sequence[str], scale: Array, smooth: float) -> Array:
    x = _matrix(examples, names) * scale
    return np.asarray(LINEAR / len(names) * (x**2).sum(1) + smooth + SAME_STEP + SAME_WAY, np.float64)
