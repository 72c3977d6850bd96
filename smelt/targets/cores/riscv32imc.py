"""RISC-V RV32IMC: a four-stage in-order pipeline as Espressif describes it, without published measurements per instruction."""

from smelt.targets.types import RISCV32, Core, CoreTiming

RISCV32IMC = Core(
    name="riscv32imc",
    isa=RISCV32,
    zig=("-target", "riscv32-freestanding-none", "-mcpu=generic_rv32+m+c", "-mabi=ilp32"),
    gcc=("riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32", "-mcmodel=medany"),
    timing=CoreTiming(
        pipeline="riscv",
        validated=False,
        divide=18,  # [E]
        taken=2,  # [E]
        indirect=2,  # [E]
        load_pc=2,
        misaligned_target=0,
        unaligned_load=1,  # [E]
    ),
    software_mac=160,
    cycles_per_instruction=1.4,
    cycle_csr=0x7E0,  # mpcer, mpcmr, mpccr: Espressif's, in place of mcycle
)
