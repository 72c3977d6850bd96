"""One call or more of every routine, on data that kernels gave them: as C for any compiler, and as the portable bodies do them.

`python -m tests.routine_matrix` and the tests beside it build these with many compilers and flags.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from smelt.loops.routine import Span
from smelt.targets.types import Core
from tests.kernels_host import SUPPORT, ZIG, _unload
from tests.routine_watch import Recorded, content, known_to_c, watch_all
from tests.thumb_programs import DATA, GAP, Machine, Program


@dataclass(frozen=True)
class RoutineCall:
    """A call, and what its spans hold afterwards; None for bytes of scratch that the portable body leaves alone."""

    recorded: Recorded
    after: tuple[tuple[int | None, ...], ...]

    def is_right(self, found: list[bytes]) -> bool:
        """Whether that is in the spans."""
        pairs = zip(found, self.after, strict=True)
        return all(len(f) == len(a) and all(y in (x, None) for x, y in zip(f, a, strict=True)) for f, a in pairs)

    @property
    def name(self) -> str:
        return self.recorded.call.routine.name


@cache
def calls() -> tuple[RoutineCall, ...]:
    """So many that every routine is called and every piece of assembly runs."""
    watch = watch_all()
    made = watch.machine.program
    seen: dict[tuple[str, bytes], Recorded] = {}
    for recorded in watch.recorded:
        body = content(made, recorded.body) if recorded.body else b""
        seen.setdefault((recorded.call.routine.name, body), recorded)
    chosen = tuple(seen.values())
    once, again = _on_the_host(chosen, 0), _on_the_host(chosen, 0xFF)
    return tuple(RoutineCall(r, _same(a, b)) for r, a, b in zip(chosen, once, again, strict=True))


def _same(once: tuple[bytes, ...], again: tuple[bytes, ...]) -> tuple[tuple[int | None, ...], ...]:
    pairs = zip(once, again, strict=True)
    return tuple(tuple(x if x == y else None for x, y in zip(a, b, strict=True)) for a, b in pairs)


def text_of(recorded: tuple[Recorded, ...], core: Core | None = None) -> str:
    """C with a function for each call, whose parameters are the addresses of its spans, for a core or for this computer."""
    return known_to_c(core) + "\n".join(_function(i, r) for i, r in enumerate(recorded))


def _function(number: int, recorded: Recorded) -> str:
    names, numbers = iter(f"p{i}" for i in range(len(recorded.memory))), iter(recorded.numbers)
    values = [next(names) if isinstance(a, Span) else f"({next(numbers)})" for a in recorded.call.arguments]
    values = ["INT32_MIN" if v == "(-2147483648)" else v for v in values]
    parameters = ", ".join(f"void *p{i}" for i in range(len(recorded.memory)))
    call = f"smelt_{recorded.call.routine.name}({', '.join(values)});"
    return f"__attribute__((used)) void call_{number}({parameters});\nvoid call_{number}({parameters})\n{{\n    {call}\n}}\n"


def _on_the_host(recorded: tuple[Recorded, ...], flip: int) -> list[tuple[bytes, ...]]:
    """What the spans hold after each call, with the scratch that is written changed by `flip` before it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        code, library = Path(name) / "calls.c", Path(name) / "calls.so"
        code.write_text(text_of(recorded))
        subprocess.run([*ZIG, "-shared", "-fPIC", "-O1", "-I", str(SUPPORT), str(code), "-o", str(library)], check=True)
        functions = ctypes.CDLL(str(library))
        result = [_call(getattr(functions, f"call_{i}"), r, flip) for i, r in enumerate(recorded)]
        _unload(functions)
    return result


def _call(function: Any, recorded: Recorded, flip: int) -> tuple[bytes, ...]:
    spans = [a for a in recorded.call.arguments if isinstance(a, Span)]
    changes = [flip if s.access == "write" and s.buffer.role == "scratch" else 0 for s in spans]
    before = [bytes(b ^ change for b in m) for m, change in zip(recorded.memory, changes, strict=True)]
    memories = [ctypes.create_string_buffer(m, len(m) + 8) for m in before]
    function.restype = None
    function(*memories)
    return tuple(m.raw[: len(b)] for m, b in zip(memories, recorded.memory, strict=True))


def wrong_calls(made: Program, core: str = "CORTEX_M4") -> list[str]:
    """The names of the routines that do not give what the portable bodies give, or damage something beside it."""
    machine, wrong = Machine(made, core), []
    for number, call in enumerate(calls()):
        at, places = machine.free, []
        for memory in call.recorded.memory:
            machine.engine.mem_write(at, memory + b"\xc3" * GAP)
            places.append(at)
            at = (at + len(memory) + GAP + 7) & ~7
        assert at < DATA + 0x0030_0000
        try:
            machine.call(f"call_{number}", places)
        except (AssertionError, machine.unicorn.UcError) as error:
            wrong.append(f"{call.name} ({error})")
            continue
        found = [bytes(machine.engine.mem_read(p, len(m) + GAP)) for p, m in zip(places, call.after, strict=True)]
        if not call.is_right([f[:-GAP] for f in found]) or any(f[-GAP:] != b"\xc3" * GAP for f in found):
            wrong.append(call.name)
    return wrong


def host_program() -> str:
    """All calls as a program for this computer: spans in memory of exactly their size; 1 where one gives other values."""
    recorded = tuple(c.recorded for c in calls())
    lines = ["#include <stdlib.h>", text_of(recorded), "int main(void)\n{\n    int wrong = 0;"]
    for number, call in enumerate(calls()):
        lines.append("    {")
        for i, (before, after) in enumerate(zip(call.recorded.memory, call.after, strict=True)):
            expected = bytes(b if a is None else a for a, b in zip(after, before, strict=True))
            lines.append(f"        static const unsigned char before{i}[] = {{{','.join(map(str, before))}}};")
            lines.append(f"        static const unsigned char after{i}[] = {{{','.join(map(str, expected))}}};")
            lines.append(f"        void *p{i} = memcpy(malloc(sizeof before{i}), before{i}, sizeof before{i});")
        pointers = ", ".join(f"p{i}" for i in range(len(call.after)))
        lines.append(f"        call_{number}({pointers});")
        for i in range(len(call.after)):
            lines.append(f"        wrong |= memcmp(p{i}, after{i}, sizeof after{i}) != 0;\n        free(p{i});")
        lines.append("    }")
    return "\n".join([*lines, "    return wrong;\n}\n"])
