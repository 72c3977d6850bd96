"""Answers of the command line against their schemas."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from smelt.answers import answer


def check(name: str, found: Any) -> None:
    """Raises jsonschema.ValidationError where an answer, as a program reads it, is not what its schema says."""
    _validator(name).validate(json.loads(json.dumps(found, allow_nan=False)))


@cache
def _validator(name: str) -> Any:
    from jsonschema import Draft202012Validator

    from smelt.report.schema import schema_of

    schema = schema_of(answer(name))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
