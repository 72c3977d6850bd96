/* Reset and traps of chips with a cluster of RISC-V cores. All cores start here: the fabric controller goes to the firmware, the
   workers, once it has started them, to their loop (cluster/smelt_cluster.c). */
    .option arch, +zicsr

    .section .vectors, "ax"
    .option push
    .option norvc
    .rept 32
    j smelt_trap
    .endr
    .globl smelt_reset
    .type smelt_reset, @function
smelt_reset: /* 0x80 behind the start of the image, where the hardware wants it */
    csrr t0, 0xF14
    srli t1, t0, 5
    andi t1, t1, 63
    beqz t1, 2f
    la sp, __smelt_stack_top
    la t0, __smelt_stack_limit
    li t1, 0xC0DEC0DE /* SMELT_STACK_PATTERN */
1:
    sw t1, 0(t0)
    addi t0, t0, 4
    bltu t0, sp, 1b
    j smelt_start
2:
    andi a0, t0, 31
    lui t1, %hi(__smelt_worker_stack_bytes)
    addi t1, t1, %lo(__smelt_worker_stack_bytes)
    addi t2, a0, 1
    mul t1, t1, t2
    la t2, __smelt_worker_stacks
    add sp, t1, t2
    j smelt_worker
    .option pop
    .size smelt_reset, . - smelt_reset

    .text
    .type smelt_trap, @function
smelt_trap:
    csrr a0, 0x342
    csrr a1, 0x341
    j smelt_fault
    .size smelt_trap, . - smelt_trap
