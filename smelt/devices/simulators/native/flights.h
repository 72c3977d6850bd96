/* Bytes that a DMA moves: until the program has seen that a transfer is over, it must neither write what is read nor touch what is
   written. Called by the emulator at every access to data once a program uses a DMA. The layout is repeated in ../flights.py. */
#ifndef FLIGHTS_H
#define FLIGHTS_H

#include <stdint.h>

enum { SPANS = 32 };

/* Rows of `row` bytes, `pitch` bytes from start to start; `extent` from the first byte to behind the last. */
typedef struct {
    uint64_t first, extent;
    uint32_t pitch, row;
    uint32_t readable;            /* the program may read it: it is what a DMA reads */
    uint32_t reserved;
} span_t;

typedef struct {
    uint64_t count;
    uint64_t touched;             /* 1 + the index of the span that was touched first; 0: none */
    uint64_t address;             /* there */
    uint64_t at;                  /* the instruction */
    uint64_t wrote;
    uint64_t port_start[2], port_end[2]; /* memories at which the core and a DMA meet */
    uint64_t accesses;            /* of the core, to these */
    stop_t stop;
    read_register_t read_register;
    int32_t program_counter;
    span_t spans[SPANS];
} flights_t;

/* Whether an access has bytes in a row: it begins in one, or reaches into the next. */
static int touches(const span_t *s, uint64_t address, uint64_t size)
{
    if (address + size <= s->first || address >= s->first + s->extent) {
        return 0;
    }
    if (address < s->first) {
        return 1;
    }
    const uint64_t offset = (address - s->first) % s->pitch;
    return offset < s->row || offset + size > s->pitch; /* behind the last row nothing is left of `extent` */
}

EXPORT void smelt_flight(void *engine, int kind, uint64_t address, int size, int64_t value, flights_t *f)
{
    (void)value;
    const int write = kind == 17; /* UC_MEM_WRITE */
    for (int i = 0; i < 2; i++) {
        f->accesses += address >= f->port_start[i] && address < f->port_end[i];
    }
    for (uint64_t i = 0; i < f->count; i++) {
        const span_t *const s = &f->spans[i];
        if ((write || !s->readable) && touches(s, address, (uint64_t)size)) {
            if (!f->touched) {
                uint32_t pc = 0;
                f->read_register(engine, f->program_counter, &pc);
                f->touched = i + 1U;
                f->address = address;
                f->at = pc & ~1U;
                f->wrote = (uint64_t)write;
            }
            f->stop(engine);
            return;
        }
    }
}

#endif
