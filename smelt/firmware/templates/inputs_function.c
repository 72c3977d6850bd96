${name}_in ${name}_get_inputs(const ${name}_net *net)
{
    ${name}_in inputs;
${input_assignments}
    return inputs;
}
