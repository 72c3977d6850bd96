#include "smelt_registers.h"

#include "smelt_board.h"
#include "smelt_startup.h"

/* Run once: it lies behind everything that is run often, whose place it does not change. */
#define LATE __attribute__((noinline, section(".smelt.late")))

#if defined(SMELT_BOARD_CLOCK) || defined(SMELT_UART)

#define TRIES 0x20000U /* some 30 ms at 64 MHz, more at less: crystals take 2 */

/* Addresses of registers are multiples of four: the deed is in what is left of them. */
typedef struct {
    uint32_t address, mask, value;
} smelt_step;

enum { CHANGE, WAIT, PAUSE, SKIP_UNLESS };

/* Behind SKIP_UNLESS comes the number of steps that only some chips need, then these. */
#define STEP(deed, address, mask, value) {(address) | (deed), mask, value},
#define SKIP(address, mask, value, count) {(address) | SKIP_UNLESS, mask, value}, {count, 0U, 0U},

static volatile uint32_t *place(const smelt_step *step)
{
    return (volatile uint32_t *)(uintptr_t)(step->address & ~3U);
}

static int bits_are(const smelt_step *step)
{
    return (*place(step) & step->mask) == step->value;
}

static void wait_for(const smelt_step *step)
{
    for (uint32_t tries = TRIES; !bits_are(step); tries--) {
        if (tries == 0U) {
            smelt_stuck(step->address & ~3U, step->mask);
        }
    }
}

LATE static void carry_out(const smelt_step *step, const smelt_step *end)
{
    for (; step < end; step++) {
        const uint32_t deed = step->address & 3U;
        if (deed == CHANGE) {
            *place(step) = (*place(step) & ~step->mask) | step->value;
        } else if (deed == WAIT) {
            wait_for(step);
        } else if (deed == PAUSE) {
            for (uint32_t i = 0U; i < step->value; i++) {
                (void)*place(step);
            }
        } else {
            const uint32_t count = step[1].address;
            step += bits_are(step) ? 1U : 1U + count;
        }
    }
#if defined(__arm__)
    __asm__ volatile("dsb\n isb" ::: "memory"); /* the next instruction is fetched with the new wait states */
#endif
}

#endif

LATE void smelt_set_clock(void)
{
#ifdef SMELT_BOARD_CLOCK
    static const smelt_step steps[] = {SMELT_BOARD_CLOCK(STEP, SKIP)};
    carry_out(steps, steps + sizeof steps / sizeof steps[0]);
#endif
}

#ifdef SMELT_UART

LATE void smelt_set_up_uart(void)
{
    static const smelt_step steps[] = {SMELT_BOARD_UART(STEP, SKIP)};
    carry_out(steps, steps + sizeof steps / sizeof steps[0]);
}

/* A port that never has room is none: nobody waits for it for ever. */
static void send_byte(char byte)
{
    static const smelt_step room = {SMELT_UART_STATUS, SMELT_UART_MASK, SMELT_UART_READY};
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

#ifdef SMELT_UART_RECEIVED

int32_t smelt_received(void)
{
    static const smelt_step empty = {SMELT_UART_EMPTY_STATUS, SMELT_UART_EMPTY_MASK, SMELT_UART_EMPTY};
    return bits_are(&empty) ? -1 : (int32_t)(*(volatile uint32_t *)(uintptr_t)SMELT_UART_RECEIVED & 0xFFU);
}

#endif

#ifdef SMELT_BOARD_PIN

LATE void smelt_set_up_pin(void)
{
    static const smelt_step steps[] = {SMELT_BOARD_PIN(STEP, SKIP)};
    carry_out(steps, steps + sizeof steps / sizeof steps[0]);
}

void smelt_set_pin(int high)
{
    *(volatile uint32_t *)(uintptr_t)SMELT_PIN_DATA = high ? SMELT_PIN_HIGH : SMELT_PIN_LOW;
}

#endif

#endif
