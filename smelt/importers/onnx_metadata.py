"""What an .onnx file says beside its graph: pairs of texts."""

from __future__ import annotations

from smelt.errors import ModelError
from smelt.importers.onnx_wire import Wire, message, text

METADATA = 14
MOST_PAIRS = 1000


def metadata(file: bytes) -> dict[str, str]:
    """The pairs in the bytes of an .onnx file, at most `MOST_PAIRS` of them. Raises ModelError where it is damaged."""
    found: dict[str, str] = {}
    wire = Wire()
    for key, value in wire.fields(memoryview(file), "the file"):
        if key != METADATA:
            continue
        pair = dict(wire.fields(message(value, "metadata"), "metadata"))
        if len(found) == MOST_PAIRS:
            raise ModelError(f"the file has more than {MOST_PAIRS} entries of metadata")
        empty = memoryview(b"")
        found[text(pair.get(1, empty), "metadata")] = text(pair.get(2, empty), "metadata")
    return found
