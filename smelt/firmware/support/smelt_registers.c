#include "smelt_registers.h"

#include "smelt_board.h"
#include "smelt_startup.h"

#if defined(SMELT_BOARD_CLOCK) || defined(SMELT_UART)

#define TRIES 0x20000U /* some 30 ms at 64 MHz, more at less: crystals take 2 */

typedef struct {
    uint32_t address, mask, value, deed;
} smelt_step;

enum { CHANGE, WAIT, PAUSE, SKIP_UNLESS };

/* SKIP_UNLESS has the number of steps behind it that only some chips need. */
#define STEP(deed, address, mask, value) {address, mask, value, deed},
#define SKIP(address, mask, value, count) {address, mask, value, SKIP_UNLESS | (count) << 8},

static int bits_are(const smelt_step *step)
{
    return (*(volatile const uint32_t *)(uintptr_t)step->address & step->mask) == step->value;
}

static void change(const smelt_step *step)
{
    volatile uint32_t *const at = (volatile uint32_t *)(uintptr_t)step->address;
    *at = (*at & ~step->mask) | step->value;
}

static void wait_for(const smelt_step *step)
{
    for (uint32_t tries = TRIES; !bits_are(step); tries--) {
        if (tries == 0U) {
            smelt_stuck(step->address, step->mask);
        }
    }
}

static void read_often(const smelt_step *step)
{
    for (uint32_t i = 0U; i < step->value; i++) {
        (void)*(volatile const uint32_t *)(uintptr_t)step->address;
    }
}

static void carry_out(const smelt_step *step, const smelt_step *end)
{
    for (; step < end; step++) {
        const uint32_t deed = step->deed & 0xFFU;
        if (deed == CHANGE) {
            change(step);
        } else if (deed == WAIT) {
            wait_for(step);
        } else if (deed == PAUSE) {
            read_often(step);
        } else if (!bits_are(step)) {
            step += step->deed >> 8;
        }
    }
#if defined(__arm__)
    __asm__ volatile("dsb\n isb" ::: "memory"); /* the next instruction is fetched with the new wait states */
#endif
}

#endif

void smelt_set_clock(void)
{
#ifdef SMELT_BOARD_CLOCK
    static const smelt_step steps[] = {SMELT_BOARD_CLOCK(STEP, SKIP)};
    carry_out(steps, steps + sizeof steps / sizeof steps[0]);
#endif
}

#ifdef SMELT_UART

void smelt_set_up_uart(void)
{
    static const smelt_step steps[] = {SMELT_BOARD_UART(STEP, SKIP)};
    carry_out(steps, steps + sizeof steps / sizeof steps[0]);
}

/* A port that never has room is none: nobody waits for it for ever. */
static void send_byte(char byte)
{
    static const smelt_step room = {SMELT_UART_STATUS, SMELT_UART_MASK, SMELT_UART_READY, WAIT};
    for (uint32_t tries = TRIES; tries != 0U && !bits_are(&room); tries--) {
    }
    *(volatile uint32_t *)(uintptr_t)SMELT_UART_DATA = (unsigned char)byte;
}

void smelt_send(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            send_byte('\r');
        }
        send_byte(*text);
    }
}

#endif
