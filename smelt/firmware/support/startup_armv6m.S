/* Reset and exceptions of Armv6-M cores, in the few instructions that they have. */
    .syntax unified
    .thumb

    .section .vectors, "a"
    .balign 256
    .globl smelt_vectors
smelt_vectors:
    .word __smelt_stack_top
    .word smelt_reset
    .rept 14
    .word smelt_exception
    .endr
    .size smelt_vectors, . - smelt_vectors

    /* The core has loaded the stack pointer from the vector table, unless a debugger jumps here: load it again. */
    .section .text.smelt_reset, "ax"
    .balign 4
    .globl smelt_reset
    .type smelt_reset, %function
    .thumb_func
smelt_reset:
    ldr r1, =__smelt_stack_top
    mov sp, r1
    ldr r0, =__smelt_stack_limit
    ldr r2, =0xC0DEC0DE /* SMELT_STACK_PATTERN */
1:
    str r2, [r0]
    adds r0, #4
    cmp r0, r1
    blo 1b
    ldr r0, =0xE000ED08 /* VTOR: this image's vectors, whatever booted it */
    ldr r1, =smelt_vectors
    str r1, [r0]
    dsb
    bl smelt_start
    .balign 4
    .ltorg
    .size smelt_reset, . - smelt_reset

    /* A request of semihosting. Only a debugger can see on this core whether one is there; where none is, the breakpoint is a fault,
       and smelt_exception answers -1. */
    .section .text.smelt_breakpoint, "ax"
    .balign 4
    .globl smelt_breakpoint
    .type smelt_breakpoint, %function
    .thumb_func
smelt_breakpoint:
    bkpt 0xAB
    bx lr
    .size smelt_breakpoint, . - smelt_breakpoint

    /* The stack may be what is broken: find the frame, then start over at the top. */
    .section .text.smelt_exception, "ax"
    .balign 4
    .globl smelt_exception
    .type smelt_exception, %function
    .thumb_func
smelt_exception:
    mrs r0, msp
    ldr r2, =__smelt_stack_top
    mov sp, r2
    movs r1, #0
    ldr r3, =__smelt_stack_limit
    cmp r0, r3
    blo 1f
    subs r2, #32
    cmp r0, r2
    bhi 1f
    ldr r1, [r0, #24] /* where it happened */
    ldr r3, =smelt_breakpoint
    subs r3, r3, #1 /* the address without the bit that says Thumb */
    cmp r1, r3
    bne 1f
    mov sp, r0
    movs r2, #0
    mvns r2, r2
    str r2, [r0]
    adds r1, #2
    str r1, [r0, #24]
    bx lr
1:
    mrs r0, ipsr
    bl smelt_fault
    .balign 4
    .ltorg
    .size smelt_exception, . - smelt_exception
