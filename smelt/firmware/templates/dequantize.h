/* What a value of ${field} means. */
static inline float ${function}_dequantize(${type} value)
{
    const int32_t steps = (int32_t)value - ${PREFIX}_ZERO_POINT;
    return ${PREFIX}_SCALE * (float)steps;
}
