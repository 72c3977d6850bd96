"""A network of reals becomes one of integers, from what flows through it: post-training quantisation, in NumPy.

float Graph -> Ranges -> Scheme -> Layers -> QDQ ONNX -> integer Graph
   calibrated . given scales . rounded . written . loaded
"""
