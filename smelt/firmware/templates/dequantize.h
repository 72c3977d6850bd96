/* What a value of ${field} means. */
static inline float ${function}_dequantize(${type} value)
{
    return ${PREFIX}_SCALE * (float)((int32_t)value - ${PREFIX}_ZERO_POINT);
}
