#include "smelt_startup.h"

#include "smelt_board.h"
#include "smelt_registers.h"
#include "smelt_semihosting.h"

static void change_register(uint32_t address, uint32_t clear, uint32_t set)
{
    volatile uint32_t *const at = (volatile uint32_t *)(uintptr_t)address;
    *at = (*at & ~clear) | set;
}

static void set_up_chip(void)
{
#define CHANGE(address, clear, set) change_register(address, clear, set);
    SMELT_BOARD_SETUP(CHANGE)
}

#if SMELT_BOARD_EXTERNAL

void smelt_board_memories(void) __attribute__((weak));

/* Memories outside of the chip need pins and a controller whose figures follow from the board's clock: that is for the board's
   boot code, or for a function of this name that takes this one's place. It runs right after the clock is set, without .data and
   .bss. The core must not take such a memory for a normal one, and look ahead in it, before it is there. */
void smelt_board_memories(void)
{
}

#endif

#if SMELT_CORE_CACHES

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define CCR REGISTER(0xE000ED14U)
#define CCSIDR REGISTER(0xE000ED80U)
#define CSSELR REGISTER(0xE000ED84U)
#define ICIALLU REGISTER(0xE000EF50U)
#define DCISW REGISTER(0xE000EF60U)
#define CCR_DATA (1U << 16)
#define CCR_INSTRUCTIONS (1U << 17)

static void barrier(void)
{
    __asm__ volatile("dsb\n isb" ::: "memory");
}

/* Caches hold anything after power-on: invalidate, then enable. */
static void enable_caches(void)
{
    CSSELR = 0U;
    barrier();
    const uint32_t geometry = CCSIDR;
    const uint32_t sets = (geometry >> 13) & 0x7FFFU, ways = (geometry >> 3) & 0x3FFU;
    for (uint32_t set = 0U; set <= sets; set++) {
        for (uint32_t way = 0U; way <= ways; way++) {
            DCISW = (way << 30) | (set << 5); /* the M7's data cache: four ways, lines of 32 bytes */
        }
    }
    ICIALLU = 0U;
    barrier();
    CCR |= (SMELT_DATA_CACHE ? CCR_DATA : 0U) | CCR_INSTRUCTIONS;
    barrier();
}

#endif

static void copy(uint32_t *to, const uint32_t *end, const uint32_t *from)
{
    while (to < end) {
        *to++ = *from++;
    }
}

/* Tables that the network reads from RAM, in each of the RAMs that have some. */
#define DECLARE(memory)                                                                                                \
    extern uint32_t __smelt_tables_##memory##_start[], __smelt_tables_##memory##_end[], __smelt_tables_##memory##_load[];
#define FILL(memory)                                                                                                   \
    copy(__smelt_tables_##memory##_start, __smelt_tables_##memory##_end, __smelt_tables_##memory##_load);
SMELT_BOARD_TABLES(DECLARE)

static void set_up_data(void)
{
    copy(__smelt_data_start, __smelt_data_end, __smelt_data_load);
    SMELT_BOARD_TABLES(FILL)
    for (uint32_t *to = __smelt_bss_start; to < __smelt_bss_end; to++) {
        *to = 0U;
    }
}

static void print_hexadecimal(uint32_t value)
{
    char text[11] = "0x";
    for (int i = 0; i < 8; i++) {
        text[2 + i] = "0123456789abcdef"[(value >> (28 - 4 * i)) & 15U];
    }
    text[10] = '\0';
    smelt_print(text);
}

void smelt_start(void)
{
    smelt_set_clock();
#ifdef SMELT_UART
    smelt_set_up_uart();
#endif
#if SMELT_BOARD_EXTERNAL
    smelt_board_memories();
#endif
    set_up_chip();
#if SMELT_CORE_CACHES
    enable_caches();
#endif
    set_up_data();
    smelt_exit((uint32_t)main());
    for (;;) {
    }
}

__attribute__((section(".smelt.late"))) void smelt_stuck(uint32_t address, uint32_t bits)
{
    smelt_print("start-up: the bits ");
    print_hexadecimal(bits);
    smelt_print(" of the register ");
    print_hexadecimal(address);
    smelt_print(" did not come\n");
    smelt_exit(129U);
    for (;;) {
    }
}

void smelt_fault(uint32_t number, uint32_t address)
{
    smelt_print("fault ");
    print_hexadecimal(number);
    smelt_print(" at ");
    print_hexadecimal(address);
    smelt_print("\n");
    smelt_exit(128U);
    for (;;) {
    }
}
