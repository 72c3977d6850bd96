"""Every implementation of an operator that does not multiply and accumulate."""

from __future__ import annotations

from smelt.kernels.binary import ADD, MAXIMUM, MINIMUM, MUL
from smelt.kernels.binary_plain import BINARY_PLAIN
from smelt.kernels.binary_scaled import BINARY_SCALED
from smelt.kernels.binary_words import ADD_WORDS, MAXIMUM_WORDS, MINIMUM_WORDS, MUL_WORDS
from smelt.kernels.cast import CAST
from smelt.kernels.channel_function import CHANNEL_FUNCTION
from smelt.kernels.flip import FLIP
from smelt.kernels.float_binary import BINARY_FLOATS
from smelt.kernels.float_pool import AVERAGE_POOL_FLOATS, L2_POOL_FLOATS, MAX_POOL_FLOATS
from smelt.kernels.float_reduce import REDUCE_FLOATS
from smelt.kernels.float_resize import RESIZE_BILINEAR_FLOATS
from smelt.kernels.float_softmax import SOFTMAX_FLOATS
from smelt.kernels.float_unary import UNARY_FLOATS
from smelt.kernels.gathers import BROADCAST, GATHER, UPDATE_SLICE
from smelt.kernels.implementation import Implementation
from smelt.kernels.lookup import CHANNEL_LOOKUP, LOOKUP, LOOKUP_FLOAT, LOOKUP_WORDS
from smelt.kernels.mean import MEAN, SUM
from smelt.kernels.movement import CONCAT, COPY, PAD, SLICE, TRANSPOSE
from smelt.kernels.pool import AVERAGE_POOL, MAX_POOL
from smelt.kernels.pool_words import AVERAGE_POOL_WORDS, MAX_POOL_WORDS, MEAN_WORDS
from smelt.kernels.quantize import QUANTIZE, QUANTIZE_FLOATS
from smelt.kernels.quantize16 import DEQUANTIZE16, QUANTIZE16
from smelt.kernels.reduce import REDUCTIONS
from smelt.kernels.resize import RESIZE_BILINEAR, RESIZE_NEAREST
from smelt.kernels.rows import ROWS
from smelt.kernels.softmax import SOFTMAX, SOFTMAX_WORDS
from smelt.kernels.totals import TOTAL
from smelt.kernels.unary import UNARY_PLAIN, UNARY_SCALED

FLOATS: tuple[Implementation, ...] = (
    AVERAGE_POOL_FLOATS, MAX_POOL_FLOATS, L2_POOL_FLOATS, SOFTMAX_FLOATS, RESIZE_BILINEAR_FLOATS, UNARY_FLOATS, *BINARY_FLOATS,
    *REDUCE_FLOATS,
)  # fmt: skip

OTHERS: tuple[Implementation, ...] = (
    *FLOATS,
    ADD_WORDS, MUL_WORDS, MAXIMUM_WORDS, MINIMUM_WORDS,
    ADD, MUL, MINIMUM, MAXIMUM, FLIP, LOOKUP_WORDS, LOOKUP, LOOKUP_FLOAT, QUANTIZE_FLOATS, QUANTIZE, 
    AVERAGE_POOL_WORDS, MAX_POOL_WORDS, MEAN_WORDS, AVERAGE_POOL, MAX_POOL, MEAN,
    SOFTMAX_WORDS, SOFTMAX,
    RESIZE_NEAREST, RESIZE_BILINEAR, CONCAT, PAD, SLICE, TRANSPOSE, COPY, UNARY_SCALED, UNARY_PLAIN,
    CAST, CHANNEL_FUNCTION, CHANNEL_LOOKUP, BROADCAST, GATHER, UPDATE_SLICE, QUANTIZE16, DEQUANTIZE16, *BINARY_SCALED,
    *BINARY_PLAIN, SUM, *REDUCTIONS, *ROWS, TOTAL,
)  # fmt: skip
