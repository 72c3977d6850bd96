"""RI5CY of the PULP platform as GreenWaves' GAP8 has it: RV32IMC with XpulpV2, four stages, in order, no floating-point unit,
no branch prediction. [R] measured on the core's Verilog (tag vega_v1.0.0) in Verilator, 43 sequences of instructions that a
test holds the simulator to; [P] published for its successor CV32E40P."""

from smelt.targets.intrinsics import XPULP
from smelt.targets.types import XPULPV2, Core, CoreTiming

RI5CY = Core(
    name="ri5cy",
    isa=XPULPV2,
    zig=("-target", "riscv32-freestanding-none", "-mcpu=generic_rv32+m+c+unaligned_scalar_mem", "-mabi=ilp32"),
    gcc=("riscv64-unknown-elf-gcc", "-march=rv32imc", "-misa-spec=2.2", "-mabi=ilp32", "-mcmodel=medany"),
    intrinsics=XPULP,
    timing=CoreTiming(
        pipeline="xpulpv2",
        validated=True,
        divide=32,  # [R] 3 to 35, by the divisor's leading zeros
        taken=2,  # [R] 3 in all
        indirect=1,  # [R] 2 in all, one more right behind the instruction that writes the register
        load_pc=0,
        misaligned_target=1,  # [P]
        unaligned_load=1,  # [R]
        multiply_long=5,  # [R] mulh and its like
    ),
    cycles_per_instruction=1.1,
)
