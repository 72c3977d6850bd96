"""Answers for programs: their schemas, what is refused, errors, and the page about them."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import ValidationError

import smelt.answers
from dev.answers import FILE, markdown
from smelt.answers import ANSWERS, Answer, Failure, answered
from smelt.cli import main
from smelt.report.schema import schema_of
from tests import paths, schemas

ROOT = Path(__file__).parents[1]


def command(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda a: a.name)
def test_every_answer_has_a_schema(answer: Answer) -> None:
    code, out = command("schema", answer.name)
    schema = json.loads(out)
    assert code == 0 and schema == schema_of(answer)
    assert schema["$id"] == answer.schema and set(schema["required"]) == set(schema["properties"]) > {"schema"}
    assert all(d["description"] for d in schema["$defs"].values())


def test_answers_are_named_once_and_all_of_them_are_given() -> None:
    names = [a.name for a in ANSWERS]
    assert len(names) == len(set(names))
    assert _answered() == set(names)


def _answered() -> set[str]:
    """The names that commands give to `emit_json`."""
    found = set()
    for file in (ROOT / "smelt").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "emit_json":
                found |= {n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant)}
    return found


def test_what_is_not_as_the_schema_says_is_seen() -> None:
    good = answered("error", Failure("OptionError", "no", 2))
    schemas.check("error", good)
    for wrong in (
        {**good, "exit_code": "2"},
        {**good, "more": 1},
        {**good, "schema": "smelt/error/0"},
        {"message": "no"},
    ):
        with pytest.raises(ValidationError):
            schemas.check("error", wrong)


@dataclass(frozen=True)
class Odd:
    """Of a type that JSON lacks."""

    value: complex


def test_types_without_a_word_in_json_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="complex"):
        schema_of(Answer("odd", "", (f"{__name__}.Odd",)))


def test_no_answer_holds_what_json_lacks() -> None:
    @dataclass(frozen=True)
    class Numbers:
        values: tuple[float, ...]

    assert answered("error", Numbers((1.5, float("inf"), float("nan"))))["values"] == [1.5, None, None]


@pytest.mark.parametrize(
    "arguments, error, code",
    [
        (("inspect", "nothing.tflite"), "ModelError", 3),
        (("compile", paths.AD, "--board", "nothing"), "OptionError", 2),
        (("compile", paths.AD), "OptionError", 2),
        (("compile", paths.AD, "--speed"), "OptionError", 2),
        (("compile", paths.AD, "-b", "nucleo_l4r5zi", "--max-flash", "1K", "--compiler", "none"), "DoesNotFit", 5),
    ],
)
def test_errors_are_answers_as_well(arguments: tuple[object, ...], error: str, code: int) -> None:
    done, out = command(*arguments, "--json")
    found = json.loads(out)
    assert done == code and (found["schema"], found["error"], found["exit_code"]) == ("smelt/error/1", error, code)
    assert found["message"]
    assert command(*arguments)[1] == ""


def test_the_page_is_current() -> None:
    assert FILE.read_text("utf-8") == markdown(), "run python -m dev.answers"


def test_unknown_answers_are_named() -> None:
    code, out = command("schema", "nothing")
    assert code == 2 and not out
    assert smelt.answers.answer("profile").schema in command("schema")[1]
