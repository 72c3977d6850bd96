/* A depthwise convolution in DORY's tiles: channels of x become planes by lines of one byte, each worker takes a block of channels; y
   has channels last. What is done with a channel stands in strips.h and rows.h. */
enum { TAPS = FILTER * FILTER, MARGIN = 4 };
static SMELT_L1 uint8_t x[X_ROWS * WIDTH * PART + MARGIN] __attribute__((aligned(64)));
static SMELT_L1 uint8_t y[ROWS * ACROSS * PART + MARGIN] __attribute__((aligned(64)));
static SMELT_L1 int8_t weights[PART * TAPS + MARGIN] __attribute__((aligned(64)));
static SMELT_L1 int32_t factors[PART], summands[PART];

static inline void channel_of_y(tile_shape s, uint32_t channel);
static void clear(void);

KERNEL void layer(void *argument)
{
    const tile_shape s = *(const tile_shape *)argument;
    const uint32_t n = smelt_worker_number(), chunk = (s.channels + SMELT_WORKERS - 1U) / SMELT_WORKERS;
    for (uint32_t channel = n * chunk; channel < (n + 1U) * chunk && channel < s.channels; channel++) {
        channel_of_y(s, channel);
    }
}

/* DORY's workers fetch the planes of their own channels; the DMA takes them one after the other. */
KERNEL void fetch(void *argument)
{
    const tile_shape s = *(const tile_shape *)argument;
    const uint32_t n = smelt_worker_number(), chunk = (s.channels + SMELT_WORKERS - 1U) / SMELT_WORKERS;
    const uint32_t size = s.rows * s.columns;
    for (uint32_t channel = n * chunk; channel < (n + 1U) * chunk && channel < s.channels; channel++) {
        smelt_dma_wait(smelt_dma_in_lines(x + channel * size, (const void *)(uintptr_t)(s.x + channel), size, 1U, CHANNELS));
    }
}

static void tile(uint32_t row, uint32_t first)
{
    uint32_t begins;
    now.y_rows = least(ROWS, Y_HEIGHT - row), now.y_columns = Y_WIDTH;
    now.rows = reach(row, now.y_rows, HEIGHT, &begins, &now.top, &now.bottom);
    now.x = (uint32_t)(uintptr_t)(input + X_AT + begins * WIDTH * CHANNELS + first);
    smelt_fork(fetch, &now);
    smelt_fork(layer, &now);
    smelt_dma_wait(smelt_dma_out_lines(output + row * Y_WIDTH * CHANNELS + first, y, now.y_rows * Y_WIDTH * now.channels, now.channels,
                                       CHANNELS));
}

static void master(void *argument)
{
    (void)argument;
    clear(), memset(x, 0, sizeof x), memset(weights, 0, sizeof weights);
    memset(&now, 0, sizeof now);
    now.kernel = FILTER, now.stride = STRIDE, now.left = PAD, now.columns = WIDTH;
    const uint32_t start = smelt_cycles();
    for (uint32_t first = 0U; first < CHANNELS; first += PART) {
        now.channels = least(PART, CHANNELS - first);
        smelt_dma_wait(smelt_dma_in(weights, input + first * TAPS, now.channels * TAPS));
        smelt_dma_wait(smelt_dma_in(factors, input + FACTORS_AT + 4U * first, 4U * now.channels));
        smelt_dma_wait(smelt_dma_in(summands, input + FACTORS_AT + 4U * (CHANNELS + first), 4U * now.channels));
        for (uint32_t row = 0U; row < Y_HEIGHT; row += ROWS) {
            tile(row, first);
        }
    }
    cycles = smelt_cycles() - start;
    smelt_dma_wait(smelt_dma_out(output + Y_HEIGHT * Y_WIDTH * CHANNELS, &cycles, 4U));
}
