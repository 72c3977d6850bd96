/* Prints what the network computes for each of its 256 inputs. */
#include "sine.h"

#include <stdio.h>

/* The application owns the memory: one buffer for each region that sine.h names. */
static uint32_t memory[(SINE_DTCM_BYTES + 3) / 4];

int main(void)
{
    sine network;
    if (sine_init(&network, memory) != 0) {
        return 1;
    }
    const sine_inputs inputs = sine_get_inputs(&network);
    const sine_outputs outputs = sine_get_outputs(&network);
    for (int x = -128; x < 128; ++x) {
        inputs.serving_default_dense_input_0[0] = (int8_t)x;
        sine_run(&network);
        printf("%d %d\n", x, outputs.statefulpartitionedcall_0[0]);
    }
    return 0;
}
