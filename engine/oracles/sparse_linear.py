"""Sparse linear: one table of weights for the named features of all actions, learned online and without a rate to tune.

Source: normalised adaptive gradient steps, Ross, Mineiro, Langford 2013, "Normalized online learning", algorithm NAG.
Departs from it, for feature i in slot i of the table:
- The prediction is bias + sum over the features present of presence_i + slope_i (x_i - mean_i). The running mean makes
  a number free of its origin as the scale makes it free of its unit; one that never changed has a presence, no slope.
- A step is implicit: as long as its own gradient at the point where it ends asks for (Kulis, Bartlett 2010). Hence any
  rate from 1/2 to 4 does; it is 1.
- Errors are those of the prediction clipped to the rewards seen so far, and are counted in units of their range:
  rewards may be shifted and scaled.
- A number's presence is not learned where a feature that does not change has been there as often: that has it already.

State: 32 bytes a slot, float64 weights and float32 statistics. Cost: O(nonzeros of the shared and of the actions' rows)
for `predict` and `spread`, O(nonzeros of the shared and the action's row) for `fit`; never the size of the table.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernel import kernel
from ..vocabulary import Array, Features, Problem
from .by_parts import as_it_is, bounded, predict, row_part, split
from .forgetting import check_half_life, kept, let_shares_shrink
from .oracle import register_model

VALUE_MAX = 1e30  # beyond, a value counts as this: float32 holds its scale
SAME = 1e-6  # relative; a value as near to its mean is the mean, which is kept as a float32
SLOPE_MIN = 1e-100  # of what is smaller, the square would vanish
MARKS = 1024

PRESENCE, SLOPE = 0, 1  # columns of `weight`
COUNT, MEAN, SCALE, SQUARE = 0, 1, 2, 3  # columns of `seen`
FEEDBACKS, NORM, ERROR, BIAS, LOW, HIGH = 0, 1, 2, 3, 4, 5  # places in `total`


class SparseLinear(NamedTuple):
    """Arrays that `fit` writes."""

    weight: Array  # float64[2^bits, 2] presence and slope of each slot, in units of the reward
    seen: Array  # float32[2^bits, 4] how often; mean; largest distance from it; sum of squared gradients in units of it
    total: Array  # float64[6] feedbacks; norms of contexts; squared errors; bias; lowest and highest reward
    keep: Array  # float64[1] what of a count is left after the next feedback, in (0, 1]
    scratch_marks: Array  # float64[1024] counts of the features at hand that never changed


def sparse_linear(problem: Problem, *, half_life: float | None = None) -> SparseLinear:
    """Return a model of named features that knows nothing yet.

    After `half_life` >= 1 feedbacks that hold a feature, the older ones count half for its mean, its rate and its
    width; after as many of any kind, for the rate of all and that of the bias. None: they count in full. Weights, the
    largest distance of a feature from its mean and the range of the rewards are never forgotten: a half-life keeps
    up how far new feedbacks move the weights.
    """
    slots = problem.context_shape[1]
    weight, seen = np.zeros((slots, 2)), np.zeros((slots, 4), np.float32)
    return SparseLinear(weight, seen, np.zeros(6), np.array([kept(check_half_life(half_life))]), np.zeros(MARKS))


@kernel
def spread(model: SparseLinear, context: Features, available: Array, widths: Array) -> None:
    """Write the width of each available action: ridge regression's if features were never there together.

    That is sqrt(1/(1 + n) + sum_i v_i): v_i = 1/(1 + n_i) for a feature that never changed, n_i its feedbacks, and
    z_i^2/(1 + sum of its z^2) for another, with z the distance from the mean in units of the largest one.
    """
    shared = 1.0 / (1.0 + model.total[FEEDBACKS]) + _variance(model, context, 0)
    for a in range(len(available)):
        if available[a]:
            widths[a] = math.sqrt(shared + _variance(model, context, a + 1))


@kernel
def fit(model: SparseLinear, context: Features, action: int, reward: float, weight: float) -> float:
    """Take one step towards the reward; return how far the prediction was off."""
    predicted = model.total[BIAS] + row_part(model, context, 0) + row_part(model, context, action + 1)
    error = reward - predicted
    total = model.total
    if total[FEEDBACKS] == 0.0:
        total[BIAS] = total[LOW] = total[HIGH] = reward
    total[LOW] = min(total[LOW], reward)
    total[HIGH] = max(total[HIGH], reward)
    keep = model.keep[0]
    total[FEEDBACKS] = keep * total[FEEDBACKS] + weight
    total[NORM] = keep * total[NORM] + weight * _meet(model, context, action, weight)
    total[ERROR] *= keep
    size = total[HIGH] - total[LOW]
    if size == 0.0:
        return error
    predicted = total[BIAS] + row_part(model, context, 0) + row_part(model, context, action + 1)
    slope = 2.0 * (min(max(predicted, total[LOW]), total[HIGH]) - reward) / size
    if abs(slope) < SLOPE_MIN:
        return error
    total[ERROR] += weight * slope * slope
    rate = math.sqrt(total[FEEDBACKS] / total[NORM])
    bias_rate = rate / math.sqrt(total[ERROR])
    reach = bias_rate + _reach(model, context, action, weight * slope * slope, rate)
    step = weight * slope * size / (1.0 + 2.0 * weight * reach)
    total[BIAS] -= step * bias_rate
    _move(model, context, action, step, rate)
    return error


@kernel
def _meet(model: SparseLinear, context: Features, action: int, weight: float) -> float:
    """Update what is known of the features present; return the squared norm of their normalised values.

    Marks the counts of those that never changed, and the bias among them.
    """
    for m in range(MARKS):
        model.scratch_marks[m] = 0.0
    _mark(model, float(np.float32(model.total[FEEDBACKS])))
    keep = model.keep[0]
    for row in (0, action + 1):
        for j in range(context.start[row], context.start[row + 1]):
            seen = model.seen[context.index[j]]
            x = bounded(context.value[j], VALUE_MAX)
            count = keep * float(seen[COUNT]) + weight
            mean = float(seen[MEAN])
            seen[COUNT] = count
            seen[MEAN] = mean + (x - mean) * (weight / count)
            seen[SQUARE] = keep * float(seen[SQUARE])
            distance = abs(_centred(x, float(seen[MEAN])))
            scale = float(seen[SCALE])
            if distance > scale:
                ratio = scale / distance
                model.weight[context.index[j], SLOPE] *= ratio
                seen[SQUARE] = float(seen[SQUARE]) * ratio * ratio
                seen[SCALE] = distance
            if float(seen[SCALE]) == 0.0:
                _mark(model, float(seen[COUNT]))
    norm = 1.0
    for row in (0, action + 1):
        for j in range(context.start[row], context.start[row + 1]):
            z = _normalised(model, context.index[j], context.value[j])
            norm += z * z
            if _has_presence(model, context.index[j]):
                norm += 1.0
    return norm


@kernel
def _reach(model: SparseLinear, context: Features, action: int, square: float, rate: float) -> float:
    """Add a squared gradient; return by how much a step of 1 moves the prediction, in units of the rewards' range."""
    reach = 0.0
    for row in (0, action + 1):
        for j in range(context.start[row], context.start[row + 1]):
            i = context.index[j]
            z = _normalised(model, i, context.value[j])
            if z != 0.0:
                model.seen[i, SQUARE] = float(model.seen[i, SQUARE]) + square * z * z
            reach += _slope_rate(model, i, rate) * z * z + _presence_rate(model, i, rate)
    return reach


