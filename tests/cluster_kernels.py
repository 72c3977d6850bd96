"""Inner loops for XpulpV2 as the fact sheet describes them, and the programs that measure them on all workers: the simulator's
proof."""

import numpy as np

WEIGHTS, PIXELS, SUMS, TIMES = 0x10001000, 0x10003000, 0x1000E000, 0x1000F000
PLANES, TABLES, OUTPUTS = 0x10000400, 0x10000200, 0x1000B000

MATMUL_4X2 = """
    j measure
    .balign 4
kernel:
    add a1, a0, s11
    add a2, a1, s11
    add a3, a2, s11
    add a5, a4, s11
    li s2, 0
    li s3, 0
    li s4, 0
    li s5, 0
    li s6, 0
    li s7, 0
    li s8, 0
    li s9, 0
    lp.setup x0, a6, 8f
    p.lw t0, 4(a0!)
    p.lw t1, 4(a1!)
    p.lw t2, 4(a2!)
    p.lw t3, 4(a3!)
    p.lw t4, 4(a4!)
    p.lw t5, 4(a5!)
    pv.sdotusp.b s2, t4, t0
    pv.sdotusp.b s3, t4, t1
    pv.sdotusp.b s4, t4, t2
    pv.sdotusp.b s5, t4, t3
    pv.sdotusp.b s6, t5, t0
    pv.sdotusp.b s7, t5, t1
    pv.sdotusp.b s8, t5, t2
8:  pv.sdotusp.b s9, t5, t3
    sw s2, 0(a7)
    sw s3, 4(a7)
    sw s4, 8(a7)
    sw s5, 12(a7)
    sw s6, 16(a7)
    sw s7, 20(a7)
    sw s8, 24(a7)
    sw s9, 28(a7)
    ret
"""
"""a0: four rows of weights, a4: two pixels, s11: the pitch of both, a6: words of a row, a7: where eight sums go."""

MATMUL_4X4 = """
    j measure
    .balign 4
kernel:
    slli t0, s11, 1
    add t0, t0, s11
    li t1, 4
    sub s10, t1, t0
    li s2, 0
    li s3, 0
    li s4, 0
    li s5, 0
    li s6, 0
    li s7, 0
    li s8, 0
    li s9, 0
    li gp, 0
    li tp, 0
    li sp, 0
    li a1, 0
    li a2, 0
    li a3, 0
    li a5, 0
    li t6, 0
    lp.setup x0, a6, 8f
    p.lw t0, s11(a0!)
    p.lw t1, s11(a0!)
    p.lw t2, s11(a0!)
    p.lw t3, s10(a0!)
    p.lw t4, s11(a4!)
    p.lw t5, s11(a4!)
    pv.sdotusp.b s2, t4, t0
    pv.sdotusp.b s3, t4, t1
    pv.sdotusp.b s4, t4, t2
    pv.sdotusp.b s5, t4, t3
    p.lw t4, s11(a4!)
    pv.sdotusp.b s6, t5, t0
    pv.sdotusp.b s7, t5, t1
    pv.sdotusp.b s8, t5, t2
    pv.sdotusp.b s9, t5, t3
    p.lw t5, s10(a4!)
    pv.sdotusp.b gp, t4, t0
    pv.sdotusp.b tp, t4, t1
    pv.sdotusp.b sp, t4, t2
    pv.sdotusp.b a1, t4, t3
    pv.sdotusp.b a2, t5, t0
    pv.sdotusp.b a3, t5, t1
    pv.sdotusp.b a5, t5, t2
8:  pv.sdotusp.b t6, t5, t3
    sw s2, 0(a7)
    sw s3, 4(a7)
    sw s4, 8(a7)
    sw s5, 12(a7)
    sw s6, 16(a7)
    sw s7, 20(a7)
    sw s8, 24(a7)
    sw s9, 28(a7)
    sw gp, 32(a7)
    sw tp, 36(a7)
    sw sp, 40(a7)
    sw a1, 44(a7)
    sw a2, 48(a7)
    sw a3, 52(a7)
    sw a5, 56(a7)
    sw t6, 60(a7)
    ret
"""
"""The same with four pixels and sixteen sums: pointers walk down the rows by registers."""

DEPTHWISE = """
    j measure
    .balign 4
kernel:
    lw s2, 0(a4)
    lw s4, 4(a4)
    lw s6, 8(a4)
    lw s8, 12(a4)
    lw s9, 16(a4)
    lw s10, 20(a4)
    li a4, 8
    slli s3, s2, 8
    slli s5, s4, 8
    slli s7, s6, 8
    add a1, a0, s11
    add a2, a1, s11
    mv t6, a6
    srli a5, t6, 2
    sub a3, s11, a6
    lp.setup x1, t6, 9f
    lp.setup x0, a5, 8f
    p.lw t0, 2(a0!)
    p.lw t1, 2(a0!)
    p.lw t2, 2(a1!)
    p.lw t3, 2(a1!)
    p.lw t4, 2(a2!)
    p.lw t5, 2(a2!)
    pv.dotusp.b gp, t0, s2
    pv.dotusp.b tp, t0, s3
    pv.dotusp.b sp, t1, s2
    pv.dotusp.b t0, t1, s3
    pv.sdotusp.b gp, t2, s4
    pv.sdotusp.b tp, t2, s5
    pv.sdotusp.b sp, t3, s4
    pv.sdotusp.b t0, t3, s5
    pv.sdotusp.b gp, t4, s6
    pv.sdotusp.b tp, t4, s7
    pv.sdotusp.b sp, t5, s6
    pv.sdotusp.b t0, t5, s7
    mul gp, gp, s8
    mul tp, tp, s8
    mul sp, sp, s8
    mul t0, t0, s8
    add gp, gp, s9
    add tp, tp, s9
    add sp, sp, s9
    add t0, t0, s9
    sra gp, gp, s10
    sra tp, tp, s10
    sra sp, sp, s10
    sra t0, t0, s10
    p.clipu gp, gp, 9
    p.clipu tp, tp, 9
    p.clipu sp, sp, 9
    p.clipu t0, t0, 9
    p.sb gp, a4(a7!)
    p.sb tp, a4(a7!)
    p.sb sp, a4(a7!)
8:  p.sb t0, a4(a7!)
    add a0, a0, a3
    add a1, a1, a3
9:  add a2, a2, a3
    ret
"""
"""3x3, stride 1. a0: the plane of a channel with its border, s11: its pitch, a6: its inner width and height, a4: three rows of
weights (the fourth byte 0), factor, summand, shift; a7: the first output, pixels 8 bytes apart."""

