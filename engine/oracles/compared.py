"""Compared: the second-order rule of named features (`second_order.py`), where words are compared.

- A row of many words says no more than one of fewer: where the squares of its sizes sum to more than they do on
  average, over rows of actions or over shared ones, they are multiplied by what makes it the average.
- What a word adds to one action the others lack: of each prediction the mean over all actions of what words that come
  and go add is taken away. No ranking changes by that; what a reward teaches does, as a reward for one of two topics
  speaks against the other. Where there is a single action nothing is taken away.

The scale of a row is known when its sizes are. So sums of sizes and of places are kept apart, and a row is read once.
`fit` holds two rows, the shared one and the action's, from its first step to its last, if they are not too long: a slot
that names of both have is then counted once. The norm is taken when both rows have been counted.
State: as `second_order.py` says, and two sums. Cost: O(nonzeros of all rows) for `predict` and `fit`; never the size of
the table.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernel import kernel, routine
from ..vocabulary import Array, Features, Problem
from .by_parts import bounded, split
from .forgetting import check_half_life, kept, let_shares_shrink
from .oracle import register_model
from .second_order import (
    AT_COUNT,
    AT_DISTANCE,
    AT_H,
    AT_KIND,
    AT_KNOWN,
    AT_KNOWN_CENTRED,
    AT_MEAN,
    AT_ONCE,
    AT_SIZE,
    AT_UNIT,
    AT_X,
    AT_Z,
    BIAS,
    CARE,
    CENTRED,
    COLUMNS,
    COUNT,
    DISTANCE,
    FEEDBACKS,
    HIGH,
    KIND,
    KNOWN_BIAS,
    LOW,
    MEAN,
    NORM,
    SIZE,
    SIZED,
    TIMES,
    UNIT,
    VALUE_MAX,
    VALUES,
    approach,
    bias_variance,
    bring,
    constant_count,
    enter,
    enter_values,
    measure,
    most_constant,
    move_weights,
    noise_of,
    part_of,
    place,
    prior_of,
    rounded,
    size_of,
    whole,
)

_OWN, _OWN_CENTRED = AT_X, AT_UNIT  # where values and units lay, the variances of weights lie once sizes are known
_ROWS_AHEAD = 3  # that are brought near while one is read: all at once would push each other out


class Compared(NamedTuple):
    """Arrays that `fit` writes, and working space."""

    weight: Array  # these four as in `SecondOrder`
    seen: Array
    total: Array
    keep: Array
    words: Array  # float64[2] sums over feedbacks of a row's squared sizes: of shared rows, and of those of actions
    scratch_some: Array  # float64[11 * AT_ONCE] of some features of an action's row, a column behind the other
    scratch_shared: Array  # float64[11 * AT_ONCE] the same of the shared row


class _Told(NamedTuple):
    """What a row tells before its weights move."""

    part: float  # of the prediction
    variance: float  # of that
    taken: float  # of the variance: what words that come and go add
    norm: float  # sum of prior variances times squared coordinates
    scale: float  # what its sizes are multiplied with


def compared_words(problem: Problem, *, half_life: float | None = None) -> Compared:
    """Return a model of named features that knows nothing yet; `half_life` is that of `second_order`."""
    slots = problem.context_shape[1]
    return Compared(
        weight=np.zeros((slots, 2)),
        seen=np.zeros((slots, 7), np.float32),
        total=np.zeros(9),
        keep=np.array([kept(check_half_life(half_life))]),
        words=np.zeros(2),
        scratch_some=np.ones(COLUMNS * AT_ONCE),
        scratch_shared=np.ones(COLUMNS * AT_ONCE),
    )


@kernel
def predict(model: Compared, context: Features, available: Array, scores: Array) -> None:
    """Write the predicted reward of each available action."""
    _approach_next(model, context, 0)
    shared, passing = model.total[BIAS] + _row_part(model.scratch_shared, model, context, 0)[0], 0.0
    for a in range(len(context.start) - 2):
        _approach_next(model, context, a + 1)
        part, of_words, _ = _row_part(model.scratch_some, model, context, a + 1)
        passing += of_words
        if a < len(available) and available[a]:
            scores[a] = shared + part
    mean = _mean(context, passing)
    for a in range(len(available)):
        if available[a]:
            scores[a] -= mean


@kernel
def spread(model: Compared, context: Features, available: Array, widths: Array) -> None:
    """Write the width of each available action: sqrt(v / r), the standard error in units of the noise."""
    noise = noise_of(model)
    shared = bias_variance(model) + _variance(model, context, 0)
    for a in range(len(available)):
        if available[a]:
            widths[a] = math.sqrt((shared + _variance(model, context, a + 1)) / noise)


@kernel
def fit(model: Compared, context: Features, action: int, reward: float, weight: float) -> float:
    """Take one step towards the reward; return how far the prediction was off."""
    own_row, total, keep = action + 1, model.total, model.keep[0]
    some, shared = model.scratch_some, model.scratch_shared
    mean = _mean_before(model, context, own_row)
    shared_part = _row_part(shared, model, context, 0)[0]
    part, passing, most = _row_part(some, model, context, own_row)
    mean += _mean(context, passing)
    error = reward - (total[BIAS] + shared_part + part - mean)
    enter(model, reward)
    total[FEEDBACKS] = keep * total[FEEDBACKS] + weight
    total[KNOWN_BIAS] *= keep
    total[TIMES] = np.float32(keep * total[TIMES] + weight)  # rounded as the counts of features are
    _meet(shared, model, context, 0, weight, total[TIMES])
    most = rounded(keep * most + weight)
    _meet(some, model, context, own_row, weight, most)
    of_shared = _tell(shared, model, context, 0, weight, 0.0)
    of_own = _tell(some, model, context, own_row, weight, most)
    total[NORM] = keep * total[NORM] + weight * (1.0 + of_shared.norm + of_own.norm)
    error_clipped = reward - min(max(total[BIAS] - mean + of_shared.part + of_own.part, total[LOW]), total[HIGH])
    noise, own = noise_of(model) / weight, bias_variance(model)
    variance = own + of_shared.variance + of_own.variance - _mean(context, of_own.taken)
    step = error_clipped / (noise + variance)
    total[BIAS] += step * own
    total[KNOWN_BIAS] += 1.0 / (noise + CARE * (variance - own))
    _move(shared, model, context, 0, of_shared.scale, step, noise, variance)
    _move(some, model, context, own_row, of_own.scale, step, noise, variance)
    return error


@kernel
def _approach_next(model: Compared, context: Features, row: int) -> None:
    """Let the rows come near that are read after this one."""
    if row == 0:
        approach(model, context, 0)
    if row + 2 < len(context.start):
        approach(model, context, row + 1)


@kernel
def _mean(context: Features, total: float) -> float:
    """Return the mean over actions of what they add together; 0 where nothing is compared, as there is a single one.

    Counted are actions that have features: a page may have empty rows.
    """
    n = 0
    for row in range(1, len(context.start) - 1):
        n += context.start[row] < context.start[row + 1]
    return total / n if n > 1 else 0.0


@routine
def _mean_before(model: Compared, context: Features, own_row: int) -> float:
    """Return what words that come and go add to the other actions, over the number of all; have its own row come near.

    The shared row comes near, too.
    """
    passing, rows = 0.0, len(context.start) - 1
    for row in (own_row, 0):
        approach(model, context, row)
    if _mean(context, 1.0) > 0.0:
        for row in range(1, min(1 + _ROWS_AHEAD, rows)):
            approach(model, context, row)
        for row in range(1, rows):
            if row + _ROWS_AHEAD < rows:
                approach(model, context, row + _ROWS_AHEAD)
            if row != own_row:
                passing += _passing_part(model.scratch_some, model, context, row)
    return _mean(context, passing)


@kernel
def _passing_part(some: Array, model: Compared, context: Features, row: int) -> float:
    """Return what words that come and go add to a row: the second of what `_row_part` returns, with nothing else."""
    passing, words, most = 0.0, 0.0, 0.0
    unit, has_unit = model.total[UNIT], model.total[VALUES] > 0.0
    at, end = context.start[row], context.start[row + 1]
    if end - at > AT_ONCE:
        most = most_constant(model, context, row)
    while at < end:
        n = min(end - at, AT_ONCE)
        for j in range(n):
            x, seen = bounded(context.value[at + j], VALUE_MAX), model.seen[context.index[at + j]]
            count = float(seen[COUNT])
            most = max(most, constant_count(x, count, float(seen[MEAN]), float(seen[DISTANCE])))
            some[AT_X + j], some[AT_COUNT + j] = x, count
            some[AT_SIZE + j], some[AT_KIND + j] = seen[SIZE], seen[KIND]
        for j in range(whole(n)):
            size = some[AT_SIZE + j]
            some[AT_H + j] = size_of(some[AT_X + j], some[AT_KIND + j], size, unit if has_unit else size)
        for j in range(n):
            h = some[AT_H + j]
            words += h * h
            passing += model.weight[context.index[at + j], SIZED] * h if some[AT_COUNT + j] < most else 0.0
        at += n
    return _even(model, row, words) * passing


@routine
def _row_part(some: Array, model: Compared, context: Features, row: int) -> tuple[float, float, float]:
    """Return what a row adds to the prediction, what of it words add that come and go, and the most frequent constant.

    Words come and go that were there less often than this constant. What all actions share is not compared.
    """
    sized, centred, passing, words, most = 0.0, 0.0, 0.0, 0.0, 0.0
    at, end = context.start[row], context.start[row + 1]
    if end - at > AT_ONCE:
        most = most_constant(model, context, row)
    while at < end:
        n = min(end - at, AT_ONCE)
        bring(some, model, context, at, n)
        for j in range(n):
            count, mean, farthest = some[AT_COUNT + j], some[AT_MEAN + j], some[AT_DISTANCE + j]
            most = max(most, constant_count(some[AT_X + j], count, mean, farthest))
        place(some, model, n)
        for j in range(n):
            i, h, count = context.index[at + j], some[AT_H + j], some[AT_COUNT + j]
            words += h * h
            by_size = model.weight[i, SIZED] * h
            sized += by_size
            centred += model.weight[i, CENTRED] * some[AT_Z + j]
            passing += by_size if count < most else 0.0
        at += n
    scale = _even(model, row, words)
    return scale * sized + centred, scale * passing, most


@routine
def _meet(some: Array, model: Compared, context: Features, row: int, weight: float, most: float) -> None:
    """Update what is known of the values of a row, which were brought before."""
    at, end = context.start[row], context.start[row + 1]
    brought = end - at <= AT_ONCE
    while at < end:
        n = min(end - at, AT_ONCE)
        if not brought:
            bring(some, model, context, at, n)
        enter_values(some, model, context, at, n, weight, most)
        at += n


@routine
def _tell(some: Array, model: Compared, context: Features, row: int, weight: float, most: float) -> _Told:
    """Enter the sum of the squared sizes of a row, which was met, and return what the row tells with them."""
    sized, centred, variance, variance_centred, taken, words, places = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    at, end = context.start[row], context.start[row + 1]
    brought = end - at <= AT_ONCE
    while at < end:
        n = min(end - at, AT_ONCE)
        if not brought:
            bring(some, model, context, at, n)
        place(some, model, n)
        _write_variances(some, n, prior_of(row))
        for j in range(n):
            i, h, z, count = context.index[at + j], some[AT_H + j], some[AT_Z + j], some[AT_COUNT + j]
            sized += model.weight[i, SIZED] * h
            centred += model.weight[i, CENTRED] * z
            words += h * h
            places += z * z
            varied = some[_OWN + j] * h * h
            variance += varied
            variance_centred += some[_OWN_CENTRED + j] * z * z
            taken += varied if count < most else 0.0
        at += n
    model.words[min(row, 1)] = model.keep[0] * model.words[min(row, 1)] + weight * words
    scale = _even(model, row, words)
    squared, norm = scale * scale, prior_of(row) * (words + places)
    return _Told(scale * sized + centred, squared * variance + variance_centred, squared * taken, norm, scale)


@kernel
def _write_variances(some: Array, n: int, prior: float) -> None:
    """Write the variances of the weights of n features."""
    for j in range(whole(n)):
        some[_OWN + j] = prior / (1.0 + prior * some[AT_KNOWN + j])
        some[_OWN_CENTRED + j] = prior / (1.0 + prior * some[AT_KNOWN_CENTRED + j])


@routine
def _move(
    some: Array,
    model: Compared,
    context: Features,
    row: int,
    scale: float,
    step: float,
    noise: float,
    variance: float,
) -> None:
    """Move the weights of a row, which has told, by a step, and count what the feedback says of them."""
    at, end = context.start[row], context.start[row + 1]
    told = end - at <= AT_ONCE
    while at < end:
        n = min(end - at, AT_ONCE)
        if not told:
            measure(some, model, context, at, n)
            _write_variances(some, n, prior_of(row))
        for j in range(whole(n)):
            h, z, own, own_centred = scale * some[AT_H + j], some[AT_Z + j], some[_OWN + j], some[_OWN_CENTRED + j]
            some[AT_H + j] = step * own * h
            some[AT_Z + j] = step * own_centred * z
            some[AT_KNOWN + j] += h * h / (noise + CARE * max(variance - own * h * h, 0.0))
            some[AT_KNOWN_CENTRED + j] += z * z / (noise + CARE * max(variance - own_centred * z * z, 0.0))
        move_weights(some, model, context, at, n)
        at += n


@routine
def _variance(model: Compared, context: Features, row: int) -> float:
    """Return what the features of a row add to the variance of the prediction."""
    some, variance, centred, words = model.scratch_some, 0.0, 0.0, 0.0
    at, end = context.start[row], context.start[row + 1]
    while at < end:
        n = min(end - at, AT_ONCE)
        measure(some, model, context, at, n)
        _write_variances(some, n, prior_of(row))
        for j in range(n):
            h, z = some[AT_H + j], some[AT_Z + j]
            words += h * h
            variance += some[_OWN + j] * h * h
            centred += some[_OWN_CENTRED + j] * z * z
        at += n
    scale = _even(model, row, words)
    return scale * scale * variance + centred


@kernel
def _even(model: Compared, row: int, words: float) -> float:
    """Return what makes the squared sizes of a row sum to what they sum to on average; 1 where they sum to less."""
    known = model.words[min(row, 1)]
    if not known > 0.0:
        return 1.0
    known /= model.total[FEEDBACKS]
    return math.sqrt(known / words) if words > known else 1.0


@routine
def _scale(model: Compared, context: Features, row: int) -> float:
    """Return what the sizes of a row are multiplied with."""
    some, words = model.scratch_some, 0.0
    at, end = context.start[row], context.start[row + 1]
    while at < end:
        n = min(end - at, AT_ONCE)
        measure(some, model, context, at, n)
        for j in range(n):
            words += some[AT_H + j] * some[AT_H + j]
        at += n
    return _even(model, row, words)


@kernel
def _bias(model: Compared, context: Features) -> float:
    """Return the bias less what words that come and go add on average over the actions."""
    return model.total[BIAS] - _mean_before(model, context, 0)


register_model(
    Compared,
    predict=predict,
    spread=spread,
    fit=fit,
    split=split,
    part=part_of,
    bias=_bias,
    scale=_scale,
    decay=let_shares_shrink,
)
