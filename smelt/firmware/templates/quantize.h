/* A real number as a value of ${field}: the nearest one, halves away from zero; the least or the greatest beyond them. */
static inline ${type} ${function}_quantize(${net}float real)
{
${asked}    const int32_t least = ${low} - ${zero_point};
    const int32_t greatest = ${high} - ${zero_point};
    const float scaled = real / ${scale};
    int32_t value = ${low};
    if (scaled >= (float)greatest) {
        value = ${high};
    } else if (scaled > (float)least) {
        const int32_t whole = (int32_t)scaled;
        const float rest = scaled - (float)whole;
        value = whole + ${zero_point};
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
