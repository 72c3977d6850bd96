void depthwise_dsp_28bde5ec(const int8_t *restrict x, const int8_t *restrict weights, const int32_t *restrict channels, int16_t *restrict plane, int8_t *restrict y)
{
    for (int32_t plane_row = 0; plane_row < 7; ++plane_row) {
        int16_t *const to = plane + plane_row * 8;
        to[0] = 63;
        int16_t *const to_1 = plane + plane_row * 8 + 7;
        to_1[0] = 63;
    }
    const int32_t first_row = 0;
    for (int32_t x_channel = 0; x_channel < 2; ++x_channel) {
        for (int32_t plane_row_1 = 0; plane_row_1 < 7; ++plane_row_1) {
            const int32_t x_row = first_row + plane_row_1 - 1;
            const int32_t start = plane_row_1 * 8 + 1;
            if (x_row >= 0 && x_row < 5) {
                const int8_t *const from = x + x_row * 12 + x_channel;
                int16_t *const to_2 = plane + start;
                to_2[0] = from[0];
                to_2[1] = from[2];
                to_2[2] = from[4];
                to_2[3] = from[6];
                to_2[4] = from[8];
                to_2[5] = from[10];
            } else {
                int16_t *const to_3 = plane + start;
                for (int32_t i = 0; i < 6; ++i) {
                    to_3[i] = 63;
                }
            }
        }
        const int32_t channel = x_channel;
        const int8_t *const ws = weights + channel * 9;
        const int32_t taps = smelt_pkhbt(ws[0], ws[1]);
        const int32_t taps_1 = smelt_pkhbt(ws[1], ws[2]);
        const int32_t taps_2 = smelt_pkhbt(ws[3], ws[4]);
        const int32_t taps_3 = smelt_pkhbt(ws[4], ws[5]);
        const int32_t taps_4 = smelt_pkhbt(ws[6], ws[7]);
        const int32_t taps_5 = smelt_pkhbt(ws[7], ws[8]);
        const int32_t bias = channels[channel * 2];
        const int32_t multiplier = channels[channel * 2 + 1];
        for (int32_t row = 0; row < 5; ++row) {
            int8_t *const to_y = y + (first_row + row) * 12 + channel;
            int16_t *const line = plane + row * 8;
            for (int32_t column = 0; column < 3; ++column) {
                int16_t *const xs = line + column * 2;
                int32_t sum = bias;
                int32_t sum_1 = bias;
                const int32_t word = smelt_load_i32(xs);
                sum = smelt_smlad(taps, word, sum);
                sum_1 = smelt_smlabt(taps, word, sum_1);
                const int32_t word_1 = smelt_load_i32(xs + 2);
                sum = smelt_smlatb(taps_1, word_1, sum);
                sum_1 = smelt_smlad(taps_1, word_1, sum_1);
                const int32_t word_2 = smelt_load_i32(xs + 8);
                sum = smelt_smlad(taps_2, word_2, sum);
                sum_1 = smelt_smlabt(taps_2, word_2, sum_1);
                const int32_t word_3 = smelt_load_i32(xs + 10);
                sum = smelt_smlatb(taps_3, word_3, sum);
                sum_1 = smelt_smlad(taps_3, word_3, sum_1);
                const int32_t word_4 = smelt_load_i32(xs + 16);
                sum = smelt_smlad(taps_4, word_4, sum);
                sum_1 = smelt_smlabt(taps_4, word_4, sum_1);
                const int32_t word_5 = smelt_load_i32(xs + 18);
                sum = smelt_smlatb(taps_5, word_5, sum);
                sum_1 = smelt_smlad(taps_5, word_5, sum_1);
                const int32_t scaled = smelt_smmlar(sum, multiplier, sum);
                to_y[column * 4] = (int8_t)smelt_ssat8((scaled - 16320) >> 7);
                const int32_t scaled_1 = smelt_smmlar(sum_1, multiplier, sum_1);
                to_y[(column * 2 + 1) * 2] = (int8_t)smelt_ssat8((scaled_1 - 16320) >> 7);
            }
        }
    }
}
