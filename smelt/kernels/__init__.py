"""Operator + schedule -> loops. `IMPLEMENTATIONS` lists every way there is; for each operator the best comes first."""

from smelt.kernels.accepts import has_dots, has_dual_mac, has_quads, is_of_words
from smelt.kernels.computed import COMPUTED
from smelt.kernels.conv2d_direct import CONV2D_DIRECT
from smelt.kernels.conv2d_dsp import CONV2D_DSP
from smelt.kernels.conv2d_eight import CONV2D_EIGHT
from smelt.kernels.conv2d_gathered import CONV2D_GATHERED
from smelt.kernels.conv2d_halves import CONV2D_HALVES
from smelt.kernels.conv2d_pairs import CONV2D_PAIRS
from smelt.kernels.conv2d_pointwise import CONV2D_POINTWISE
from smelt.kernels.conv2d_portable import CONV2D_PORTABLE
from smelt.kernels.conv2d_quads import CONV2D_QUADS
from smelt.kernels.conv2d_winograd import CONV2D_WINOGRAD
from smelt.kernels.conv2d_winograd4 import CONV2D_WINOGRAD4
from smelt.kernels.dense_as_conv2d import by_rows, through_conv2d
from smelt.kernels.dense_dsp import DENSE_DSP
from smelt.kernels.dense_nibbles import DENSE_NIBBLES
from smelt.kernels.dense_pairs import DENSE_PAIRS
from smelt.kernels.dense_portable import DENSE_PORTABLE
from smelt.kernels.dense_sifted import DENSE_SIFTED
from smelt.kernels.depthwise_lines import DEPTHWISE_LINES
from smelt.kernels.depthwise_nine import DEPTHWISE_NINE
from smelt.kernels.depthwise_planes import DEPTHWISE_DSP, DEPTHWISE_PLANES
from smelt.kernels.depthwise_portable import DEPTHWISE_PORTABLE
from smelt.kernels.depthwise_single import through
from smelt.kernels.detection import DETECTION
from smelt.kernels.features import FEATURES
from smelt.kernels.fft import FFT
from smelt.kernels.float_conv2d import CONV2D_FLOATS
from smelt.kernels.float_dense import DENSE_FLOATS
from smelt.kernels.float_depthwise import DEPTHWISE_FLOATS
from smelt.kernels.float_recurrent import RECURRENT_FLOATS
from smelt.kernels.float_transpose_conv import TRANSPOSE_CONV_FLOATS
from smelt.kernels.implementation import Implementation, asking, of_type
from smelt.kernels.matmul import MATMUL
from smelt.kernels.other import OTHERS
from smelt.kernels.recurrent import RECURRENT
from smelt.kernels.requantize48 import sums_are_words
from smelt.kernels.signal import SIGNAL
from smelt.kernels.streams import STREAMS
from smelt.kernels.top_k import TOP_K
from smelt.kernels.transpose_conv import TRANSPOSE_CONV_PORTABLE
from smelt.kernels.turned import turned

DENSE_QUADS = through_conv2d(CONV2D_QUADS, "dense_quads", (has_dots, has_quads))

INT8: tuple[Implementation, ...] = (
    turned(CONV2D_PAIRS),
    turned(CONV2D_DSP),
    turned(DEPTHWISE_DSP),
    CONV2D_QUADS,
    CONV2D_WINOGRAD4,
    CONV2D_WINOGRAD,
    CONV2D_EIGHT,
    CONV2D_POINTWISE,
    CONV2D_GATHERED,
    CONV2D_PAIRS,
    CONV2D_DSP,
    CONV2D_DIRECT,
    CONV2D_PORTABLE,
    through(CONV2D_QUADS, "depthwise_single_quads"),
    through(CONV2D_DSP, "depthwise_single_dsp"),
    through(CONV2D_PORTABLE, "depthwise_single"),
    DEPTHWISE_NINE,
    DEPTHWISE_LINES,
    DEPTHWISE_DSP,
    DEPTHWISE_PLANES,
    DEPTHWISE_PORTABLE,
    DENSE_NIBBLES,
    DENSE_QUADS,
    by_rows(CONV2D_POINTWISE, "dense_rows_pointwise"),
    by_rows(CONV2D_PAIRS, "dense_rows_pairs"),
    by_rows(CONV2D_DSP, "dense_rows_dsp"),
    DENSE_SIFTED,
    DENSE_PAIRS,
    DENSE_DSP,
    DENSE_PORTABLE,
    TRANSPOSE_CONV_PORTABLE,
)

FLOATS: tuple[Implementation, ...] = (CONV2D_FLOATS, DEPTHWISE_FLOATS, DENSE_FLOATS, TRANSPOSE_CONV_FLOATS)

INT16: tuple[Implementation, ...] = tuple(
    of_type(way, "int16", f"{way.name}16")
    for way in (
        asking(CONV2D_QUADS, is_of_words),
        asking(DENSE_QUADS, is_of_words),
        CONV2D_HALVES,
        CONV2D_DSP,
        CONV2D_PORTABLE,
        asking(DEPTHWISE_DSP, sums_are_words),
        DEPTHWISE_PORTABLE,
        through_conv2d(CONV2D_DSP, "dense_dsp", (has_dual_mac,)),
        DENSE_PORTABLE,
        TRANSPOSE_CONV_PORTABLE,
    )
)

LINEAR: tuple[Implementation, ...] = (
    *FLOATS,
    *(of_type(way, "int8") for way in INT8),
    *INT16,
)
"""What multiplies and accumulates."""

IMPLEMENTATIONS: tuple[Implementation, ...] = (
    *LINEAR,
    *COMPUTED,
    *OTHERS,
    *RECURRENT_FLOATS,
    *RECURRENT,
    *SIGNAL,
    *FFT,
    *FEATURES,
    *STREAMS,
    *MATMUL,
    TOP_K,
    *DETECTION,
)

FRUGAL: tuple[Implementation, ...] = tuple(i for i in IMPLEMENTATIONS if not i.spends_flash)
"""Those whose tables take no more flash than the weights."""
