"""Programs that know nothing of smelt: a vector table, a main, semihosting or not."""

from __future__ import annotations

import subprocess
from pathlib import Path

from smelt.firmware.build import compiler_environment, zig
from smelt.targets.boards import board

SCRIPT = """
SECTIONS {{
    . = {flash:#x};
    .isr_vector : {{ KEEP(*(.isr_vector)) }}
    .text : {{ *(.text*) *(.rodata*) . = ALIGN(8); load = .; }}
    . = {ram:#x} + 0x2000;
    .data : AT(load) {{ data_start = .; *(.data*) *(.ramcode*) . = ALIGN(4); data_end = .; }}
    .bss (NOLOAD) : AT(ADDR(.bss)) {{ *(.bss*) *(COMMON) }}
    /DISCARD/ : {{ *(.ARM.exidx*) *(.ARM.extab*) }}
}}
"""
START = """
#include <stdint.h>
#define DEMCR (*(volatile uint32_t *)0xE000EDFC)
#define CTRL (*(volatile uint32_t *)0xE0001000)
#define CYCCNT (*(volatile uint32_t *)0xE0001004)
#define SYST_CSR (*(volatile uint32_t *)0xE000E010)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018)
#define CPACR (*(volatile uint32_t *)0xE000ED88)
extern uint32_t load[], data_start[], data_end[];
int main(void);
static int semihost(int op, const void *arg)
{
    register int r0 __asm__("r0") = op;
    register const void *r1 __asm__("r1") = arg;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
static void print(const char *text) { semihost(4, text); }
static void print_number(uint32_t n)
{
    char text[12];
    int at = 11;
    text[at] = 0;
    text[--at] = '\\n';
    do { text[--at] = (char)('0' + n % 10); n /= 10; } while (n);
    print(text + at);
}
void reset(void)
{
    CPACR |= 0xF << 20;
    *(volatile uint32_t *)0x40023800 |= 1; /* a clock that the simulator does not know */
    for (uint32_t *to = data_start, *from = load; to < data_end;) *to++ = *from++;
    const int code = main();
    if (code >= 0) semihost(0x18, (void *)(code ? 1 : 0x20026));
    for (;;) {}
}
__attribute__((section(".isr_vector"), used)) void *const vectors[2] = {(void *)STACK, (void *)reset};
"""


def build(name: str, code: str, folder: Path, compiler: str = "zig") -> bytes:
    """An ELF file for a board from C; `compiler` is "zig" or "gcc" (with its hard-float ABI)."""
    target = board(name)
    ram = target.chip.rams[0]
    (folder / "code.c").write_text(START + code)
    (folder / "link.ld").write_text(SCRIPT.format(flash=target.chip.flash.start, ram=ram.start))
    command = [str(zig()), "cc", *target.core.zig, "-Wl,-z,max-page-size=4", "-mfloat-abi=soft"]
    if compiler == "gcc":
        soft = "-mfloat-abi=soft"
        command = [f for f in target.core.gcc if f != soft] + ["-mfloat-abi=hard", "-Wl,-z,noexecstack", "-lgcc"]
    flags = [
        "-O2",
        "-fno-unwind-tables",
        "-fno-asynchronous-unwind-tables",
        "-ffreestanding",
        "-fno-builtin",
        "-nostdlib",
        f"-DSTACK={ram.start + 0x2000:#x}",
        "-T",
        "link.ld",
    ]
    done = subprocess.run(
        [*command, *flags, "code.c", "-o", "out.elf"],
        cwd=folder,
        env=compiler_environment(folder),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return (folder / "out.elf").read_bytes()
