"""Weights become integers: a scale for each channel, and which way each weight is rounded.

"nearest" rounds each weight for itself. "adaptive" rounds so that the sums that a layer computes are right, as AdaRound does
(Nagel et al. 2020): over all inputs seen, the squared error of a sum is a quadratic form of the errors of its weights, whose
matrix is the covariance of the layer's patches. No descent over inputs is needed then: weights are rounded one after the other,
what each one leaves is made up for by those that follow (Frantar et al. 2022), and each is changed as long as that lowers the
form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smelt.quantization.products import Floats

SHRINKS = np.linspace(0.4, 1.0, 61)
DAMPING = 0.01
SWEEPS = 12
BLOCK = 64


@dataclass(frozen=True, eq=False)
class Moments:
    """Of the patches that a layer sees: `own` (groups, elements, elements) is the covariance of those of the quantised network,
    `shared` that of them with those of the network of reals; both of so many `outputs`."""

    own: Floats
    shared: Floats
    outputs: int

    @property
    def damping(self) -> float:
        """How much is added to the variances, as a share of them: more where there are few outputs for many elements."""
        return max(DAMPING, int(self.own.shape[-1]) / self.outputs)


def moments(quantised: Floats, real: Floats) -> Moments:
    """Of patches as (groups, outputs, elements)."""
    centred, exact = (patches - patches.mean(1, keepdims=True) for patches in (quantised, real))
    turned = centred.transpose(0, 2, 1)
    count = max(quantised.shape[1], 1)
    own, shared = ((turned @ other / count).astype(np.float64) for other in (centred, exact))
    return Moments(own, shared, count)


def limits_of(bits: int) -> tuple[int, int]:
    """The least and the greatest weight: of 8 bits without the one that has no opposite."""
    return (-127, 127) if bits == 8 else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def nearest(filters: Floats, scales: Floats, bits: int) -> Floats:
    """Integers, as float64, of filters (groups, filters, elements)."""
    return np.clip(np.rint(filters / scales[..., np.newaxis]), *limits_of(bits))


def scales_of(filters: Floats, bits: int, best: bool, importance: Floats | None = None) -> Floats:
    """A scale, of float32, for each filter of (groups, filters, elements): its greatest weight becomes the greatest integer, or, of
    the `best`, something greater does, if that lowers the squared error, in which elements have an `importance`."""
    most = np.abs(filters).max(-1).astype(np.float64)
    full = np.where(most > 0, most / limits_of(bits)[1], 1.0).astype(np.float32)
    if not best:
        return full
    weight = np.ones_like(filters) if importance is None else np.broadcast_to(importance[:, np.newaxis], filters.shape)
    found, least = full, np.full(full.shape, np.inf)
    for share in SHRINKS:
        scales = (full * share).astype(np.float32)
        left = nearest(filters, scales, bits) * scales[..., np.newaxis] - filters
        error = (np.square(left) * weight).sum(-1)
        found, least = np.where(error < least, scales, found), np.minimum(error, least)
    return found.astype(np.float32)


def adaptive(filters: Floats, scales: Floats, bits: int, seen: Moments) -> Floats:
    """Integers, as float64, of filters (groups, filters, elements)."""
    exact, each = filters.astype(np.float64), scales.astype(np.float64)
    return np.stack([_of_group(exact[g], each[g], bits, seen, g) for g in range(len(exact))])


def _of_group(filters: Floats, scales: Floats, bits: int, seen: Moments, group: int) -> Floats:
    """Of filters (filters, elements). The form is (q - wanted) form (q - wanted)': what is wanted makes up for what the
    quantised network's patches are off, but stays near the weights where the patches say little."""
    own, shared = seen.own[group], seen.shared[group]
    elements = len(own)
    damping = seen.damping * float(np.trace(own)) / elements + 1e-12
    form = own + damping * np.eye(elements)
    wanted = np.linalg.solve(form, (filters @ (shared.T + damping * np.eye(elements))).T).T
    units = wanted / scales[:, np.newaxis]
    return _improved(_in_order(units, form, bits), units, form, bits)


def _in_order(units: Floats, form: Floats, bits: int) -> Floats:
    """Round one element of all filters after the other; the rest make up for what that leaves."""
    order = np.argsort(-np.diag(form), kind="stable")
    upper = np.linalg.cholesky(np.linalg.inv(form[np.ix_(order, order)])).T
    left, rounded = units[:, order].copy(), np.empty_like(units)
    low, high = limits_of(bits)
    for start in range(0, len(order), BLOCK):
        stop = min(start + BLOCK, len(order))
        errors = np.empty((len(units), stop - start))
        for k in range(start, stop):
            rounded[:, k] = np.clip(np.rint(left[:, k]), low, high)
            errors[:, k - start] = (left[:, k] - rounded[:, k]) / upper[k, k]
            left[:, k:stop] -= np.outer(errors[:, k - start], upper[k, k:stop])
        left[:, stop:] -= errors @ upper[start:stop, stop:]
    found = np.empty_like(rounded)
    found[:, order] = rounded
    return found


def _improved(rounded: Floats, units: Floats, form: Floats, bits: int) -> Floats:
    """Set each element to its best while the others stay, until nothing changes."""
    q, slope, curve = rounded.copy(), (rounded - units) @ form, np.diag(form)
    low, high = limits_of(bits)
    for _ in range(SWEEPS):
        changed = False
        for k in range(len(form)):
            step = np.clip(np.rint(q[:, k] - slope[:, k] / curve[k]), low, high) - q[:, k]
            moved = np.flatnonzero(step)
            if moved.size:
                q[moved, k] += step[moved]
                slope[moved] += np.outer(step[moved], form[k])
                changed = True
        if not changed:
            break
    return q
