"""DORY's experiment: what a data cache is worth, and whether software does better with a tightly coupled memory: `python
benchmarks/dtcm_cache.py [--layers mv1,IC,VWW,KWS] [--markdown]`.

Convolutions and depthwise convolutions of MobileNetV1-1.0-128 (random weights of its shapes) and of the MLPerf Tiny models, each by
itself on the simulated nucleo_h743zi. Operand, result, tables and scratch lie in AXI SRAM, behind the data cache and without it; or
the DTCM is a cache that software manages: tiles of rows and blocks of channels, moved by the MDMA while others are computed. Every
result is compared with the reference, bit for bit. Layers that are larger than AXI SRAM are left out, and said.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from data import MLPERF_TINY
from tables import show

from smelt.devices.simulators.simulator import Simulator
from smelt.firmware import build
from smelt.firmware.image import Sources
from smelt.importers import load
from smelt.inputs import random_inputs
from smelt.kernels import FRUGAL
from smelt.kernels.assembly import assembly_file, called, declarations
from smelt.kernels.headers import includes, needed, with_included
from smelt.loops.ir import Scratch
from smelt.model.graph import Graph, Quantization, Tensor
from smelt.model.ops import Conv2D, DepthwiseConv2D, Padding
from smelt.model.reference import trace
from smelt.model.rescale import linear_rescale
from smelt.passes import prepare
from smelt.planner.known import Known
from smelt.planner.measurement import Places
from smelt.planner.predict import Predictor
from smelt.planner.tiles import Costs, Rectangle, Size, Tiled, can_tile, sizes, timeline
from smelt.planner.ways import Ways
from smelt.targets.boards import board

H743 = board("nucleo_h743zi")
UNCACHED = replace(
    H743,
    chip=replace(H743.chip, memories=tuple(replace(m, path=replace(m.path, data=None)) for m in H743.chip.memories)),
)
"""The same with the data cache off: every load from AXI SRAM or flash waits for the bus."""

SLOW, FAST = "axi", "dtcm"
FAST_BYTES, SLOW_BYTES = 112 * 1024, 500 * 1024  # beside the stack, and variables of the start-up code
PUBLISHED = ("58.5 +- 5.5 %", "(both)", "9.1 +- 2.1 %", "3.9 +- 3.8 %")
MEANS = (
    "layers of", "without D-cache slower: convolution", "depthwise", "software faster: depthwise", "convolution",
)  # fmt: skip
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
CHANNELS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
MDMA = H743.chip.dma[0]


# --- layers -------------------------------------------------------------------------------------------------------------


def convolution(name, size, depth, channels, kernel, stride, depthwise, random):
    """An op with random weights, whose results fill the range of int8."""
    rows = -(-size // stride)
    total = max((rows - 1) * stride + kernel - size, 0)
    pad = Padding(total // 2, total - total // 2, total // 2, total - total // 2)
    shape = (1, kernel, kernel, channels) if depthwise else (channels, kernel, kernel, depth)
    taps = kernel * kernel * (1 if depthwise else depth)
    x = Tensor("x", (1, size, size, depth), "int8", Quantization((0.02,), (-128,)))
    weights = Tensor(
        "weights", shape, "int8", Quantization((0.01,), (0,)), random.integers(-127, 128, shape, dtype=np.int8)
    )
    bias = Tensor("bias", (channels,), "int32", None, random.integers(-4000, 4000, channels).astype(np.int32))
    y = Tensor("y", (1, rows, rows, channels), "int8", Quantization((0.02 * 0.01 * 90 * taps**0.5,), (0,)))
    kind = DepthwiseConv2D if depthwise else Conv2D
    return name, kind(
        x=x, weights=weights, bias=bias, y=y, rescale=linear_rescale(x, weights, y), stride=(stride, stride), pad=pad
    )


def mobilenet():
    """The layers of MobileNetV1-1.0-128 but for the last two."""
    random = np.random.default_rng(7)
    yield convolution("mv1 conv0", 128, 3, 32, 3, 2, False, random)
    size, depth = 64, 32
    for n, (stride, channels) in enumerate(zip(STRIDES, CHANNELS, strict=True), 1):
        yield convolution(f"mv1 depthwise{n}", size, depth, depth, 3, stride, True, random)
        size = -(-size // stride)
        yield convolution(f"mv1 pointwise{n}", size, depth, channels, 1, 1, False, random)
        depth = channels


def of_model(name):
    """Its convolutions, each shape once."""
    seen = set()
    for op in prepare(load(MLPERF_TINY[name])).ops:
        key = (type(op), op.inputs[0].shape, op.y.shape, getattr(op, "weights", op.y).shape)
        if isinstance(op, Conv2D | DepthwiseConv2D) and key not in seen:
            seen.add(key)
            yield f"{name} {op.y.shape[1]}x{op.y.shape[2]}x{op.y.shape[3]} {type(op).__name__}", op


def layers(names):
    """Those of `names`, shapes that are there already once more under no other name."""
    seen = set()
    for source in names:
        for name, op in mobilenet() if source == "mv1" else of_model(source):
            key = (type(op), op.x.shape, op.y.shape, op.weights.shape, op.stride)
            if can_tile(op) and key not in seen:
                seen.add(key)
                yield name, op


# --- programs -----------------------------------------------------------------------------------------------------------


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
        return Sources(files, "layer_run", tables=(SLOW,))

    def cycles(self, target, x, y):
        """Of a run from cold caches; raises SystemExit where the result is not that of the reference."""
        run = Simulator(target).run(build(self.sources(), target), x.tobytes())
        if run.outputs != y.tobytes():
            raise SystemExit(f"{self.op}: the result is not that of the reference")
        return run.cycles


def buffer_text(buffer):
    name, section, size, values = buffer
    numbers = " = {" + ",".join(map(str, values)) + "}" if values else ""
    return f'static uint8_t {name}[{max(size, 1)}] __attribute__((aligned(128), section("{section}"))){numbers};'


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


def whole(way):
    """All in AXI SRAM, by one call; None where it does not fit."""
    tables = Tables()
    for a in way.call.arguments:
        if isinstance(a, np.ndarray):
            tables.add(a)
    op, scratch = way.op, scratch_bytes(way.call)
    if op.x.bytes + op.y.bytes + len(tables.data) + scratch > SLOW_BYTES:
        return None
    ram = f".smelt.ram.{SLOW}"
    made = Firmware(op, [way.call], [], [
        ("layer_tables", f".data.smelt_tables.{SLOW}", len(tables.data), tables.data),
        ("layer_x", ram, op.x.bytes, None), ("layer_y", ram, op.y.bytes, None), ("layer_scratch", ram, scratch, None),
    ])  # fmt: skip
    where = lambda array: f"layer_tables + {tables.add(array)}"  # noqa: E731
    made.body.append(call_text(made, way.call, "layer_x", "layer_y", where, "layer_scratch"))
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


# --- choices ------------------------------------------------------------------------------------------------------------


class Chooser:
    """Ways and tile sizes by predicted cycles."""

    def __init__(self):
        self.ways, self.predictor = Ways(H743.core, FRUGAL), Predictor(Known(H743))

    def cycles(self, way, memory):
        """Predicted, with everything in a memory."""
        return self.predictor.cycles(way, Places("flash", memory, memory, memory, memory)).value

    def likely(self, op, memory, most):
        """First guesses of implementations, the fewest predicted cycles first."""
        return sorted(self.ways.first_of_each(op, 1), key=lambda w: self.cycles(w, memory))[:most]

    def like(self, op, way):
        """The same implementation, with its first schedule where that of `way` is not offered for a tile; else the first guess."""
        same = (offer for offer in self.ways.offers(op) if offer[0] is way.implementation)
        offer = next(same, None)
        return self.ways.named(op, way.names) or (self.ways.built(op, offer) if offer else self.ways.first(op))

    def tiled(self, way):
        """The tiles with the fewest cycles: all sizes by the share of the work in the whole op's, the best few by their own."""
        op, rate = way.op, self.cycles(way, FAST) / way.op.macs
        table_rate = sum(a.nbytes for a in way.call.arguments if isinstance(a, np.ndarray)) / op.y.shape[-1]

        def rough(size):
            tiles = size.tiles(op)
            fits = 2 * (max(t.x.bytes for t in tiles) + max(t.y.bytes for t in tiles))
            fits += min(-(-op.y.shape[-1] // size.channels), 2) * table_rate * size.channels
            if len(tiles) > 400 or (fits > FAST_BYTES and len(tiles) > 1) or not movable(tiles):
                return None
            return timeline(costs(tiles, [rate * t.op.macs for t in tiles], table_rate))

        def exact(size):
            kernels, known = [], {}
            for t in size.tiles(op):
                key = t.op.x.shape, t.op.y.shape, t.op.pad
                if key not in known:
                    known[key] = self.cycles(self.like(t.op, way), FAST)
                kernels.append(known[key])
            return timeline(costs(size.tiles(op), kernels, table_rate))

        candidates = list(sizes(op, FAST_BYTES))
        few = sorted((c, n) for n, size in enumerate(candidates) if (c := rough(size)) is not None)[:4]
        for predicted, n in sorted((exact(candidates[n]), n) for _, n in few):
            tiles = candidates[n].tiles(op)
            found = Tiled(op, candidates[n], tuple(tiles), tuple(self.like(t.op, way) for t in tiles))
            if found.bytes <= FAST_BYTES:
                return found, predicted
        return None


def movable(tiles):
    return all(r.count <= MDMA.rows and r.size <= MDMA.row_bytes for t in tiles for r in (t.x, t.y))


def costs(tiles, kernels, table_rate):
    """What the program of these tiles takes, part by part."""
    slow, fast = MDMA.reach(SLOW), MDMA.reach(FAST)
    once = len({t.x for t in tiles}) == 1
    new = [n == 0 or tiles[n - 1].channels != t.channels for n, t in enumerate(tiles)]
    return Costs(
        tuple(0 if once and n else t.x.cycles(MDMA, slow, fast) for n, t in enumerate(tiles)),
        tuple(
            MDMA.cycles(slow, fast, int(table_rate * t.channels.count)) if new[n] else 0 for n, t in enumerate(tiles)
        ),
        tuple(map(round, kernels)),
        tuple(t.y.cycles(MDMA, fast, slow) for t in tiles),
    )


# --- the table ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    name: str
    depthwise: bool
    how: str
    tiled_how: str
    cached: int
    uncached: int
    software: int
    predicted: int
    size: Size
    tiles: int
    macs: int

    @property
    def source(self):
        """The network that a layer is of, the first word of its name."""
        return self.name.split()[0]

    @property
    def slower(self):
        """Without the data cache, in per cent."""
        return 100 * (self.uncached / self.cached - 1)

    @property
    def faster(self):
        """The software's cache than the data cache, in per cent."""
        return 100 * (1 - self.software / self.cached)


def result(name, op, chooser, most):
    """The best of `most` ways for each; None where a layer is larger than the memories."""
    cached = [(one, way) for way in chooser.likely(op, SLOW, most) if (one := whole(way))]
    software = [found for way in chooser.likely(op, FAST, most) if (found := chooser.tiled(way))]
    if not cached or not software:
        return None
    graph = Graph("layer", (op.x,), (op.y,), (op,))
    (x,) = random_inputs(graph, 1)[0]
    y = trace(graph, [x])[op.y.name]
    times = [(one.cycles(H743, x, y), n) for n, (one, _) in enumerate(cached)]
    uncached = [one.cycles(UNCACHED, x, y) for one, _ in cached]
    tiled = [(tiled_firmware(t).cycles(H743, x, y), n) for n, (t, _) in enumerate(software)]
    (best, which), (software_best, of) = min(times), min(tiled)
    found, predicted = software[of]
    return Result(
        name, isinstance(op, DepthwiseConv2D), cached[which][1].names[0], found.ways[0].names[0], best, min(uncached),
        software_best, predicted, found.size, len(found.tiles), op.macs,
    )  # fmt: skip


def row(r):
    ways = r.how + ("" if r.how == r.tiled_how else f" / {r.tiled_how}")
    return (
        r.name,
        ways,
        f"{r.macs / 1e6:.2f}",
        *(f"{n / 1e3:,.0f}" for n in (r.cached, r.uncached, r.software)),
        f"{r.slower:+.1f} %",
        f"{r.faster:+.1f} %",
        f"{r.tiles} of {r.size.rows} x {r.size.channels}",
        f"{100 * (r.predicted / r.software - 1):+.0f} %",
    )


COLUMNS = (
    "layer", "by", "M MAC", "D-cache, k cycles", "without", "software", "without: slower", "software: faster",
    "tiles of rows x channels", "prediction",
)  # fmt: skip


def mean(values):
    return f"{np.mean(values):.1f} +- {np.std(values):.1f} % ({len(values)})" if values else "-"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--layers", default="mv1,IC,VWW,KWS", help="Of these networks.")
    parser.add_argument("--only", default="", help="Just layers with this in their name.")
    parser.add_argument("--ways", type=int, default=2, help="So many implementations are tried for each.")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    chooser, found, left = Chooser(), [], []
    for name, op in layers(options.layers.split(",")):
        if options.only in name:
            one = result(name, op, chooser, options.ways)
            found.append(one) if one else left.append(name)
            print("  ".join(row(one)) if one else f"{name}: left out", file=sys.stderr, flush=True)
    show("DTCM as a cache of the software's, nucleo_h743zi, simulated", COLUMNS, map(row, found), options.markdown)
    print(f"larger than AXI SRAM, left out: {', '.join(left) or 'none'}")
    rows = [(source, *summary([r for r in found if r.source == source])) for source in options.layers.split(",")]
    rows += [("all", *summary(found)), ("published (DORY)", *PUBLISHED)]
    show("means and standard deviations over layers", MEANS, rows, options.markdown)


def summary(found):
    """Networks apart: pooled, gains of one hide losses of another."""
    depthwise, others = [r for r in found if r.depthwise], [r for r in found if not r.depthwise]
    return (
        mean([r.slower for r in others]),
        mean([r.slower for r in depthwise]),
        mean([r.faster for r in depthwise]),
        mean([r.faster for r in others]),
    )


if __name__ == "__main__":
    main()
