"""Where a session keeps what in a device's RAM.

The stack lies at the start of the first RAM, so that it overflows out of it or into its canary; at the start of the largest RAM lie
the queue, the arguments of its tasks and the runtime; the heap is everything else.
"""

from __future__ import annotations

from dataclasses import dataclass

from smelt.devices.heap import Block, aligned
from smelt.devices.session_errors import DeviceHeapFull
from smelt.firmware.build import Compiler
from smelt.firmware.module import ARGUMENT_BYTES, QUEUE_BYTES, Module, build_runtime
from smelt.targets.types import Board

STACK_BYTES = 4096


@dataclass(frozen=True)
class Layout:
    """Where a session keeps what on the device. `heap` are the memories of tensors, and `code` those of them for modules."""

    stack: Block
    queue: Block
    arguments: Block
    runtime: Module
    heap: tuple[Block, ...]
    code: tuple[Block, ...]

    @property
    def entry(self) -> int:
        return self.runtime.functions["smelt_session_entry"]


def make_layout(board: Board, stack_bytes: int = STACK_BYTES, compiler: Compiler = "zig") -> Layout:
    """Divide the RAM of `board`. Raises DeviceHeapFull where it is too small even for the runtime."""
    rams = [m for m in board.chip.rams if not m.external]  # nobody has set up the others
    first, main = rams[0], max(rams, key=lambda m: m.size)
    stack = Block(first.start, aligned(stack_bytes))
    queue = Block(stack.end if main is first else main.start, aligned(QUEUE_BYTES))
    arguments = Block(queue.end, ARGUMENT_BYTES)
    runtime = build_runtime(board, arguments.end, queue.address, compiler)
    used = {first.name: stack.end, main.name: arguments.end + aligned(len(runtime.data))}
    heap = [Block(max(used.get(m.name, 0), m.start), m.end - max(used.get(m.name, 0), m.start)) for m in rams]
    if any(block.size < 0 for block in heap):
        needed = stack.size + queue.size + arguments.size + len(runtime.data)
        raise DeviceHeapFull(board.name, needed, sum(m.size for m in rams), main.size)
    cluster = board.chip.cluster
    code = [block for m, block in zip(rams, heap, strict=True) if cluster is None or m.name != cluster.memory]
    return Layout(stack, queue, arguments, runtime, tuple(heap), tuple(code))
