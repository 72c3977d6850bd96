"""Real QEMU runs the same firmware as the simulated boards: equal outputs, and as many instructions."""

import functools
import json
import os
import time

import pytest
from click.testing import CliRunner

from smelt.cli import main
from smelt.compile import compile
from smelt.devices.call_sites import return_addresses
from smelt.devices.choose import default_device, run_image
from smelt.devices.faults import Fault
from smelt.devices.link import LinkLost
from smelt.devices.qemu_run import Qemu
from smelt.devices.simulators.simulator import Simulator
from smelt.errors import DeviceError, OptionError
from smelt.inputs import random_inputs
from smelt.model.reference import run as reference
from smelt.targets.boards import MPS_BOARDS, board
from tests.link_deaths import gone_within
from tests.paths import INT8_MODELS
from tests.test_simulator import INPUT, expected
from tests.tiny_firmware import need, tiny_image

MODEL_FILES = {name: INT8_MODELS[name] for name in ("hello", "AD", "KWS")}
NAMES = [b.name for b in MPS_BOARDS]
SIMULATED = [b.name for b in MPS_BOARDS if default_device(b) == "simulator"]


def qemu(name: str, **options) -> Qemu:
    need("qemu-system-arm")
    return Qemu(board(name), **options)


@functools.cache
def compiled(model: str, name: str):
    """A compilation, inputs for two inferences as the firmware reads them, and the outputs that it must write."""
    compilation = compile(MODEL_FILES[model], board(name))
    inputs = random_inputs(compilation.model, 2, seed=5)
    expected_outputs = [reference(compilation.model, arrays) for arrays in inputs]
    joined = (b"".join(a.tobytes() for arrays in runs for a in arrays) for runs in (inputs, expected_outputs))
    return compilation.image, *joined


@functools.cache
def in_qemu(model: str, name: str):
    image, inputs, _ = compiled(model, name)
    return qemu(name).run(image, inputs)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("model", MODEL_FILES)
def test_outputs_equal_the_reference(model, name):
    run = in_qemu(model, name)
    assert run.outputs == compiled(model, name)[2]
    assert run.runs == 2
    assert run.cycles == 0, "QEMU knows none"


@pytest.mark.parametrize("name", SIMULATED)
@pytest.mark.parametrize("model", MODEL_FILES)
def test_both_count_the_same_instructions(model, name):
    image, inputs, _ = compiled(model, name)
    mine, theirs = Simulator(board(name), timing=False).run(image, inputs), in_qemu(model, name)
    assert mine == theirs  # outputs, text, every step, start-up and stack included


HELIUM = """
KERNEL void kernel(uint8_t *o, const uint8_t *i)
{
    __asm__ volatile("vldrb.u8 q0, [%1]\\n vadd.i8 q0, q0, q0\\n vstrb.8 q0, [%0]" :: "r"(o), "r"(i) : "q0", "memory");
}
"""


def test_cortex_m55_has_helium_switched_on():
    run = qemu("mps3_an547").run(tiny_image("mps3_an547", HELIUM, "kernel(o, i);"), INPUT)
    assert run.outputs == bytes(2 * x & 255 for x in INPUT)


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
@pytest.mark.parametrize("name", NAMES)
def test_small_firmware(name, compiler):
    if compiler == "gcc":
        need(board(name).core.gcc[0])
    run = qemu(name).run(tiny_image(name, compiler=compiler), INPUT * 3)
    assert run.outputs == expected(INPUT) * 3
    assert run.text == "done\n" * 3
    assert run.runs == 3
    assert len(run.step_instructions) == 3
    assert 16 <= run.stack_bytes < 500


def test_without_counting_no_plugin_is_needed():
    run = qemu("mps2_an386", counting=False).run(tiny_image("mps2_an386"), INPUT)
    assert (run.outputs, run.text, run.total_instructions) == (expected(INPUT), "done\n", 0)


# --- what goes wrong ----------------------------------------------------------------------------------------------------

FAULTS = {
    "undefined instruction": '__asm__ volatile("udf 1");',
    "access outside memory": "o[0] = *(volatile uint8_t *)%#x;",
    "fetch outside memory": "((void (*)(void))%#x)();",
    "unexpected breakpoint": '__asm__ volatile("bkpt 1");',
}
HOLES = {"mps2_an386": 0x70000000, "mps2_an500": 0x70000000, "mps2_an505": 0x0D000000, "mps3_an547": 0x0D000000}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", FAULTS)
def test_faults_name_the_function(kind, name):
    body = FAULTS[kind] % (HOLES[name] | 1) if "%#x" in FAULTS[kind] else FAULTS[kind]
    definition = f"KERNEL void kernel(uint8_t *o) {{ {body} o[1] = 3; }}"
    with pytest.raises(Fault) as caught:
        qemu(name).run(tiny_image(name, definition, "kernel(o);"), INPUT)
    assert caught.value.kind == kind
    assert kind == "fetch outside memory" or caught.value.function == "kernel"


