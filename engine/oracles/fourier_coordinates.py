"""Coordinates that a model chooses for itself: the context's own features and random Fourier features of it.

The coordinates of a context x float64[d] are

    0.1,  1.5 z_1 / sqrt(d) ... 1.5 z_d / sqrt(d),  sqrt(2 / m) cos(2 pi (w_i' z + b_i)), i = 1 ... m,

where z is x with each feature's mean taken off and divided by its standard deviation, and then drawn in smoothly,
z / sqrt(1 + (z / 2.5)^2), so that no outlier takes a prediction far away. The cosines are a random draw of the features
of a Gaussian kernel, whose width is 1 / 1.2 of the root mean square distance of z from its mean: a linear model on them
bends. Where there are many features all coordinates but the first are cosines.

Mean and deviation must be known before the coordinates are. So the first 64 feedbacks are kept, and at the 2nd, 4th,
8th, 16th, 32nd and 64th all of them are learned anew in the units they show; from then on the units stay. The lowest
reward seen up to there is the origin of rewards: an arm that was never tried is expected to pay that.

Source: Rahimi, Recht, "Random features for large-scale kernel machines", NIPS 2007. The numbers are measured: a coarse
search over digits, wine, breast_cancer, segment and phishing together (`benchmarks/contextual.py` has these).
A model that has the fields of `arrays`, whose names are told there, can be handed to the kernels of this file.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..draws import normals, unit, words
from ..elementary import cos_turns
from ..kernel import kernel, routine
from ..vocabulary import Array, Key
from .lanes import dot

KEPT = 64
_CONSTANT = 0.1
_OWN = 1.5
_SQUEEZE = 2.5
_BANDWIDTH = 1.2
_TURN = 2.0 * math.pi
_RUN = np.uint64(0x666F7572696572)  # of the draws that make the cosines: the same ones in every run
_FARTHEST = 1e100  # a context farther from the mean counts as this far
_NEAREST = 1e-50  # a standard deviation below this is none
_FLAT = 1e-10  # one that is less than this of the mean is rounding


def arrays(d: int, coordinates: int, own: bool) -> dict[str, Array]:
    """Return the fields of a model whose coordinates these are, before any feedback.

    origin       float64[1] what a reward is measured from
    mean         float64[d]
    factor       float64[d] 1 / standard deviation; 0 where the feature was never seen to vary
    context, action, reward, weight  of the first 64 feedbacks
    scratch_frequency  float64[m, d] w, in turns; drawn from a fixed key
    scratch_phase      float64[m] b, in turns
    scratch_z, scratch_coordinates  of the context at hand

    With `own` the context's own features are coordinates themselves.
    """
    m = coordinates - 1 - (d if own else 0)
    number: Any = np.arange(m)
    return {
        "origin": np.zeros(1),
        "mean": np.zeros(d),
        "factor": np.zeros(d),
        "context": np.zeros((KEPT, d)),
        "action": np.zeros(KEPT, np.int64),
        "reward": np.zeros(KEPT),
        "weight": np.zeros(KEPT),
        "scratch_frequency": _BANDWIDTH / math.sqrt(d) / _TURN * normals(_RUN, m, 1, d),
        "scratch_phase": np.asarray(unit(words(Key(_RUN, number), 0, 0)[0])),
        "scratch_z": np.zeros(d),
        "scratch_coordinates": np.zeros(coordinates),
    }


@routine
def write_coordinates(model: Any, context: Array) -> None:
    """Write the coordinates of a context into `scratch_coordinates`."""
    _standardise(model, context)
    _transform(model)


@kernel
def keep(model: Any, i: int, context: Array, action: int, reward: float, weight: float) -> None:
    """Keep one of the first feedbacks."""
    model.action[i] = action
    model.reward[i] = reward
    model.weight[i] = weight
    for j in range(len(context)):
        model.context[i, j] = context[j]


@kernel
def begins_anew(count: int) -> bool:
    """Tell whether all feedbacks are learned anew at this one."""
    return 1 < count <= KEPT and count & (count - 1) == 0


@kernel
def measure(model: Any, count: int) -> None:
    """Set mean, factor and origin from the first `count` feedbacks."""
    lowest = model.reward[0]
    for i in range(count):
        lowest = min(lowest, model.reward[i])
    model.origin[0] = lowest
    for j in range(len(model.mean)):
        mean = 0.0
        for i in range(count):
            mean += model.context[i, j] / count
        square = 0.0
        for i in range(count):
            u = min(max(model.context[i, j] - mean, -_FARTHEST), _FARTHEST)
            square += u * u
        deviation = math.sqrt(square / count)
        model.mean[j] = mean
        model.factor[j] = 1.0 / deviation if deviation > max(_FLAT * abs(mean), _NEAREST) else 0.0


@kernel
def divide_up(model: Any, context: Array, theta: Array, parts: Array) -> int:
    """Write what each feature adds to theta' coordinates and the origin, then the rest: the intercept.

    What a feature adds through the cosines is the prediction less that with the feature at its mean.
    """
    d = len(context)
    for j in range(len(parts)):
        parts[j] = 0.0
    _standardise(model, context)
    _transform(model)
    whole = dot(theta, model.scratch_coordinates, len(theta))
    rest = whole + model.origin[0]
    for j in range(d):
        own = model.scratch_z[j]
        model.scratch_z[j] = 0.0
        _transform(model)
        parts[j] = whole - dot(theta, model.scratch_coordinates, len(theta))
        rest -= parts[j]
        model.scratch_z[j] = own
    parts[d] = rest
    return d


@kernel
def _standardise(model: Any, context: Array) -> None:
    """Write z into `scratch_z`."""
    for j in range(len(context)):
        v = min(max(context[j] - model.mean[j], -_FARTHEST), _FARTHEST) * model.factor[j]
        q = v / _SQUEEZE
        model.scratch_z[j] = v / math.sqrt(1.0 + q * q)


@kernel
def _transform(model: Any) -> None:
    """Write the coordinates of the z in `scratch_z` into `scratch_coordinates`."""
    z = model.scratch_z
    to = model.scratch_coordinates
    d = len(z)
    m = len(model.scratch_phase)
    to[0] = _CONSTANT
    first = len(to) - m
    if first > 1:
        size = _OWN / math.sqrt(float(d))
        for j in range(d):
            to[1 + j] = size * z[j]
    size = math.sqrt(2.0 / m)
    for i in range(m):
        to[first + i] = model.scratch_phase[i] + dot(model.scratch_frequency[i], z, d)
    for i in range(m):
        to[first + i] = size * cos_turns(to[first + i])
