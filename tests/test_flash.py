"""Firmware into the flash of a chip and out of its cycle counter, by real debuggers on simulated chips."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from smelt.cli import main
from smelt.devices.flashing import flash, flash_image
from smelt.devices.on_board import run_on_board
from smelt.devices.probes import firmware_board, named, open_probe
from smelt.devices.pyocd_link import missing_pack
from smelt.devices.simulators.flash_controller import FlashController
from smelt.devices.simulators.memory_map import memory_map, read
from smelt.devices.simulators.simulator import Simulator
from smelt.errors import DeviceError, OptionError
from smelt.firmware.build import build
from smelt.targets.boards import BOARDS, board
from smelt.targets.programming import KEYS, PROGRAMMING
from tests.paths import HELLO, ROOT
from tests.tiny_firmware import need, tiny, tiny_image

L4 = board("nucleo_l4r5zi")
DEBUGGED = [b for b in BOARDS if b.chip.debug and not any(m.external for m in b.chip.memories)]
WAYS = [*(("openocd", b) for b in DEBUGGED), ("pyocd", board("nucleo_h743zi"))]


@pytest.mark.parametrize(("device", "b"), WAYS, ids=[f"{d}-{b.name}" for d, b in WAYS])
def test_firmware_runs_from_flash(device, b):
    """Erased and programmed by the debugger's own loader, which runs on the chip; started at the reset vector; its clock set."""
    need("openocd")
    image, inputs = tiny_image(b.name), bytes(16) + bytes(range(16))
    run = run_on_board(b, image, inputs, f"{device}:virtual", steps=True)
    simulated = Simulator(b).run(image, inputs)
    assert (run.outputs, run.text, run.runs) == (simulated.outputs, simulated.text, 2)
    assert run.stack_bytes == simulated.stack_bytes and len(run.step_cycles) == len(simulated.step_cycles) == 3
    stops = [counted - expected for counted, expected in zip(run.step_cycles, simulated.step_cycles, strict=True)]
    assert all(0 <= stop < 100 for stop in stops) and 0 <= run.overhead_cycles - simulated.overhead_cycles < 100


@pytest.mark.parametrize("b", DEBUGGED, ids=lambda b: b.name)
def test_flash_opens_by_keys_and_is_erased_before_it_is_programmed(b):
    p = PROGRAMMING[b.chip.debug.openocd]
    maps = memory_map(b, frozenset({"flash"}))
    flash, bank = FlashController(p, maps), p.banks[0]
    at = bank.start + 64

    def keys(*words):
        for word in words:
            flash.write(bank.key, 4, word)
        return not flash.read(bank.control, 4) & p.lock

    assert not flash.program(at, b"abcd") and not keys(KEYS[1], KEYS[0]) and keys(*KEYS)
    flash.write(bank.control, 4, p.program)
    assert flash.program(at, b"abcd") and read(maps, at, 4) == b"abcd" and not flash.read(bank.status, 4)
    assert flash.program(at, b"efgh") and read(maps, at, 4) == b"abcd" and flash.read(bank.status, 4) == p.error
    flash.write(bank.control, 4, p.erase | 1 << p.number[0] | p.start)
    assert read(maps, at, 4) == b"abcd"  # that was the next sector
    flash.write(bank.control, 4, p.erase | p.start)
    assert read(maps, at, 4) == b"\xff" * 4 and not flash.read(bank.control, 4) & p.start
    flash.write(bank.control, 4, p.lock)
    assert not keys(KEYS[0]) and not flash.program(at, b"abcd")


def test_pyocd_names_the_pack_that_it_lacks():
    assert "pyocd pack install stm32l4r5zitx" in missing_pack(L4)
    with open_probe(L4, "pyocd:virtual") as probe, pytest.raises(DeviceError, match="pyocd pack install stm32l4r5zitx"):
        probe.program(tiny_image(L4.name).elf)


def test_without_a_pack_pyocd_loads_it_to_ram(tmp_path):
    """Built for a RAM in place of the flash; what is computed is the same, and so is the clock."""
    there, told = firmware_board(L4, "pyocd:virtual")
    assert (
        "pyocd pack install stm32l4r5zitx" in told and "lies in RAM" in told and firmware_board(L4, "openocd")[0] is L4
    )
    assert firmware_board(board("nucleo_h743zi"), "pyocd") == (board("nucleo_h743zi"), "")
    image = build(tiny(), there)
    assert {L4.chip.rams[2].start <= s.load for s in image.parsed.segments} == {True}
    run = run_on_board(there, image, bytes(range(16)), "pyocd:virtual", steps=False)
    assert run.outputs == Simulator(L4).run(tiny_image(L4.name), bytes(range(16))).outputs
    assert flash(there, image.elf, "pyocd:virtual") == "in RAM"


def test_devices_and_their_adapters():
    assert named("openocd", None) == "openocd" and named("pyocd", "0671") == "pyocd:0671"
    with pytest.raises(OptionError, match="--adapter is for real boards"):
        named("simulator", "x")
    with pytest.raises(OptionError, match="'jlink' is no way to a real board"):
        open_probe(L4, "jlink")


def test_files_for_other_tools(tmp_path):
    esp = board("esp32c3")
    image = build(tiny(), esp)
    data = flash_image(esp, image.elf)
    for segment in (s for s in image.parsed.segments if s.data):
        at = segment.load - next(
            a for a in (esp.chip.flash.start, *esp.chip.flash.aliases) if 0 <= segment.load - a < 1 << 22
        )
        assert data[at : at + len(segment.data)] == segment.data
    with pytest.raises(DeviceError, match="which is not flash"):
        flash_image(replace(esp, chip=L4.chip), image.elf)
    (tmp_path / "firmware.elf").write_bytes(image.elf)
    out = tmp_path / "firmware.bin"
    result = CliRunner().invoke(main, ["flash", str(tmp_path / "firmware.elf"), "-b", "esp32c3", "-o", str(out)])
    assert result.output == f"esptool --chip esp32c3 write_flash 0 {out}\n" and out.read_bytes() == data


def test_five_commands_from_nothing_to_a_prediction(tmp_path, monkeypatch):
    """Those of docs/boards.md, with a simulated chip behind OpenOCD in place of the Nucleo."""
    need("openocd")
    section = (ROOT / "docs" / "boards.md").read_text("utf-8").split("\n## On a real board\n")[1]
    commands = re.search(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[1].splitlines()
    assert [c.split()[:2] for c in commands] == [["smelt", w] for w in ("compile", "flash", "run", "verify", "profile")]
    monkeypatch.chdir(tmp_path)
    np.save("input.npy", np.full((1, 1), 7, np.int8))
    shutil.copy(HELLO, "model.tflite")
    for command in commands:
        words = command.split()[1:] + (["--adapter", "virtual"] if "--device" in command else [])
        result = CliRunner().invoke(main, [*words, *(["--json"] if words[0] == "profile" else [])])
        assert result.exit_code == 0, (command, result.output)
        if words[0] == "flash":
            assert "programmed and compared, in flash; it runs" in result.output
        if words[0] == "verify":
            assert "equal reference" in result.output
    share = tmp_path / "cycles.json"
    found, profile = json.loads(share.read_text()), json.loads(result.stdout)
    assert all(0 <= s["cycles"] - s["simulated"] < 100 and s["ratio"] >= 1 for s in profile["steps"])
    assert found["format"] == "smelt board profile 1" and found["board"] == L4.name
    assert [s["cycles"] for s in found["steps"]] == [s["cycles"] for s in profile["steps"]]
    assert not {"name", "model", "device"} & {*found, *(key for s in found["steps"] for key in s)}
