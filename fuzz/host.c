/* Reads inputs from stdin until there are no more, writes the outputs of each to stdout. The including file defines the macros. */
#include <stdio.h>

NET_MEMORY(memory);

int main(void)
{
    net_net net;
    if (net_init(&net, &memory) != 0) {
        return 1;
    }
    const net_in in = net_get_inputs(&net);
    const net_out out = net_get_outputs(&net);
    for (;;) {
        size_t missing = 0;
#define READ(field, bytes) missing += (bytes) - fread(in.field, 1, (bytes), stdin);
        INPUTS(READ)
        if (missing != 0) {
            return 0;
        }
        net_run(&net);
#define WRITE(field, bytes) fwrite(out.field, 1, (bytes), stdout);
        OUTPUTS(WRITE)
    }
}
