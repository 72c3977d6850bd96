"""`Sources` -> `Image`: compile every file, link, and read the result back."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

from smelt.errors import BuildError, DoesNotFit, check_word
from smelt.firmware.folders import cache_folder
from smelt.firmware.image import Image, Sources, make_image
from smelt.firmware.linker import STACK_BYTES, board_header, linker_script
from smelt.targets.border import shared
from smelt.targets.types import Board, Memory

Compiler = Literal["zig", "gcc"]


class TooMuchCode(DoesNotFit):
    """Code takes so many bytes more than its plan left to it of a memory that it shares with data: another plan may leave more."""

    def __init__(self, told: str, bytes: int) -> None:
        super().__init__(told)
        self.bytes = bytes


COMPILE = (
    *("-std=gnu11", "-ffreestanding", "-ffunction-sections", "-fdata-sections", "-fno-common"),
    *(
        "-fno-stack-protector",
        "-fomit-frame-pointer",
        "-fno-exceptions",
        "-fno-unwind-tables",
        "-fno-asynchronous-unwind-tables",
        "-g0",
        "-I.",
    ),
)
LINK = (
    "-nostdlib",
    "-static",
    "-Wl,--gc-sections",
    "-Wl,--build-id=none",
    "-Wl,--entry=smelt_reset",
    "-Wl,-z,max-page-size=4096",
)
# newlib's own startup is not wanted, but gcc's helpers for 64-bit and floating-point arithmetic are
GCC_LINK = ("-Wl,--no-warn-rwx-segments", "-lgcc")
ZIG_HELPERS = ("-lcompiler_rt",)
# gcc would split and specialise the kernels, and so lose the names by which their instructions are counted
GCC_COMPILE = ("-fno-ipa-cp", "-fno-ipa-sra", "-fno-partial-inlining")
# kernels say themselves where a product and a sum become one instruction
UNFUSED = ("-ffp-contract=off",)
# loops of memcpy are no calls of it; what runs once is small
OWN_FLAGS = {"memory.c": ("-fno-builtin",), "smelt_registers.c": ("-Os",)}
OPTIMIZE = "-O2"
WORKERS = 2
SECONDS = 300  # a single compiler run that takes longer hangs
INSTALL = {
    "zig": "install the bundled one with pip install 'smelt[build]', or use --compiler gcc (arm-none-eabi-gcc or "
    "riscv64-unknown-elf-gcc), or --compiler none for C without firmware",
    "arm-none-eabi-gcc": "install it with your package manager (Debian, Ubuntu: gcc-arm-none-eabi)",
    "riscv64-unknown-elf-gcc": "install it with your package manager (Debian, Ubuntu: gcc-riscv64-unknown-elf)",
}


def build(
    sources: Sources,
    board: Board,
    compiler: Compiler = "zig",
    optimize: str = OPTIMIZE,
    stack_bytes: int = STACK_BYTES,
) -> Image:
    """Compile and link the sources together with the start-up code of the board's core.

    The same sources give the same bytes, wherever and whenever they are built. Raises `BuildError` if the compiler is
    missing or refuses a file, and `DoesNotFit` if a memory of the board is too small.
    """
    command = compiler_command(board, compiler, sources.floats)
    try:
        with tempfile.TemporaryDirectory(prefix="smelt-", ignore_cleanup_errors=True) as folder:
            elf = _build(Path(folder), command, sources, board, optimize, stack_bytes)
    except OSError as error:
        raise BuildError(f"the compiler's files could not be written or run: {error}") from error
    return make_image(elf, board, compiler, sources.entry, sources.kernels)


def compiler_of(image: Image | None) -> Compiler:
    """What built an image; zig where smelt did not, or where there is none."""
    return "gcc" if image is not None and image.compiler == "gcc" else "zig"


def compiler_command(board: Board, compiler: Compiler = "zig", floats: bool = False) -> tuple[str, ...]:
    """The compiler driver with the flags of the board's core, for code that uses its floating-point unit if `floats`; raises
    `BuildError` with what to install if it is missing."""
    check_word(compiler, "compiler", (*get_args(Compiler), "none"))
    core = (board.chip.float_unit if floats else None) or board.core
    extra = UNFUSED if floats else ()
    if compiler == "zig":
        return (str(zig()), "cc", *core.zig, *extra)
    name, *flags = core.gcc
    path = shutil.which(name)
    if path is None:
        raise BuildError(f"{name} is not installed: {INSTALL[name]}")
    return (path, *flags, *GCC_COMPILE, *extra)


def zig() -> Path:
    """The program of the `ziglang` package; raises `BuildError` if it is not installed."""
    for folder in zig_folders():
        for name in ("zig", "zig.exe"):
            if (program := Path(folder) / name).is_file():
                return program
    raise BuildError(f"the zig compiler is not installed: {INSTALL['zig']}")


def zig_folders() -> tuple[str, ...]:
    """Where the `ziglang` package lies; nowhere, where it is not installed."""
    found = importlib.util.find_spec("ziglang")
    return tuple(found.submodule_search_locations or ()) if found else ()


def support_files(board: Board, tables: tuple[str, ...] = ()) -> Mapping[str, str]:
    """The hand-written part of a firmware for this board, by file name."""
    folder = files("smelt.firmware") / "support"
    start_up = board.core.isa.start_up
    found = [f for f in folder.iterdir() if not f.name.startswith("startup_") or f.name == start_up]
    found += (folder / "cluster").iterdir() if board.chip.cluster else ()
    files_of_c = sorted((f for f in found if f.name.endswith((".c", ".h", ".S"))), key=lambda f: f.name)
    texts = {f.name: f.read_text(encoding="utf-8") for f in files_of_c}
    return {**texts, "smelt_board.h": board_header(board, tables)}


def _build(
    folder: Path, command: tuple[str, ...], sources: Sources, board: Board, optimize: str, stack_bytes: int
) -> bytes:
    support = support_files(board, sources.tables)
    clash = sorted(set(support) & set(sources.files))
    if clash:
        raise BuildError(f"{', '.join(clash)}: the network's sources use a name of the start-up code")
    script = linker_script(board, stack_bytes, sources.tables, sources.copied_from)
    write_texts(folder, {**sources.files, **support, "firmware.ld": script})
    names = compiled_files((*sources.files, *support))
    environment = compiler_environment(folder)

    def compile_one(name: str) -> str:
        flags = (*flags_of(sources, name, optimize), f"-ffile-prefix-map={folder}=.")
        return _compile(folder, (*command, *flags), name, environment)

    with ThreadPoolExecutor(WORKERS) as pool:
        objects = list(pool.map(compile_one, names))
    _link(folder, command, objects, board, environment)
    return (folder / "firmware.elf").read_bytes()


def compiled_files(names: Iterable[str]) -> list[str]:
    """Those of the files that a compiler is given, in the order in which they are linked."""
    return sorted(n for n in names if n.endswith((".c", ".S")))


def flags_of(sources: Sources, name: str, optimize: str = OPTIMIZE) -> tuple[str, ...]:
    """The compiler's flags for a file, beside those of the core."""
    return (*COMPILE, optimize, *OWN_FLAGS.get(name, ()), *sources.flags.get(name, ()))


