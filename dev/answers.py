"""Write docs/answers.md, what `--json` prints as tables, from the code: `python -m dev.answers`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smelt.answers import ANSWERS
from smelt.report.schema import schema_of

FILE = Path(__file__).resolve().parents[1] / "docs" / "answers.md"
HEAD = """# Answers

What each command prints with `--json` ([json.md](json.md) has the rules). Written by `python -m dev.answers`.
"""


def markdown() -> str:
    """The page: the answers, then the kinds of values that they hold."""
    kinds: dict[str, Any] = {}
    parts = [HEAD]
    for answer in ANSWERS:
        schema = schema_of(answer)
        kinds |= schema["$defs"]
        parts.append(_section(f"## {answer.schema}", f"Of {answer.about}. {schema['description']}", schema))
    parts.append("## Kinds of values\n")
    parts += [_section(f"### {name}", kinds[name]["description"], kinds[name]) for name in sorted(kinds)]
    return "\n".join(parts)


def _section(title: str, about: str, schema: dict[str, Any]) -> str:
    rows = [f"| `{name}` | {_words(of)} |" for name, of in schema["properties"].items()]
    return "\n".join([title, "", about, "", "| field | type |", "|---|---|", *rows, ""])


def _words(of: dict[str, Any]) -> str:
    """A type in words."""
    match of:
        case {"const": value}:
            return f"`{value}`"
        case {"enum": values}:
            return ", ".join(f"`{v}`" for v in values)
        case {"$ref": name}:
            found = name.rpartition("/")[2]
            return f"[{found}](#{found.lower()})"
        case {"anyOf": types}:
            return " or ".join(map(_words, types))
        case {"type": "array", "items": False, "prefixItems": types}:
            return f"[{', '.join(map(_words, types))}]"
        case {"type": "array", "items": item}:
            return f"list of {_words(item)}"
        case {"type": "object", "additionalProperties": item}:
            return f"object of {_words(item)} by name"
        case {"type": list() as types}:
            return " or ".join(types)
        case {"type": name}:
            return str(name)
    return "anything"


if __name__ == "__main__":
    FILE.write_text(markdown(), "utf-8")
