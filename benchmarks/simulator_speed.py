"""How fast the simulated boards are: millions of simulated instructions per second of one processor, with everything on.

    python benchmarks/simulator_speed.py [repetitions]

The program is a 3x3 convolution in plain C, 16 -> 16 channels on 32x32 pixels, and an addition of two tensors.
"""

from __future__ import annotations

import argparse
import time

from smelt.devices.simulators.cluster_simulator import ClusterSimulator
from smelt.devices.simulators.simulator import Simulator
from smelt.firmware.build import build
from smelt.firmware.image import Sources
from smelt.targets.boards import GAPUINO, PRODUCTS, board
from smelt.targets.types import Board

NETWORK = """
#include "smelt_firmware.h"
static uint8_t in[4], out[4];
static int8_t x[34 * 34 * 16], y[32 * 32 * 16];
static const int8_t weights[16 * 9 * 16] = {1, -2, 3, -4, 5, -6, 7};

__attribute__((noinline)) void kernel_conv(void)
{
    for (int row = 0; row < 32; row++)
        for (int column = 0; column < 32; column++)
            for (int channel = 0; channel < 16; channel++) {
                int32_t sum = in[channel & 3];
                for (int k = 0; k < 3; k++)
                    for (int i = 0; i < 48; i++)
                        sum += x[((row + k) * 34 + column) * 16 + i] * weights[channel * 144 + k * 48 + i];
                y[(row * 32 + column) * 16 + channel] = (int8_t)(sum >> 8);
            }
}
__attribute__((noinline)) void kernel_add(void)
{
    for (int i = 0; i < 32 * 32 * 16; i++)
        x[i + 1] = (int8_t)(x[i] + y[i]);
}
__attribute__((noinline)) void network_run(void)
{
    kernel_conv();
    kernel_add();
}
void smelt_set_up(void) {}
smelt_span smelt_input(uint32_t n) { smelt_span s = {in, n ? 0 : 4}; return s; }
smelt_span smelt_output(uint32_t n) { smelt_span s = {out, n ? 0 : 4}; return s; }
void smelt_run(void) { network_run(); }
void smelt_report(void) {}
"""
SOURCES = Sources({"smelt_firmware.c": NETWORK}, kernels=("kernel_conv", "kernel_add"))


def measure(target: Board, repetitions: int) -> tuple[int, float]:
    """Simulated instructions, and the seconds of one processor that they took."""
    image = build(SOURCES, target)
    start = time.process_time()
    run = Simulator(target).run(image, bytes(4 * repetitions))
    return run.total_instructions, time.process_time() - start


ON_A_CLUSTER = """
#include "smelt_cluster.h"
#include "smelt_firmware.h"
static uint8_t in[4], out[4];
static SMELT_L1 int8_t rows[SMELT_WORKERS][1028], weights[1028];
static SMELT_L1 volatile int32_t sums[SMELT_WORKERS];
__attribute__((noinline)) void products(void *argument)
{
    const uint32_t n = smelt_worker_number();
    int32_t sum = (int32_t)(uintptr_t)argument;
    for (uint32_t k = 0; k < 20; k++)
        for (uint32_t i = 0; i < 1024; i++)
            sum += rows[n][i] * weights[i];
    sums[n] = sum;
}
__attribute__((noinline)) void fill(void *argument)
{
    (void)argument;
    for (uint32_t i = 0; i < 1028; i++) {
        rows[smelt_worker_number()][i] = (int8_t)i;
        weights[i] = (int8_t)(3 * i);
    }
}
static void master(void *argument)
{
    smelt_fork(fill, argument);
    smelt_fork(products, argument);
}
void smelt_set_up(void) { smelt_cluster_start(); }
smelt_span smelt_input(uint32_t n) { smelt_span s = {in, n ? 0 : 4}; return s; }
smelt_span smelt_output(uint32_t n) { smelt_span s = {out, n ? 0 : 4}; return s; }
void smelt_run(void) { smelt_cluster_call(master, 0); }
void smelt_report(void) {}
"""
"""Eight workers compute inner products in plain C."""


def measure_cluster(repetitions: int) -> tuple[int, float]:
    """The same for a chip with a cluster: instructions of all its cores."""
    image = build(Sources({"smelt_firmware.c": ON_A_CLUSTER}, entry="smelt_run"), GAPUINO)
    simulator = ClusterSimulator(GAPUINO)
    simulator.run(image, bytes(4))  # compiles the native part where it must
    start = time.process_time()
    run = simulator.run(image, bytes(4 * repetitions))
    return run.total_instructions, time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repetitions", nargs="?", type=int, default=40)
    parser.add_argument(
        "--boards", default=",".join(b.name for b in (*PRODUCTS, GAPUINO)), help="Just these, such as a,b."
    )
    options = parser.parse_args()
    print(f"{'board':<18}{'instructions':>14}{'seconds':>9}{'M/s':>7}")
    for name in options.boards.split(","):
        is_cluster = name == GAPUINO.name
        instructions, seconds = (
            measure_cluster(options.repetitions) if is_cluster else measure(board(name), options.repetitions)
        )
        print(f"{name:<18}{instructions:>14,}{seconds:>9.2f}{instructions / seconds / 1e6:>7.0f}")


if __name__ == "__main__":
    main()
