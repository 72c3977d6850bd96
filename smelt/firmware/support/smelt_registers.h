/* What is done with registers before the chip is as the firmware wants it: the clock, a serial port. */
#ifndef SMELT_REGISTERS_H
#define SMELT_REGISTERS_H

#include <stdint.h>

/* Brings the chip to its full clock. Uses neither .data nor .bss. */
void smelt_set_clock(void);

/* With -DSMELT_UART: sets up the board's serial port at the full clock; sends text through it, lines as terminals want them. */
void smelt_set_up_uart(void);
void smelt_send(const char *text);

/* The byte that came through it; less than 0: none has. Where it is known how the port receives. */
int32_t smelt_received(void);

/* Makes an output, which is high, of the pin that instruments watch; pulls it down or up. */
void smelt_set_up_pin(void);
void smelt_set_pin(int high);

#endif
