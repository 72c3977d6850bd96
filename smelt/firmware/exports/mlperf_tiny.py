"""`mlperf-tiny`: firmware for the runner of MLPerf Tiny, and the folder of a submission as its checker wants it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from smelt.firmware.build import (
    GCC_LINK,
    LINK,
    ZIG_HELPERS,
    compiled_files,
    compiler_command,
    compiler_of,
    flags_of,
    support_files,
)
from smelt.firmware.exports.layout import Format, as_bytes
from smelt.firmware.exports.package import Label, Package
from smelt.firmware.exports.self_test import self_test
from smelt.firmware.exports.texts import filled, licensed
from smelt.firmware.linker import linker_script
from smelt.firmware.mlperf import VENDOR, Benchmark, Mode, benchmark_of
from smelt.firmware.toolchain import toolchain
from smelt.targets.types import KB, MB, Board

BOARD = "smelt_board.h"  # in which modes differ
ENERGY = "Energy mode needs the runner's interface board and power monitor, and was tried on a simulated board only."
NO_ENERGY = "There is no firmware for energy mode: smelt knows no pin of this board, or its port has no 9600 baud."
SECONDS = 11  # of a window: ten are the least, and boards are not simulators


def _files(package: Package) -> dict[str, str]:
    code = _code(package)
    texts = {f"{code}/{name}": text for name, text in _sources(package).items()}
    found = _benchmark(package)
    if found is not None:
        texts[f"{_submission(package, found)}/systems/{_system(package)}.json"] = _description(package, found)
    return texts


def _packed(package: Package, texts: Mapping[str, str]) -> dict[str, bytes]:
    """The texts and the images."""
    images = {f"firmware/{mode.name}.elf": mode.image.elf for mode in package.modes}
    license = {f"{_code(package)}/LICENSE": texts["LICENSE"].encode()}
    return as_bytes(package, texts) | images | license


def _benchmark(package: Package) -> Benchmark | None:
    return benchmark_of(package.program.plan.graph)


def _division(package: Package, found: Benchmark) -> str:
    """Closed for the reference's own weights."""
    return "closed" if package.origin.digest == found.digest else "open"


def _submission(package: Package, found: Benchmark) -> str:
    return f"submission/{_division(package, found)}/{package.label.publisher}"


def _system(package: Package) -> str:
    return package.program.plan.board.name


def _code(package: Package) -> str:
    found = _benchmark(package)
    return f"{_submission(package, found)}/code/{found.folder}_{_system(package)}" if found else "code"


# --- code ---------------------------------------------------------------------------------------------------------------


def _sources(package: Package) -> dict[str, str]:
    """All that the images are built of, and the program that builds them."""
    license, (first, *_) = package.label.license, package.modes
    support = support_files(first.board, first.sources.tables)
    texts = {**first.sources.files, **{name: text for name, text in support.items() if name != BOARD}}
    files = {name: licensed(text, license) for name, text in texts.items()}
    for mode in package.modes:
        files[f"{mode.name}/{BOARD}"] = licensed(support_files(mode.board, mode.sources.tables)[BOARD], license)
    script = linker_script(first.board, tables=first.sources.tables, copied_from=first.sources.copied_from)
    files["firmware.ld"] = licensed(script, license)
    return {**files, **self_test(package), "build.py": _build_program(package, compiled_files(files))}


def _build_program(package: Package, names: list[str]) -> str:
    (first, *_) = package.modes
    compiler = compiler_of(first.image)
    gcc = compiler == "gcc"
    _, *core = compiler_command(first.board, compiler, first.sources.floats)
    return filled(
        "mlperf_build.txt",
        package,
        toolchain=toolchain(first.board, compiler),
        compiler=f"[{package.program.plan.board.core.gcc[0]!r}]" if gcc else '[sys.executable, "-m", "ziglang"]',
        core=json.dumps(core),
        link=json.dumps([*LINK, "-T", "firmware.ld", *(GCC_LINK if gcc else ())]),
        helpers=json.dumps([] if gcc else list(ZIG_HELPERS)),
        files="\n".join(f"    {json.dumps(name)}: {json.dumps(_own(first, name))}," for name in names),
        common=json.dumps([f for f in flags_of(first.sources, "") if f != "-I."]),
        modes="\n".join(
            f"    {json.dumps(m.name)}: ({json.dumps(m.image.digest)}, {json.dumps(_differing(m, first))}),"
            for m in package.modes
        ),
    )


def _own(mode: Mode, name: str) -> list[str]:
    """The flags of a file alone, and none that tells the mode."""
    common = flags_of(mode.sources, "")
    return [f for f in flags_of(mode.sources, name)[len(common) :] if not f.startswith("-DSMELT_MLPERF_ENERGY")]


