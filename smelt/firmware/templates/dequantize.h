/* What a value of ${field} means. */
static inline float ${function}_dequantize(${net}${type} value)
{
${asked}    const int32_t steps = (int32_t)value - ${zero_point};
    return ${scale} * (float)steps;
}
