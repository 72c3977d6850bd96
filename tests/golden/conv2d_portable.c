void conv2d_68e40985(const int8_t *restrict x, const int8_t *restrict weights, const int32_t *restrict channels, int8_t *restrict y)
{
    for (int32_t row = 0; row < 6; ++row) {
        for (int32_t column = 0; column < 6; ++column) {
            const int32_t place = (row * 6 + column) * 4;
            const int32_t channel = 0;
            int32_t sum = channels[channel * 3];
            int32_t sum_1 = channels[(channel + 1) * 3];
            int32_t sum_2 = channels[(channel + 2) * 3];
            int32_t sum_3 = channels[(channel + 3) * 3];
            const int32_t first = smelt_max_i32(1 - row, 0);
            const int32_t stop = smelt_min_i32(7 - row, 3);
            for (int32_t kernel_row = first; kernel_row < stop; ++kernel_row) {
                const int32_t first_1 = smelt_max_i32(1 - column, 0);
                const int32_t stop_1 = smelt_min_i32(7 - column, 3);
                const int8_t *const xs = x + ((row + kernel_row - 1) * 6 + column - 1 + first_1) * 4;
                const int8_t *const ws = weights + channel * 36 + (kernel_row * 3 + first_1) * 16;
                for (int32_t i = 0; i < stop_1 - first_1; ++i) {
                    const int32_t value = xs[i * 4] - 124;
                    sum += value * ws[i * 16];
                    sum_1 += value * ws[i * 16 + 1];
                    sum_2 += value * ws[i * 16 + 2];
                    sum_3 += value * ws[i * 16 + 3];
                    const int32_t value_1 = xs[i * 4 + 1] - 124;
                    sum += value_1 * ws[i * 16 + 4];
                    sum_1 += value_1 * ws[i * 16 + 5];
                    sum_2 += value_1 * ws[i * 16 + 6];
                    sum_3 += value_1 * ws[i * 16 + 7];
                    const int32_t value_2 = xs[i * 4 + 2] - 124;
                    sum += value_2 * ws[i * 16 + 8];
                    sum_1 += value_2 * ws[i * 16 + 9];
                    sum_2 += value_2 * ws[i * 16 + 10];
                    sum_3 += value_2 * ws[i * 16 + 11];
                    const int32_t value_3 = xs[i * 4 + 3] - 124;
                    sum += value_3 * ws[i * 16 + 12];
                    sum_1 += value_3 * ws[i * 16 + 13];
                    sum_2 += value_3 * ws[i * 16 + 14];
                    sum_3 += value_3 * ws[i * 16 + 15];
                }
            }
            const int32_t multiplier = channels[channel * 3 + 1];
            const int32_t shift = channels[channel * 3 + 2];
            const int32_t offset = smelt_shift_left(-255, shift - 1);
            const int32_t scaled = smelt_smmlar(sum, multiplier, sum);
            y[place + channel] = (int8_t)smelt_ssat8((scaled + offset) >> shift);
            const int32_t multiplier_1 = channels[(channel + 1) * 3 + 1];
            const int32_t shift_1 = channels[(channel + 1) * 3 + 2];
            const int32_t offset_1 = smelt_shift_left(-255, shift_1 - 1);
            const int32_t scaled_1 = smelt_smmlar(sum_1, multiplier_1, sum_1);
            y[place + channel + 1] = (int8_t)smelt_ssat8((scaled_1 + offset_1) >> shift_1);
            const int32_t multiplier_2 = channels[(channel + 2) * 3 + 1];
            const int32_t shift_2 = channels[(channel + 2) * 3 + 2];
            const int32_t offset_2 = smelt_shift_left(-255, shift_2 - 1);
            const int32_t scaled_2 = smelt_smmlar(sum_2, multiplier_2, sum_2);
            y[place + channel + 2] = (int8_t)smelt_ssat8((scaled_2 + offset_2) >> shift_2);
            const int32_t multiplier_3 = channels[(channel + 3) * 3 + 1];
            const int32_t shift_3 = channels[(channel + 3) * 3 + 2];
            const int32_t offset_3 = smelt_shift_left(-255, shift_3 - 1);
            const int32_t scaled_3 = smelt_smmlar(sum_3, multiplier_3, sum_3);
            y[place + channel + 3] = (int8_t)smelt_ssat8((scaled_3 + offset_3) >> shift_3);
        }
    }
}
