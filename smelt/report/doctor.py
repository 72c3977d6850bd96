"""`doctor`: which parts of smelt work on this computer."""

from __future__ import annotations

import importlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One part: whether it works, what was found, and what to do if it does not. `label` is the word for its state where "ok" and
    "missing" are not."""

    part: str
    purpose: str
    works: bool
    needed: bool
    detail: str
    remedy: str
    label: str = ""


@dataclass(frozen=True)
class Findings:
    """All parts."""

    findings: tuple[Finding, ...]


PACKAGES = (
    ("numpy", "arithmetic", True, "pip install smelt"),
    ("elftools", "sizes and symbols of firmware", False, "pip install 'smelt[simulate]'"),
    ("unicorn", "simulated boards", False, "pip install 'smelt[simulate]'"),
    ("capstone", "what simulated instructions cost", False, "pip install 'smelt[simulate]'"),
    ("ortools", "exact memory plans", False, "pip install 'smelt[plan]'"),
    ("PIL", "pictures as inputs", False, "pip install 'smelt[image]'"),
    ("tflite_micro", "the oracle TensorFlow Lite Micro", False, "pip install 'smelt[oracle]' (Linux only)"),
    ("onnxruntime", "the oracle of .onnx files", False, "pip install 'smelt[onnx]'"),
    ("pyocd", "real boards by a debug probe, for --device pyocd", False, "pip install 'smelt[pyocd]'"),
    ("distributed", "tuning on several computers, for --farm", False, "pip install 'smelt[farm]'"),
)
USED = {"ortools": "ortools.sat.python.cp_model"}
"""What is imported of packages that do not look themselves whether all is there that they need."""

PROGRAMS = (
    (
        "qemu-system-arm",
        "QEMU, for --device qemu and boards without a simulator",
        "install qemu-system-arm (Homebrew: qemu)",
    ),
    ("openocd", "real boards by JTAG and SWD", "install openocd"),
    ("arm-none-eabi-gcc", "a second compiler for Arm", "install arm-none-eabi-gcc, only for --compiler gcc"),
    (
        "riscv64-unknown-elf-gcc",
        "a second compiler for RISC-V",
        "install riscv64-unknown-elf-gcc, only for --compiler gcc",
    ),
)


def examine() -> tuple[Finding, ...]:
    """Look at every part. Nothing is raised; what fails is a finding."""
    findings = [
        Finding("python", "", sys.version_info >= (3, 11), True, platform.python_version(), "use Python 3.11 or newer")
    ]
    findings += [_package(*package) for package in PACKAGES]
    findings.append(_zig())
    findings.append(_native())
    findings.extend(_shipped_log())
    findings += [_program(*program) for program in PROGRAMS]
    return tuple(findings)


def _package(name: str, purpose: str, needed: bool, remedy: str) -> Finding:
    try:
        module = importlib.import_module(name)
        importlib.import_module(USED.get(name, name))
    except Exception as error:  # a broken wheel may raise anything
        return Finding(name, purpose, False, needed, str(error).splitlines()[0], remedy)
    return Finding(name, purpose, True, needed, str(getattr(module, "__version__", "installed")), "")


def _zig() -> Finding:
    from smelt.errors import BuildError
    from smelt.firmware.build import zig

    try:
        found = _version([str(zig()), "version"])
    except BuildError:
        found = ""
    return Finding(
        "ziglang", "the bundled cross-compiler", bool(found), False, found or "missing", "pip install 'smelt[build]'"
    )


def _native() -> Finding:
    from smelt.devices.simulators.native_library import COUNTER, how
    from smelt.errors import BuildError

    purpose = "the simulator's counter"
    try:
        return Finding("native part", purpose, True, False, how(COUNTER), "")
    except BuildError:
        return Finding(
            "native part", purpose, False, False, "no C compiler", "pip install 'smelt[build]', or install cc"
        )


def _shipped_log() -> Iterator[Finding]:
    """Whether the tuning log that smelt ships belongs to what is installed; without one there is nothing to say."""
    from smelt.tuning.shipped import shipped_log, state

    log = shipped_log()
    if log.measurements:
        grade, detail = state(log)
        remedy = "smelt tune measures again; until then kernels are chosen by first guesses" if grade == "stale" else ""
        label = "" if grade == "same" else grade
        yield Finding("tuned.jsonl.gz", "the tuning log that smelt ships", not remedy, False, detail, remedy, label)


def _program(name: str, purpose: str, remedy: str) -> Finding:
    found = _version([name, "--version"]) if shutil.which(name) else ""
    return Finding(name, purpose, bool(found), False, found or "not on the PATH", "" if found else remedy)


def _version(command: list[str]) -> str:
    try:
        answer = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return next(iter((answer.stdout or answer.stderr).splitlines()), "")  # OpenOCD says it as an error
