/* The firmware's main loop: reads inputs from the file "input" of the debugging computer, runs the network on each, prints the
   prediction and appends the outputs to the file "output". Without that file, or without a debugger, it runs once on inputs of
   zeros and ends; with -DSMELT_HELLO for ever on the input that it brings along; with -DSMELT_MLPERF whenever a benchmark's runner
   asks for it through the serial port. */
#include "smelt_cycles.h"
#include "smelt_firmware.h"
#include "smelt_semihosting.h"

#include <string.h>

#ifdef SMELT_MLPERF
#include "smelt_mlperf.h"
#endif

enum { DONE = 0, INCOMPLETE = 2, NOT_WRITTEN = 3 };

static void clear_inputs(void)
{
    for (uint32_t i = 0U; smelt_input(i).bytes != 0U; i++) {
        memset(smelt_input(i).data, 0, smelt_input(i).bytes);
    }
}

/* Returns how many bytes of the inputs could be read. */
static uint32_t read_inputs(int32_t file)
{
    uint32_t count = 0U;
    for (uint32_t i = 0U; smelt_input(i).bytes != 0U; i++) {
        const smelt_span span = smelt_input(i);
        const uint32_t missing = smelt_read(file, span.data, span.bytes);
        count += span.bytes - missing;
        if (missing != 0U) {
            break;
        }
    }
    return count;
}

static uint32_t input_bytes(void)
{
    uint32_t count = 0U;
    for (uint32_t i = 0U; smelt_input(i).bytes != 0U; i++) {
        count += smelt_input(i).bytes;
    }
    return count;
}

static int write_outputs(int32_t file)
{
    for (uint32_t i = 0U; smelt_output(i).bytes != 0U; i++) {
        if (smelt_write(file, smelt_output(i).data, smelt_output(i).bytes) != 0U) {
            return NOT_WRITTEN;
        }
    }
    return DONE;
}

#ifdef SMELT_FED
/* Reads all rows but the first one, which is there, as the network wants them, and runs it: what an inference takes. Returns whether
   there were enough. */
__attribute__((noinline)) int smelt_infer(int32_t input);

__attribute__((noinline)) int smelt_infer(int32_t input)
{
    while (smelt_feed() != 0U) {
        if (read_inputs(input) != input_bytes()) {
            return 0;
        }
    }
    smelt_run();
    return 1;
}
#else
static int smelt_infer(int32_t input)
{
    (void)input;
    smelt_run();
    return 1;
}
#endif

static int run_on_file(int32_t input, int32_t output)
{
    for (;;) {
        const uint32_t count = read_inputs(input);
        if (count == 0U) {
            return DONE;
        }
        if (count != input_bytes() || !smelt_infer(input)) {
            smelt_print("error: the last input is incomplete\n");
            return INCOMPLETE;
        }
        smelt_report();
        if (output >= 0 && write_outputs(output) != DONE) {
            smelt_print("error: the output could not be written\n");
            return NOT_WRITTEN;
        }
    }
}

#ifdef SMELT_HELLO

static void print_number(uint32_t number)
{
    char text[11];
    char *at = text + sizeof text - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + number % 10U);
        number /= 10U;
    } while (number != 0U);
    smelt_print(at);
}

/* What the first bytes of the first output are, for networks that have no classes to tell. */
static void print_outputs(void)
{
    const smelt_span span = smelt_output(0U);
    for (uint32_t i = 0U; i < span.bytes && i < 8U; i++) {
        const uint8_t byte = ((const uint8_t *)span.data)[i];
        const char text[] = {' ', "0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15U], '\0'};
        smelt_print(text);
    }
}

/* Nobody is there to ask: the same input for ever, and what comes of it. */
static void say_hello(void)
{
    smelt_start_counter();
    smelt_print("hello from smelt\n");
    for (uint32_t count = 1U;; count++) {
        for (uint32_t i = 0U; smelt_input(i).bytes != 0U; i++) {
            memcpy(smelt_input(i).data, smelt_hello(i), smelt_input(i).bytes);
        }
        const uint32_t start = smelt_cycles();
        smelt_run();
        const uint32_t took = smelt_cycles() - start;
        smelt_report();
        smelt_print("inference ");
        print_number(count);
        smelt_print(", output");
        print_outputs();
        if (took != 0U) {
            smelt_print(", cycles ");
            print_number(took);
        }
        smelt_print("\n");
    }
}

#endif

int main(void)
{
    smelt_set_up();
    const int32_t input = smelt_open("input", SMELT_READ_BINARY);
    if (input >= 0) {
        return run_on_file(input, smelt_open("output", SMELT_WRITE_BINARY));
    }
#ifdef SMELT_HELLO
    say_hello();
#endif
#ifdef SMELT_MLPERF
    smelt_mlperf();
#endif
    clear_inputs();
#ifdef SMELT_FED
    while (smelt_feed() != 0U) {
    }
#endif
    smelt_run();
    smelt_report();
    return DONE;
}
