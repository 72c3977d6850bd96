"""A pointwise convolution as PULP-NN computes it, written after its description: two pixels at a time in columns, four channels,
the inner loop in assembly and everything else in plain C."""

import numpy as np

CHANNELS, WANTED, PIXELS = 256, 64, 64
SHIFT = 9

TWO_PIXELS = r"""
static inline uint8_t rescaled(int32_t sum, int32_t factor, int32_t summand)
{
    const int32_t value = (factor * sum + summand) >> 9;
    return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
}

/* Two pixels, in rows of `size` bytes, to all channels of both. */
KERNEL static void two_pixels(const uint8_t *first, const int8_t *a, uint8_t *out, uint32_t size, uint32_t wanted)
{
    const int32_t *factor = factors, *summand = summands;
    const uint32_t n = size >> 2;
    uint8_t *other = out + wanted;
    for (uint32_t i = 0; i < wanted >> 2; i++) {
        const uint8_t *b0 = first, *b1 = first + size;
        const int8_t *a1 = a + size, *a2 = a1 + size, *a3 = a2 + size;
        int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
        __asm__ volatile(".balign 4\n.option push\n.option norvc\n"
                         ".insn i 0x7b,4,x0,%[n],28\n"
                         ".insn i 0x0b,2,t0,%[a0],4\n.insn i 0x0b,2,t1,%[a1],4\n"
                         ".insn i 0x0b,2,t2,%[a2],4\n.insn i 0x0b,2,t3,%[a3],4\n"
                         ".insn i 0x0b,2,t4,%[b0],4\n.insn i 0x0b,2,t5,%[b1],4\n"
                         ".insn r 0x57,1,0x54,%[s0],t4,t0\n.insn r 0x57,1,0x54,%[s1],t4,t1\n"
                         ".insn r 0x57,1,0x54,%[s2],t4,t2\n.insn r 0x57,1,0x54,%[s3],t4,t3\n"
                         ".insn r 0x57,1,0x54,%[s4],t5,t0\n.insn r 0x57,1,0x54,%[s5],t5,t1\n"
                         ".insn r 0x57,1,0x54,%[s6],t5,t2\n.insn r 0x57,1,0x54,%[s7],t5,t3\n"
                         ".option pop\n"
                         : [a0] "+r"(a), [a1] "+r"(a1), [a2] "+r"(a2), [a3] "+r"(a3), [b0] "+r"(b0), [b1] "+r"(b1),
                           [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3), [s4] "+r"(s4), [s5] "+r"(s5),
                           [s6] "+r"(s6), [s7] "+r"(s7)
                         : [n] "r"(n)
                         : "t0", "t1", "t2", "t3", "t4", "t5", "memory");
        *out++ = rescaled(s0, *factor, *summand), *other++ = rescaled(s4, *factor++, *summand++);
        *out++ = rescaled(s1, *factor, *summand), *other++ = rescaled(s5, *factor++, *summand++);
        *out++ = rescaled(s2, *factor, *summand), *other++ = rescaled(s6, *factor++, *summand++);
        *out++ = rescaled(s3, *factor, *summand), *other++ = rescaled(s7, *factor++, *summand++);
        a = a3;
    }
}
"""
"""`two_pixels`: both to all channels, four at a time, with `factors` and `summands` in L1."""

DECLARED = r"""
static SMELT_L1 uint8_t x[16384] __attribute__((aligned(64)));
static SMELT_L1 uint8_t y[4096] __attribute__((aligned(64)));
static SMELT_L1 int8_t weights[16384] __attribute__((aligned(64)));
static SMELT_L1 int32_t factors[64], summands[64];
static SMELT_L1 uint8_t columns[SMELT_WORKERS][512] __attribute__((aligned(64)));
static SMELT_L1 uint32_t cycles;
"""

PROGRAM = r"""
KERNEL void pointwise(void *argument)
{
    const uint32_t n = smelt_worker_number();
    (void)argument;
    for (uint32_t i = 0; i < 8; i += 2) {
        const uint32_t *const from = (const uint32_t *)(x + (8 * n + i) * 256);
        for (uint32_t j = 0; j < 128; j++) {
            ((uint32_t *)columns[n])[j] = from[j];
        }
        two_pixels(columns[n], weights, y + (8 * n + i) * 64, 256, 64);
    }
}

static void master(void *argument)
{
    (void)argument;
    smelt_dma_wait(smelt_dma_in(weights, input, 16384));
    smelt_dma_wait(smelt_dma_in(x, input + 16384, 16384));
    smelt_dma_wait(smelt_dma_in(factors, input + 32768, 256));
    smelt_dma_wait(smelt_dma_in(summands, input + 33024, 256));
    smelt_fork(pointwise, 0); /* now it is in the instruction cache */
    const uint32_t start = smelt_cycles();
    smelt_fork(pointwise, 0);
    cycles = smelt_cycles() - start;
    smelt_dma_wait(smelt_dma_out(output, y, 4096));
    smelt_dma_wait(smelt_dma_out(output + 4096, &cycles, 4));
}
"""

POINTWISE = DECLARED + TWO_PIXELS + PROGRAM


def pointwise_data() -> tuple[bytes, np.ndarray]:
    """What is given (weights, pixels, factors, summands), and the outputs: [pixel, channel]."""
    random = np.random.default_rng(CHANNELS)
    weights = random.integers(-128, 128, (WANTED, CHANNELS), np.int8)
    pixels = random.integers(0, 256, (PIXELS, CHANNELS), np.uint8)
    factors = random.integers(1, 60, WANTED).astype("<i4")
    summands = random.integers(-(1 << 14), 1 << 14, WANTED).astype("<i4")
    sums = pixels.astype(np.int64) @ weights.astype(np.int64).T
    outputs = np.clip((sums * factors + summands) >> SHIFT, 0, 255)
    return b"".join(a.tobytes() for a in (weights, pixels, factors, summands)), outputs
