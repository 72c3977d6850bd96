void dense_91332cb4(const int8_t *restrict x, const int8_t *restrict weights, const int32_t *restrict channels, int8_t *restrict y)
{
    const int8_t *const xs = x;
    const int32_t unit = 0;
    int32_t sum = channels[unit * 3];
    int32_t sum_1 = channels[(unit + 1) * 3];
    int32_t sum_2 = channels[(unit + 2) * 3];
    int32_t sum_3 = channels[(unit + 3) * 3];
    const int8_t *const ws = weights + unit * 10;
    for (int32_t i = 0; i < 5; ++i) {
        const int32_t value = xs[i * 2];
        sum += value * ws[i * 8];
        sum_1 += value * ws[i * 8 + 1];
        sum_2 += value * ws[i * 8 + 2];
        sum_3 += value * ws[i * 8 + 3];
        const int32_t value_1 = xs[i * 2 + 1];
        sum += value_1 * ws[i * 8 + 4];
        sum_1 += value_1 * ws[i * 8 + 5];
        sum_2 += value_1 * ws[i * 8 + 6];
        sum_3 += value_1 * ws[i * 8 + 7];
    }
    const int32_t multiplier = channels[unit * 3 + 1];
    const int32_t shift = channels[unit * 3 + 2];
    const int32_t offset = smelt_shift_left(-255, shift - 1);
    const int32_t scaled = smelt_smmlar(sum, multiplier, sum);
    y[unit] = (int8_t)smelt_ssat8((scaled + offset) >> shift);
    const int32_t multiplier_1 = channels[(unit + 1) * 3 + 1];
    const int32_t shift_1 = channels[(unit + 1) * 3 + 2];
    const int32_t offset_1 = smelt_shift_left(-255, shift_1 - 1);
    const int32_t scaled_1 = smelt_smmlar(sum_1, multiplier_1, sum_1);
    y[unit + 1] = (int8_t)smelt_ssat8((scaled_1 + offset_1) >> shift_1);
    const int32_t multiplier_2 = channels[(unit + 2) * 3 + 1];
    const int32_t shift_2 = channels[(unit + 2) * 3 + 2];
    const int32_t offset_2 = smelt_shift_left(-255, shift_2 - 1);
    const int32_t scaled_2 = smelt_smmlar(sum_2, multiplier_2, sum_2);
    y[unit + 2] = (int8_t)smelt_ssat8((scaled_2 + offset_2) >> shift_2);
    const int32_t multiplier_3 = channels[(unit + 3) * 3 + 1];
    const int32_t shift_3 = channels[(unit + 3) * 3 + 2];
    const int32_t offset_3 = smelt_shift_left(-255, shift_3 - 1);
    const int32_t scaled_3 = smelt_smmlar(sum_3, multiplier_3, sum_3);
    y[unit + 3] = (int8_t)smelt_ssat8((scaled_3 + offset_3) >> shift_3);
}
