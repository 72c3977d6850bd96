"""The inner products in assembly, a file for each family: plain Python functions that build a routine (`loops/assembly`)."""
