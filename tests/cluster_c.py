"""Programs in C for a simulated cluster, around the runtime of `firmware/support/cluster`: how tests build and run them."""

from collections.abc import Mapping
from functools import cache

import numpy as np

from smelt.devices.simulators.cluster_simulator import ClusterRun, ClusterSimulator
from smelt.firmware.build import Compiler, build
from smelt.firmware.image import Image, Sources
from smelt.targets.boards import GAPUINO
from smelt.targets.types import Board

BOARD = GAPUINO
HARNESS = """
#include "smelt_cluster.h"
#include "smelt_firmware.h"
#include "smelt_semihosting.h"
#include <string.h>
#define KERNEL __attribute__((noinline))
static SMELT_L2 uint8_t input[%(inputs)d], output[%(outputs)d];
%(code)s
void smelt_set_up(void) { smelt_cluster_start(); }
smelt_span smelt_input(uint32_t n) { smelt_span s = {input, n ? 0 : sizeof input}; return s; }
smelt_span smelt_output(uint32_t n) { smelt_span s = {output, n ? 0 : sizeof output}; return s; }
void smelt_run(void) { memset(output, 0, sizeof output); smelt_cluster_call(master, 0); }
void smelt_report(void) {}
"""
"""`code` defines `static void master(void *)`, which runs on worker 0 with `input` and `output` in L2."""


@cache
def image(
    code: str,
    inputs: int = 4,
    outputs: int = 4,
    kernels: tuple[str, ...] = (),
    compiler: Compiler = "zig",
    board: Board = BOARD,
) -> Image:
    """A firmware; the run's steps are the calls of `kernels` on worker 0."""
    text = HARNESS % {"code": code, "inputs": inputs, "outputs": outputs}
    return build(Sources({"smelt_firmware.c": text}, entry="smelt_run", kernels=kernels), board, compiler)


def run(
    firmware: Image, given: bytes = b"", outside: Mapping[int, bytes] | None = None, board: Board = BOARD
) -> ClusterRun:
    """Run it once, on `given` bytes (zeros behind them); raises `Fault`."""
    size = firmware.symbols["input"].size
    return ClusterSimulator(board, outside=outside).run(firmware, given.ljust(size, b"\0"), 500_000_000)


def words(result: ClusterRun) -> np.ndarray:
    """The outputs as signed words."""
    return np.frombuffer(result.outputs, "<i4")
