"""Why a .tflite file is not converted: every cause once, not its echoes in what depends on it, with what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from smelt.importers.tflite_advice import HYBRID, NEAREST, QUANTISE, SELECTED
from smelt.importers.tflite_file import RawModel, RawOperator
from smelt.importers.tflite_site import Arm, listed
from smelt.importers.tflite_workbench import Workbench

SCHEMA_VERSION = 3
SHOWN = 5  # operators in one line


@dataclass
class Findings:
    """Collected while the operators of a file are converted.

    `errors` are contradictions, `reasons` unsupported wishes of single operators; `unknown` are operators without an arm,
    `mistyped` those whose arm lacks the type that they compute in, which stands beside them.
    """

    model: RawModel
    arms: dict[str, Arm]
    errors: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    unknown: list[RawOperator] = field(default_factory=list)
    mistyped: list[tuple[RawOperator, str]] = field(default_factory=list)

    def all_reasons(self) -> tuple[str, ...]:
        """What concerns the whole file first, then what concerns kinds of operators, then single ones."""
        return (*_of_the_file(self.model), *self._of_types(), *self._of_unknown(), *self.reasons)

    def _of_types(self) -> Iterator[str]:
        for dtype in dict.fromkeys(dtype for _, dtype in self.mistyped):
            found = [operator for operator, of in self.mistyped if of == dtype]
            verb = "computes" if len(found) == 1 else "compute"
            yield f"{several(found)} {verb} in {dtype}; {self._supported(found)}; {QUANTISE}"

    def _supported(self, found: list[RawOperator]) -> str:
        """The types that their operators have, those of the same types together."""
        kinds: dict[tuple[str, ...], list[str]] = {}
        for code in dict.fromkeys(operator.code for operator in found):
            kinds.setdefault(self.arms[code].types, []).append(code)
        return "; ".join(f"{', '.join(codes)} in {listed(types)} supported" for types, codes in kinds.items())

    def _of_unknown(self) -> Iterator[str]:
        kinds: dict[str, list[RawOperator]] = {}
        for operator in self.unknown:
            kinds.setdefault(operator.code, []).append(operator)
        for code, found in kinds.items():
            near = SELECTED if code.startswith("CUSTOM Flex") else NEAREST.get(code)
            what = f"the custom operator '{code[7:]}'" if code.startswith("CUSTOM ") else code
            near = near or "rewrite it with supported operators (smelt ops lists them)"
            yield f"{what} is not supported ({several(found)}); {near}"


def several(found: Iterable[RawOperator]) -> str:
    """Operators by their indices."""
    found = tuple(found)
    shown = ", ".join(str(operator.index) for operator in found[:SHOWN])
    more = ", ..." if len(found) > SHOWN else ""
    return f"operator {shown}" if len(found) == 1 else f"{len(found)} operators ({shown}{more})"


def _of_the_file(model: RawModel) -> Iterator[str]:
    if model.version != SCHEMA_VERSION:
        yield f"the file has schema version {model.version}; version {SCHEMA_VERSION} is supported"


def hybrid_remarks(bench: Workbench) -> tuple[str, ...]:
    """A line where weights were dequantised."""
    return (f"{several(bench.hybrid)} {'has' if len(bench.hybrid) == 1 else 'have'} {HYBRID}",) if bench.hybrid else ()
