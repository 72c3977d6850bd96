 * No heap, no globals: an instance is a `${name}_net` and the memory it is bound to. Two instances may run side by side, in two
 * threads if they have two memories. Inputs and outputs lie in that memory together with everything between: write the
 * inputs, run, read the outputs. Running overwrites the inputs.
