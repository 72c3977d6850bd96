"""The headers of kernels: a network gets those that it uses, and what is for Arm stays with Arm."""

import re
import subprocess

import pytest

from smelt.firmware import emit, render
from smelt.firmware.module import build_module, module_source
from smelt.firmware.sources import ASSEMBLY as ROUTINES
from smelt.firmware.sources import FILES
from smelt.importers import load
from smelt.kernels.headers import all_headers, included, needed, with_included
from smelt.passes import prepare
from smelt.planner import make_plan
from smelt.targets.boards import BOARDS, board
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from smelt.targets.cores.riscv32imc import RISCV32IMC
from tests.paths import HELLO_FLOAT, KWS, ROOT
from tests.routine_watch import known_to_c
from tests.tiny_firmware import need

RESNET = ROOT / "smelt" / "assets" / "resnet8.tflite"
SUPPORT = ROOT / "smelt" / "kernels" / "support"
MODELS = [
    RESNET,
    *sorted((ROOT / "tests" / "data").rglob("*_ref_model.tflite")),
    *(ROOT / "tests" / "data").rglob("ad01*.tflite"),
]
ASSEMBLY = re.compile(r"\b__asm__\b|\basm\b|arm_acle|naked")


def sources(path, board_name, goal="balanced"):
    return render(emit(make_plan(prepare(load(path)), board(board_name), goal=goal), "sensor")).files


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
@pytest.mark.parametrize("board_name", ["nucleo_l4r5zi", "esp32c3"])
@pytest.mark.parametrize("goal", ["balanced", "speed"])
def test_a_network_has_the_headers_that_it_uses(path, board_name, goal, tmp_path):
    """It builds with them, and with none of them missing: each defines something that the network's code or another one names."""
    files = sources(path, board_name, goal)
    headers = {f for f in files if f not in {f"sensor_{end}" for end in (*FILES, ROUTINES)}}
    assert headers == set(with_included(included(files["sensor_net.c"])))
    if board_name == "esp32c3":
        assert not any(ASSEMBLY.search(text) for text in files.values())
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    compiler, *flags = board(board_name).core.gcc
    need(compiler)
    strict = [
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-Wundef",
        "-pedantic",
        "-Werror",
        "-ffreestanding",
        "-fsyntax-only",
    ]
    command = [compiler, *flags, *strict, "-I", str(ROOT / "smelt" / "firmware" / "support"), "sensor_net.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr[:2000]
    named = set(re.findall(r"\bsmelt_\w+_[0-9a-f]{8}\b", files["sensor_net.c"]))
    assert named == set(re.findall(r"^(smelt_\w+):", files.get(f"sensor_{ROUTINES}", ""), re.MULTILINE))


@pytest.mark.parametrize("header", sorted(all_headers()))
@pytest.mark.parametrize("flags", [("-std=c99",), ("-std=gnu17", "-mcpu=cortex-m4", "-mthumb")], ids=["host", "arm"])
def test_each_header_stands_alone_and_has_what_it_says(header, flags, tmp_path):
    compiler = "gcc" if len(flags) == 1 else "arm-none-eabi-gcc"
    need(compiler)
    said = re.search(r"Routines: ([^.]*)\.", all_headers()[header])
    known = known_to_c(CORTEX_M4 if compiler != "gcc" else None) if said else ""
    names = re.findall(r"smelt_\w+", said[1]) if said else []
    uses = "".join(f"#ifndef {n}\nvoid use_{n}(void) {{ (void){n}; }}\n#endif\n" for n in names)
    (tmp_path / "use.c").write_text(f'#include "{header}"\n{known}{uses}int smelt_used;\n')
    support = ["-I", str(SUPPORT), "-I", str(ROOT / "smelt" / "firmware" / "support")]
    command = [compiler, *flags, *support, "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fsyntax-only", "use.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:2000]


def test_a_routine_is_in_one_header():
    said = [
        n
        for text in all_headers().values()
        for m in re.findall(r"Routines: ([^.]*)\.", text)
        for n in re.findall(r"\w+_\w+", m)
    ]
    assert said and len(said) == len(set(said))


def test_instructions_are_for_cores_that_have_them():
    code = "y[0] = (int8_t)smelt_ssat8(smelt_smmlar(x, m, x));"
    assert needed(code, CORTEX_M4) == ("smelt_dsp.h",) and needed(code, RISCV32IMC) == ("smelt_kernels.h",)
    assert (
        needed("memcpy(y, x, (size_t)4);", CORTEX_M4) == ("smelt_kernels.h",)
        and needed("y[0] = x[0];", CORTEX_M4) == ()
    )
    assert all(ASSEMBLY.search(text) is None for name, text in all_headers().items() if name == "smelt_kernels.h")
    portable = [b.core for b in BOARDS if not b.core.intrinsics]
    assert portable and all(needed(code, core) == ("smelt_kernels.h",) for core in portable)


def test_each_kernel_alone_is_a_module():
    """What a session loads has the headers of that kernel and no others, even of one that needs none of smelt's."""
    target = board("nucleo_l4r5zi")
    plans = (make_plan(prepare(load(model)), target) for model in (RESNET, KWS, HELLO_FLOAT))
    calls = {call.kernel.name: call for plan in plans for call in plan.calls}
    assert any(not needed(call.kernel.c(), target.core) for call in calls.values())
    helpers = dict.fromkeys(("memcpy", "memset"), target.chip.rams[0].start)
    for call in calls.values():
        assert build_module(module_source(call), target, target.chip.rams[0].start, helpers).functions
