/* What main.c needs from the network's side of the firmware, smelt_firmware.c, which is generated. */
#ifndef SMELT_FIRMWARE_H
#define SMELT_FIRMWARE_H

#include <stddef.h>
#include <stdint.h>

/* The bytes of one tensor; no bytes: there is no such tensor. */
typedef struct {
    void *data;
    uint32_t bytes;
} smelt_span;

/* Called once, before anything else. */
void smelt_set_up(void);

/* The inputs and the outputs of the network, numbered from 0. */
smelt_span smelt_input(uint32_t index);
smelt_span smelt_output(uint32_t index);

/* Where the input is fed, smelt_input(0) is one row of it: takes that, and returns how many more are wanted. */
uint32_t smelt_feed(void);

/* The input that the firmware brings along, of tensor `index`, where it does. */
const void *smelt_hello(uint32_t index);

/* One inference. */
void smelt_run(void);

/* Prints what the outputs mean, if anything. */
void smelt_report(void);

#endif