@kernel
def _move(model: SparseLinear, context: Features, action: int, step: float, rate: float) -> None:
    for row in (0, action + 1):
        for j in range(context.start[row], context.start[row + 1]):
            i = context.index[j]
            model.weight[i, PRESENCE] -= step * _presence_rate(model, i, rate)
            z = _normalised(model, i, context.value[j])
            if z != 0.0:
                model.weight[i, SLOPE] -= step * _slope_rate(model, i, rate) * z / float(model.seen[i, SCALE])


@kernel
def _slope_rate(model: SparseLinear, i: int, rate: float) -> float:
    square = np.float64(model.seen[i, SQUARE])  # compiled, `float` leaves it a float32, and then so is its root
    return rate / math.sqrt(square) if square > 0.0 else 0.0


@kernel
def _presence_rate(model: SparseLinear, i: int, rate: float) -> float:
    """Return the rate of a presence: its squared gradients are taken to be as large as those of all feedbacks."""
    if not _has_presence(model, i):
        return 0.0
    return rate / math.sqrt(model.total[ERROR] / model.total[FEEDBACKS] * float(model.seen[i, COUNT]))


@kernel
def _has_presence(model: SparseLinear, i: int) -> bool:
    count = float(model.seen[i, COUNT])
    return float(model.seen[i, SCALE]) == 0.0 or model.scratch_marks[_mark_of(count)] != count


@kernel
def _mark(model: SparseLinear, count: float) -> None:
    model.scratch_marks[_mark_of(count)] = count


@kernel
def _mark_of(count: float) -> int:
    """Return a place for a count; of two that meet in one, the first is forgotten, which costs a presence too many."""
    return int(count * 7919.0) % MARKS


@kernel
def _bias(model: SparseLinear, context: Features) -> float:
    return model.total[BIAS]


@kernel
def _part(model: SparseLinear, i: int, x: float, scale: float) -> float:
    """Return what a feature adds to the prediction."""
    distance = _centred(bounded(x, VALUE_MAX), float(model.seen[i, MEAN]))
    return model.weight[i, PRESENCE] + model.weight[i, SLOPE] * distance


@kernel
def _variance(model: SparseLinear, context: Features, row: int) -> float:
    total = 0.0
    mean_error = 1.0
    if model.total[ERROR] > 0.0:
        mean_error = model.total[ERROR] / model.total[FEEDBACKS]
    for j in range(context.start[row], context.start[row + 1]):
        i = context.index[j]
        if float(model.seen[i, SCALE]) == 0.0:
            total += 1.0 / (1.0 + float(model.seen[i, COUNT]))
        else:
            z = _normalised(model, i, context.value[j])
            total += z * z / (1.0 + float(model.seen[i, SQUARE]) / mean_error)
    return total


@kernel
def _normalised(model: SparseLinear, i: int, x: float) -> float:
    """Return the distance of x from its mean in units of the largest one; 0 for what never changed."""
    scale = float(model.seen[i, SCALE])
    return _centred(bounded(x, VALUE_MAX), float(model.seen[i, MEAN])) / scale if scale > 0.0 else 0.0


@kernel
def _centred(x: float, mean: float) -> float:
    distance = x - mean
    return 0.0 if abs(distance) <= SAME * abs(mean) else distance


register_model(
    SparseLinear,
    predict=predict,
    spread=spread,
    fit=fit,
    split=split,
    part=_part,
    bias=_bias,
    scale=as_it_is,
    decay=let_shares_shrink,
)
