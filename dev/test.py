"""Set up everything in a virtual environment and run all checks: `python3 dev/test.py [pytest arguments]`.

`--extra` runs only the tests that need `../shared`; `--environment FOLDER` keeps the virtual environment there. `--zig VERSION`
runs the tests with another version of the bundled compiler, in an environment of its own: all but the golden costs, which are the
figures of one version.

On Debian and Ubuntu what tests need of the system is installed by apt-get where that is allowed (as root, or with sudo that
asks no password). With CI=true it is an error if something is missing; otherwise its tests are skipped, and say so.
"""

import argparse
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What tests need of the system: a Debian package, and a command that works where it is installed.
NEEDED = {
    "python3-venv": (sys.executable, "-m", "ensurepip", "--version"),
    "gcc": ("gcc", "--version"),
    "libc6-dev": ("gcc", "-E", "-include", "stdio.h", "-x", "c", os.devnull),
    "clang": ("clang", "--version"),
    "lld": ("ld.lld", "--version"),
    "gcc-arm-none-eabi": ("arm-none-eabi-gcc", "--version"),
    "libnewlib-arm-none-eabi": ("arm-none-eabi-gcc", "-E", "-include", "string.h", "-x", "c", os.devnull),
    "gcc-riscv64-unknown-elf": ("riscv64-unknown-elf-gcc", "--version"),
    "cmake": ("cmake", "--version"),
    "make": ("make", "--version"),
    "qemu-system-arm": ("qemu-system-arm", "--version"),
    "openocd": ("openocd", "--version"),
    "chromium": ("chromium", "--version"),
}

# What checks packages for the projects of others (`smelt export`): programs that nothing here imports, each with many packages of
# its own, in an environment beside.
PACKAGERS = ("platformio>=6.1,<7", "idf-component-manager>=2,<4")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--extra", action="store_true", help="Only the tests that need ../shared.")
    parser.add_argument(
        "--zig", metavar="VERSION", help="Of ziglang, such as 0.15.1, the oldest one that smelt allows."
    )
    parser.add_argument("--environment", type=Path, metavar="FOLDER")
    options, arguments = parser.parse_known_args()
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # tests start smelt hundreds of times: compiled anew, each takes a second
    install_programs()
    environment = options.environment or ROOT / (f".venv-test-{options.zig}" if options.zig else ".venv-test")
    python = install_packages(environment.resolve(), options.zig)
    packagers = None if options.extra else install_packagers(environment.resolve(), python)
    pytest = ["-m", "pytest", "-n", "2", "--dist", "worksteal"]
    wanted = [*(["extra"] if options.extra else []), *(["not costs"] if options.zig else [])]
    checks = [["-m", "ruff", "format", "--check", "."], ["-m", "ruff", "check", "."], ["-m", "mypy"]]
    if wanted:
        pytest, checks = [*pytest, "-m", " and ".join(wanted)], []
    codes = [run([python, *check]) for check in checks]
    if packagers is not None and packagers.wait():
        sys.exit(f"these packages could not be installed: {', '.join(PACKAGERS)}")
    code = max([*codes, run([python, *pytest, *arguments])])
    if options.zig:
        print(f"golden costs: left out, they are not those of ziglang {options.zig}")
    return code


def install_programs() -> None:
    missing = missing_packages()
    if missing and shutil.which("apt-get"):
        prefix = [] if getattr(os, "geteuid", lambda: 1)() == 0 else ["sudo", "-n"]
        if not prefix or shutil.which("sudo"):
            run([*prefix, "apt-get", "update", "-qq"])
            install = [*prefix, "apt-get", "install", "-y", "-qq", "--no-install-recommends"]
            if run([*install, *missing]):  # some release lacks one of them: the others are installed
                for package in missing:
                    run([*install, package])
            missing = missing_packages()
    if missing and os.environ.get("CI"):
        sys.exit(f"these packages are missing and could not be installed: {', '.join(missing)}")


def missing_packages() -> list[str]:
    return [package for package, command in NEEDED.items() if not works(command)]


def works(command: tuple[str, ...]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def install_packages(environment: Path, zig: str | None) -> str:
    """A fresh environment with smelt and its test tools, and with some version of ziglang; returns its Python."""
    folder = environment / ("Scripts" if os.name == "nt" else "bin")
    if not folder.exists():
        venv.create(environment, with_pip=True)
    python = str(folder / "python")
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    if run([*pip, "-e", ".[test]"]) or (zig and run([*pip, "--no-deps", f"ziglang=={zig}"])):
        sys.exit("the packages could not be installed")
    return python


def install_packagers(environment: Path, python: str) -> subprocess.Popen[bytes]:
    """`PACKAGERS` in an environment of their own, which the path of the tests ends with, while other checks run."""
    folder = environment / "packagers"
    if not folder.exists():
        venv.create(folder)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    os.environ["PATH"] = os.pathsep.join((os.environ.get("PATH", os.defpath), str(programs)))
    pip = [python, "-m", "pip", "--python", str(programs / "python"), "install", "-q", "--disable-pip-version-check"]
    return subprocess.Popen([*pip, "--no-compile", *PACKAGERS], cwd=ROOT)


def run(command: list[str]) -> int:
    print("$", " ".join(command), flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
