/* A real number as a value of ${field}: the nearest one, halves away from zero; the least or the greatest beyond them. */
static inline ${type} ${function}_quantize(float real)
{
    const int32_t least = ${low} - ${PREFIX}_ZERO_POINT;
    const int32_t greatest = ${high} - ${PREFIX}_ZERO_POINT;
    const float scaled = real / ${PREFIX}_SCALE;
    int32_t value = ${low};
    if (scaled >= (float)greatest) {
        value = ${high};
    } else if (scaled > (float)least) {
        const int32_t whole = (int32_t)scaled;
        const float rest = scaled - (float)whole;
        value = whole + ${PREFIX}_ZERO_POINT;
        if (rest >= 0.5f) {
            value += 1;
        } else if (rest <= -0.5f) {
            value -= 1;
        } else {
            /* nearer to zero */
        }
    } else {
        /* the least one, also for what is no number */
    }
    return (${type})value;
}
