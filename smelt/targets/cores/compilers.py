"""Flags that cores share. Firmware computes with integers only, so the ABI is the soft-float one where nothing else is needed."""

ZIG_ARM = ("-target", "thumb-freestanding-eabi")
GCC_ARM = ("arm-none-eabi-gcc", "-mthumb", "-mfloat-abi=soft")
