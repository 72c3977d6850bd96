/* A channel column by column: what the windows of a column read becomes a strip, along which they step; any size and stride. */
static SMELT_L1 uint8_t strips[SMELT_WORKERS * (FILTER * (X_ROWS + 2 * PAD) + FILTER) + MARGIN] __attribute__((aligned(4)));

static uint8_t *zeros(uint8_t *to, uint32_t rows, uint32_t kernel)
{
    const uint32_t words = (kernel + 3U) >> 2, back = 4U * words - kernel;
    for (; rows; rows--) {
        for (uint32_t i = 0U; i < words; i++) {
            *(uint32_t *)to = 0U;
            to += 4;
        }
        to -= back;
    }
    return to;
}

/* A strip of `kernel` bytes of each row, of which `before` or `behind` are padding. */
static uint8_t *edge(uint8_t *to, const uint8_t *from, tile_shape s, uint32_t before, uint32_t behind)
{
    const uint32_t words = (s.kernel + 3U) >> 2;
    for (uint32_t row = 0U; row < s.rows; row++) {
        uint8_t *const begins = to;
        for (uint32_t i = 0U; i < before; i++) {
            *to++ = 0U;
        }
        for (uint32_t i = 0U; i < words; i++) {
            *(uint32_t *)to = word_at(from + 4U * i);
            to += 4;
        }
        for (uint32_t i = 0U; i < behind; i++) {
            begins[s.kernel - 1U - i] = 0U;
        }
        to = begins + s.kernel;
        from += s.columns;
    }
    return to;
}

static void column(tile_shape s, uint32_t channel, uint32_t at, uint8_t *strip)
{
    const uint32_t kernel = s.kernel, words = (kernel + 3U) >> 2, taps = kernel * kernel;
    const int32_t from = (int32_t)(at * s.stride) - (int32_t)s.left, over = from + (int32_t)kernel - (int32_t)s.columns;
    const uint8_t *const plane = x + channel * s.rows * s.columns;
    uint8_t *out = y + at * s.channels + channel, *to = zeros(strip, s.top, kernel);
    if (from >= 0 && over <= 0) {
        to = copy_rows(to, plane + from, s.rows, words, s.columns, 4U * words - kernel);
    } else {
        to = edge(to, plane + (from < 0 ? 0 : from), s, from < 0 ? (uint32_t)-from : 0U, over > 0 ? (uint32_t)over : 0U);
    }
    (void)zeros(to, s.bottom, kernel);
    for (uint32_t row = 0U; row < s.y_rows; row++) {
        const uint8_t *in = strip + row * s.stride * kernel;
        const int8_t *w = weights + channel * taps;
        int32_t sum = dot_bytes(&in, &w, taps & 3U, 0);
        sum = dot_words(&in, &w, taps >> 2, sum);
        *out = rescaled(sum, factors[channel], summands[channel]);
        out += s.y_columns * s.channels;
    }
}


static inline void channel_of_y(tile_shape s, uint32_t channel)
{
    uint8_t *const strip = strips + smelt_worker_number() * (s.kernel * (s.top + s.rows + s.bottom) + s.kernel);
    for (uint32_t at = 0U; at < s.y_columns; at++) {
        column(s, channel, at, strip);
    }
}

static void clear(void) {}
