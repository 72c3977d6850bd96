"""WHAT is computed: graphs of operators on tensors, and their arithmetic in NumPy."""
