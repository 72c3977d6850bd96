"""Inner products: how elements of x meet weights, and what their sums are.

Some are loops, others call a routine; those of routines that are written in assembly have a file here for each family, plain Python
functions that build one (`loops/assembly`).
"""
