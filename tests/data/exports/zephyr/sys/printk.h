/* What samples of packages call of Zephyr, on a host. */
#include <stdio.h>
#define printk printf
