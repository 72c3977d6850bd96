"""Firmware of one layer on the simulated nucleo_h743zi: all by one call where `Where` says, or the DTCM as a cache that software
manages."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from smelt.devices.simulators.simulator import Simulator
from smelt.firmware import build
from smelt.firmware.image import Sources
from smelt.kernels.assembly import assembly_file, called, declarations
from smelt.kernels.headers import includes, needed, with_included
from smelt.loops.ir import Scratch
from smelt.model.graph import Tensor
from smelt.planner.tiles import Rectangle
from smelt.targets.boards import board

H743 = board("nucleo_h743zi")
SLOW, FAST = "axi", "dtcm"
FAST_BYTES, SLOW_BYTES = 112 * 1024, 500 * 1024  # beside the stack, and variables of the start-up code
MDMA = H743.chip.dma[0]


@dataclass
class Tables:
    """Constants of kernel calls, one after another, equal ones once."""

    data: bytes = b""

    def __post_init__(self):
        self.offsets = {}

    def add(self, array):
        key = np.ascontiguousarray(array).tobytes()
        if key not in self.offsets:
            self.data += bytes(-len(self.data) % 16)
            self.offsets[key] = len(self.data)
            self.data += key
        return self.offsets[key]


@dataclass
class Firmware:
    """A program for one layer: `body` of the function that is timed, and its buffers by section."""

    op: object
    calls: list
    body: list
    buffers: list  # (name, section or None, bytes, initial values)
    copied: tuple = (SLOW,)  # memories to which tables are copied at start-up

    @cached_property
    def names(self):
        return {
            kernel.name: f"layer_k{n}"
            for n, kernel in enumerate({c.kernel.name: c.kernel for c in self.calls}.values())
        }

    def sources(self):
        core = H743.core
        code = "\n".join(
            f"static __attribute__((noinline)) {k.c(self.names[k.name])}"
            for k in {c.kernel.name: c.kernel for c in self.calls}.values()
        )
        headers = dict.fromkeys([*needed(code, core), "smelt_stm32_mdma.h"])
        routines = called(code, core)
        text = [
            '#include "smelt_firmware.h"', '#include "smelt_semihosting.h"', "#include <stdint.h>", "#include <string.h>",
            includes(headers), declarations(routines, core, "routines.S"), *map(buffer_text, self.buffers), code,
            "__attribute__((noinline)) void layer_run(void);\nvoid layer_run(void)\n{", *self.body, "}",
            f"void smelt_set_up(void) {{ smelt_mdma_on({MDMA.setup[0].address:#x}u, {MDMA.setup[0].value}u); }}",
            span("input", "layer_x", self.op.x.bytes), span("output", "layer_y", self.op.y.bytes),
            "void smelt_run(void) { layer_run(); }", "void smelt_report(void) {}",
        ]  # fmt: skip
        files = {"layer.c": "\n".join(text) + "\n", **with_included(headers)}
        files |= {"routines.S": assembly_file(routines, core, "routines.S", "")} if routines else {}
        return Sources(files, "layer_run", tables=self.copied)

    def cycles(self, target, x, y):
        """Of a run from cold caches on a board; raises SystemExit where the result is not that of the reference."""
        run = Simulator(target).run(build(self.sources(), target), x.tobytes())
        if run.outputs != y.tobytes():
            raise SystemExit(f"{self.op}: the result is not that of the reference")
        return run.cycles


def buffer_text(buffer):
    name, section, size, values = buffer
    numbers = " = {" + ",".join(map(str, values)) + "}" if values else ""
    const = "const " if section == ".rodata" else ""
    return f'static {const}uint8_t {name}[{max(size, 1)}] __attribute__((aligned(128), section("{section}"))){numbers};'


def span(direction, name, size):
    one = f"{{smelt_span s = {{{name}, index ? 0u : {size}u}}; return s;}}"
    return f"smelt_span smelt_{direction}(uint32_t index) {one}"


def argument(buffer, at):
    const = "const " if buffer.role in ("input", "constant") else ""
    return f"({const}{buffer.type} *)(void *)({at})"


def call_text(firmware, call, x, y, tables, scratch):
    """The C of a kernel call, with where everything is."""
    offset, found = 0, []
    for buffer, value in zip(call.kernel.buffers, call.arguments, strict=True):
        if isinstance(value, Scratch):
            found.append(argument(buffer, f"{scratch} + {offset}"))
            offset += -(-value.bytes // 16) * 16
        elif isinstance(value, Tensor):
            found.append(argument(buffer, x if buffer.role == "input" else y))
        else:
            found.append(argument(buffer, tables(value)))
    return f"    {firmware.names[call.kernel.name]}({', '.join(found)});"


def scratch_bytes(call):
    return sum(-(-a.bytes // 16) * 16 for a in call.arguments if isinstance(a, Scratch))


@dataclass(frozen=True)
class Where:
    """The memories in which a layer's buffers lie."""

    tensors: str = SLOW
    tables: str = SLOW
    scratch: str = SLOW


IN_AXI = Where()
LARGEST = {SLOW: SLOW_BYTES, FAST: FAST_BYTES}


