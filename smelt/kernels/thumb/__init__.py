"""Routines in assembly, a file for each family: plain Python functions that build them for a core (`loops/assembly`)."""
