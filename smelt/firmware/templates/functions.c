${offsets}${step_functions}${state_functions}${image_functions}${name}_status_code ${name}_init${image_parameter}
{
    ${name}_status_code status = ${NAME}_STATUS_OK;
    if ((net == NULL) || (memory == NULL)) {
        status = ${NAME}_STATUS_NULL_POINTER;
${init_checks}
    } else {
${begin}
    }
    return status;
}

${input_function}

${name}_out ${name}_get_outputs(const ${name}_net *net)
{
    ${name}_out outputs;
${output_assignments}
    return outputs;
}

${step_table}${run_function}
