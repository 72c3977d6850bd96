float ${name}_${field}_scale(const ${name}_net *net)
{
    return ((const float *)(const void *)&net->weights[${TABLE}_SCALES_0])[${number}];
}

int32_t ${name}_${field}_zero_point(const ${name}_net *net)
{
    return ((const int32_t *)(const void *)&net->weights[${TABLE}_ZERO_POINTS_0])[${number}];
}

