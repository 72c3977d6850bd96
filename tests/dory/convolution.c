/* A convolution in DORY's tiles: rows of y are divided over the workers, two pixels become columns of all that they read, and four
   channels of both are computed at a time, after PULP-NN's description. The loop over words is in assembly. */
enum { TAPS = FILTER * FILTER * DEPTH, MARGIN = 4 };
static SMELT_L1 uint8_t x[X_ROWS * X_ACROSS * DEPTH + MARGIN] __attribute__((aligned(64)));
static SMELT_L1 uint8_t y[ROWS * ACROSS * PART + MARGIN] __attribute__((aligned(64)));
static SMELT_L1 int8_t weights[PART * TAPS + MARGIN] __attribute__((aligned(64)));
static SMELT_L1 int32_t factors[PART], summands[PART];
static SMELT_L1 uint8_t columns[SMELT_WORKERS * 2 * TAPS + MARGIN] __attribute__((aligned(64)));

#if XPULP
#define NEXT(f3, step, value, from) __asm__ volatile(".insn i 0x0b," #f3 ",%0,%1," #step : "=r"(value), "+r"(from) : : "memory")
#else
#define NEXT(f3, step, value, from) (value) = *(from)++
#endif

/* One channel of two pixels, where their number is no multiple of four. */
static void one_channel(const uint8_t *first, const int8_t *a, uint8_t *out, uint8_t *other, uint32_t taps, uint32_t channel)
{
    const uint8_t *b0 = first, *b1 = first + taps;
    const int8_t *w = a;
    int32_t s0 = dot_words(&b0, &a, taps >> 2, 0), s1 = dot_words(&b1, &w, taps >> 2, 0);
    *out = rescaled(dot_bytes(&b0, &a, taps & 3U, s0), factors[channel], summands[channel]);
    *other = rescaled(dot_bytes(&b1, &w, taps & 3U, s1), factors[channel], summands[channel]);
}

/* Two pixels to all channels of both. */
KERNEL static void two_pixels(const uint8_t *first, const int8_t *a, uint8_t *out, uint32_t taps, uint32_t wanted)
{
    const int32_t *factor = factors, *summand = summands;
    const uint32_t n = taps >> 2;
    uint8_t *other = out + wanted;
    uint32_t i = 0;
    for (; i < wanted >> 2; i++) {
        const uint8_t *b0 = first, *b1 = first + taps;
        const int8_t *a1 = a + taps, *a2 = a1 + taps, *a3 = a2 + taps;
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
        for (uint32_t left = taps & 3U; left; left--) {
            int32_t w0, w1, w2, w3, p0, p1;
            NEXT(0, 1, w0, a);
            NEXT(0, 1, w1, a1);
            NEXT(0, 1, w2, a2);
            NEXT(0, 1, w3, a3);
            NEXT(4, 1, p0, b0);
            NEXT(4, 1, p1, b1);
            s0 += w0 * p0, s1 += w1 * p0, s2 += w2 * p0, s3 += w3 * p0;
            s4 += w0 * p1, s5 += w1 * p1, s6 += w2 * p1, s7 += w3 * p1;
        }
        *out++ = rescaled(s0, *factor, *summand), *other++ = rescaled(s4, *factor++, *summand++);
        *out++ = rescaled(s1, *factor, *summand), *other++ = rescaled(s5, *factor++, *summand++);
        *out++ = rescaled(s2, *factor, *summand), *other++ = rescaled(s6, *factor++, *summand++);
        *out++ = rescaled(s3, *factor, *summand), *other++ = rescaled(s7, *factor++, *summand++);
        a += 3U * taps;
    }
    for (i *= 4U; i < wanted; i++, a += taps) {
        one_channel(first, a, out++, other++, taps, i);
    }
}

