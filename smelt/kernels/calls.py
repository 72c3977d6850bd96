"""`CallBuilder`: a kernel builder that remembers what is passed for each buffer."""

from __future__ import annotations

import numpy as np

from smelt.kernels.implementation import Argument, KernelCall
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Type
from smelt.model.graph import Array, Tensor

C_TYPES: dict[str, Type] = {
    "int8": "int8_t", "uint8": "uint8_t", "bool": "uint8_t", "int16": "int16_t", "uint16": "uint16_t", "int32": "int32_t",
    "int64": "int64_t", "float32": "float",
}  # fmt: skip


class CallBuilder(KernelBuilder):
    """Parameters are declared together with the argument for them; `call()` finishes the kernel and its call."""

    def __init__(self, stem: str, in_place: bool = False) -> None:
        super().__init__(stem, in_place)
        self._arguments: list[Argument] = []

    def operand(self, name: str, tensor: Tensor) -> Buffer:
        """A tensor that is read: an activation or a constant."""
        if tensor.data is not None:
            return self.table(name, tensor.data)
        self._arguments.append(tensor)
        return self.input(name, C_TYPES[tensor.dtype], tensor.elements)

    def result(self, name: str, tensor: Tensor) -> Buffer:
        """A tensor that is written."""
        self._arguments.append(tensor)
        return self.output(name, C_TYPES[tensor.dtype], tensor.elements)

    def table(self, name: str, data: Array) -> Buffer:
        """Constant data; its dtype gives the type."""
        self._arguments.append(np.ascontiguousarray(data).reshape(-1))
        return self.constant(name, C_TYPES[data.dtype.name], data.size)

    def finish_call(self) -> KernelCall:
        """The kernel, checked, and its arguments."""
        return KernelCall(self.finish(), tuple(self._arguments))
