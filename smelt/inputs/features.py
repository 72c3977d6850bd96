"""Features of sounds as a network wants them: which they are, and what the host makes of samples, with the device's bits."""

from __future__ import annotations

from dataclasses import replace
from math import log

from smelt.errors import OptionError
from smelt.inputs.sounds import SoundSpec
from smelt.model.graph import Array, Graph, Tensor
from smelt.model.mel import filter_bank
from smelt.model.ops_fft import has_butterflies
from smelt.model.reference import run
from smelt.passes.sound import Features, with_sound

TYPES = ("int8", "uint8", "int16")


def features_of(edge: Tensor, spec: SoundSpec) -> Features:
    """The features that an input wants: (1, frames, values), (1, frames, values, 1), or all in a row. Raises OptionError."""
    n, shape = spec.numbers, edge.shape
    stored = edge.dtype == "float32" or (edge.dtype in TYPES and edge.quantization is not None)
    if not stored or shape[:1] != (1,):
        raise OptionError(
            f"features of sounds are for inputs (1, ...) of float32 or of integers with a scale; the model's input is {edge}"
        )
    window, stride = spec.samples("window"), spec.samples("stride")
    length = int(n["n_fft"]) or 1 << max(window - 1, 3).bit_length()
    if length < window or not has_butterflies(length):
        raise OptionError(
            f"features of sounds: n_fft={length} is no spectrum of a window of {window} samples: it is not less, and half of it is "
            "a product of 2, 3 and 5"
        )
    coefficients = 0 if spec.kind == "log-mel" else int(n["n_mfcc"]) or (shape[2] if len(shape) > 2 else 0)
    values = coefficients or int(n["n_mels"])
    if coefficients > n["n_mels"] or (spec.kind == "mfcc" and not coefficients):
        raise OptionError("features of sounds: n_mfcc is how many coefficients a frame has, and at most n_mels")
    if edge.elements % values or (len(shape) > 2 and shape[1:] not in _shapes(shape[1], values)):
        raise OptionError(
            f"features of sounds: the model's input is {edge}, and frames have {values} features: say other ones with "
            f"{'n_mfcc=' if spec.kind == 'mfcc' else 'n_mels='}"
        )
    high = n["high"] or spec.rate / 2
    if not filter_bank(int(n["n_mels"]), length, spec.rate, n["low"], high, spec.mel).weights.size:
        raise OptionError(
            f"features of sounds: no bin of spectra of {length} samples lies between {n['low']:g} and {high:g} Hz"
        )
    if n["slide"] > edge.elements // values:
        raise OptionError(
            f"features of sounds: slide is at most the {edge.elements // values} frames that the model's input has"
        )
    return Features(
        frames=edge.elements // values,
        rate=spec.rate,
        window=window,
        stride=stride,
        length=length,
        bands=int(n["n_mels"]),
        low=n["low"],
        high=high,
        scale=spec.mel,
        power=1 if n["power"] == 1 else 2,
        floor=n["floor"],
        factor=1.0 if spec.log == "ln" else 20 / n["power"] / log(10),
        coefficients=coefficients,
        mean=n["mean"],
        std=n["std"],
        slide=int(n["slide"]),
        peak=spec.peak,
    )


def _shapes(frames: int, values: int) -> tuple[tuple[int, ...], ...]:
    """Those of features behind the batch, where frames have an axis of their own."""
    return (frames, values), (frames, values, 1)


def prepared_sound(graph: Graph, spec: SoundSpec) -> Graph:
    """The graph that is given samples of int16. Raises OptionError where its input is no number of frames of such features."""
    if len(graph.inputs) != 1:
        raise OptionError(f"features of sounds are for models with one input, and this one has {len(graph.inputs)}")
    (edge,) = graph.inputs
    return with_sound(graph, edge, features_of(edge, spec))


def on_host(edge: Tensor, spec: SoundSpec) -> Graph:
    """The graph that makes an input of a network from all its samples. Raises OptionError as `prepared_sound` does."""
    whole = replace(spec, numbers={**spec.numbers, "slide": 0.0})
    return prepared_sound(Graph("features", (edge,), (edge,), ()), whole)


def computed(graph: Graph, samples: Array) -> Array:
    """What such a graph makes of samples of int16, as many as it wants."""
    (found,) = run(graph, [samples.reshape(graph.inputs[0].shape)])
    return found
