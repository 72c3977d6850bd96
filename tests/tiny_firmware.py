"""A firmware of a few lines around any body of C, for the tests of the toolchain and of the devices."""

import functools
import shutil

import pytest

from smelt.firmware.build import build
from smelt.firmware.image import Sources
from smelt.targets.boards import board

BODY = """
#include "smelt_firmware.h"
#include "smelt_semihosting.h"
#include <string.h>
#define KERNEL __attribute__((noinline))

static uint8_t in[16], out[16];
%s
KERNEL void network_run(uint8_t *o, const uint8_t *i)
{
    %s
}
void smelt_set_up(void) {}
smelt_span smelt_input(uint32_t n) { smelt_span s = {in, n ? 0 : 16}; return s; }
smelt_span smelt_output(uint32_t n) { smelt_span s = {out, n ? 0 : 16}; return s; }
void smelt_run(void) { network_run(out, in); }
void smelt_report(void) { smelt_print("done\\n"); }
"""

TRIPLE = """
KERNEL void kernel_add(uint8_t *o, const uint8_t *i) { for (int k = 0; k < 16; k++) o[k] = (uint8_t)(i[k] + 7); }
KERNEL void kernel_triple(uint8_t *o) { for (int k = 0; k < 16; k++) o[k] = (uint8_t)(o[k] * 3); }
"""
CALLS = "kernel_add(o, i); kernel_triple(o); kernel_triple(o);"
KERNELS = ("kernel_add", "kernel_triple", "kernel_triple")


def tiny(definitions: str = TRIPLE, calls: str = CALLS, kernels: tuple[str, ...] = KERNELS) -> Sources:
    """Sources whose network calls what `calls` says, on 16 bytes in and 16 bytes out."""
    return Sources({"smelt_firmware.c": BODY % (definitions, calls)}, kernels=kernels)


@functools.lru_cache
def tiny_image(board_name: str, definitions: str = TRIPLE, calls: str = CALLS, compiler: str = "zig", **options):
    kernels = KERNELS if calls == CALLS else ("kernel",)
    return build(tiny(definitions, calls, kernels), board(board_name), compiler, **options)


def need(program: str) -> None:
    """Skip where a program from the system's packages is missing (which fails in CI, as `conftest` has it)."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
