"""GreenWaves GAP8: a fabric controller and a cluster of eight cores of the same kind, one address space.

[S] published source or configuration of the chip's models and drivers; [G] measured on GreenWaves' own model of the chip
(gapuino_v3); [O] measured on the open GVSOC (pulp-open); [F] fitted to a published figure of silicon; [C] set here so that
programs of the tests take what [G] or [O] say (docs/gap8.md); [E] an engineering estimate.
"""

from smelt.targets.cluster import Bursts, Cluster, ClusterDma, ClusterTiming
from smelt.targets.cores.ri5cy import RI5CY
from smelt.targets.energy import Energies
from smelt.targets.types import KB, MB, Chip, Memory, Path

_DMA = ClusterDma(
    name="mchan",
    ids=16,  # [S]
    bytes=65535,  # [S] 16 bits of length
    stride=32767,  # [S] 15 bits
    begin=13,  # [C]
    words=2,  # [O] 4096 bytes in lines of 8 take 534 cycles
    burst=256,  # [C] with the gaps: 7.2 bytes a cycle inwards and 5.25 outwards [G], in transfers of 1 to 16 KB
    gap_in=3556,
    gap_out=16762,
    call=15,  # [C]
)

_TIMING = ClusterTiming(
    jump=2,
    divide=3,
    far=15,  # [O] 15 to 18
    demux=2,  # [C]
    peripheral=6,  # [E]
    controller_l2=4,  # [E]
    controller_far=12,  # [E]
    request=6,  # [S]
    wake=13,  # [C] a chain of four barriers takes 83 cycles [G], 44 [O]; the models' own constant is 2
    refill=18,  # [O] 15 to 20
    controller_refill=10,  # [E]
)

_CLUSTER = Cluster(
    interface="pulp",
    count=8,
    memory="l1",
    banks=16,  # [S]
    hart=32 << 5,  # [S]
    instructions=(64, 4),  # [S]
    controller_instructions=(16, 4),  # [S]
    controller_memory="fc",
    dma=_DMA,
    timing=_TIMING,
)

SILICON_DRIVER = Bursts(first=1560, thousandths=1470, burst=1 << 20)
"""[F] A request of the cluster through GreenWaves' driver, which an interrupt handler of the controller moves in bursts of 512
bytes."""

TIGHT_DRIVER = Bursts(first=79, thousandths=1000, burst=512)
"""[S] What the hardware takes, as GVSOC models it; whoever begins the next burst adds to it."""

_ENERGIES = Energies(
    convolution=460,  # the first, 3x3
    pointwise=420,  # 47.9 to 48.5 mW, 36.5 in the five of 512 channels
    depthwise=364,  # 32.0 to 40.4 mW
    pooling=198,
    dense=183,  # it waits for HyperRAM most of the time
    otherwise=390,
)
"""Derived: milliwatts that DORY's authors published for the layers of MobileNetV1-1.0-128 on GAP8 v3 at 100 MHz and 1.0 V, where
1 mW is 10 pJ a cycle; means over the time of each kind, layers apart that wait for HyperRAM, if there are others."""

_L2_CODE = 128 * KB

GAP8 = Chip(
    name="GAP8",
    core=RI5CY,
    memories=(
        Memory("code", 0x1C000000, _L2_CODE, "code", path=Path(first=3), level=2),
        Memory("fc", 0x1B000000, 16 * KB, "data", "extra", level=1),
        Memory("l1", 0x10000000, 64 * KB, "data", "fast", level=1),
        Memory("l2", 0x1C000000 + _L2_CODE, 512 * KB - _L2_CODE, "data", "main", path=Path(first=14), level=2),
        Memory("hyperram", 0x00000000, 8 * MB, "data", "external", external=True, level=3, mapped=False),
        Memory("hyperflash", 0x01000000, 64 * MB, "code", external=True, level=3, mapped=False),
    ),
    linker_script="cluster.ld",
    cluster=_CLUSTER,
    outside=SILICON_DRIVER,
    energies=_ENERGIES,
)
"""One L2 of 512 KB is two memories here, code with constants and data, as plans want it."""
