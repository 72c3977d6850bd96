"""Why a simulated cluster stopped, in words: `Fault`s that name the core, the function and the address."""

from __future__ import annotations

from smelt.devices.faults import Fault, Kind
from smelt.devices.run import too_small
from smelt.devices.simulators import cluster_machine as cm
from smelt.devices.simulators.cluster_machine import CONTROLLER, WORKERS, ClusterMachine
from smelt.firmware.image import Image

RA = 1
KINDS: dict[int, Kind] = {
    cm.UNDEFINED: "undefined instruction",
    cm.BAD_READ: "read outside memory",
    cm.BAD_WRITE: "write outside memory",
    cm.BAD_FETCH: "fetch outside memory",
    cm.READ_UNWRITTEN: "read of memory never written",
    cm.IN_FLIGHT: "access in flight",
    cm.WRONG_DMA: "wrong use of a DMA",
    cm.STACK_OVERFLOW: "stack overflow",
    cm.WRONG_LOOP: "wrong use of a hardware loop",
}
DMA_DETAILS = (
    "",
    "a transfer of no bytes",
    "one end of the transfer is not in the memory where it must be",
    "the transfer has no id: none was allocated, or it was freed",
    "the bytes are part of another transfer that has not ended",
    "its source was never written",
    "its lines have no length",
    "a request is under way",
    "a request is longer than the driver's bursts",
    "a request's address in L2 or its size is no multiple of four, or its address outside is odd",
)
LOOP_DETAILS = ("", "its body has fewer than two instructions", "its last instruction is a jump or a branch")
BARRIER = 0x200
WAITS = {
    0x80: "for a value that nobody dispatches",
    0xC0: "for a mutex that nobody unlocks",
    0x400: "for an id of the DMA, all of which are in use: nobody has waited for their transfers",
}


def core_name(core: int) -> str:
    return "the controller" if core == CONTROLLER else f"core {core}"


def fault_of(machine: ClusterMachine, reason: int, board: str, image: Image, allowance: int) -> Fault:
    """What a run did wrong that ended for `reason`."""
    if reason == cm.DEADLOCK:
        return _deadlock(machine, board, image)
    core, pc, address = (machine.state(f"stop_{name}") for name in ("core", "pc", "address"))
    if reason == cm.LIMIT:
        core = next((i for i in range(CONTROLLER + 1) if not machine.get(i, cm.ASLEEP)), CONTROLLER)
        pc = machine.get(core, cm.PC)
        return Fault(
            "run-away",
            board,
            image.function_at(pc),
            pc,
            None,
            f"more than {allowance} instructions, at last on {core_name(core)}",
        )
    detail = f"on {core_name(core)}{_more(machine, reason, image)}"
    if reason == cm.BAD_FETCH:
        pc = max(machine.get(core, RA) - 2, 0)
    if reason == cm.BREAKPOINT:
        return Fault("unexpected breakpoint", board, image.function_at(pc), pc, None, detail)
    shown = None if reason in (cm.UNDEFINED, cm.WRONG_LOOP) else address
    return Fault(KINDS[reason], board, image.function_at(pc), pc, shown, detail)


def _more(machine: ClusterMachine, reason: int, image: Image) -> str:
    number, address = machine.state("stop_detail"), machine.state("stop_address")
    if reason == cm.WRONG_DMA:
        return f": {DMA_DETAILS[number]}"
    if reason == cm.WRONG_LOOP:
        return f": {LOOP_DETAILS[number]}"
    if reason == cm.STACK_OVERFLOW:
        return f": {too_small(image)}" if machine.state("stop_core") == CONTROLLER else ": its stack is too small"
    if reason == cm.UNDEFINED:
        what = ("the word is", "an environment call", "there is no such register:")[number]
        return f": {what}" if number == 1 else f": {what} {address:#010x}{_from_where(machine, image)}"
    if reason == cm.IN_FLIGHT:
        return f": a DMA {('writes it', 'reads it', 'writes it')[number]}{object_at(image, address)}"
    if reason in (cm.BAD_READ, cm.BAD_WRITE) and number:
        return f": the {('', 'event unit', 'DMA')[number]} has no such register"
    return object_at(image, address) if reason == cm.READ_UNWRITTEN else ""


def _from_where(machine: ClusterMachine, image: Image) -> str:
    """Who called what is no function, in words."""
    pc, ra = machine.state("stop_pc"), machine.get(machine.state("stop_core"), RA)
    if any(s.is_function and s.address <= pc < s.address + max(s.size, 1) for s in image.symbols.values()):
        return ""
    return f", which is in no function{object_at(image, pc)}; the last call was in {image.function_at(max(ra - 2, 0))}"


def object_at(image: Image, address: int) -> str:
    """The variable of the program that lies at an address, in words."""
    symbols = (s for s in image.symbols.values() if not s.is_function and s.address <= address < s.address + s.size)
    return next((f" ({s.name} + {address - s.address})" for s in symbols), "")


def _deadlock(machine: ClusterMachine, board: str, image: Image) -> Fault:
    """All started cores sleep, and nothing is under way that could wake one."""
    started = [i for i in range(CONTROLLER + 1) if machine.get(i, cm.STARTED)]
    waiting = [f"{core_name(i)} in {image.function_at(machine.get(i, cm.PC))} {_what_for(machine, i)}" for i in started]
    first = next((i for i in started if i < WORKERS and machine.get(i, cm.WAITS_AT) >= BARRIER), started[0])
    pc = machine.get(first, cm.PC)
    return Fault("deadlock", board, image.function_at(pc), pc, None, f"all cores wait: {'; '.join(waiting)}")


def _what_for(machine: ClusterMachine, core: int) -> str:
    at = machine.get(core, cm.WAITS_AT)
    at_barrier = f"at barrier {(at - BARRIER) // 32}" if at >= BARRIER else "for an event"
    return WAITS.get(at, at_barrier)
