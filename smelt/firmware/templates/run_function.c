void ${name}_run(const ${name}_net *net)
{
${calls}
}
