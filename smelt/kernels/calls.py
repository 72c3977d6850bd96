"""`CallBuilder`: a kernel builder that remembers what is passed for each buffer."""

from __future__ import annotations

import numpy as np

from smelt.kernels.c_types import C_TYPES, c_elements
from smelt.kernels.implementation import Argument, KernelCall, bytes_of
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Scratch, Type
from smelt.model.graph import Array, Tensor


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

    def scratch(self, name: str, type: Type, size: int) -> Buffer:
        """Memory for the time of the call."""
        buffer = super().scratch(name, type, size)
        self._arguments.append(Scratch(bytes_of(buffer)))
        return buffer

    def finish_call(self) -> KernelCall:
        """The kernel, checked, and its arguments."""
        return KernelCall(self.finish(), tuple(self._arguments))


def _stored(tensor: Tensor, data: Array) -> Array:
    return np.frombuffer(tensor.element.pack(data), np.uint8) if tensor.element.is_packed else data
