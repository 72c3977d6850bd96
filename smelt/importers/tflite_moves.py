"""The operators that only move values: reshapes, slices, concatenations, paddings."""

from __future__ import annotations

from math import prod

from smelt.importers.tflite_site import Arm, Site
from smelt.importers.tflite_slices import SliceSpec, strided_slice_spec
from smelt.model.dtypes import ELEMENT_TYPES
from smelt.model.graph import Op, Tensor
from smelt.model.ops import Concat, Pad, Reshape, Slice, Transpose

Shape = tuple[int, ...]
MANY = 4096
ANY: tuple[str, ...] = tuple(element.name for element in ELEMENT_TYPES if not element.is_packed)
"""What only moves elements takes every type of whole bytes, more than TensorFlow Lite Micro does."""


def source(at: Site, position: int = 0) -> Tensor:
    """An operand whose values are moved: of the type of the result."""
    x = at.x(position, raw=_unscaled(at))
    if x.dtype != at.dtype:
        at.refuse(f"input '{x.name}' is {x.dtype}, the output {at.dtype}; one type is supported")
    return x


def target(at: Site, position: int = 0) -> Tensor:
    """A result to which values are moved."""
    return at.y(position, raw=_unscaled(at))


def _unscaled(at: Site) -> bool:
    """Whether the values need no scale: weights on their way have several, integers from elsewhere none."""
    return at.dtype != "int8" or at.is_settled


def reshaped(at: Site, shape: Shape) -> tuple[Op, ...]:
    """One Reshape to `shape`, which the declared result must have."""
    x, y = source(at), target(at)
    if prod(shape) != x.elements:
        at.broken(f"an input of shape {list(x.shape)} cannot become {list(shape)}")
    return (Reshape(y=at.agree(y, shape), x=x),)


def reshape(at: Site) -> tuple[Op, ...]:
    x, y = source(at), target(at)
    shape = new_shape(at, x.elements, y.shape)
    fits = prod(shape) == prod(y.shape) == x.elements
    return reshaped(at, y.shape if fits else shape)  # the oracle takes any declared shape that holds the elements


def new_shape(at: Site, elements: int, declared: Shape) -> Shape:
    """The shape asked for by operand or option, -1 resolved; `declared` where the file asks for none."""
    wanted: Shape | None = None
    if at.has(1):
        given = at.operand(1).is_constant
        wanted = at.integers(1) if given or prod(declared) != elements else None
    elif at.operator.options is not None and at.operator.options.count(0):
        wanted = at.operator.options.integers(0)
    if wanted is None:
        return declared
    if wanted == (0,) and elements == 1:
        return ()  # how old converters write a scalar
    if wanted.count(-1) > 1 or any(size < -1 for size in wanted):
        at.broken(f"the new shape {list(wanted)} makes no sense")
    rest = prod(size for size in wanted if size != -1)
    return tuple(elements // rest if size == -1 and rest else size for size in wanted)


def squeeze(at: Site) -> tuple[Op, ...]:
    shape = source(at).shape
    asked = at.operator.options.integers(0) if at.operator.options is not None else ()
    return reshaped(at, squeezed(at, shape, asked))


def squeezed(at: Site, shape: Shape, asked: Shape) -> Shape:
    """`shape` without the axes asked for, or without all of size 1."""
    axes = {at.axis(axis, len(shape)) for axis in asked} or {i for i, size in enumerate(shape) if size == 1}
    if any(shape[axis] != 1 for axis in axes):
        at.broken(f"only axes of size 1 can go, but the shape is {list(shape)} and the axes are {sorted(axes)}")
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def expand_dims(at: Site) -> tuple[Op, ...]:
    return reshaped(at, expanded(at, source(at).shape, one_integer(at, 1)))


def expanded(at: Site, shape: Shape, axis: int) -> Shape:
    axis = at.axis(axis, len(shape) + 1)
    return (*shape[:axis], 1, *shape[axis:])


def one_integer(at: Site, position: int) -> int:
    values = at.integers(position)
    if len(values) != 1:
        at.broken(f"input {position} must be one number, but it has {len(values)}")
    return values[0]


def concatenation(at: Site) -> tuple[Op, ...]:
    given = tuple(at.operand(position) for position in range(len(at.operator.inputs)))
    xs = tuple(
        source(at, position) for position, x in enumerate(given) if x.elements or not x.is_constant or at.is_settled
    )
    y = target(at)
    axis = at.axis(at.integer(0), len(y.shape))
    activation = at.activation(1)
    at.demand(activation == "NONE", f"the fused activation {activation} is not supported here; put it behind")
    same = all(x.quantization == y.quantization for x in xs)
    at.demand(
        same or y.dtype != "int8",
        "its inputs and its output are quantised differently; a concatenation does not rescale",
    )
    at.agree(y, joined(at, tuple(x.shape for x in given), axis))
    return (Concat(y=y, xs=xs, axis=axis),)


def joined(at: Site, shapes: tuple[Shape, ...], axis: int) -> Shape:
    """The shape of a concatenation along `axis`."""
    first = shapes[0]
    if not 0 <= axis < len(first):
        at.broken(f"axis {axis} does not exist in shape {list(first)}")
    rest = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if len(rest) != 1 or any(len(shape) != len(first) for shape in shapes):
        at.broken(f"inputs of shapes {', '.join(str(list(s)) for s in shapes[:8])} cannot be joined along axis {axis}")
    return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])


