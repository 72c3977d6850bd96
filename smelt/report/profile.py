"""`profile`: where the instructions, the RAM and the flash go."""

from __future__ import annotations

from dataclasses import dataclass

from smelt.compile import Compilation
from smelt.devices.run import Run
from smelt.devices.waits import Waits, together
from smelt.firmware.hot_code import HotCode, cache_bytes
from smelt.firmware.image import Image
from smelt.model.graph import Tensor
from smelt.nouns import Noun
from smelt.planner.code_size import FIXED_RAM
from smelt.planner.on_cores import OnCores
from smelt.planner.plan import Plan
from smelt.planner.step import Step
from smelt.planner.suite import Suite
from smelt.report.energy import is_derived, microjoules
from smelt.report.execute import by_step, inference_microjoules, milliseconds


@dataclass(frozen=True)
class StepTensor(Noun):
    """A value that a step reads or writes, and the memory it lies in: None for an input that is fed, which never is whole."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    memory: str | None


@dataclass(frozen=True)
class StepProfile(Noun):
    """One step of a network: who computes it and what it costs in one inference. `code_bytes` are its kernels, `table_bytes` their
    constants: what steps share counts for each of them. `waits` say what its time was spent on where several cores compute
    together, `hot_bytes` what of the instruction cache that they share they run at the same time, at most (`hot_code.py`);
    `microjoules` are None where nothing is published."""

    name: str
    op: str
    implementation: str
    schedule: str
    macs: int
    instructions: int
    cycles: int | None
    scratch_bytes: int
    resident: bool
    code_bytes: int
    table_bytes: int
    reads: tuple[StepTensor, ...]
    writes: tuple[StepTensor, ...]
    microjoules: float | None = None
    waits: Waits | None = None
    hot_bytes: int | None = None


@dataclass(frozen=True)
class MemoryUse:
    """Bytes of one of the board's memories in use, by purpose."""

    memory: str
    purpose: str
    bytes: int


@dataclass(frozen=True)
class Profile(Noun):
    """One inference, measured on a simulated board. `cycles` are those at the board's full clock, None for a core
    without a cycle model; `microjoules` is None where nothing is published about the board, and
    `derived` where others' layers are what was published.

    `validated` says whether the core's model of time was checked against published measurements, None where there is none.
    `tensor_bytes` are the instance's buffers, scratch included; `live_tensor_bytes` the most that tensors alone take up at once;
    `scratch_bytes` the most that one step has; `resident_bytes` the tables that are copied to RAM. `ram_bytes` counts the
    measured stack. `instruction_cache` are the bytes of the one that cores share, where several compute together, and
    `worker_stacks` the measured stacks of these.
    """

    model: str
    board: str
    instructions: int
    cycles: int | None
    validated: bool | None
    milliseconds: float | None
    microjoules: float | None
    derived: bool
    macs: int
    ram_bytes: int
    flash_bytes: int
    tensor_bytes: int
    live_tensor_bytes: int
    scratch_bytes: int
    tensor_bound: int
    resident_bytes: int
    stack_bytes: int
    code_bytes: int
    constant_bytes: int
    steps: tuple[StepProfile, ...]
    memory: tuple[MemoryUse, ...]
    instruction_cache: int | None = None
    worker_stacks: tuple[int, ...] = ()

    def in_brief(self) -> str:
        cycles = "" if self.cycles is None else f", {self.cycles:,} simulated cycles"
        uses = f"{self.ram_bytes:,} bytes of RAM, {self.flash_bytes:,} of flash"
        return f"profile of {self.model} on {self.board}: {self.instructions:,} instructions{cycles}, {uses}"


