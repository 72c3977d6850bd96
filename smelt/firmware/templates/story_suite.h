 * No heap, no globals: an instance is a `${name}_net` and the memory it is bound to, a `${suite}_memory`, which ${networks} take in
 * turn: one of them at a time. Inputs and outputs lie in that memory together with everything between: write the inputs, run, read
 * the outputs, and only then turn to another network. Its inputs and its run overwrite them. Running overwrites the inputs, too.
