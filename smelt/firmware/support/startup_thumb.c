/* Reset and exceptions of the Cortex-M cores. */
#include "smelt_startup.h"

void smelt_reset(void) __attribute__((naked, noreturn));
void smelt_exception(void) __attribute__((naked, noreturn));
void smelt_paint(void);
void smelt_report_exception(const uint32_t *frame) __attribute__((noreturn));

/* The core has loaded the stack pointer from the vector table, unless a debugger jumps here: load it again. */
void smelt_reset(void)
{
    __asm__ volatile("ldr r0, =__smelt_stack_top\n"
                     "mov sp, r0\n"
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
                     "ldr r0, =0xE000ED88\n" /* CPACR: let everyone use floating point and Helium, for which this is compiled */
                     "ldr r1, [r0]\n"
                     "orr r1, r1, #0x00F00000\n"
                     "str r1, [r0]\n"
                     "dsb\n"
                     "isb\n"
#endif
#if defined(__ARM_ARCH_8M_MAIN__) || defined(__ARM_ARCH_8_1M_MAIN__)
                     "ldr r0, =__smelt_stack_limit\n"
                     "msr msplim, r0\n"
#endif
                     "ldr r0, =__smelt_stack_limit\n"
                     "ldr r1, =__smelt_stack_top\n"
                     "ldr r2, =0xC0DEC0DE\n" /* SMELT_STACK_PATTERN */
                     "1: str r2, [r0], #4\n"
                     "cmp r0, r1\n"
                     "blo 1b\n"
                     "ldr r0, =0xE000ED08\n" /* VTOR: this image's vectors, whatever booted it */
                     "ldr r1, =smelt_vectors\n"
                     "str r1, [r0]\n"
                     "dsb\n"
                     "bl smelt_start\n");
}

/* The stack may be what is broken: find the frame, then start over at the top. */
void smelt_exception(void)
{
    __asm__ volatile("mrs r0, msp\n"
                     "ldr r1, =__smelt_stack_top\n"
                     "mov sp, r1\n"
                     "b smelt_report_exception\n");
}

void smelt_report_exception(const uint32_t *frame)
{
    uint32_t number;
    __asm__ volatile("mrs %0, ipsr" : "=r"(number));
    const int readable = frame >= __smelt_stack_limit && frame + 8 <= __smelt_stack_top;
    smelt_fault(number, readable ? frame[6] : 0U);
}

typedef void (*vector_t)(void);

extern const vector_t smelt_vectors[16];
const vector_t smelt_vectors[16] __attribute__((section(".vectors"), used, aligned(128))) = {
    (vector_t)(void *)__smelt_stack_top,
    smelt_reset,
    smelt_exception, /* NMI */
    smelt_exception, /* HardFault */
    smelt_exception, /* MemManage */
    smelt_exception, /* BusFault */
    smelt_exception, /* UsageFault */
    smelt_exception, /* SecureFault */
    smelt_exception,
    smelt_exception,
    smelt_exception,
    smelt_exception, /* SVCall */
    smelt_exception, /* DebugMonitor */
    smelt_exception,
    smelt_exception, /* PendSV */
    smelt_exception, /* SysTick */
};
