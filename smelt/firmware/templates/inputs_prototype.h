/* Where to write the inputs of an instance, and where its outputs will be. */
${name}_in ${name}_get_inputs(const ${name}_net *net);
