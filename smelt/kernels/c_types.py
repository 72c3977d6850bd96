"""What C calls the elements of tensors and tables."""

from __future__ import annotations

from typing import cast

from smelt.loops.ir import Type
from smelt.model.dtypes import ELEMENT_TYPES, HALF
from smelt.model.graph import Tensor

C_TYPES: dict[str, Type] = {
    **{e.name: cast(Type, f"{e.name}_t") for e in ELEMENT_TYPES if e.is_integer and not e.is_packed},
    **{e.name: "uint8_t" for e in ELEMENT_TYPES if e.kind == "bool" or e.is_packed},
    "uint16": "uint16_t",
    **{e.name: "float" for e in ELEMENT_TYPES if e.is_float},
    HALF.name: "uint16_t",
}
"""What C calls the elements of each type; what is packed is bytes."""


def c_elements(tensor: Tensor) -> int:
    """How many elements of its C type a tensor has."""
    return tensor.bytes if tensor.element.is_packed else tensor.elements
