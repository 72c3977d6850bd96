"""What a .tflite file says, checked for soundness but not yet for meaning: `RawModel`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from smelt.errors import ModelError
from smelt.importers.flatbuffer import Reader, Table
from smelt.importers.names import Names
from smelt.importers.tflite_schema import CUSTOM, OPERATORS, TYPES, name_of
from smelt.nouns import Noun


@dataclass(frozen=True)
class RawQuantization(Noun):
    """Scales and zero points as stored; `custom` where the file uses another scheme than affine."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    custom: bool


@dataclass(frozen=True)
class RawTensor(Noun):
    """`data` is (first byte, length) in the file, None where the tensor has no constant data; of a tensor that is `flipped` it is
    uint8, though the tensor counts as int8."""

    index: int
    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    dtype: str
    data: tuple[int, int] | None
    quantization: RawQuantization | None
    variable: bool
    sparse: bool
    flipped: bool = False


@dataclass(frozen=True)
class RawOperator(Noun):
    """`code` is the schema's name; a custom operator's is `CUSTOM name`, and `custom` are its options. Indices refer to the model's
    tensors."""

    index: int
    code: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options_type: int
    options: Table | None
    custom: bytes = b""


@dataclass(frozen=True)
class RawModel(Noun):
    """One subgraph of a file, and how many there are. Indices are in range; -1 marks an absent operand."""

    file: bytes
    version: int
    description: str
    subgraphs: int
    tensors: tuple[RawTensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[RawOperator, ...]


def read_model(file: bytes, number: int = 0) -> RawModel:
    """Decode a subgraph of the bytes of a .tflite file: the first is what is run.

    Raises ModelError where anything lies outside the file or out of range.
    """
    root = Reader(file).root()
    subgraph = next(islice(root.tables(2), number, None), None)
    if subgraph is None:
        raise ModelError("the file holds no model (no subgraph)")
    buffers = tuple(buffer_of(table, index, len(file)) for index, table in enumerate(root.tables(4)))
    codes = tuple(_code(table) for table in root.tables(1))
    tensors = _tensors(subgraph, buffers)
    operators = tuple(_operator(table, index, codes, len(tensors)) for index, table in enumerate(subgraph.tables(3)))
    _check_written_once(operators, tensors)
    return RawModel(
        file=file,
        version=root.integer(0, "I"),
        description=root.text(3),
        subgraphs=root.count(2),
        tensors=tensors,
        inputs=_indices(subgraph, 1, len(tensors), "the model's inputs"),
        outputs=_indices(subgraph, 2, len(tensors), "the model's outputs"),
        operators=operators,
    )


def buffer_of(table: Table, index: int, file_size: int) -> tuple[int, int] | None:
    """Where a buffer's bytes are: inside the flatbuffer, or behind it by absolute offset (0 and 1 mean neither)."""
    start, size = table.span(0)
    if size == 0:
        start, size = table.integer(1, "Q"), table.integer(2, "Q")
        if start <= 1 or size == 0:
            return None
    if start + size > file_size:
        raise ModelError(f"the file is damaged or cut off: buffer {index} ends at byte {start + size} of {file_size}")
    return None if index == 0 else (start, size)


def _code(table: Table) -> tuple[str, int]:
    """Operator name and version. Files carry an old one-byte code, a new one, or both: the larger is meant."""
    number = max(table.integer(0, "b"), table.integer(3, "i"))
    name = name_of(OPERATORS, number, "operator code")
    return (f"CUSTOM {table.text(1)}" if number == CUSTOM else name), table.integer(2, "i", 1)


def _tensors(subgraph: Table, buffers: tuple[tuple[int, int] | None, ...]) -> tuple[RawTensor, ...]:
    names = Names()
    return tuple(_tensor(table, index, buffers, names) for index, table in enumerate(subgraph.tables(0)))


def _tensor(table: Table, index: int, buffers: tuple[tuple[int, int] | None, ...], names: Names) -> RawTensor:
    name = names.unique(table.text(3) or f"tensor_{index}")
    buffer = table.integer(2, "I")
    if buffer >= len(buffers) and buffer != 0:
        raise ModelError(f"tensor '{name}' refers to buffer {buffer}, but the file has {len(buffers)}")
    return RawTensor(
        index=index,
        name=name,
        shape=table.integers(0),
        signature=table.integers(7),
        dtype=name_of(TYPES, table.integer(1, "b"), "type"),
        data=buffers[buffer] if buffers else None,
        quantization=_quantization(table.table(4)),
        variable=table.flag(5),
        sparse=table.table(6) is not None,
    )


def _quantization(table: Table | None) -> RawQuantization | None:
    if table is None:
        return None
    custom = table.integer(4, "B") != 0
    scales = tuple(float(scale) for scale in table.numbers(2, "float32"))
    if not scales and not custom:
        return None
    return RawQuantization(scales, table.integers(3, "int64"), table.integer(6, "i"), custom)


def _operator(table: Table, index: int, codes: tuple[tuple[str, int], ...], tensors: int) -> RawOperator:
    code = table.integer(0, "I")
    if code >= len(codes):
        raise ModelError(f"operator {index} has operator code {code}, but the file has {len(codes)}")
    name, version = codes[code]
    place = f"operator {index} {name}"
    return RawOperator(
        index=index,
        code=name,
        version=version,
        inputs=_indices(table, 1, tensors, f"the inputs of {place}", absent=True),
        outputs=_indices(table, 2, tensors, f"the outputs of {place}"),
        options_type=table.integer(3, "B"),
        options=table.table(4),
        custom=table.numbers(5, "uint8").tobytes(),
    )


def _check_written_once(operators: tuple[RawOperator, ...], tensors: tuple[RawTensor, ...]) -> None:
    writers: dict[int, RawOperator] = {}
    for operator in operators:
        for index in operator.outputs:
            if index in writers:
                first = f"operator {writers[index].index} {writers[index].code}"
                raise ModelError(
                    f"operator {operator.index} {operator.code} writes '{tensors[index].name}', "
                    f"which already has a value from {first}"
                )
            writers[index] = operator


def _indices(table: Table, field: int, tensors: int, what: str, absent: bool = False) -> tuple[int, ...]:
    found = table.integers(field)
    lowest = -1 if absent else 0
    wrong = next((index for index in found if not lowest <= index < tensors), None)
    if wrong is not None:
        raise ModelError(f"{what} name tensor {wrong}, but the model has {tensors} tensors")
    return found