def pack(at: Site) -> tuple[Op, ...]:
    check_count(at, "values_count", len(at.operator.inputs))
    xs, y = tuple(source(at, position) for position in range(len(at.operator.inputs))), target(at)
    shape = expanded(at, xs[0].shape, at.integer(1))
    axis = at.axis(at.integer(1), len(shape))
    if any(x.shape != xs[0].shape for x in xs):
        at.broken("its inputs have different shapes")
    at.agree(y, (*shape[:axis], len(xs), *shape[axis + 1 :]))
    if len(xs) == 1:
        return (Reshape(y=y, x=xs[0]),)
    layers = tuple(Reshape(y=at.like(x, shape, "layer"), x=x) for x in xs)
    return (*layers, Concat(y=y, xs=tuple(layer.y for layer in layers), axis=axis))


def unpack(at: Site) -> tuple[Op, ...]:
    x = source(at)
    axis = at.axis(at.integer(1), len(x.shape))
    count = len(at.operator.outputs)
    check_count(at, "num", count)
    if x.shape[axis] != count:
        at.broken(f"axis {axis} of an input of shape {list(x.shape)} gives {x.shape[axis]} results, not {count}")
    layer = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    made: list[Op] = []
    for index in range(count):
        y = at.agree(target(at, index), (*x.shape[:axis], *x.shape[axis + 1 :]))
        part = slice_along(x, axis, index, at.like(y, layer, "layer"))
        made += [part, Reshape(y=y, x=part.y)]
    return tuple(made)


def check_count(at: Site, what: str, count: int) -> None:
    """The option that repeats how many tensors there are must be right: TFLM believes it."""
    if at.integer(0) != count:
        at.broken(f"its option {what} is {at.integer(0)}, but it has {count} tensors")


def slice_along(x: Tensor, axis: int, begin: int, y: Tensor) -> Slice:
    """The part of `x` that starts at `begin` along `axis` and has y's shape."""
    return Slice(y=y, x=x, begin=at_axis(x, axis, begin), stride=(1,) * len(x.shape))


def at_axis(x: Tensor, axis: int, value: int) -> Shape:
    return tuple(value if i == axis else 0 for i in range(len(x.shape)))


