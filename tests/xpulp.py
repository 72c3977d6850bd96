"""Assembly with XpulpV2's instructions for stock compilers, which know them only as `.insn`: a translator for tests."""

import csv
import re

from tests.paths import ROOT

DATA = ROOT / "tests" / "data" / "cluster"
LENGTHS = {"la": 2}
SIZE = 4  # of every instruction under `.option norvc`


def encodings() -> list[dict[str, str]]:
    """Every encoding of XpulpV2, as the fact sheet lists them: `mnemonic`, `format`, `opcode`, `funct3`, `funct7`, `pattern`."""
    with (DATA / "xpulpv2_encodings.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rows() -> list[dict[str, str]]:
    """The sequences that were measured on the core's Verilog: `name`, `net_cycles_rtl`, and the body."""
    with (DATA / "ri5cy_cycles.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.reader(file))
    return [dict(zip(("name", "cycles", "first", "second", "others", "body"), row, strict=True)) for row in found[1:]]


class Assembler:
    """Translates lines; a loop's `end` label is that of the last instruction of its body."""

    def __init__(self) -> None:
        self._by_name = {e["mnemonic"].split(" ")[0] + _kind(e["mnemonic"]): e for e in encodings()}

    def text(self, lines: list[str]) -> str:
        """Lines for any assembler, uncompressed."""
        translated = [self._line(lines, i) for i in range(len(lines))]
        return "\n".join([".option push", ".option norvc", ".option norelax", *translated, ".option pop"]) + "\n"

    def _line(self, lines: list[str], number: int) -> str:
        label, line = re.fullmatch(r"\s*(?:(\w+):)?\s*(.*?)\s*", lines[number]).groups()
        text = self._instruction(lines, number, line) if line.startswith(("p.", "pv.", "lp.")) else line
        return f"{label}: {text}" if label else text

    def _instruction(self, lines: list[str], number: int, line: str) -> str:
        name, _, operands = line.partition(" ")
        if name == "lp.setup":
            level, count, end = (o.strip() for o in operands.split(","))
            return f".insn i 0x7b,4,{level},{count},{_distance(lines, number, end) // 2}"
        found = re.fullmatch(r"(\w+),([-\w]+)\((\w+)(!?)\)", operands.replace(" ", ""))
        if found:
            return self._memory(name, *found.groups())
        encoding = self._by_name[name]
        registers = [o.strip() for o in operands.split(",")]
        return _register_form(encoding, registers)

    def _memory(self, name: str, value: str, offset: str, pointer: str, post: str) -> str:
        is_number = re.fullmatch(r"-?[0-9]\w*", offset)
        encoding = self._by_name[f"{name} {'imm' if is_number else 'rs2'}{post}" if name != "p.elw" else name]
        opcode, f3 = encoding["opcode"], encoding["funct3"]
        if encoding["format"] in ("LPOST", "L"):
            return f".insn i {opcode},{f3},{value},{pointer},{offset}"
        if encoding["format"] == "SPOST":
            return f".insn s {opcode},{f3},{value},{offset}({pointer})"
        if encoding["format"] in ("LR", "LRPOST"):
            return f".insn r {opcode},{f3},{encoding['funct7']},{value},{pointer},{offset}"
        return f".insn r {opcode},{f3},{encoding['funct7']},{offset},{pointer},{value}"


def _kind(mnemonic: str) -> str:
    found = re.search(r" (?:rd|rs\d),(imm|rs2)\(rs1(!?)\)", mnemonic)
    return f" {found[1]}{found[2]}" if found else ""


def _distance(lines: list[str], number: int, label: str) -> int:
    name = label.rstrip("fb")
    end = next(i for i in range(number + 1, len(lines)) if lines[i].strip().startswith(f"{name}:"))
    return SIZE * sum(LENGTHS.get(line.split(":")[-1].split()[0], 1) for line in lines[number:end])


def _register_form(encoding: dict[str, str], operands: list[str]) -> str:
    opcode, f3, f7 = encoding["opcode"], encoding["funct3"], int(encoding["funct7"], 16)
    rd, rs1, *rest = operands
    last = rest[0] if rest else "x0"
    kind = encoding["format"]
    if kind in ("RRS", "RRU", "RRRS", "RRRU", "RRU2"):
        imm = int(last, 0) & 63
        return f".insn r {opcode},{f3},{f7 | imm & 1:#x},{rd},{rs1},x{imm >> 1}"
    if kind in ("I4U", "I5U"):
        return f".insn r {opcode},{f3},{f7 | int(last, 0) - 1:#x},{rd},{rs1},x{int(rest[1], 0)}"
    if kind in ("RRRU2", "RRRRU"):
        return f".insn r {opcode},{f3},{f7 | int(rest[1], 0):#x},{rd},{rs1},{last}"
    if kind == "I1U":
        last = f"x{int(last, 0)}"
    return f".insn r {opcode},{f3},{f7:#x},{rd},{rs1},{last}"
