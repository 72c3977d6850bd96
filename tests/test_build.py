"""Building firmware: both compilers, the same bytes twice, sizes, and what happens when it cannot be done."""

import importlib
import subprocess
import sys
import tempfile

import pytest

from smelt.errors import BuildError, DoesNotFit
from smelt.firmware.build import build, compiler_command
from smelt.firmware.elf import read_elf
from smelt.firmware.image import Sources, make_image
from smelt.firmware.linker import STACK_BYTES
from smelt.targets.boards import BOARDS, board
from tests.paths import ROOT
from tests.tiny_firmware import KERNELS, TRIPLE, need, tiny, tiny_image

build_module = importlib.import_module("smelt.firmware.build")
BOTH = ("disco_f746ng", "esp32c3")


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
@pytest.mark.parametrize("b", BOARDS, ids=lambda b: b.name)
def test_every_board_builds_with_both_compilers(b, compiler):
    if compiler == "gcc":
        need(b.core.gcc[0])
    image = build(tiny(), b, compiler)
    assert image.board == b.name
    assert image.kernels == KERNELS
    for name in ("smelt_reset", "main", "network_run", *KERNELS):
        symbol = image.symbols[name]
        assert symbol.is_function
        assert image.function_at(symbol.address + symbol.size - 1) == name
    flash = b.chip.flash
    assert image.parsed.segments
    for segment in image.parsed.segments:
        assert flash.start <= segment.load < segment.load + len(segment.data) <= flash.end


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
@pytest.mark.parametrize("name", BOTH)
def test_same_input_same_bytes(name, compiler):
    if compiler == "gcc":
        need(board(name).core.gcc[0])
    assert build(tiny(), board(name), compiler).digest == build(tiny(), board(name), compiler).digest


def test_another_process_with_an_empty_cache_gives_the_same_bytes(tmp_path):
    program = "from tests.tiny_firmware import tiny_image\nprint(tiny_image('nucleo_l4r5zi').digest, end='')\n"
    environment = {"ZIG_GLOBAL_CACHE_DIR": str(tmp_path), "PATH": "", "PYTHONHASHSEED": "7", "SYSTEMROOT": ""}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout == tiny_image("nucleo_l4r5zi").digest, done.stderr


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_the_image_does_not_know_where_it_was_built(compiler):
    if compiler == "gcc":
        need(board("disco_f746ng").core.gcc[0])
    image = tiny_image("disco_f746ng", compiler=compiler)
    assert tempfile.gettempdir().encode() not in image.elf
    assert str(ROOT).encode() not in image.elf


def test_digests_of_sources():
    one = Sources({"a.c": "x", "b.c": "y"})
    assert one.digest == Sources({"b.c": "y", "a.c": "x"}).digest
    assert one.digest != Sources({"a.c": "xb.c", "": "y"}).digest
    assert one.digest != Sources({"a.c": "y", "b.c": "x"}).digest


