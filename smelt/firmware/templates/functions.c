${steps}${state_functions}int ${name}_init(${name}_net *net, const ${name}_memory *memory)
{
    if (net == NULL || memory == NULL) {
        return -1;
    }
${init_checks}
${begin}    return 0;
}

${input_function}

${name}_out ${name}_get_outputs(const ${name}_net *net)
{
    ${name}_out outputs;
${output_assignments}
    return outputs;
}

void ${name}_run(const ${name}_net *net)
{
${calls}
}
