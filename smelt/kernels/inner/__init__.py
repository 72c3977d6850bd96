"""Inner products: how elements of x meet weights, and what their sums are.

Some are loops, others call a routine, which `thumb/` builds as assembly.
"""
