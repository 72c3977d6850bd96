/* Prints what the network computes for each of its 256 inputs. Nothing here depends on the board that sine was compiled for. */
#include "sine_net.h"

#include <stdio.h>

/* The application owns the memory: a buffer for each region that the plan uses, and `memory` to name them. */
SINE_MEMORY(memory);

int main(void)
{
    sine_net net;
    if (sine_init(&net, &memory) != 0) {
        return 1;
    }
    const sine_in in = sine_get_inputs(&net);
    const sine_out out = sine_get_outputs(&net);
    for (int x = -128; x < 128; ++x) {
        in.in_serving_default_dense_input_0[0] = (int8_t)x;
        sine_run(&net);
        printf("%d %d\n", x, out.out_statefulpartitionedcall_0[0]);
    }
    return 0;
}
