"""The native counter on a machine: the same for a run from reset to exit and for a chip that a debugger drives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from smelt.devices.simulators.alignment import Alignment
from smelt.devices.simulators.clock import Clock
from smelt.devices.simulators.counter import Check, Counter
from smelt.devices.simulators.machine import Machine, code_regions
from smelt.devices.simulators.memory_map import Mapped, read


def attach_counter(
    machine: Machine,
    maps: tuple[Mapped, ...],
    clock: Clock | None,
    *,
    run: int = 0,
    kernels: Iterable[int] = (),
    hard: Callable[[Alignment], Sequence[Check]] = lambda _: (),
    stop_when_idle: bool = False,
) -> Counter:
    """A counter that is called at every block. `run`, `kernels` and `stop_when_idle` are as in `Counter`; `hard` gives
    the checks that must be made at the instruction itself."""
    alignment = Alignment(machine.register) if machine.is_thumb else None
    checks = hard(alignment) if alignment else ()
    counter = Counter(
        regions=code_regions(maps),
        run=run,
        kernels=list(kernels),
        hard=checks,
        analyse=lambda address, size: alignment.of_block(read(maps, address, size), address) if alignment else (),
        carried=machine.escapes.carried,
        read_register=machine.native_function("uc_reg_read"),
        stop=machine.native_function("uc_emu_stop"),
        link_register=machine.register("lr" if machine.is_thumb else "x1"),
        stack_register=machine.register("sp" if machine.is_thumb else "x2"),
        is_thumb=machine.is_thumb,
        clock=clock,
        write_register=machine.native_function("uc_reg_write"),
        status_register=machine.register("xpsr") if machine.is_thumb else 0,
        stop_when_idle=stop_when_idle,
        program_counter=machine.register("pc"),
    )
    if machine.aligned_only:
        machine.add_data_hook(counter.aligned_hook, counter.user_data, writes=True)
    machine.add_native_hook(counter.block_hook, counter.user_data)
    for check in checks:
        machine.add_native_hook(counter.instruction_hook, counter.user_data, only_at=check.address)
    for address in clock.conditional if clock else ():
        machine.add_native_hook(counter.conditional_hook, counter.user_data, only_at=address)
    return counter
