"""DORY's figures for GAP8, to compare with. "Re-measured": DORY's programs with the inner loop of its MatMul in assembly, on
GVSOC's open model of the cluster with contention; copies from L3 not counted. "Silicon": published, L3 included, GAP8 v3.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dory:
    """Cycles: of the network and of its layers (in kcycles), in the order of the file; None where there is no figure."""

    total: int | None = None
    layers: tuple[int, ...] = ()
    silicon: int | None = None
    silicon_layers: tuple[int, ...] = ()
    must: int | None = None
    aim: int | None = None


_MOBILENET = (
    1212, 1813, 1490, 1095, 990, 1593, 1566, 619, 769, 820, 1325, 275, 660, *(465, 1376) * 5, 172, 590, 301, 3934, 192, 367,
)  # fmt: skip
_MOBILENET_SILICON = (
    830, 913, 1091, 1016, 784, 872, 1331, 462, 658, 475, 1191, 256, 594, *(256, 1308) * 5, 145, 911, 178, 2731, 56, 1578,
)  # fmt: skip

DORY = {
    "PenguiNet_32": Dory(4_156_547, (1052, 281, 260, 238, 255, 256, 757, 1053, 6), must=2_600_000, aim=1_800_000),
    "Residual_connection_test_1": Dory(
        3_404_674, (1744, 730, 240, 207, 207, 48, 207, 22), must=2_200_000, aim=1_500_000
    ),
    "Residual_connection_test_2": Dory(
        3_448_253, (1729, 732, 239, 207, 207, 59, 48, 207, 22), must=2_200_000, aim=1_500_000
    ),
    "dronet_complete": Dory(
        9_712_825,
        (2823, 777, 706, 598, 185, 96, 403, 816, 80, 50, 580, 2459, 72, 53, 14),
        must=6_500_000,
        aim=4_500_000,
    ),
    "dronet_complete_2": Dory(9_712_343),
    "dronet_no_pooling": Dory(10_181_791),
    "mobilenet_v1_128": Dory(28_991_158, _MOBILENET, 23_890_000, _MOBILENET_SILICON, 15_500_000, 12_500_000),
}


@dataclass(frozen=True)
class Kernel:
    """One layer, data in L1: channels in, rows and columns, channels out, kernel, groups; MAC/cycle of PULP-NN and what we want;
    stride, and bits of weights."""

    name: str
    shape: tuple[int, int, int]
    channels: int
    size: int
    groups: int
    pulp_nn: str
    must: float | None = None
    aim: float | None = None
    stride: int = 1
    bits: int = 8


KERNELS = (
    Kernel("pointwise 8x8x256 to 64", (256, 8, 8), 64, 1, 1, "14.1 silicon (15.5 claimed)", 17.0, 19.5),
    Kernel("3x3 16x16x16 to 32", (16, 16, 16), 32, 3, 1, "10.35 GVSOC"),
    Kernel("depthwise 3x3 16x16x40", (40, 16, 16), 40, 3, 40, "1.0 to 1.35 silicon", 4.0, 6.0),
    Kernel("depthwise 3x3 s2 16x16x40", (40, 16, 16), 40, 3, 40, "0.5 to 0.63 silicon", stride=2),
    Kernel("3x3 s2 64x64x3 to 32", (3, 64, 64), 32, 3, 1, "4.27 silicon", stride=2),
    Kernel("5x5 s2 64x64x1 to 32", (1, 64, 64), 32, 5, 1, "2.9 GVSOC", stride=2),
    Kernel("pointwise, weights of 4 bits", (256, 8, 8), 64, 1, 1, "-", bits=4),
    Kernel("pointwise, weights of 2 bits", (256, 8, 8), 64, 1, 1, "-", bits=2),
)
