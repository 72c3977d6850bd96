/* What is computed once the rows of a band have come. */
static void ${name}_band(const ${name}_net *net, uint32_t number)
{
${bands}
}

uint32_t ${name}_feed(${name}_net *net, const ${type} *rows, uint32_t n)
{
    static const uint32_t until[] = {${until}}; /* how many rows each band waits for */
    static const uint32_t places[] = {${places}}; /* where the first of them that are new go */
    const uint8_t *from = (const uint8_t *)rows;
    if (net->fed == ${rows}u) {
        net->fed = 0u;
        net->band = 0u;
    }
    for (uint32_t left = n < ${rows}u - net->fed ? n : ${rows}u - net->fed, some; left != 0u; left -= some) {
        some = left;
        if (net->band < ${count}u) {
            const uint32_t before = net->band == 0u ? 0u : until[net->band - 1u];
            const uint32_t wanted = until[net->band] - net->fed;
            some = left < wanted ? left : wanted;
            memcpy(net->${role} + places[net->band] + (net->fed - before) * ${row_bytes}u, from, some * ${row_bytes}u);
            if (some == wanted) {
                ${name}_band(net, net->band);
                net->band++;
            }
        }
        net->fed += some;
        from += some * ${row_bytes}u;
    }
    return ${rows}u - net->fed;
}
