/* Reset and traps of the ESP32-C3 (RV32IMC), started by its ROM's direct boot: eight bytes of magic, then code. */
    .option arch, +zicsr

    .section .vectors, "ax"
    .word 0xaedb041d
    .word 0xaedb041d
    .globl smelt_reset
    .type smelt_reset, @function
smelt_reset:
    la sp, __smelt_stack_top
    la t0, smelt_traps
    ori t0, t0, 1 /* vectored, the only mode of this core */
    csrw mtvec, t0
    la t0, __smelt_stack_limit
    li t1, 0xC0DEC0DE /* SMELT_STACK_PATTERN */
1:
    sw t1, 0(t0)
    addi t0, t0, 4
    bltu t0, sp, 1b
    j smelt_start
    .size smelt_reset, . - smelt_reset

    /* An ebreak between the semihosting marks reaches us only when no debugger took it: answer -1. */
    .text
    .type smelt_trap, @function
smelt_trap:
    csrr t0, mcause
    csrr a1, mepc
    addi t1, zero, 3
    bne t0, t1, 1f
    addi a1, a1, 4
    csrw mepc, a1
    addi a0, zero, -1
    mret
1:
    mv a0, t0
    la sp, __smelt_stack_top
    j smelt_fault
    .size smelt_trap, . - smelt_trap

    .section .text.smelt_traps, "ax"
    .balign 256
    .option push
    .option norvc
smelt_traps:
    .rept 32
    j smelt_trap
    .endr
    .option pop
