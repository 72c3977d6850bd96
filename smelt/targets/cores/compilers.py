"""Flags that cores share. Networks that compute with integers only get the soft-float ABI, where nothing else is needed; those with
steps in floating point get the hard-float one on cores that have the unit."""

ZIG_ARM = ("-target", "thumb-freestanding-eabi")
GCC_ARM = ("arm-none-eabi-gcc", "-mthumb", "-mfloat-abi=soft")

ZIG_HARD = ("-target", "thumb-freestanding-eabihf")
GCC_HARD = ("arm-none-eabi-gcc", "-mthumb", "-mfloat-abi=hard")
