/* What is done with registers before the chip is as the firmware wants it: the clock, a serial port. */
#ifndef SMELT_REGISTERS_H
#define SMELT_REGISTERS_H

#include <stdint.h>

/* Brings the chip to its full clock. Uses neither .data nor .bss. */
void smelt_set_clock(void);

#endif
