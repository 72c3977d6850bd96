/* The firmware's main loop: reads inputs from the file "input" of the debugging computer, runs the network on each, prints the
   prediction and appends the output to the file "output". Without that file, or without a debugger, it runs once on an input of
   zeros and stops in an endless loop. */
#include "smelt_firmware.h"
#include "smelt_semihosting.h"

#include <string.h>

int main(void)
{
    const int32_t input = smelt_open("input", SMELT_READ_BINARY);
    if (input < 0) {
        memset(smelt_input(), 0, SMELT_INPUT_BYTES);
        smelt_run();
        smelt_report();
        return 0;
    }
    const int32_t output = smelt_open("output", SMELT_WRITE_BINARY);
    for (;;) {
        const uint32_t missing = smelt_read(input, smelt_input(), SMELT_INPUT_BYTES);
        if (missing == SMELT_INPUT_BYTES) {
            return 0;
        }
        if (missing != 0U) {
            smelt_print("error: the last input is incomplete\n");
            return 2;
        }
        smelt_run();
        smelt_report();
        if (output >= 0 && smelt_write(output, smelt_output(), SMELT_OUTPUT_BYTES) != 0U) {
            smelt_print("error: the output could not be written\n");
            return 3;
        }
    }
}
