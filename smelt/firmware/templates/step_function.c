${name}_status_code ${name}_step(const ${name}_net *net, uint32_t step)
{
    ${name}_status_code status = ${NAME}_STATUS_OK;
${unused}#ifdef ${NAME}_PROFILE
    const uint32_t begin = ${name}_cycles();
#endif
    switch (step) {
${cases}
    default:
        status = ${NAME}_STATUS_UNKNOWN_STEP;
        break;
    }
#ifdef ${NAME}_PROFILE
    if (status == ${NAME}_STATUS_OK) {
        ${name}_profile(step, ${name}_cycles() - begin);
    }
#endif
    return status;
}

void ${name}_run(const ${name}_net *net)
{
#if defined(${NAME}_PROFILE) || defined(${NAME}_YIELD)
    for (uint32_t step = ${first}u; step < ${NAME}_STEPS; step++) {
#ifdef ${NAME}_YIELD
        if (step != ${first}u) {
            ${NAME}_YIELD();
        }
#endif
        (void)${name}_step(net, step);
    }
#else
${calls}
#endif
}
