/* What the start-up code of every architecture shares. */
#ifndef SMELT_STARTUP_H
#define SMELT_STARTUP_H

#include <stdint.h>

#define SMELT_STACK_PATTERN 0xC0DEC0DEU

/* From the linker script. */
extern uint32_t __smelt_stack_limit[], __smelt_stack_top[];
extern uint32_t __smelt_data_start[], __smelt_data_end[], __smelt_data_load[];
extern uint32_t __smelt_bss_start[], __smelt_bss_end[];

/* Sets up the chip and the data, runs main, reports its result; never returns. */
void smelt_start(void) __attribute__((noreturn));

/* Reports a fault and never returns. */
void smelt_fault(uint32_t number, uint32_t address) __attribute__((noreturn));

/* Reports hardware that is not ready after a long time, and never returns. */
void smelt_stuck(uint32_t address, uint32_t bits) __attribute__((noreturn));

int main(void);

#endif