@pytest.mark.parametrize("name", NAMES)
def test_stack_overflow(name):
    definition = (
        "KERNEL void kernel(volatile uint8_t *o) { volatile uint8_t more[256]; more[o[0] & 255] = o[1];"
        " kernel(more); o[0] = more[1]; }"
    )
    with pytest.raises(Fault, match="stack overflow in kernel"):
        qemu(name).run(tiny_image(name, definition, "kernel(o);"), INPUT)


def test_exit_code():
    with pytest.raises(Fault, match=r"exit code.*incomplete"):
        qemu("mps2_an386").run(tiny_image("mps2_an386"), INPUT + b"x")


ENDLESS = 'KERNEL void kernel(void) { for (;;) __asm__ volatile(""); }'


def test_a_program_that_hangs_is_ended():
    image = tiny_image("mps2_an500", ENDLESS, "kernel();")
    start = time.monotonic()
    with pytest.raises(Fault, match="run-away in kernel"):
        qemu("mps2_an500").run(image, INPUT, timeout=1.0)
    assert time.monotonic() - start < 8


def test_qemu_that_dies(monkeypatch):
    from smelt.devices import qemu_run

    pids = []
    wait = qemu_run.Process.wait

    def killed(process, seconds):
        pids.append(process.pid)
        time.sleep(0.3)
        os.kill(process.pid, 15)
        return wait(process, seconds)

    monkeypatch.setattr(qemu_run.Process, "wait", killed)
    with pytest.raises(LinkLost, match="QEMU ended before the firmware did"):
        qemu("mps2_an386", counting=False).run(tiny_image("mps2_an386", ENDLESS, "kernel();"), INPUT)
    assert pids and all(gone_within(pid, 3) for pid in pids)


def test_missing_qemu_says_what_to_install():
    with pytest.raises(DeviceError, match=r"qemu-system-none is not installed: .*qemu-system-arm"):
        Qemu(board("mps2_an386"), program="qemu-system-none").run(tiny_image("mps2_an386"), INPUT)


def test_boards_that_it_does_not_have():
    with pytest.raises(DeviceError, match="QEMU has no such board; it has mps2_an386"):
        run_image(board("disco_f746ng"), tiny_image("disco_f746ng"), INPUT, "qemu")
    with pytest.raises(DeviceError, match="built for mps2_an386"):
        Qemu(board("mps2_an500")).run(tiny_image("mps2_an386"), INPUT)
    with pytest.raises((DeviceError, OptionError), match="no simulator of the cortex_m55"):
        run_image(board("mps3_an547"), tiny_image("mps3_an547"), INPUT, "simulator")


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_calls_are_found(compiler):
    if compiler == "gcc":
        need("arm-none-eabi-gcc")
    image = tiny_image("mps2_an386", compiler=compiler)
    found = return_addresses(image, "network_run")  # main has a run with a file, and one without
    assert {image.function_at(address) for address in found} <= {"smelt_run", "main", "run_on_file"}
    assert 1 <= len(found) <= 2


# --- the command line ---------------------------------------------------------------------------------------------------


def command(*arguments: str):
    need("qemu-system-arm")
    verb, *options = arguments
    return CliRunner().invoke(main, [verb, str(MODEL_FILES["hello"]), *options])


def test_commands_use_qemu_where_there_is_no_simulator(tmp_path):
    (tmp_path / "x").write_bytes(b"\x10")
    ran = command("run", "--board", "mps3_an547", "--input", str(tmp_path / "x"), "--json")
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.output)["cycles"] is None
    assert json.loads(ran.output)["instructions"] > 100
    profiled = command("profile", "--board", "mps3_an547", "--json")
    assert sum(s["instructions"] for s in json.loads(profiled.output)["steps"]) > 100
    for layers in ((), ("--layers",)):
        verified = command("verify", "--board", "mps3_an547", "-n", "2", *layers)
        assert verified.exit_code == 0 and "equal" in verified.output, verified.output


def test_the_device_can_be_chosen():
    both = [
        json.loads(command("profile", "--board", "mps2_an386", "--device", device, "--json").output)
        for device in ("simulator", "qemu")
    ]
    assert both[0]["instructions"] == both[1]["instructions"]
    assert both[0]["cycles"] and both[1]["cycles"] is None
    assert command("profile", "--board", "mps3_an547", "--device", "simulator").exit_code == 7
