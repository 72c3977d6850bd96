#ifndef BSP_RAM_HYPERRAM_H
#define BSP_RAM_HYPERRAM_H

struct pi_hyperram_conf {
    int hyper_itf;
};

void pi_hyperram_conf_init(struct pi_hyperram_conf *conf);

#endif
