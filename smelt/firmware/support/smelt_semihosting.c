#include "smelt_semihosting.h"

#include "smelt_board.h"
#include "smelt_registers.h"

enum { SYS_OPEN = 0x01, SYS_WRITE0 = 0x04, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT = 0x18, SYS_EXIT_EXTENDED = 0x20 };

#define APPLICATION_EXIT 0x20026U

#if defined(__ARM_ARCH_6M__)

/* In startup_armv6m.S. */
int32_t smelt_breakpoint(uint32_t operation, const void *argument);

int32_t smelt_semihost(uint32_t operation, const void *argument)
{
    return smelt_breakpoint(operation, argument);
}

#elif defined(__arm__)

#define DHCSR (*(volatile const uint32_t *)0xE000EDF0U)
#define C_DEBUGEN 1U

int32_t smelt_semihost(uint32_t operation, const void *argument)
{
#if SMELT_DEBUG_REGISTERS
    /* A breakpoint on a board that runs alone would be a fault, so ask first whether a debugger is there. */
    if ((DHCSR & C_DEBUGEN) == 0U) {
        return -1;
    }
#endif
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

#elif defined(__riscv)

int32_t smelt_semihost(uint32_t operation, const void *argument)
{
    register uint32_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = argument;
    /* The debugger knows the request by its neighbours, uncompressed and on one page. Without a debugger the trap handler of
       startup_riscv32.S returns -1. */
    __asm__ volatile(".balign 16\n"
                     ".option push\n"
                     ".option norvc\n"
                     "slli x0, x0, 0x1f\n"
                     "ebreak\n"
                     "srai x0, x0, 7\n"
                     ".option pop\n"
                     : "+r"(a0), "+r"(a1)
                     :
                     : "t0", "t1", "memory");
    return (int32_t)a0;
}

#endif

void smelt_print(const char *text)
{
#ifdef SMELT_UART
    smelt_send(text);
#else
    (void)smelt_semihost(SYS_WRITE0, text);
#endif
}

int32_t smelt_open(const char *name, uint32_t mode)
{
    uint32_t length = 0U;
    while (name[length] != '\0') {
        length++;
    }
    const uint32_t block[3] = {(uint32_t)(uintptr_t)name, mode, length};
    return smelt_semihost(SYS_OPEN, block);
}

uint32_t smelt_read(int32_t handle, void *to, uint32_t size)
{
    const uint32_t block[3] = {(uint32_t)handle, (uint32_t)(uintptr_t)to, size};
    const int32_t left = smelt_semihost(SYS_READ, block);
    return left < 0 ? size : (uint32_t)left;
}

uint32_t smelt_write(int32_t handle, const void *from, uint32_t size)
{
    const uint32_t block[3] = {(uint32_t)handle, (uint32_t)(uintptr_t)from, size};
    const int32_t left = smelt_semihost(SYS_WRITE, block);
    return left < 0 ? size : (uint32_t)left;
}

void smelt_exit(uint32_t code)
{
    const uint32_t block[2] = {APPLICATION_EXIT, code};
    if (code == 0U) {
        (void)smelt_semihost(SYS_EXIT, (const void *)(uintptr_t)APPLICATION_EXIT);
    } else {
        (void)smelt_semihost(SYS_EXIT_EXTENDED, block);
    }
}
