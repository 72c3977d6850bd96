"""The seven networks that `pytorch_exports.py` exports, in PyTorch, and the data that they are trained on for a few steps.

They have the structure of ResNet-8, MobileNetV1 and V2, DS-CNN, an autoencoder, a 1-D CNN and a transformer block, and are narrow
and of few pixels, so that each file is small and each test short. Data are smoothed random templates, one for each class, under
noise: enough for statistics of BatchNorm and activations as training leaves them.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 10
SEED = 11
BATCH = 32
STEPS = 150
NOISE = 0.6


def convolution(
    x: int, y: int, size: int = 3, stride: int = 1, groups: int = 1, act: type[nn.Module] | None = nn.ReLU
) -> nn.Sequential:
    """A convolution with BatchNorm and an activation."""
    layers = [nn.Conv2d(x, y, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(y)]
    return nn.Sequential(*layers, *([] if act is None else [act()]))


class Residual(nn.Module):
    """The block of ResNet-8."""

    def __init__(self, x: int, y: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(x, y, 3, stride), convolution(y, y, act=None))
        self.side = nn.Identity() if x == y and stride == 1 else nn.Conv2d(x, y, 1, stride)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.body(x) + self.side(x))


def head(channels: int) -> list[nn.Module]:
    """The mean of each channel, and a dense layer."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]


def resnet8() -> nn.Module:
    """Image classification: 3 x 16 x 16."""
    blocks = [Residual(8, 8, 1), Residual(8, 16, 2), Residual(16, 32, 2)]
    return nn.Sequential(convolution(3, 8), *blocks, *head(32))


def separable(x: int, y: int, stride: int = 1) -> nn.Sequential:
    """A depthwise and a pointwise convolution, as in MobileNetV1 and DS-CNN."""
    return nn.Sequential(convolution(x, x, 3, stride, x), convolution(x, y, 1))


def mobilenet_v1() -> nn.Module:
    """3 x 24 x 24."""
    blocks = [separable(8, 16), separable(16, 24, 2), separable(24, 24), separable(24, 48, 2), separable(48, 48)]
    return nn.Sequential(convolution(3, 8, 3, 2), *blocks, *head(48))


class Inverted(nn.Module):
    """The block of MobileNetV2: wide inside, and linear at its end."""

    def __init__(self, x: int, y: int, stride: int, wider: int = 3) -> None:
        super().__init__()
        inside = x * wider
        self.body = nn.Sequential(
            convolution(x, inside, 1, act=nn.ReLU6),
            convolution(inside, inside, 3, stride, inside, nn.ReLU6),
            convolution(inside, y, 1, act=None),
        )
        self.adds = x == y and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.adds else self.body(x)


def mobilenet_v2() -> nn.Module:
    """3 x 24 x 24."""
    blocks = [Inverted(8, 8, 1), Inverted(8, 16, 2), Inverted(16, 16, 1), Inverted(16, 24, 2), Inverted(24, 24, 1)]
    last = convolution(24, 48, 1, act=nn.ReLU6)
    return nn.Sequential(convolution(3, 8, 3, 2, act=nn.ReLU6), *blocks, last, *head(48))


def dscnn() -> nn.Module:
    """Keyword spotting: 1 x 49 x 10 features."""
    first = nn.Sequential(nn.Conv2d(1, 16, (10, 4), 2, (4, 1), bias=False), nn.BatchNorm2d(16), nn.ReLU())
    blocks = [separable(16, 16) for _ in range(4)]
    return nn.Sequential(first, *blocks, nn.Dropout(0.2), nn.AvgPool2d((24, 5)), nn.Flatten(), nn.Linear(16, CLASSES))


def autoencoder() -> nn.Module:
    """Anomaly detection: 64 features."""
    sizes = (64, 32, 32, 8, 32, 32)
    layers: list[nn.Module] = []
    for x, y in pairwise(sizes):
        layers += [nn.Linear(x, y), nn.BatchNorm1d(y), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(32, 64))


