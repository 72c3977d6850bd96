 * No heap, no globals: an instance is a `${name}_net` and the memory it is bound to. Two instances may run side by side, in two
 * threads if they have two memories. Rows of the input and the outputs lie in that memory together with everything between: feed
 * all rows, run, read the outputs. The first rows of the next input overwrite them.
