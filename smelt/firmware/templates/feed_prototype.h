/* Take the next `n` rows of ${field}, and compute what can be computed of them. Returns how many rows are wanted still: with the
 * last one the input is whole, and ${name}_run computes the outputs. The next row after that begins another input. What is more
 * than wanted is not taken. ${name}_init begins anew in any case. */
uint32_t ${name}_feed(${name}_net *net, const ${type} *rows, uint32_t n);

/* Where the outputs of an instance will be. */
