"""What the tests of the reference share: strategies for quantised tensors, and the comparison with the oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from smelt.importers import load
from smelt.model.dtypes import element_type
from smelt.model.graph import Graph
from smelt.model.reference import run
from tests.oracle import Oracle
from tests.tflite_writer import ModelWriter

ACTIVATIONS = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def cases(count: int) -> settings:
    """The same `count` examples in every run."""
    return settings(derandomize=True, max_examples=count, deadline=None, database=None, suppress_health_check=SLOW)


def powers(low: float, high: float) -> st.SearchStrategy[float]:
    """float32 numbers between 2**low and 2**high, evenly by magnitude; exact powers of two among them."""
    exponent = st.floats(low, high) | st.integers(int(np.ceil(low)), int(np.floor(high)))
    return exponent.map(lambda e: float(np.float32(2.0**e)))


def ratios(low: float, high: float) -> st.SearchStrategy[float]:
    """`powers`, and multiples of a quarter: with those the last bit of a multiplier decides which way a half goes."""
    return powers(low, high) | st.integers(1, 23).map(lambda n: n / 4)


scales = powers(-10, 2)
zeros = st.integers(-128, 127) | st.sampled_from([0, -128, 127])
seeds = st.integers(0, 2**32 - 1)
activations = st.sampled_from(list(ACTIVATIONS.values()))


def shapes(low: int, high: int, *, most: int = 7) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of `low` to `high` axes, of up to `most` elements each."""
    return st.lists(st.integers(1, most), min_size=low, max_size=high).map(tuple)


def int8s(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """Any values, small values, or only the extremes."""
    match rng.integers(4):
        case 0:
            return rng.choice(np.array([-128, 127], np.int8), shape)
        case 1:
            return np.clip(rng.normal(0, 20, shape), -128, 127).astype(np.int8)
        case _:
            return rng.integers(-128, 128, shape, np.int8)


def values(rng: np.random.Generator, shape: Sequence[int], dtype: str) -> np.ndarray:
    """Of any type, like `int8s`."""
    if dtype == "int8":
        return int8s(rng, shape)
    element = element_type(dtype)
    if element.is_float:
        return (rng.normal(0, 1, shape) * 2.0 ** rng.integers(-8, 8)).astype(np.float32)
    if dtype == "bool":
        return rng.random(shape) < rng.choice([0.1, 0.5, 0.9])
    return integers(rng, shape, dtype)


def integers(rng: np.random.Generator, shape: Sequence[int], dtype: str) -> np.ndarray:
    """Any values, values of any magnitude, or only the extremes."""
    element = element_type(dtype)
    match rng.integers(4):
        case 0:
            return rng.choice(np.array(element.range, element.numpy), shape)
        case 1:
            drawn = rng.integers(*element.range, shape, element.numpy, endpoint=True)
            return drawn >> rng.integers(0, element.bits, shape, element.numpy)
        case _:
            return rng.integers(*element.range, shape, element.numpy, endpoint=True)


def every_value(dtype: str) -> np.ndarray:
    """All values of a type of at most 16 bits, as one row."""
    limits = np.iinfo(dtype)
    return np.arange(limits.min, limits.max + 1).astype(dtype).reshape(1, -1)


zeros16 = st.just(0) | st.integers(-32768, 32767) | st.sampled_from([-32768, 32767])


def zeros_of(dtype: str) -> st.SearchStrategy[int]:
    """Zero points."""
    if dtype == "int32":
        return st.just(0)
    return {"int8": zeros, "int16": zeros16}.get(dtype, st.integers(0, 255))


@dataclass
class Bench:
    """One small model under test: a writer with its inputs and outputs, and a source of numbers."""

    seed: int
    w: ModelWriter = field(default_factory=ModelWriter)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def x(self, shape: Sequence[int], scale: float = 1.0, zero: int = 0, dtype: str = "int8") -> int:
        """An input of the model."""
        name = f"x{len(self.inputs)}"
        self.inputs.append(self.w.tensor(name, shape, dtype, () if dtype == "float32" else scale, zero))
        return self.inputs[-1]

    def y(self, shape: Sequence[int], scale: float = 1.0, zero: int = 0, dtype: str = "int8") -> int:
        """An output of the model."""
        name = f"y{len(self.outputs)}"
        self.outputs.append(self.w.tensor(name, shape, dtype, () if dtype == "float32" else scale, zero))
        return self.outputs[-1]

    def weights(self, shape: Sequence[int], scales: Sequence[float], axis: int) -> int:
        """Constant weights, per-tensor where there is one scale."""
        data = self.rng.integers(-127, 128, shape, np.int8)
        return self.w.tensor("weights", shape, "int8", scales, 0, data, axis)

    def bias(self, channels: int, scales: Sequence[float], spread: float) -> int:
        data = self.rng.normal(0, spread, channels).astype(np.int32)
        return self.w.tensor("bias", (channels,), "int32", scales, 0, data, 0)

    @property
    def model(self) -> bytes:
        return self.w.finish(self.inputs, self.outputs)


Agree = Callable[[Bench], None]


def agree(bench: Bench, folder: Path, times: int = 3) -> None:
    """Assert that the reference gives what the oracle gives, bit for bit, on `times` random inputs."""
    path = folder / "model.tflite"
    path.write_bytes(bench.model)
    graph, oracle = load(path), Oracle(bench.model)
    for _ in range(times):
        inputs = [values(bench.rng, t.shape, t.dtype) for t in graph.inputs]
        compare(graph, oracle, inputs)


def compare(graph: Graph, oracle: Oracle, inputs: Sequence[np.ndarray]) -> None:
    """Assert that both give the same for one input."""
    expected, results = oracle.run(inputs), run(graph, inputs)
    assert len(expected) == len(results)
    for tensor, want, got in zip(graph.outputs, expected, results, strict=True):
        assert got.dtype == want.dtype and prod(got.shape) == prod(want.shape), tensor
        differing = np.flatnonzero(got.reshape(-1) != want.reshape(-1))
        assert differing.size == 0, _first_difference(tensor, got, want, differing)


def _first_difference(tensor, got: np.ndarray, want: np.ndarray, differing: np.ndarray) -> str:
    first = differing[0]
    values = f"{got.reshape(-1)[first]} instead of {want.reshape(-1)[first]}"
    return f"{tensor}: {differing.size} of {got.size} differ, the first at {first}: {values}"
