"""JSON Schemas (draft 2020-12) of answers, from the types of their dataclasses' fields."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from smelt.answers import Answer

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PLAIN = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}


def schema_of(answer: Answer) -> dict[str, Any]:
    """What `--json` prints for an answer: all fields are there, and no others."""
    named: dict[str, Any] = {}
    properties: dict[str, Any] = {"schema": {"const": answer.schema}}
    parts = [_class(part) for part in answer.parts]
    for part in parts:
        properties |= _properties(part, named)
    return {
        "$schema": DIALECT,
        "$id": answer.schema,
        "title": f"smelt {answer.about}",
        "description": " ".join(map(_about, parts)),
        **_object(properties),
        "$defs": named,
    }


def _about(cls: type) -> str:
    return " ".join((cls.__doc__ or "").split())


def _class(name: str) -> type:
    module, _, found = name.rpartition(".")
    return getattr(import_module(module), found)  # type: ignore[no-any-return]


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _properties(cls: type, named: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: _type(hints[field.name], named) for field in fields(cls)}


def _type(hint: Any, named: dict[str, Any]) -> dict[str, Any]:
    """The schema of values of a type. Those of dataclasses are put into `named`, once each. Raises TypeError for a type that JSON
    has no word for."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in PLAIN:
        return {"type": PLAIN[hint]}
    if hint is Any:
        return {}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType) and all(a in PLAIN for a in arguments):
        return {"type": [PLAIN[a] for a in arguments]}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_type(a, named) for a in arguments]}
    if origin is tuple and arguments[-1] is ...:
        return {"type": "array", "items": _type(arguments[0], named)}
    if origin is tuple:
        return {"type": "array", "prefixItems": [_type(a, named) for a in arguments], "items": False}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _type(arguments[1], named)}
    if is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in named:
            named[hint.__name__] = {}  # a type may hold itself
            named[hint.__name__] = {"description": _about(hint), **_object(_properties(hint, named))}
        return {"$ref": f"#/$defs/{hint.__name__}"}
    raise TypeError(f"JSON has no word for {hint}")
