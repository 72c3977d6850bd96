"""Build what is published: `python dev/build_wheels.py [--out dist]` writes a source distribution and a wheel for each platform.

The native parts of the simulators are cross-compiled by zig (`pip install '.[build]'`), so any of the platforms can build them all.
They use no C library, which is checked for Linux: therefore the tags promise no more than what is so.
"""

import argparse
import base64
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from elftools.elf.elffile import ELFFile

from smelt.devices.qemu_run import plugin
from smelt.devices.simulators.native_library import CLUSTER, COUNTER, Native, Platform, zig_command

ROOT = Path(__file__).resolve().parents[1]
MOST_BYTES = 5_000_000
INTERFACES = (1, 2)  # of QEMU's plugins; for others it is compiled where it is needed
TIME = (1980, 1, 1, 0, 0, 0)  # of every file: the same sources, the same wheel


@dataclass(frozen=True)
class Target:
    """A platform, how zig calls it, and what a wheel for it is tagged with."""

    platform: Platform
    zig: str
    tag: str


TARGETS = (
    Target(Platform("linux", "x86_64"), "x86_64-linux-gnu.2.17", "manylinux_2_17_x86_64.manylinux2014_x86_64"),
    Target(Platform("linux", "aarch64"), "aarch64-linux-gnu.2.17", "manylinux_2_17_aarch64.manylinux2014_aarch64"),
    Target(Platform("darwin", "x86_64"), "x86_64-macos.11.0", "macosx_11_0_x86_64"),
    Target(Platform("darwin", "aarch64"), "aarch64-macos.11.0", "macosx_11_0_arm64"),
    Target(Platform("win32", "x86_64"), "x86_64-windows-gnu", "win_amd64"),
)


def parts(target: Target) -> tuple[Native, ...]:
    """What is compiled for a platform. On Windows QEMU loads no such plugins."""
    plugins = () if target.platform.system == "win32" else tuple(plugin(n) for n in INTERFACES)
    return (COUNTER, CLUSTER, *plugins)


def compiled(part: Native, target: Target) -> bytes:
    """The library of a part."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source, text in part.texts.items():
            (folder / source).write_text(text, encoding="utf-8")
        flags = ("-target", target.zig, "-s", *part.arguments(target.platform))
        command = (*zig_command(target.platform), *flags, "-o", "library")
        subprocess.run(command, cwd=folder, check=True)
        data = (folder / "library").read_bytes()
    if target.platform.system == "linux":
        check_needs_nothing(data, part)
    return data


def check_needs_nothing(data: bytes, part: Native) -> None:
    """A library that needs neither a C library nor any symbol of one runs on whatever Linux there is."""
    file = ELFFile(BytesIO(data))
    needed = [tag.needed for tag in file.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")]
    symbols = file.get_section_by_name(".dynsym").iter_symbols()
    undefined = [s.name for s in symbols if s.name and s["st_shndx"] == "SHN_UNDEF"]
    # what the program that loads an open part has, QEMU's functions and its C library's, whichever that is
    foreign = [] if part.is_open else undefined
    if needed or foreign:
        sys.exit(f"{part.source}: not for every Linux, it needs {', '.join([*needed, *foreign])}")


def with_libraries(pure: Path, target: Target, out: Path) -> Path:
    """The wheel for a platform: a wheel without libraries, and those of the platform."""
    name, version, *_ = pure.name.split("-")
    wheel = out / f"{name}-{version}-py3-none-{target.tag}.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(pure) as archive:
        files = {n: archive.read(n) for n in archive.namelist() if n != f"{info}/RECORD"}
    for part in parts(target):
        folder = part.package.replace(".", "/")
        files[f"{folder}/native/{part.name(target.platform)}"] = compiled(part, target)
    files[f"{info}/WHEEL"] = wheel_text(target).encode()
    record = "".join(f"{n},{digest(data)},{len(data)}\n" for n, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for n, data in files.items():
            entry = zipfile.ZipInfo(n, TIME)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return wheel


def wheel_text(target: Target) -> str:
    """The file WHEEL. Pure means: all of it belongs into one folder."""
    tags = "".join(f"Tag: py3-none-{tag}\n" for tag in target.tag.split("."))
    return f"Wheel-Version: 1.0\nGenerator: smelt dev/build_wheels.py\nRoot-Is-Purelib: false\n{tags}"


def digest(data: bytes) -> str:
    """As RECORD has it."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def backend(folder: Path, what: str, out: Path) -> Path:
    """What setuptools makes, in a version of its own, from a copy of what is committed: nothing of this checkout gets in."""
    tools, source = folder / "tools", folder / "source"
    if not tools.exists():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", str(tools)]
        subprocess.run([*pip, "setuptools>=77"], check=True)
        archive = subprocess.run(["git", "archive", "--format=zip", "HEAD"], cwd=ROOT, check=True, capture_output=True)
        zipfile.ZipFile(BytesIO(archive.stdout)).extractall(source)
    program = (
        f"import sys; sys.path.insert(0, {str(tools)!r})\n"
        f"from setuptools import build_meta\nprint(build_meta.{what}({str(out)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=source, check=True, capture_output=True, text=True)
    return out / done.stdout.split()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--only", help="Just the platforms with this in their tag, such as linux.")
    options = parser.parse_args()
    if not COUNTER.folder.is_relative_to(ROOT):
        sys.exit("another smelt is installed than this one: pip install -e '.[build]'")
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = [backend(folder, "build_sdist", options.out.resolve())]
        pure = backend(folder, "build_wheel", folder)
        made += [with_libraries(pure, t, options.out) for t in TARGETS if (options.only or "") in t.tag]
    for file in made:
        print(f"{file}: {file.stat().st_size:,} bytes")
        if file.suffix == ".whl" and file.stat().st_size > MOST_BYTES:
            sys.exit(f"{file.name} is larger than {MOST_BYTES:,} bytes")


if __name__ == "__main__":
    main()