/* What one pixel reads: whole rows of it where none is padding, otherwise pixel by pixel. */
static uint8_t *gather(uint8_t *to, tile_shape s, uint32_t row, uint32_t column)
{
    const int32_t top = (int32_t)(row * s.stride) - (int32_t)s.top, left = (int32_t)(column * s.stride) - (int32_t)s.left;
    const int32_t kernel = (int32_t)s.kernel, rows = (int32_t)s.rows, across = (int32_t)s.columns;
    const uint32_t depth = s.depth;
    if (top >= 0 && left >= 0 && top + kernel <= rows && left + kernel <= across) {
        for (int32_t i = 0; i < kernel; i++) {
            to = copy_bytes(to, x + (uint32_t)((top + i) * across + left) * depth, (uint32_t)kernel * depth);
        }
        return to;
    }
    for (int32_t i = top; i < top + kernel; i++) {
        for (int32_t j = left; j < left + kernel; j++) {
            if (i < 0 || j < 0 || i >= rows || j >= across) {
                memset(to, 0, depth);
                to += depth;
            } else {
                to = copy_bytes(to, x + (uint32_t)(i * across + j) * depth, depth);
            }
        }
    }
    return to;
}

KERNEL void layer(void *argument)
{
    const tile_shape s = *(const tile_shape *)argument;
    const uint32_t n = smelt_worker_number(), chunk = (s.y_rows + SMELT_WORKERS - 1U) / SMELT_WORKERS, part = s.channels;
    const uint32_t taps = s.kernel * s.kernel * s.depth;
    uint8_t *const both = columns + 2U * n * taps;
    for (uint32_t row = n * chunk; row < (n + 1U) * chunk && row < s.y_rows; row++) {
        uint8_t *out = y + row * s.y_columns * part;
        uint32_t column = 0U;
        for (; column + 1U < s.y_columns; column += 2U, out += 2U * part) {
            (void)gather(gather(both, s, row, column), s, row, column + 1U);
            two_pixels(both, weights, out, taps, part);
        }
        if (column < s.y_columns) {
            (void)gather(both, s, row, column);
            for (uint32_t i = 0U; i < part; i++) {
                const uint8_t *b = both;
                const int8_t *a = weights + i * taps;
                const int32_t sum = dot_words(&b, &a, taps >> 2, 0);
                out[i] = rescaled(dot_bytes(&b, &a, taps & 3U, sum), factors[i], summands[i]);
            }
        }
    }
}

static void tile(uint32_t row, uint32_t column, uint32_t first)
{
    uint32_t begins, from, behind;
    now.y_rows = least(ROWS, Y_HEIGHT - row), now.y_columns = least(ACROSS, Y_WIDTH - column);
    now.rows = reach(row, now.y_rows, HEIGHT, &begins, &now.top, &now.bottom);
    now.columns = reach(column, now.y_columns, WIDTH, &from, &now.left, &behind);
    const uint8_t *const source = input + X_AT + (begins * WIDTH + from) * DEPTH;
    smelt_dma_wait(smelt_dma_in_lines(x, source, now.rows * now.columns * DEPTH, now.columns * DEPTH, WIDTH * DEPTH));
    smelt_fork(layer, &now);
    for (uint32_t i = 0U; i < now.y_rows; i++) {
        uint8_t *const to = output + ((row + i) * Y_WIDTH + column) * CHANNELS + first;
        const uint32_t bytes = now.y_columns * now.channels;
        smelt_dma_wait(smelt_dma_out_lines(to, y + i * bytes, bytes, now.channels, CHANNELS));
    }
}

static void master(void *argument)
{
    (void)argument;
    memset(&now, 0, sizeof now);
    now.kernel = FILTER, now.stride = STRIDE, now.depth = DEPTH;
    const uint32_t start = smelt_cycles();
    for (uint32_t first = 0U; first < CHANNELS; first += PART) {
        now.channels = least(PART, CHANNELS - first);
        smelt_dma_wait(smelt_dma_in(weights, input + first * TAPS, now.channels * TAPS));
        smelt_dma_wait(smelt_dma_in(factors, input + FACTORS_AT + 4U * first, 4U * now.channels));
        smelt_dma_wait(smelt_dma_in(summands, input + FACTORS_AT + 4U * (CHANNELS + first), 4U * now.channels));
        for (uint32_t row = 0U; row < Y_HEIGHT; row += ROWS) {
            for (uint32_t column = 0U; column < Y_WIDTH; column += ACROSS) {
                tile(row, column, first);
            }
        }
    }
    cycles = smelt_cycles() - start;
    smelt_dma_wait(smelt_dma_out(output + Y_HEIGHT * Y_WIDTH * CHANNELS, &cycles, 4U));
}