def split(at: Site) -> tuple[Op, ...]:
    x, count = source(at, 1), len(at.operator.outputs)
    axis = at.axis(one_integer(at, 0), len(x.shape))
    if count == 0 or at.integer(0) != count or x.shape[axis] % count:
        at.broken(f"axis {axis} of an input of shape {list(x.shape)} cannot be split into {at.integer(0)} equal parts")
    return parts(at, x, axis, (x.shape[axis] // count,) * count)


def split_v(at: Site) -> tuple[Op, ...]:
    x, sizes = source(at), at.integers(1)
    axis = at.axis(one_integer(at, 2), len(x.shape))
    if sizes.count(-1) == 1:
        rest = x.shape[axis] - sum(size for size in sizes if size != -1)
        sizes = tuple(rest if size == -1 else size for size in sizes)
    if len(sizes) != len(at.operator.outputs) or sum(sizes) != x.shape[axis] or min(sizes, default=0) < 0:
        at.broken(f"axis {axis} of an input of shape {list(x.shape)} cannot be split into parts of {list(sizes)}")
    return parts(at, x, axis, sizes)


def parts(at: Site, x: Tensor, axis: int, sizes: Shape) -> tuple[Op, ...]:
    """One Slice for every result."""
    made: list[Op] = []
    begin = 0
    for index, size in enumerate(sizes):
        y = at.agree(target(at, index), (*x.shape[:axis], size, *x.shape[axis + 1 :]))
        made.append(slice_along(x, axis, begin, y))
        begin += size
    return tuple(made)


def slice_(at: Site) -> tuple[Op, ...]:
    x, y, begin, sizes = source(at), target(at), at.integers(1), at.integers(2)
    if not len(begin) == len(sizes) == len(x.shape):
        at.broken(f"begin {list(begin)} and size {list(sizes)} do not fit an input of shape {list(x.shape)}")
    shape = tuple(whole - b if size == -1 else size for whole, b, size in zip(x.shape, begin, sizes, strict=True))
    if any(b < 0 or size < 0 or b + size > whole for whole, b, size in zip(x.shape, begin, shape, strict=True)):
        at.broken(f"begin {list(begin)} and size {list(sizes)} reach outside an input of shape {list(x.shape)}")
    return (Slice(y=at.agree(y, shape), x=x, begin=begin, stride=(1,) * len(begin)),)


def strided_slice(at: Site) -> tuple[Op, ...]:
    x, y = source(at), target(at)
    spec: SliceSpec = strided_slice_spec(at, x.shape)
    at.agree(y, spec.shape)
    if spec.extent == spec.shape:
        return (Slice(y=y, x=x, begin=spec.begin, stride=spec.stride),)
    part = Slice(y=at.like(y, spec.extent, "part"), x=x, begin=spec.begin, stride=spec.stride)
    return (part, Reshape(y=y, x=part.y))


def transpose(at: Site) -> tuple[Op, ...]:
    x, y, permutation = source(at), target(at), at.integers(1)
    if sorted(permutation) != list(range(len(x.shape))):
        at.broken(f"{list(permutation)} is no permutation of the axes of an input of shape {list(x.shape)}")
    at.agree(y, tuple(x.shape[axis] for axis in permutation))
    return (Transpose(y=y, x=x, permutation=permutation),)


def pad(at: Site) -> tuple[Op, ...]:
    y = target(at)
    return padded(at, y, y.q.zero_point if y.dtype == "int8" or (y.dtype == "uint8" and y.quantization) else 0)


def pad_v2(at: Site) -> tuple[Op, ...]:
    y, filler = target(at), source(at, 2)
    if filler.elements != 1 or filler.data is None:
        at.refuse(f"the padding '{filler.name}' is not one constant")
    same = filler.quantization == y.quantization
    at.demand(same or y.dtype != "int8", f"the padding '{filler.name}' is quantised differently from the output")
    return padded(at, y, filler.data.reshape(-1)[0].item())


def padded(at: Site, y: Tensor, value: int | float) -> tuple[Op, ...]:
    x, table, amounts = source(at), at.operand(1), at.integers(1)
    if table.shape != (len(x.shape), 2):
        at.broken(f"paddings of shape {list(table.shape)} do not fit an input of shape {list(x.shape)}")
    before, after = amounts[0::2], amounts[1::2]
    if min(amounts, default=0) < 0:
        at.broken(f"the paddings {list(amounts)} are negative")
    at.agree(y, tuple(b + size + a for b, size, a in zip(before, x.shape, after, strict=True)))
    return (Pad(y=y, x=x, before=before, after=after, value=value),)


MOVING: tuple[Arm, ...] = (
    Arm("PAD", "constant paddings, with the zero point", (2, 2), pad, types=ANY),
    Arm("RESHAPE", "constant shape, or the declared one", (1, 2), reshape, 17, types=ANY),
    Arm("SQUEEZE", "", (1, 1), squeeze, 30, types=ANY),
    Arm("EXPAND_DIMS", "constant axis", (2, 2), expand_dims, types=ANY),
    Arm("CONCATENATION", "any axis, no fused activation", (1, MANY), concatenation, 10, types=ANY),
    Arm("SPLIT", "constant axis", (2, 2), split, 35, types=ANY, outputs=(1, MANY)),
    Arm("SPLIT_V", "constant sizes and axis", (3, 3), split_v, 79, types=ANY, outputs=(1, MANY)),
    Arm(
        "STRIDED_SLICE", "constant; negative strides, masks, new and shrunk axes", (4, 4), strided_slice, 32, types=ANY
    ),
    Arm("PACK", "any axis", (1, MANY), pack, 59, types=ANY),
    Arm("UNPACK", "any axis", (1, 1), unpack, 64, types=ANY, outputs=(1, MANY)),
    Arm("TRANSPOSE", "constant permutation", (2, 2), transpose, types=ANY),
)
