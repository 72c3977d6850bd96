"""Set up everything in a virtual environment and run all checks: `python3 dev/test.py [pytest arguments]`.

On Debian and Ubuntu the programs that tests use are installed by apt-get where that is allowed (as root, or with sudo that
asks no password). With CI=true a missing program is an error; otherwise its tests are skipped, and say so.
"""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv-test"
# What tests call, and the Debian package that brings it.
PROGRAMS = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf",
    "gcc": "gcc",
    "cmake": "cmake",
    "make": "make",
    "qemu-system-arm": "qemu-system-arm",
    "openocd": "openocd",
}


def main() -> int:
    install_programs()
    python = install_packages()
    checks = (
        ["-m", "ruff", "format", "--check", "."],
        ["-m", "ruff", "check", "."],
        ["-m", "mypy"],
        ["-m", "pytest", "-n", "2", "--dist", "worksteal", *sys.argv[1:]],
    )
    return max([run([python, *check]) for check in checks])


def install_programs() -> None:
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if not missing:
        return
    if shutil.which("apt-get"):
        prefix = [] if getattr(os, "geteuid", lambda: 1)() == 0 else ["sudo", "-n"]
        if not prefix or shutil.which("sudo"):
            run([*prefix, "apt-get", "update", "-qq"])
            run([*prefix, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing])
    still = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if still and os.environ.get("CI"):
        sys.exit(f"these packages are missing and could not be installed: {', '.join(still)}")


def install_packages() -> str:
    """A fresh environment with smelt and its test tools; returns its Python."""
    folder = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
    if not folder.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    python = str(folder / "python")
    if run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-e", ".[test]"]):
        sys.exit("the packages could not be installed")
    return python


def run(command: list[str]) -> int:
    print("$", " ".join(command), flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
