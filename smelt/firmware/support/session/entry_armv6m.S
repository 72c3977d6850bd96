/* Where a session enters the device, and how its runtime calls a function with any number of arguments: Armv6-M. */
    .syntax unified
    .thumb

    .section .text.smelt_session_entry, "ax"
    .globl smelt_session_entry
    .type smelt_session_entry, %function
smelt_session_entry:
    bl smelt_session_run
    bkpt 0
    b smelt_session_entry
    .size smelt_session_entry, . - smelt_session_entry

    /* r0: function, r1: arguments, r2: how many words. Four travel in registers, the rest on the stack. */
    .section .text.smelt_session_apply, "ax"
    .globl smelt_session_apply
    .type smelt_session_apply, %function
smelt_session_apply:
    push {r4, r5, r6, lr}
    mov r6, sp
    mov r4, r0
    subs r2, #4
    ble 2f
    adds r3, r2, #1 /* the stack keeps its alignment to eight bytes */
    lsrs r3, r3, #1
    lsls r3, r3, #3
    mov r5, sp
    subs r5, r5, r3
    mov sp, r5
    lsls r2, r2, #2
1:
    subs r2, #4
    adds r3, r1, r2
    ldr r3, [r3, #16]
    str r3, [r5, r2]
    cmp r2, #0
    bne 1b
2:
    ldmia r1, {r0, r1, r2, r3}
    blx r4
    mov sp, r6
    pop {r4, r5, r6, pc}
    .size smelt_session_apply, . - smelt_session_apply