def profile(compilation: Compilation, run: Run) -> Profile:
    """What one inference of `compilation` costs, from a `run` of it on a device."""
    image, plan = _image(compilation), compilation.plan
    hot, cluster = HotCode(image.parsed), plan.board.chip.cluster
    steps = tuple(
        StepProfile(
            s.name,
            s.operators,
            implementation=s.way.names[0],
            schedule=s.way.names[1],
            macs=s.macs,
            instructions=sum(instructions),
            cycles=sum(cycles) if cycles else None,
            scratch_bytes=s.scratch_bytes,
            resident=s.resident,
            code_bytes=_code_bytes(compilation, s),
            table_bytes=sum(s.way.tables.values()),
            reads=tuple(_seen(plan, t) for t in s.way.reads if t.data is None),
            writes=tuple(_seen(plan, t) for t in s.ys),
            microjoules=microjoules(sum(cycles), plan.board, s.ops),
            waits=together(waits) if waits else None,
            hot_bytes=hot.of(s.way, compilation.functions) if isinstance(s.way, OnCores) else None,
        )
        for s, instructions, cycles, waits in zip(
            plan.steps,
            *(by_step(plan, figures) for figures in (run.step_instructions, run.step_cycles)),
            by_step(plan, run.step_waits),
            strict=True,
        )
    )
    memory = memory_use(image, run.stack_bytes)
    code, constants = (sum(m.bytes for m in memory if m.purpose == purpose) for purpose in FLASH)
    return Profile(
        model=compilation.graph.name,
        board=plan.board.name,
        instructions=run.instructions,
        cycles=run.cycles or None,
        validated=plan.board.core.timing.validated if run.cycles and plan.board.core.timing else None,
        milliseconds=milliseconds(run.cycles, plan.board),
        microjoules=inference_microjoules(plan, run),
        derived=is_derived(plan.board),
        macs=compilation.model.macs,
        ram_bytes=sum(m.bytes for m in memory if m.purpose not in FLASH),
        flash_bytes=code + constants,
        tensor_bytes=plan.tensor_bytes,
        live_tensor_bytes=plan.live_tensor_bytes,
        scratch_bytes=plan.scratch_bytes,
        tensor_bound=plan.bound,
        resident_bytes=plan.resident_bytes,
        stack_bytes=run.stack_bytes,
        code_bytes=code,
        constant_bytes=constants,
        steps=steps,
        memory=memory,
        instruction_cache=None if cluster is None else cache_bytes(cluster),
        worker_stacks=run.worker_stacks,
    )


def _seen(plan: Plan, tensor: Tensor) -> StepTensor:
    place = plan.places.get(tensor)
    return StepTensor(tensor.name, tensor.shape, tensor.dtype, place.memory if place else None)


def _code_bytes(compilation: Compilation, step: Step) -> int:
    """What the kernels of a step take up as they were built."""
    symbols, names = _image(compilation).symbols, compilation.functions
    functions = {names[call.kernel.name] for call in step.calls if call.kernel.name in names}
    return sum(symbols[name].size for name in functions & symbols.keys())


FLASH = ("code", "constants")


def memory_use(image: Image, stack_bytes: int | None = None) -> tuple[MemoryUse, ...]:
    """What of each memory the firmware uses; a measured stack takes the place of the reserved one."""
    sizes: dict[tuple[str, str], int] = {}
    for use in image.uses:
        key = use.memory, use.content
        size = stack_bytes if use.content == "stack" and stack_bytes is not None else use.size
        sizes[key] = sizes.get(key, 0) + size
    return tuple(MemoryUse(*key, size) for key, size in sizes.items())


def estimated_use(plan: Plan | Suite) -> tuple[MemoryUse, ...]:
    """What the firmware of a plan, or of several, would use, where no compiler builds it: code, stack and data are estimates."""
    flash, first = plan.board.chip.flash.name, plan.board.chip.rams[0].name
    uses = [(flash, "code", plan.flash_bytes - plan.table_bytes)]
    uses += [(memory, "constants", size) for memory, size in plan.flash_uses.items()]
    uses += [(m.name, "arena", plan.used(m.name)) for m in plan.memories]
    uses += [(memory, "tables", size) for memory, size in plan.resident_uses.items()]
    uses.append((first, "stack and data", FIXED_RAM))
    return tuple(MemoryUse(*use) for use in uses)


def _image(compilation: Compilation) -> Image:
    assert compilation.image is not None, "a profile needs firmware"
    return compilation.image
