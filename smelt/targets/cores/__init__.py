"""The cores, a file each: everything that smelt knows about one.

Sources of the timing, by the letter used there:

- [M4] Arm, Cortex-M4 Technical Reference Manual (DDI 0439), "Processor instructions" and "Load/store timings".
- [J] github.com/jnk0le/random, "pipeline cycle test": measurements on STM32F407 (M4), STM32H743 (M7), RP2350 (M33).
- [Q] quinapalus.com, Cortex-M7 cycle counts: measurements on STM32H730.
- [C] compendium.i-0.nl, instruction alignment: measurements of a Cortex-M4 that executes from flash.
- [E] an engineering estimate, because nobody publishes the figure; the docs list them all.
"""
