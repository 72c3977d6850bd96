static int @{name}_apart(float found, float expected)
{
    const float difference = found > expected ? found - expected : expected - found;
    const float size = expected > 0.0f ? expected : -expected;
    return difference <= 1e-4f * (1.0f + size) ? 0 : 1;
}

