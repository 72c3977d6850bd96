"""`verify --golden`: a network layer by layer against activations that another tool wrote, on the reference and on a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smelt.compile import Compilation
from smelt.devices.choose import Device
from smelt.devices.session_errors import DeviceHeapFull
from smelt.errors import OptionError
from smelt.model.graph import Array, Graph, Tensor
from smelt.model.reference import trace
from smelt.nouns import Noun
from smelt.report.execute import execute
from smelt.report.golden_files import GoldenFolder, GoldenLayer, Numbers
from smelt.report.rounding import allowance, wrong
from smelt.report.step_runs import step_runs

Order = Literal["hwc", "chw"]
Values = Mapping[str, Array]


@dataclass(frozen=True)
class GoldenDifference(Noun):
    """The first value that differs: its place in the file, from 0, and what is said of it."""

    element: int
    got: float
    golden: float
    mismatches: int


@dataclass(frozen=True)
class LayerComparison(Noun):
    """A golden layer beside the tensor that is that layer; None where the network has no tensor of its size.

    `reference` and `board` are None where all is equal; `seen` says whether the board could show the tensor.
    """

    file: str
    label: str
    values: int
    tensor: str | None
    reference: GoldenDifference | None
    seen: bool = False
    board: GoldenDifference | None = None

    @property
    def is_equal(self) -> bool:
        return self.tensor is not None and self.reference is None and self.board is None


@dataclass(frozen=True)
class GoldenComparison(Noun):
    """All layers; `order` is that of the files' numbers. On a board, how many output values differ from the reference's."""

    model: str
    order: Order
    layers: tuple[LayerComparison, ...]
    board: str | None = None
    cycles: int | None = None
    outputs: int | None = None
    wrong_outputs: int = 0
    remark: str = ""

    @property
    def mismatches(self) -> int:
        """How many layers differ, and outputs of the board."""
        return sum(not layer.is_equal for layer in self.layers) + self.wrong_outputs

    @property
    def verdict(self) -> str:
        equal = sum(layer.is_equal for layer in self.layers)
        found = f"{equal} of {len(self.layers)} golden layers equal the reference"
        if self.board is not None:
            found += f", and what {self.board} shows of {sum(layer.seen for layer in self.layers)}"
        return f"{found}; {self.wrong_outputs:,} values of the board's outputs differ" if self.wrong_outputs else found


@dataclass(frozen=True)
class Mismatches:
    """How many layers of a comparison differ, and outputs of the board."""

    mismatches: int


def compare_golden(graph: Graph, folder: GoldenFolder, order: Order | None = None) -> GoldenComparison:
    """The graph's reference beside golden layers. Without an `order` it is that in which more of the layers are equal: labels may
    be wrong.

    A layer is the first tensor of its size that has its numbers and is no layer yet; where none has, the one most like it.
    Raises OptionError where the input does not fit.
    """
    values = trace(graph, golden_input(graph, folder.input, order or "hwc"))
    kinds: tuple[Order, ...] = ("hwc", "chw") if order is None else (order,)
    tried = [_compared(graph, folder, values, kind) for kind in kinds]
    return max(tried, key=lambda found: sum(layer.is_equal for layer in found.layers))


def golden_input(graph: Graph, numbers: Numbers, order: Order) -> tuple[Array, ...]:
    """The numbers as the only input of a graph, which has its channels last. Raises OptionError."""
    if len(graph.inputs) != 1:
        raise OptionError(f"golden layers are of one input, and the model has {len(graph.inputs)}")
    x = graph.inputs[0]
    if numbers.size != x.elements:
        raise OptionError(f"input.txt has {numbers.size} numbers, but the model's input is {x}")
    lying = numbers.reshape(x.shape)
    if order == "chw" and len(x.shape) > 2:
        lying = np.moveaxis(numbers.reshape(x.shape[0], x.shape[-1], *x.shape[1:-1]), 1, -1)
    if x.element.is_float:
        return (lying.astype(np.float32),)
    low, high = x.element.range
    if (lying != np.rint(lying)).any() or lying.min() < low or lying.max() > high:
        raise OptionError(f"input.txt has numbers that {x} cannot hold")
    return (np.ascontiguousarray(lying, x.element.numpy),)


def _compared(graph: Graph, folder: GoldenFolder, values: Values, order: Order) -> GoldenComparison:
    found = _matched(graph, folder.layers, values, order)
    layers = (
        LayerComparison(
            layer.file,
            layer.label,
            layer.numbers.size,
            None if tensor is None else tensor.name,
            None if tensor is None else difference(in_order(tensor, values[tensor.name], order), layer.numbers),
        )
        for layer, tensor in zip(folder.layers, found, strict=True)
    )
    return GoldenComparison(graph.name, order, tuple(layers))


def _matched(graph: Graph, layers: Sequence[GoldenLayer], values: Values, order: Order) -> list[Tensor | None]:
    """The tensor that is each layer: first those that are equal, then those most like it."""
    made = [y for op in graph.ops for y in op.ys]
    found: list[Tensor | None] = [None] * len(layers)
    for at_least in (1.0, 0.0):
        for place, layer in enumerate(layers):
            if found[place] is None:
                taken = {tensor for tensor in found if tensor is not None}
                free = [t for t in made if t.elements == layer.numbers.size and t not in taken]
                alike = [float((in_order(t, values[t.name], order) == layer.numbers).mean()) for t in free]
                if alike and max(alike) >= at_least:
                    found[place] = free[int(np.argmax(alike))]
    return found


def in_order(tensor: Tensor, value: Array, order: Order) -> Numbers:
    """The numbers that a tensor stands for, one after the other as files have them."""
    numbers = value.astype(np.float64)
    if tensor.quantization is not None and len(tensor.quantization.scales) == 1:
        numbers = (numbers - tensor.q.zero_point) * tensor.q.scale
    if order == "chw" and numbers.ndim > 2:
        numbers = np.moveaxis(numbers, -1, 1)
    return np.asarray(numbers.reshape(-1))


def difference(numbers: NDArray[np.float64], golden: Numbers) -> GoldenDifference | None:
    """The first number that differs; None where all are equal."""
    places = np.flatnonzero(numbers != golden)
    if not len(places):
        return None
    first = int(places[0])
    return GoldenDifference(first, float(numbers[first]), float(golden[first]), len(places))


# On a board


def golden_on_board(
    compilation: Compilation, folder: GoldenFolder, order: Order | None = None, device: Device | None = None
) -> GoldenComparison:
    """The same with the firmware's outputs beside the reference's, and every layer that steps of the firmware show beside its file.

    Raises DeviceError where the device fails.
    """
    found = compare_golden(compilation.model, folder, order)
    inputs = golden_input(compilation.model, folder.input, found.order)
    execution = execute(compilation, [inputs], device=device)
    expected = trace(compilation.model, inputs)
    allowed = allowance(compilation.model)
    differing = sum(
        len(wrong(mine, expected[t.name], allowed))
        for t, mine in zip(compilation.model.outputs, execution.outputs[0], strict=True)
    )
    shown, remark = _shown(compilation, inputs, device)
    tensors = {y.name: y for op in compilation.graph.ops for y in op.ys}
    # as reals: passes may number them in another way
    references = _reals(compilation.model, expected), _reals(compilation.graph, trace(compilation.graph, inputs))
    layers = tuple(
        _on_board(*pair, shown, tensors, references, found.order)
        for pair in zip(found.layers, folder.layers, strict=True)
    )
    return GoldenComparison(
        found.model,
        found.order,
        layers,
        compilation.plan.board.name,
        execution.run.cycles or None,
        sum(t.elements for t in compilation.graph.outputs),
        differing,
        remark,
    )


def _on_board(
    layer: LayerComparison,
    golden: GoldenLayer,
    shown: Values,
    tensors: Mapping[str, Tensor],
    references: tuple[Values, Values],
    order: Order,
) -> LayerComparison:
    """A layer that the board shows. `references` are those of the network and of what passes made of it."""
    name = layer.tensor
    if name is None or name not in shown:
        return layer
    theirs, mine = channels_alike(*(values[name] for values in references))
    if not theirs:
        return layer
    places = _places(references[0][name].shape, order)[..., theirs]
    if order == "chw" and places.ndim > 2:
        places = np.moveaxis(places, -1, 1)
    told = difference(in_order(tensors[name], shown[name][..., mine], order), golden.numbers[places.reshape(-1)])
    if told is not None:
        told = replace(told, element=int(places.reshape(-1)[told.element]))
    return replace(layer, seen=True, board=told)


def _reals(graph: Graph, values: Values) -> Values:
    """The numbers that the results of all operators stand for, in the shapes of their tensors."""
    made = (y for op in graph.ops for y in op.ys)
    return {y.name: in_order(y, values[y.name], "hwc").reshape(values[y.name].shape) for y in made}


def channels_alike(whole: Array, made: Array) -> tuple[list[int], list[int]]:
    """Which channels of a tensor are which of what passes made of it, told by their values: passes leave out channels that do not
    matter, and add such that never change. Nothing where there are others, or other rows."""
    if not whole.shape or whole.shape[:-1] != made.shape[:-1]:
        return [], []
    before, after = ([array[..., k].tobytes() for k in range(array.shape[-1])] for array in (whole, made))
    blocks = SequenceMatcher(a=before, b=after, autojunk=False).get_matching_blocks()
    theirs = [block.a + k for block in blocks for k in range(block.size)]
    mine = [block.b + k for block in blocks for k in range(block.size)]
    others = [k for k in range(made.shape[-1]) if k not in set(mine) and np.unique(made[..., k]).size > 1]
    return ([], []) if others else (theirs, mine)


def _places(shape: tuple[int, ...], order: Order) -> NDArray[np.int64]:
    """The place in a file of each number of a tensor of that shape."""
    if order == "hwc" or len(shape) < 3:
        return np.arange(np.prod(shape)).reshape(shape)
    return np.moveaxis(np.arange(np.prod(shape)).reshape(shape[0], shape[-1], *shape[1:-1]), 1, -1)


def _shown(compilation: Compilation, inputs: tuple[Array, ...], device: Device | None) -> tuple[Values, str]:
    """What every step wrote; nothing, and why, where a session has no room for kernels, tables of a step and tensors."""
    try:
        return {run.tensor: run.value for _, run in step_runs(compilation, [inputs], device=device)}, ""
    except DeviceHeapFull:
        return (
            {},
            "layers are not shown: run step by step, kernels and tables do not fit the board's RAM beside the tensors",
        )
