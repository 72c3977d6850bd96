"""The chips, a file for each family: cores with their memories, at the addresses and in the sizes of the vendors' manuals.

Flash wait states are those at the clock of the board (ST: "Read access latency" tables). Where one RAM has a second
address (`aliases`) the startup code and the linker use only the first. Flash that also appears at address zero after
reset is not listed there, so that the simulators can catch null pointers. [E] marks engineering estimates of times.
"""
