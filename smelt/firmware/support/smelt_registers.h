/* What is done with registers before the chip is as the firmware wants it: the clock, a serial port. */
#ifndef SMELT_REGISTERS_H
#define SMELT_REGISTERS_H

#include <stdint.h>

/* Brings the chip to its full clock. Uses neither .data nor .bss. */
void smelt_set_clock(void);

/* With -DSMELT_UART: sets up the board's serial port, for 115200 baud at the full clock; sends text through it, lines as terminals
   want them. */
void smelt_set_up_uart(void);
void smelt_send(const char *text);

#endif
