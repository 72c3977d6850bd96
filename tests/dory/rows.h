/* A channel row by row, 3x3 with stride 1: a word of each of three rows has what two outputs read, whose weights are words as well,
   those of the second one lane further on. Rows that are padding are zeros. */
static SMELT_L1 uint8_t nothing[WIDTH + MARGIN] __attribute__((aligned(4)));

static inline int32_t of_three(const uint32_t *x, const uint32_t *w)
{
    return product(x[2], w[2], product(x[1], w[1], product(x[0], w[0], 0)));
}

static const uint8_t *row_of(tile_shape s, const uint8_t *plane, uint32_t row)
{
    return row < s.top || row >= s.top + s.rows ? nothing : plane + (row - s.top) * s.columns;
}

static inline void channel_of_y(tile_shape s, uint32_t channel)
{
    const uint8_t *const plane = x + channel * s.rows * s.columns;
    const int32_t *const factor = factors + channel, *const summand = summands + channel;
    uint32_t both[2][3], left[3], right[3];
    for (uint32_t i = 0U; i < 3U; i++) {
        both[0][i] = word_at(weights + channel * TAPS + 3U * i) & 0xFFFFFFU;
        both[1][i] = both[0][i] << 8, left[i] = both[0][i] >> 8, right[i] = both[0][i] & 0xFFFFU;
    }
    for (uint32_t row = 0U; row < s.y_rows; row++) {
        const uint8_t *p[3] = {row_of(s, plane, row), row_of(s, plane, row + 1U), row_of(s, plane, row + 2U)};
        uint8_t *out = y + row * s.y_columns * s.channels + channel;
        const uint32_t first[3] = {word_at(p[0]), word_at(p[1]), word_at(p[2])};
        *out = rescaled(of_three(first, left), *factor, *summand);
        for (uint32_t column = 1U; column < s.y_columns - 1U; column += 2U) {
            const uint32_t seen[3] = {word_at(p[0]), word_at(p[1]), word_at(p[2])};
            const int32_t sum = of_three(seen, both[0]), other = of_three(seen, both[1]);
            y[(row * s.y_columns + column) * s.channels + channel] = rescaled(sum, *factor, *summand);
            y[(row * s.y_columns + column + 1U) * s.channels + channel] = rescaled(other, *factor, *summand);
            p[0] += 2, p[1] += 2, p[2] += 2;
        }
        const uint32_t last[3] = {word_at(p[0]), word_at(p[1]), word_at(p[2])};
        out[(s.y_columns - 1U) * s.channels] = rescaled(of_three(last, right), *factor, *summand);
    }
}

static void clear(void) { memset(nothing, 0, sizeof nothing); }