ONCE = """
    csrr s2, 0xF14
    li s11, {pitch}
    li a0, {weights}
    li a4, {pixels}
    li t0, {pixel_bytes}
    mul t0, t0, s2
    add a4, a4, t0
    li a6, {words}
    li a7, {sums}
    slli t0, s2, 6
    add a7, a7, t0
    p.elw t0, 0x21C(s1)
    csrr s0, 0x780
    jal ra, kernel
    csrr t0, 0x780
    sub t0, t0, s0
    csrr s0, 0xF14
    slli t1, s0, 2
    li t2, {times}
    add t1, t1, t2
    sw t0, 0(t1)
"""
"""Runs a kernel on all workers from a barrier on; each leaves its cycles, call included."""


def matmul_program(kernel: str, pitch: int, words: int, pixels: int) -> str:
    """A body for `cluster_programs.program`: the second time instructions are in the cache."""
    once = ONCE.format(
        pitch=pitch,
        weights=WEIGHTS,
        pixels=PIXELS,
        pixel_bytes=pixels * pitch,
        words=words,
        sums=SUMS,
        times=TIMES,
    )
    return f"{kernel}\nmeasure:\n{once}\n{once}"


ONCE_DEPTHWISE = """
    csrr s2, 0xF14
    li s11, {pitch}
    li a6, {size}
    li a0, {pixels}
    li t0, {plane}
    mul t0, t0, s2
    add a0, a0, t0
    li a4, {weights}
    slli t0, s2, 5
    add a4, a4, t0
    li a7, {sums}
    add a7, a7, s2
    p.elw t0, 0x21C(s1)
    li s0, 0x10200408
    lw s0, 0(s0)
    jal ra, kernel
    li t1, 0x10204000
    p.elw t0, 0x21C(t1)
    li t0, 0x10200408
    lw t0, 0(t0)
    sub t0, t0, s0
    csrr s0, 0xF14
    slli t1, s0, 2
    li t2, {times}
    add t1, t1, t2
    sw t0, 0(t1)
"""


def depthwise_program(size: int) -> str:
    """One channel on each worker, the barrier at its end counted."""
    pitch = size + 4
    once = ONCE_DEPTHWISE.format(
        pitch=pitch, size=size, pixels=PLANES, plane=pitch * (size + 2), weights=TABLES, sums=OUTPUTS, times=TIMES
    )
    return f"{DEPTHWISE}\nmeasure:\n{once}\n{once}"


def depthwise_data(size: int) -> tuple[dict[int, bytes], np.ndarray]:
    """What lies in L1, by address, and the outputs: [row, column, channel]."""
    random = np.random.default_rng(size)
    planes = np.zeros((8, size + 2, size + 4), np.uint8)
    planes[:, 1:-1, 1 : size + 1] = random.integers(0, 256, (8, size, size))
    weights = np.zeros((8, 3, 4), np.int8)
    weights[:, :, :3] = random.integers(-128, 128, (8, 3, 3))
    factors = np.tile(np.array([37, 1 << 12, 9, 0, 0], "<i4"), (8, 1)).view(np.uint8)
    tables = np.concatenate([weights.reshape(8, 12).view(np.uint8), factors], axis=1)
    sums = sum(
        planes[:, y : y + size, x : x + size].astype(np.int64) * weights[:, y, x].astype(np.int64)[:, None, None]
        for y in range(3)
        for x in range(3)
    )
    outputs = np.clip((sums * 37 + (1 << 12)) >> 9, 0, 255).transpose(1, 2, 0)
    return {PLANES: planes.tobytes(), TABLES: tables.tobytes()}, outputs


def matmul_data(pitch: int, words: int, pixels: int) -> tuple[dict[int, bytes], np.ndarray]:
    """What lies in L1, by address, and the sums of each worker: [worker, pixel, weights]."""
    random = np.random.default_rng(words)
    weights = random.integers(-128, 128, (4, 4 * words), np.int8)
    given = random.integers(0, 256, (8, pixels, 4 * words), np.uint8)
    sums = np.einsum("wpk,ck->wpc", given.astype(np.int64), weights.astype(np.int64))
    rows = {WEIGHTS + pitch * i: row.tobytes() for i, row in enumerate(weights)}
    rows |= {PIXELS + pitch * i: row.tobytes() for i, row in enumerate(given.reshape(-1, 4 * words))}
    return rows, sums
