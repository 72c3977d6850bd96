"""Answers for programs: what each command prints with `--json`, its schema's version, and the dataclasses that it is made of.

An answer is one JSON object: `schema` ("smelt/profile/1"), and the fields of its parts. Fields are added without a new version; one
that is renamed, removed or means something else makes one. `smelt schema NAME` prints the JSON Schema, which follows from the
dataclasses.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

BASIS = "smelt.report.summary.Basis"
JSON = "--json"
AS_JSON = "smelt.as_json"
"""Where a command line's context says that JSON is wanted."""


@dataclass(frozen=True)
class Answer:
    """`parts` are dataclasses by their full names: their modules are imported where a schema is asked for."""

    name: str
    about: str
    parts: tuple[str, ...]
    version: int = 1

    @property
    def schema(self) -> str:
        """The name with the version, as answers carry it."""
        return f"smelt/{self.name}/{self.version}"


ANSWERS = (
    Answer("compile", "compile of one model", ("smelt.report.summary.CompileSummary", BASIS)),
    Answer("compile-suite", "compile of several models", ("smelt.report.suite.SuiteSummary",)),
    Answer("run", "run of one model", ("smelt.report.execute.ExecutionSummary", BASIS)),
    Answer("run-alone", "run --hello without --input", ("smelt.report.execute.AloneSummary", BASIS)),
    Answer("run-suite", "run of several models", ("smelt.report.suite.RunNetworks",)),
    Answer("verify", "verify against an oracle", ("smelt.report.verify.Verification", BASIS)),
    Answer("verify-layers", "verify --layers", ("smelt.report.layers.LayerVerification", BASIS)),
    Answer(
        "verify-golden",
        "verify --golden",
        ("smelt.report.golden.GoldenComparison", "smelt.report.golden.Mismatches", BASIS),
    ),
    Answer("verify-suite", "verify of several models", ("smelt.report.suite.VerifyNetworks",)),
    Answer("profile", "profile of one model", ("smelt.report.profile.Profile", BASIS)),
    Answer("profile-board", "profile on a real board", ("smelt.report.board_profile.BoardProfile", BASIS)),
    Answer("profile-suite", "profile of several models", ("smelt.report.suite.ProfileNetworks",)),
    Answer("curve", "profile --curve", ("smelt.report.curve.TradeOff",)),
    Answer("plan", "plan", ("smelt.report.plan_view.PlanView", BASIS)),
    Answer("tune", "tune", ("smelt.tuning.told.Tuning",)),
    Answer("export", "export", ("smelt.report.export.ExportSummary", BASIS)),
    Answer("flash", "flash", ("smelt.report.flashing.FlashSummary",)),
    Answer("inspect", "inspect", ("smelt.importers.summary.ModelSummary", "smelt.report.summary.Told")),
    Answer("quantize", "quantize", ("smelt.report.judging.QuantisedSummary",)),
    Answer("evaluate", "evaluate", ("smelt.report.evaluate.EvaluationSummary",)),
    Answer("boards", "boards", ("smelt.report.summary.BoardRows",)),
    Answer("board", "boards --show: what a board's file holds", ("smelt.report.summary.BoardTable",)),
    Answer("ops", "ops", ("smelt.report.supported.Operators",)),
    Answer("doctor", "doctor", ("smelt.report.doctor.Findings",)),
    Answer("report", "report", ("smelt.report.story.Report",)),
    Answer("demo", "demo", ("smelt.report.demo.DemoSummary",)),
    Answer("error", "any command that fails, with --json", ("smelt.answers.Failure",)),
)


@dataclass(frozen=True)
class Failure:
    """Why a command failed: the class of the error by who must act, its message for people, and the exit code."""

    error: str
    message: str
    exit_code: int


def answer(name: str) -> Answer:
    """The answer of that name. Raises KeyError."""
    return {a.name: a for a in ANSWERS}[name]


def answered(name: str, *parts: Any) -> dict[str, Any]:
    """An answer of its parts, instances of its dataclasses, as JSON holds it: None stands for infinite numbers, which it lacks."""
    found: dict[str, Any] = {"schema": answer(name).schema}
    for part in parts:
        found |= asdict(part)
    return {key: _finite(value) for key, value in found.items()}


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if isfinite(value) else None
        case dict():
            return {key: _finite(v) for key, v in value.items()}
        case list() | tuple():
            return [_finite(v) for v in value]
    return value
