
/* What a run remembers for the next one, in the memory of the instance:
${cells}
 * ${name}_init sets it to its initial values. */
#define ${NAME}_STATE_BYTES ${bytes}u

/* Set the states to their initial values: what follows is a new sequence of inputs. */
void ${name}_reset(const ${name}_net *net);

/* Copy the states of an instance to and from ${NAME}_STATE_BYTES bytes: to go on later, or in another instance. */
void ${name}_save(const ${name}_net *net, void *to);
void ${name}_restore(const ${name}_net *net, const void *from);