def whole(way, where=IN_AXI):
    """A layer by one call; None where it does not fit."""
    tables = Tables()
    for a in way.call.arguments:
        if isinstance(a, np.ndarray):
            tables.add(a)
    op, scratch = way.op, scratch_bytes(way.call)
    taken = ((where.tensors, op.x.bytes + op.y.bytes), (where.tables, len(tables.data)), (where.scratch, scratch))
    if any(sum(size for there, size in taken if there == m) > most for m, most in LARGEST.items()):
        return None
    ram, home = (
        f".smelt.ram.{where.tensors}",
        ".rodata" if where.tables == "flash" else f".data.smelt_tables.{where.tables}",
    )
    made = Firmware(op, [way.call], [], [
        ("layer_tables", home, len(tables.data), tables.data), ("layer_x", ram, op.x.bytes, None),
        ("layer_y", ram, op.y.bytes, None), ("layer_scratch", f".smelt.ram.{where.scratch}", scratch, None),
    ], () if where.tables == "flash" else (where.tables,))  # fmt: skip
    there = lambda array: f"layer_tables + {tables.add(array)}"  # noqa: E731
    made.body.append(call_text(made, way.call, "layer_x", "layer_y", there, "layer_scratch"))
    return made


def move(channel, to, source, rectangle, inward):
    """The C that starts a move into a tile's buffer, or out of it."""
    at = f"{source} + {rectangle.first}"
    to, at = (to, at) if inward else (at, to)
    packed, pitch = rectangle.size, rectangle.pitch
    pitches = (packed, pitch) if inward else (pitch, packed)
    address = MDMA.registers + 0x40 + 0x40 * channel
    return (
        f"    smelt_mdma_move(0x{address:x}u, {to}, {at}, {packed}u, {rectangle.count}u, {pitches[0]}u, {pitches[1]}u);"
    )


def wait(channel):
    return f"    smelt_mdma_wait(0x{MDMA.registers + 0x40 + 0x40 * channel:x}u);"


def straight(first, size):
    """Bytes as few rows of no more than the MDMA takes at once."""
    rows = -(-size // 32768)
    return Rectangle(first, size // rows, rows, size // rows)


def tiled_firmware(tiled):
    """The DTCM as a cache that software manages: the order of things is that of `timeline`."""
    op, ram = tiled.op, f".smelt.ram.{SLOW}"
    blocks = list(dict.fromkeys(t.channels for t in tiled.tiles))
    tables = {b: Tables() for b in blocks}
    for t, way in zip(tiled.tiles, tiled.ways, strict=True):
        for a in way.call.arguments:
            if isinstance(a, np.ndarray):
                tables[t.channels].add(a)
    for found in tables.values():
        found.data += bytes(-len(found.data) % 128)
    starts = {b: sum(len(tables[c].data) for c in blocks[:n]) for n, b in enumerate(blocks)}
    data = b"".join(tables[b].data for b in blocks)
    buffers, offset, places = tiled.buffers, 0, {}
    for name, (count, size) in buffers.items():
        places[name] = [f"fast + {offset + n * size}" for n in range(count)]
        offset += count * size
    made = Firmware(op, [w.call for w in tiled.ways], [], [
        ("layer_tables", f".data.smelt_tables.{SLOW}", len(data), data),
        ("layer_x", ram, op.x.bytes, None), ("layer_y", ram, op.y.bytes, None), ("fast", f".smelt.ram.{FAST}", offset, None),
    ])  # fmt: skip
    made.body += list(body(tiled, made, places, tables, starts, blocks))
    return made


def body(tiled, made, places, tables, starts, blocks):
    loaded, moving, once = {}, set(), len(places["x"]) == 1
    count = len(tiled.tiles)

    def waited(channel):
        if channel in moving:
            moving.discard(channel)
            yield wait(channel)

    for n in range(count + 1):
        if n < count:
            t = tiled.tiles[n]
            block = blocks.index(t.channels)
            if n == 0 or tiled.tiles[n - 1].channels != t.channels:
                slot = block % len(places["tables"])
                size = len(tables[t.channels].data)
                yield move(2 + slot, places["tables"][slot], "layer_tables", straight(starts[t.channels], size), True)
                moving.add(2 + slot)
            if not (once and loaded):
                slot = n % len(places["x"])
                yield move(slot, places["x"][slot], "layer_x", t.x, True)
                moving.add(slot)
                loaded[slot] = n
        if n == 0:
            continue
        done = n - 1
        t, way = tiled.tiles[done], tiled.ways[done]
        x, y, table = done % len(places["x"]), done % len(places["y"]), blocks.index(t.channels) % len(places["tables"])
        for channel in (2 + table, x, 4 + y):
            yield from waited(channel)
        where = lambda a, t=t, table=table: f"{places['tables'][table]} + {tables[t.channels].add(a)}"  # noqa: E731
        scratch = places.get("scratch", ["fast"])[0]
        yield call_text(made, way.call, places["x"][x], places["y"][y], where, scratch)
        yield move(4 + y, places["y"][y], "layer_y", t.y, False)
        moving.add(4 + y)
    for channel in sorted(moving):
        yield from waited(channel)