def _differing(mode: Mode, first: Mode) -> list[str]:
    return [f"-DSMELT_MLPERF_ENERGY={int(mode.name == 'energy')}", f"-I{mode.name}", "-I."]


# --- what is said -------------------------------------------------------------------------------------------------------


def _description(package: Package, found: Benchmark) -> str:
    """The description of the system, with the keys that the checker and earlier submissions have."""
    board = package.program.plan.board
    ram = size_text(sum(m.size for m in board.chip.rams))
    flash = size_text(sum(m.size for m in board.chip.flashes))
    (first, *_) = package.modes
    compiler = toolchain(first.board, compiler_of(first.image))
    empty = (
        "Accelerator",
        "Accelerator(s) Frequencies",
        "Accelerator memory type and capacity",
        "Accelerator storage type and capacity",
    )
    values = {
        "Submitter": package.label.publisher,
        "Division": _division(package, found).capitalize(),
        "Status": "Available",
        "Board Name": board.title.partition(" (")[0],
        "SoC Name": board.chip.name,
        "SoC Memory capacity (not including processor or accelerator)": ram,
        "SoC Memory type": "RAM",
        "SoC storage capacity": flash,
        "SoC storage type": "Flash",
        "Processor(s) Name": _processor(board),
        "Processor(s) Frequencies": f"{board.clock_hz / 1e6:g} MHz",
        "Processor memory type and capacity": f"{ram} RAM",
        "Processor storage type and capacity": f"{flash} flash",
        **dict.fromkeys(empty, ""),
        "Hardware Notes": "",
        "Inference Framework": f"smelt {package.smelt}",
        "Software Libraries": "",
        "Operating System": "bare metal",
        "Other Software Stack": "",
        "Software Notes": "C and assembly generated for the model and the chip",
        "Quantization Method": "as in the model file",
        "Training framework (open division)": "",
        "ML Model Compiler(s)": f"smelt {package.smelt}",
        "General Compiler(s)": compiler,
        "Other Software": "",
        "Training and Quantization Notes": "",
    }
    return f"{json.dumps(values, indent=2)}\n"


def _processor(board: Board) -> str:
    """What the board's title says of its core, in brackets."""
    inside = board.title.partition("(")[2].partition(")")[0]
    return inside.rpartition(", ")[2] or board.core.name


def size_text(size: int) -> str:
    return f"{size // MB} MB" if size % MB == 0 else f"{size // KB} KB"


def _told(package: Package) -> dict[str, str]:
    found = _benchmark(package)
    board = package.modes[0].board
    assert board.uart is not None, "firmware answers through it"
    return {
        "what": filled("mlperf_use_benchmark.md", package, **_of(package, found)).rstrip("\n")
        if found
        else filled("mlperf_use_other.md", package).rstrip("\n"),
        "baud": str(board.uart.baud),
        "port": board.uart.name,
        "images": "\n".join(map(_image_line, package.modes)),
        "times": _times(package),
        "flash": _flash(board),
        "energy": ENERGY if len(package.modes) > 1 else NO_ENERGY,
        "code": _code(package),
    }


def _flash(board: Board) -> str:
    if board.flasher or board.chip.debug:
        return f"`smelt flash firmware/performance.elf --board {board.name}` programs the board, or says how."
    return "Program the board with its own tool: smelt does not know its debug port."


def _image_line(mode: Mode) -> str:
    pin = mode.board.pin if mode.name == "energy" else None
    says = f"energy: 9600 baud; {pin.name} falls at each timestamp" if pin else "performance and accuracy"
    return f"| `firmware/{mode.name}.elf` | {says} | `{mode.image.digest}` |"


def _of(package: Package, found: Benchmark) -> dict[str, str]:
    return {
        "id": found.id,
        "folder": found.folder,
        "title": found.title,
        "division": _division(package, found),
        "submission": _submission(package, found),
        "system": _system(package),
    }


def _times(package: Package) -> str:
    """How many inferences make a window of ten seconds, as far as that is known."""
    for figure in package.figures:
        if figure.what == "time":
            return str(math.ceil(SECONDS * 1000 / figure.value))
    return "N"


def _refused(name: str, label: Label) -> str:
    if VENDOR.fullmatch(label.publisher):
        return ""
    return (
        "its publisher names a folder of the submission: choose another --publisher, of letters, digits, dots, - and _"
    )


FORMAT = Format(
    "mlperf-tiny",
    "Firmware for the runner of MLPerf Tiny, and the folder of a submission",
    "mlperf_use.md",
    _files,
    _packed,
    _refused,
    _told,
    firmware=True,
)
