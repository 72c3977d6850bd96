/* Where a session enters the device, and how its runtime calls a function with any number of arguments: Cortex-M. */
    .syntax unified
    .thumb

    .section .text.smelt_session_entry, "ax"
    .globl smelt_session_entry
    .type smelt_session_entry, %function
smelt_session_entry:
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    ldr r0, =0xE000ED88 /* CPACR: floating point and vectors are off after reset */
    ldr r1, [r0]
    orr r1, r1, #0xF00000
    str r1, [r0]
    dsb
    isb
#endif
    bl smelt_session_run
    bkpt 0
    b smelt_session_entry
    .ltorg
    .size smelt_session_entry, . - smelt_session_entry

    /* r0: function, r1: arguments, r2: how many words. Four travel in registers, the rest on the stack. */
    .section .text.smelt_session_apply, "ax"
    .globl smelt_session_apply
    .type smelt_session_apply, %function
smelt_session_apply:
    push {r4, r5, r6, lr}
    mov r6, sp
    mov r4, r0
    subs r2, r2, #4
    ble 2f
    adds r3, r2, #1 /* the stack keeps its alignment to eight bytes */
    bic r3, r3, #1
    sub sp, sp, r3, lsl #2
    adds r5, r1, #16
1:
    subs r2, r2, #1
    ldr r3, [r5, r2, lsl #2]
    str r3, [sp, r2, lsl #2]
    bne 1b
2:
    ldmia r1, {r0, r1, r2, r3}
    blx r4
    mov sp, r6
    pop {r4, r5, r6, pc}
    .size smelt_session_apply, . - smelt_session_apply
