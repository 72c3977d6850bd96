${offsets}${step_functions}${state_functions}${name}_status_code ${name}_init(${name}_net *net, const ${name}_memory *memory)
{
    if (net == NULL || memory == NULL) {
        return ${NAME}_STATUS_NULL_POINTER;
    }
${init_checks}
${begin}    return ${NAME}_STATUS_OK;
}

${input_function}

${name}_out ${name}_get_outputs(const ${name}_net *net)
{
    ${name}_out outputs;
${output_assignments}
    return outputs;
}

${step_table}${run_function}
