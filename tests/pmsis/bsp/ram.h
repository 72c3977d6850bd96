#ifndef BSP_RAM_H
#define BSP_RAM_H

#include "pmsis.h"

typedef struct {
    int is_under_way;
    uint8_t *to;
    const uint8_t *from;
    uint32_t size;
} pi_cl_ram_req_t;

int32_t pi_ram_open(struct pi_device *device);
void pi_cl_ram_read(struct pi_device *device, uint32_t address, void *data, uint32_t size, pi_cl_ram_req_t *request);
void pi_cl_ram_write(struct pi_device *device, uint32_t address, void *data, uint32_t size, pi_cl_ram_req_t *request);
void pi_cl_ram_read_wait(pi_cl_ram_req_t *request);
void pi_cl_ram_write_wait(pi_cl_ram_req_t *request);

#endif
