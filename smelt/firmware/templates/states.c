void ${name}_reset(const ${name}_net *net)
{
${resets}
}

void ${name}_save(const ${name}_net *net, void *to)
{
    uint8_t *bytes = to;
${saves}
    (void)bytes;
}

void ${name}_restore(const ${name}_net *net, const void *from)
{
    const uint8_t *bytes = from;
${restores}
    (void)bytes;
}