PLACED = """
const uint8_t weights[1000] = {1, 2, 3};
static uint8_t arena[3000] __attribute__((section(".smelt.ram.%s")));
static uint8_t other[500] __attribute__((section(".bss.smelt.ram.%s"), aligned(8)));
static volatile uint32_t table[10] = {1, 2, 3};
KERNEL void kernel(uint8_t *o, const uint8_t *i)
{
    memcpy(arena, weights, i[0]);
    memset(other, i[1], i[2]);
    o[0] = (uint8_t)(arena[i[0]] + other[i[1]] + table[i[2] & 7]);
}
"""


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
@pytest.mark.parametrize(("name", "first", "second"), [("disco_f746ng", "dtcm", "sram1"), ("esp32c3", "sram", "sram")])
def test_buffers_go_where_they_are_told(name, first, second, compiler):
    if compiler == "gcc":
        need(board(name).core.gcc[0])
    image = tiny_image(name, PLACED % (first, second), "kernel(o, i);", compiler)
    flash = board(name).chip.flash.name
    memories = {m.name: m for m in board(name).chip.memories}
    for buffer, memory in (("arena", first), ("other", second)):
        assert memories[memory].start <= image.symbols[buffer].address < memories[memory].end
    assert sum(image.size(m, "arena") for m in {first, second}) in range(3500, 3532)
    assert image.size(first, "data") >= 40
    assert image.size(first, "stack") == STACK_BYTES
    assert image.size(flash, "constants") >= 1000 + 40
    assert 300 < image.size(flash, "code") < 4000
    assert len(image.elf) < 40_000  # nothing of the buffers is stored


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
@pytest.mark.parametrize("name", BOTH)
def test_too_much_ram_is_named(name, compiler):
    if compiler == "gcc":
        need(board(name).core.gcc[0])
    ram = board(name).chip.rams[0]
    big = f'static uint8_t arena[{ram.size}] __attribute__((section(".bss.smelt.ram.{ram.name}")));'
    kernel = f"{big} KERNEL void kernel(uint8_t *o, const uint8_t *i) {{ arena[i[0]] = 1; o[0] = arena[i[1]]; }}"
    with pytest.raises(DoesNotFit, match=f"{ram.name} is too small: .* needed, {ram.size} available"):
        tiny_image(name, kernel, "kernel(o, i);", compiler)


@pytest.mark.parametrize("name", BOTH)
def test_too_much_flash_is_named(name):
    flash = board(name).chip.flash
    big = f"const uint8_t weights[{flash.size}] = {{1}};"
    kernel = f"{big} KERNEL void kernel(uint8_t *o, const uint8_t *i) {{ o[0] = weights[i[0]]; }}"
    with pytest.raises(DoesNotFit, match=f"flash is too small: .* needed, {flash.size} available"):
        tiny_image(name, kernel, "kernel(o, i);")


def test_compiler_errors_are_shown():
    with pytest.raises(BuildError, match=r"smelt_firmware\.c.*error.*unknown_thing"):
        tiny_image("disco_f746ng", "KERNEL void kernel(void) { unknown_thing(); }", "kernel();")


def test_undefined_functions_are_shown():
    with pytest.raises(BuildError, match=r"nowhere"):
        tiny_image("disco_f746ng", "void nowhere(void);", "(void)o; (void)i; nowhere();")


def test_missing_compilers_say_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BuildError, match=r"gcc-arm-none-eabi"):
        compiler_command(board("disco_f746ng"), "gcc")
    monkeypatch.setattr(build_module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BuildError, match=r"pip install .smelt"):
        compiler_command(board("disco_f746ng"), "zig")


def test_a_home_that_cannot_be_written_is_no_problem(tmp_path):
    program = "from tests.tiny_firmware import tiny_image\nprint(len(tiny_image('esp32c3').elf))\n"
    environment = {"HOME": str(tmp_path / "nowhere"), "PATH": "", "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_full_disk_is_a_build_error(monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build_module.tempfile, "TemporaryDirectory", full)
    with pytest.raises(BuildError, match=r"No space left"):
        build(tiny(), board("disco_f746ng"))


@pytest.mark.parametrize("name", ["../escape.c", "startup.c"])
def test_sources_cannot_leave_their_folder_or_replace_the_startup_code(name):
    sources = tiny()
    with pytest.raises(BuildError, match=name.replace(".", r"\.")):
        build(Sources({**sources.files, name: "int x;"}), board("disco_f746ng"))


@pytest.mark.parametrize("data", [b"", b"\x7fELF\x01\x01", b"\x7fELF\x02\x01" + bytes(60), bytes(100)])
def test_broken_elf_files_are_refused(data):
    with pytest.raises(BuildError, match=r"ELF"):
        read_elf(data)


def test_images_can_be_read_back():
    image = tiny_image("esp32c3", TRIPLE)
    again = make_image(image.elf, board("esp32c3"), "zig", kernels=KERNELS)
    assert again == image