def write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files into `folder` by name; raises `BuildError` where a name leads out of it."""
    for name, text in texts.items():
        path = folder / name
        if folder not in path.resolve().parents and folder.resolve() not in path.resolve().parents:
            raise BuildError(f"{name}: a source file must lie inside its folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def compiler_environment(folder: Path) -> dict[str, str]:
    """The environment for the compiler's processes: zig must have caches that it can write and lock, if need be below `folder`."""
    if not zig_folders():
        return dict(os.environ)
    wanted = os.environ.get("ZIG_GLOBAL_CACHE_DIR")
    cache = cache_folder("zig", folder / ".zig-global", wanted)
    return {**os.environ, "ZIG_LOCAL_CACHE_DIR": str(folder / ".zig"), "ZIG_GLOBAL_CACHE_DIR": str(cache)}


def _compile(folder: Path, command: tuple[str, ...], name: str, environment: Mapping[str, str]) -> str:
    target = f"{name}.o"
    run_compiler(folder, (*command, "-c", name, "-o", target), environment, name)
    return target


def _link(
    folder: Path, command: tuple[str, ...], objects: list[str], board: Board, environment: Mapping[str, str]
) -> None:
    is_zig = command[1:2] == ("cc",)
    full = (*command, *LINK, "-T", "firmware.ld", *objects, "-o", "firmware.elf")
    if not is_zig:
        _link_or_explain(folder, (*full, *GCC_LINK), board, environment)
        return
    try:
        _link_or_explain(folder, full, board, environment)
    except BuildError as error:
        if "undefined symbol: __" not in str(error):
            raise
        # building zig's arithmetic helpers takes seconds the first time, so only where they are needed
        _link_or_explain(folder, (*full, *ZIG_HELPERS), board, environment)


def _link_or_explain(folder: Path, command: tuple[str, ...], board: Board, environment: Mapping[str, str]) -> None:
    try:
        run_compiler(folder, command, environment, "linking")
    except BuildError as error:
        overflow = _overflow(str(error), board)
        if overflow is None:
            raise
        memory, over = overflow
        told = (
            f"{board.name}: {memory.name} is too small: {memory.size + over} bytes needed, {memory.size} available"
            f" ({over} too many)"
        )
        if memory is board.chip.flash and shared(board) is not None:
            raise TooMuchCode(told, over) from error
        raise DoesNotFit(told) from error


def _overflow(text: str, board: Board) -> tuple[Memory, int] | None:
    """The memory that a linker found too small, and by how much, from the message of LLD or GNU ld."""
    found = re.findall(r"region [`'](\w+)'.*?overflowed by (\d+) bytes", text)
    sizes: dict[str, int] = {}
    for name, over in found:
        sizes[name] = max(sizes.get(name, 0), int(over))
    for memory in board.chip.memories:
        if memory.name in sizes or (memory is board.chip.flash and "drom" in sizes):
            return memory, sizes.get(memory.name, sizes.get("drom", 0))
    return None


def run_compiler(folder: Path, command: tuple[str, ...], environment: Mapping[str, str], what: str) -> None:
    """Run a compiler's command in `folder`; raises `BuildError`, which begins with `what`, with its first complaints."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
        )
    except FileNotFoundError as error:
        raise BuildError(f"the compiler {command[0]} cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{what}: the compiler did not finish within {SECONDS} s") from error
    if done.returncode != 0:
        raise BuildError(f"{what}: {_first_errors(done.stderr or done.stdout)}")


def _first_errors(text: str, count: int = 12) -> str:
    lines = [line for line in text.splitlines() if "error" in line or "overflowed" in line or "undefined" in line]
    return "\n".join((lines or text.splitlines())[:count]) or "the compiler failed without a message"
