/* Where a session enters the device, and how its runtime calls a function with any number of arguments: RISC-V. */
    .section .text.smelt_session_entry, "ax"
    .globl smelt_session_entry
    .type smelt_session_entry, @function
smelt_session_entry:
    call smelt_session_run
    ebreak
    j smelt_session_entry
    .size smelt_session_entry, . - smelt_session_entry

    /* a0: function, a1: arguments, a2: how many words. Eight travel in registers, the rest on the stack. */
    .section .text.smelt_session_apply, "ax"
    .globl smelt_session_apply
    .type smelt_session_apply, @function
smelt_session_apply:
    addi sp, sp, -16
    sw ra, 12(sp)
    sw s0, 8(sp)
    mv s0, sp
    mv t0, a0
    mv t1, a1
    addi a2, a2, -8
    blez a2, 2f
    addi t2, a2, 3 /* the stack keeps its alignment to sixteen bytes */
    andi t2, t2, -4
    slli t2, t2, 2
    sub sp, sp, t2
    mv t2, sp
    addi t3, t1, 32
1:
    lw t4, 0(t3)
    sw t4, 0(t2)
    addi t3, t3, 4
    addi t2, t2, 4
    addi a2, a2, -1
    bnez a2, 1b
2:
    lw a0, 0(t1)
    lw a1, 4(t1)
    lw a2, 8(t1)
    lw a3, 12(t1)
    lw a4, 16(t1)
    lw a5, 20(t1)
    lw a6, 24(t1)
    lw a7, 28(t1)
    jalr t0
    mv sp, s0
    lw s0, 8(sp)
    lw ra, 12(sp)
    addi sp, sp, 16
    ret
    .size smelt_session_apply, . - smelt_session_apply
