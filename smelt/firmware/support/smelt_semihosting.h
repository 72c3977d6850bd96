/* Semihosting: files and a console on the computer at the other end of the debug link (a probe, QEMU or a simulator). */
#ifndef SMELT_SEMIHOSTING_H
#define SMELT_SEMIHOSTING_H

#include <stddef.h>
#include <stdint.h>

/* Modes of smelt_open, numbered as fopen's "rb" and "wb" are in the semihosting standard. */
#define SMELT_READ_BINARY 1U
#define SMELT_WRITE_BINARY 5U

/* One raw request. Without a debugger it returns -1 and changes nothing. */
int32_t smelt_semihost(uint32_t operation, const void *argument);

/* Prints a text that ends in a zero byte. */
void smelt_print(const char *text);

/* Returns a handle, or -1 when there is no such file or no debugger. */
int32_t smelt_open(const char *name, uint32_t mode);

/* Returns the number of bytes that could NOT be read: 0 is success, `size` the end of the file. */
uint32_t smelt_read(int32_t handle, void *to, uint32_t size);

/* Returns the number of bytes that could NOT be written. */
uint32_t smelt_write(int32_t handle, const void *from, uint32_t size);

/* Ends the run: 0 is success. Returns only when nobody is listening. */
void smelt_exit(uint32_t code);

#endif
