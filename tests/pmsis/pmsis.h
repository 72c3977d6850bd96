/* What generated applications use of GreenWaves' PMSIS, as its documentation names it: declarations of our own, written so that the
 * compiler checks calls, with none of the SDK's code. pmsis_on_host.c carries them out. */
#ifndef PMSIS_H
#define PMSIS_H

#include <stdint.h>

#define PI_L1

int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct pi_device {
    void *config;
};
typedef enum { PI_FREQ_DOMAIN_FC, PI_FREQ_DOMAIN_CL } pi_freq_domain_e;
typedef enum { PI_PERF_CYCLES } pi_perf_event_e;
typedef enum { PI_CL_DMA_DIR_LOC2EXT, PI_CL_DMA_DIR_EXT2LOC } pi_cl_dma_dir_e;

struct pi_cluster_conf {
    int id;
};
struct pi_cluster_task {
    void (*entry)(void *);
    void *arg;
    void *stacks;
    uint32_t stack_size;
    uint32_t slave_stack_size;
    int nb_cores;
};
typedef struct {
    int id;
    uint32_t ext;
    uint32_t loc;
    uint32_t size;
    pi_cl_dma_dir_e dir;
    uint8_t merge;
    uint32_t stride;
    uint32_t length;
} pi_cl_dma_copy_t;
typedef pi_cl_dma_copy_t pi_cl_dma_copy_2d_t;

int pmsis_kickoff(void *entry);
void pmsis_exit(int code);
void pi_open_from_conf(struct pi_device *device, void *conf);
int pi_freq_set(pi_freq_domain_e domain, uint32_t hertz);

void pi_cluster_conf_init(struct pi_cluster_conf *conf);
int pi_cluster_open(struct pi_device *device);
int pi_cluster_close(struct pi_device *device);
struct pi_cluster_task *pi_cluster_task(struct pi_cluster_task *task, void (*entry)(void *), void *arg);
int pi_cluster_send_task_to_cl(struct pi_device *device, struct pi_cluster_task *task);
void *pi_cl_l1_malloc(struct pi_device *device, uint32_t size);
void *pi_l2_malloc(int size);

uint32_t pi_core_id(void);
void pi_cl_team_fork(int cores, void (*entry)(void *), void *arg);
void pi_cl_team_barrier(void);
void pi_cl_dma_memcpy(pi_cl_dma_copy_t *copy);
void pi_cl_dma_memcpy_2d(pi_cl_dma_copy_2d_t *copy);
void pi_cl_dma_wait(void *copy);

void pi_perf_conf(unsigned events);
void pi_perf_reset(void);
void pi_perf_start(void);
void pi_perf_stop(void);
unsigned pi_perf_read(int event);

#endif