def cnn1d() -> nn.Module:
    """Sequences of three signals: 3 x 64."""

    def layer(x: int, y: int, size: int, **settings: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv1d(x, y, size, **settings), nn.BatchNorm1d(y), nn.ReLU())

    return nn.Sequential(
        layer(3, 12, 7, padding=3),
        nn.MaxPool1d(2),
        layer(12, 16, 3, padding=2, dilation=2),
        layer(16, 24, 5, padding=2, stride=2),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(24, CLASSES),
    )


class Attention(nn.Module):
    """Self-attention of several heads, written out as exporters see it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.depth = heads, width // heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self.split(f(x)) for f in (self.query, self.key, self.value))
        weights = torch.softmax(torch.matmul(q, k.transpose(2, 3)) * self.depth**-0.5, -1)
        return self.out(torch.matmul(weights, v).transpose(1, 2).reshape(x.shape[0], -1, self.heads * self.depth))

    def split(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], -1, self.heads, self.depth).transpose(1, 2)


class Transformer(nn.Module):
    """One block, normalised before attention and the perceptron, between two dense layers: sequences of 12 x 8."""

    def __init__(self, width: int = 16, heads: int = 2) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.before, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.between = nn.LayerNorm(width)
        self.perceptron = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.mean = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten())
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        x = x + self.attention(self.before(x))
        x = x + self.perceptron(self.between(x))
        return self.head(self.mean(x.transpose(1, 2)))


@dataclass(frozen=True)
class Network:
    """A network, the shape of one of its inputs, and whether it ends in a softmax."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    softmax: bool = False


NETWORKS = {
    "resnet8": Network(resnet8, (3, 16, 16), softmax=True),
    "mobilenet_v1": Network(mobilenet_v1, (3, 24, 24)),
    "mobilenet_v2": Network(mobilenet_v2, (3, 24, 24)),
    "dscnn": Network(dscnn, (1, 49, 10), softmax=True),
    "autoencoder": Network(autoencoder, (64,)),
    "cnn1d": Network(cnn1d, (3, 64)),
    "transformer": Network(Transformer, (12, 8)),
}


def templates(shape: tuple[int, ...]) -> Tensor:
    """One smooth input for each class."""
    generator = torch.Generator().manual_seed(SEED)
    coarse = torch.randn(CLASSES, 1, *(max(1, n // 4) for n in shape), generator=generator)
    flat = coarse.reshape(CLASSES, 1, 1, -1)
    width = 1
    for n in shape:
        width *= n
    smooth = functional.interpolate(flat, size=(1, width), mode="bilinear", align_corners=False)
    return smooth.reshape(CLASSES, *shape)


def samples(shape: tuple[int, ...], count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Inputs and their classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    return templates(shape)[labels] + NOISE * torch.randn(count, *shape, generator=generator), labels


def trained(name: str) -> nn.Module:
    """A network after some steps of training, ready to be exported."""
    return copy.deepcopy(_trained(name))


@cache
def _trained(name: str) -> nn.Module:
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # sums of several threads are in no fixed order
    network = NETWORKS[name]
    net = network.make().train()
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    for step in range(STEPS):
        x, labels = samples(network.shape, BATCH, 1000 + step)
        y = net(x)
        loss = functional.mse_loss(y, x) if y.shape == x.shape else functional.cross_entropy(y, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    net.eval()
    if network.softmax:
        net = nn.Sequential(OrderedDict(body=net, softmax=nn.Softmax(-1)))
    return net.eval()


def example(name: str) -> tuple[Tensor, ...]:
    """An input for tracing."""
    return (samples(NETWORKS[name].shape, 1, 5)[0],)


def calibration(name: str, count: int = 64) -> list[Tensor]:
    """Inputs one at a time, none of them trained on."""
    x, _ = samples(NETWORKS[name].shape, count, 7)
    return list(x.split(1))
