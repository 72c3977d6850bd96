"""`CallBuilder`: a kernel builder that remembers what is passed for each buffer."""

from __future__ import annotations

from typing import cast

import numpy as np

from smelt.kernels.implementation import Argument, KernelCall
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Type
from smelt.model.dtypes import ELEMENT_TYPES
from smelt.model.graph import Array, Tensor

C_TYPES: dict[str, Type] = {
    **{e.name: cast(Type, f"{e.name}_t") for e in ELEMENT_TYPES if e.is_integer and not e.is_packed},
    **{e.name: "uint8_t" for e in ELEMENT_TYPES if e.kind == "bool" or e.is_packed},
    "uint16": "uint16_t",
    **{e.name: "float" for e in ELEMENT_TYPES if e.is_float},
}
"""What C calls the elements of each type; what is packed is bytes."""


def c_elements(tensor: Tensor) -> int:
    """How many elements of its C type a tensor has."""
    return tensor.bytes if tensor.element.is_packed else tensor.elements


class CallBuilder(KernelBuilder):
    """Parameters are declared together with the argument for them; `call()` finishes the kernel and its call."""

    def __init__(self, stem: str, in_place: bool = False) -> None:
        super().__init__(stem, in_place)
        self._arguments: list[Argument] = []

    def operand(self, name: str, tensor: Tensor) -> Buffer:
        """A tensor that is read: an activation or a constant, which is packed where its type is."""
        if tensor.data is not None:
            return self.table(name, _stored(tensor, tensor.data))
        self._arguments.append(tensor)
        return self.input(name, C_TYPES[tensor.dtype], c_elements(tensor))

    def result(self, name: str, tensor: Tensor) -> Buffer:
        """A tensor that is written."""
        self._arguments.append(tensor)
        return self.output(name, C_TYPES[tensor.dtype], c_elements(tensor))

    def table(self, name: str, data: Array) -> Buffer:
        """Constant data; its dtype gives the type."""
        self._arguments.append(np.ascontiguousarray(data).reshape(-1))
        return self.constant(name, C_TYPES[data.dtype.name], data.size)

    def finish_call(self) -> KernelCall:
        """The kernel, checked, and its arguments."""
        return KernelCall(self.finish(), tuple(self._arguments))


def _stored(tensor: Tensor, data: Array) -> Array:
    return np.frombuffer(tensor.element.pack(data), np.uint8) if tensor.element.is_packed else data
