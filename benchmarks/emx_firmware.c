/* What stands between the C of emx-onnx-cgen and smelt's main: one input, one output, and a heap that counts. `emx_sizes.h` says
   how large they are, and of which RAMs the heap consists, nearest first. */
#include "emx_sizes.h"
#include "smelt_firmware.h"
#include "smelt_semihosting.h"

#include <stdlib.h>

enum { GRAIN = 8 };

static uint8_t input[EMX_INPUT_BYTES] __attribute__((aligned(GRAIN)));
static uint8_t output[EMX_OUTPUT_BYTES] __attribute__((aligned(GRAIN)));

#define HEAP(memory, bytes)                                                                                            \
    static uint8_t heap_##memory[bytes] __attribute__((aligned(GRAIN), section(".smelt.ram." #memory)));
EMX_HEAPS(HEAP)

static struct {
    uint8_t *start;
    size_t bytes, used;
} heaps[] = {
#define ENTRY(memory, bytes) {heap_##memory, bytes, 0U},
    EMX_HEAPS(ENTRY)};

enum { HEAPS = sizeof heaps / sizeof heaps[0] };

static size_t most;
static unsigned live;
static int refused;

static size_t taken(void)
{
    size_t sum = 0U;
    for (unsigned i = 0U; i < HEAPS; i++) {
        sum += heaps[i].used;
    }
    return sum;
}

/* Blocks are given one after the other, in the first RAM with room: the network asks for all of them when it starts. */
void *malloc(size_t size)
{
    const size_t bytes = (size + GRAIN - 1U) / GRAIN * GRAIN;
    for (unsigned i = 0U; i < HEAPS; i++) {
        if (heaps[i].bytes - heaps[i].used >= bytes) {
            uint8_t *const block = heaps[i].start + heaps[i].used;
            heaps[i].used += bytes;
            live++;
            most = taken() > most ? taken() : most;
            return block;
        }
    }
    refused = 1;
    return NULL;
}

/* Nothing is left once all blocks are given back. */
void free(void *block)
{
    if (block == NULL || --live != 0U) {
        return;
    }
    for (unsigned i = 0U; i < HEAPS; i++) {
        heaps[i].used = 0U;
    }
}

void model(const void *x, void *y);

void smelt_set_up(void)
{
}

smelt_span smelt_input(uint32_t index)
{
    return index == 0U ? (smelt_span){input, sizeof input} : (smelt_span){NULL, 0U};
}

smelt_span smelt_output(uint32_t index)
{
    return index == 0U ? (smelt_span){output, sizeof output} : (smelt_span){NULL, 0U};
}

void smelt_run(void)
{
    model(input, output);
}

/* The largest heap so far, in decimal. */
void smelt_report(void)
{
    char text[12] = {0};
    unsigned at = sizeof text - 2U;
    text[at] = '\n';
    for (size_t rest = most; at > 0U; rest /= 10U) {
        text[--at] = (char)('0' + rest % 10U);
        if (rest < 10U) {
            break;
        }
    }
    smelt_print(refused ? "heap exhausted\n" : text + at);
}
