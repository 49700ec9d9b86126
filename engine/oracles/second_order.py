"""Second order: one table of weights for the named features of all actions, each with a variance of its own.

Source: AROW, Crammer, Kulesza, Dredze, "Adaptive regularization of weight vectors", 2009, for squared loss as in Vaits,
Crammer 2011, with a diagonal covariance. The weights are taken to be normal and apart, before any feedback with mean 0
and variance 1 in units of the rewards' spread (`_SHARED_VARIANCE` of what all actions share: these change no ranking).
A reward y with the prediction m, coordinates h_i and variances s_i has the predictive variance r + v,
v = sum s_i h_i^2, and Bayes' rule moves each mean by s_i h_i (y - m) / (r + v). The variances lose what the rule says
if the other weights were nearly known: 1 / s_i grows by h_i^2 / (r + CARE (v - s_i h_i^2)). With CARE = 1 that is the
exact diagonal of the rule, which learns for too long from words that came together; 0 is AROW's, which stops too soon.
r is `_NOISE` times the mean of 1 + sum h_i^2: however many features there are, a reward says as much of their sum.

What h is, so that neither a feature's unit nor its origin matters:
- A number that was there as often as the bias, or as the most frequent constant of its row (the action's id): the
  distance from its mean, in units of the largest such distance. Its presence says nothing.
- Any other, such as a word and its weight: sign(x) sqrt(|x| / unit). The unit is the mean size of the values of all
  such features, within a ninth and nine times the feature's own mean size: of weighted words the rare ones count for
  more, and beside a price they count as well. The square root is for repeated words, which say less each time.
- A word far from 0, whose values lie within a tenth of their mean, has both: 1, and the distance.
Where words are compared, the rule goes on as `compared.py` says.
The bias begins in the middle of the rewards' range, and moves with it by as much as is not known of it.

Departs from its sources: the coordinates, r and CARE are ours, measured (`benchmarks/sparse.py`), without a bound.
Errors are those of the prediction clipped to the rewards seen so far.
State: 44 bytes a slot, float64 weights and float32 statistics. Cost: O(nonzeros of the shared and of the actions' rows)
for `predict` and `spread`, O(nonzeros of the shared and the action's row) for `fit`; never the size of the table.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..featuriser.words import fetch
from ..kernel import kernel, kernel_beside, routine
from ..vocabulary import Array, Features, Problem
from .by_parts import as_it_is, bounded, split
from .forgetting import check_half_life, kept, let_shares_shrink
from .oracle import register_model

VALUE_MAX = 1e30  # beyond, a value counts as this: float32 holds its size
_SHARED_VARIANCE = 1.0 / 32.0  # variance of a shared feature's weight before any feedback; that of an action's is 1
_NOISE = 0.1
CARE = 0.1
_ALIKE = 9.0  # by how much the unit of a feature may differ from its own mean size, and a value from that
_FAR = 0.1  # of its mean size: a feature whose values all lie as near to their mean is far from 0
_OFTEN = 16.0  # feedbacks that hold a feature, before it is found to be far from 0
_SAME = 1e-6  # relative; a value as near to its mean is the mean, which is kept as a float32
_NEWEST = 1000.0  # values over which the mean size of all is taken

SIZED, CENTRED = 0, 1  # columns of `weight`
COUNT, MEAN, SIZE, DISTANCE, KNOWN, KNOWN_CENTRED, KIND = 0, 1, 2, 3, 4, 5, 6  # columns of `seen`
FEEDBACKS, NORM, BIAS, KNOWN_BIAS, LOW, HIGH, UNIT, VALUES, TIMES = 0, 1, 2, 3, 4, 5, 6, 7, 8  # places in `total`
_WORD, _FAR_WORD, _NUMBER = 0.0, 1.0, 2.0  # what KIND says of a feature
AT_ONCE = 128  # features of a row that are worked on at once: loops over columns of so many are vectors in machine code
_OF_SEEN, COLUMNS = 7, 11  # columns of `seen`, and of `scratch_some`
# Where columns of `scratch_some` begin: those of `seen`, values, units, coordinates.
AT_COUNT, AT_MEAN, AT_SIZE, AT_DISTANCE, AT_KNOWN, AT_KNOWN_CENTRED, AT_KIND, AT_X, AT_UNIT, AT_H, AT_Z = range(
    0, COLUMNS * AT_ONCE, AT_ONCE
)
_LANES = 8  # numbers in a vector
_NO_SIZE = -1.0  # in the column of units: of a feature whose size says nothing


class SecondOrder(NamedTuple):
    """Arrays that `fit` writes, and working space."""

    weight: Array  # float64[2^bits, 2] of h where it is a size and where it is a distance, in units of the reward
    seen: Array  # float32[2^bits, 7] how often; means of value and size; largest distance; what is known; the kind
    total: Array  # float64[9] feedbacks; norms; bias, known of it; lowest, highest reward; sizes (2); a float32 count
    keep: Array  # float64[1] what of a count is left after the next feedback, in (0, 1]
    scratch_some: Array  # float64[11 * AT_ONCE] of some features of a row, a column behind the other


def second_order(problem: Problem, *, half_life: float | None = None) -> SecondOrder:
    """Return a model of named features that knows nothing yet.

    After `half_life` >= 1 feedbacks that hold a feature, the older ones count half for its mean and its variance; after
    as many of any kind, for the bias and the norm. None: they count in full. Weights and the range of the rewards are
    never forgotten: a half-life keeps up how far new feedbacks move the weights.
    """
    slots = problem.context_shape[1]
    weight, seen = np.zeros((slots, 2)), np.zeros((slots, 7), np.float32)
    keep = np.array([kept(check_half_life(half_life))])
    return SecondOrder(weight, seen, np.zeros(9), keep, np.ones(COLUMNS * AT_ONCE))


@kernel
def predict(model: SecondOrder, context: Features, available: Array, scores: Array) -> None:
    """Write the predicted reward of each available action."""
    approach(model, context, 0)
    approach(model, context, 1)
    shared = model.total[BIAS] + _row_part(model, context, 0)
    for a in range(len(available)):
        if a + 1 < len(available):
            approach(model, context, a + 2)
        if available[a]:
            scores[a] = shared + _row_part(model, context, a + 1)


@kernel
def spread(model: SecondOrder, context: Features, available: Array, widths: Array) -> None:
    """Write the width of each available action: sqrt(v / r), the standard error in units of the noise."""
    noise = noise_of(model)
    shared = bias_variance(model) + _part_and_variance(model, context, 0)[1]
    for a in range(len(available)):
        if available[a]:
            widths[a] = math.sqrt((shared + _part_and_variance(model, context, a + 1)[1]) / noise)


@kernel
def fit(model: SecondOrder, context: Features, action: int, reward: float, weight: float) -> float:
    """Take one step towards the reward; return how far the prediction was off."""
    approach(model, context, 0)
    approach(model, context, action + 1)
    error = reward - model.total[BIAS] - _row_part(model, context, 0) - _row_part(model, context, action + 1)
    total = model.total
    enter(model, reward)
    keep = model.keep[0]
    total[FEEDBACKS] = keep * total[FEEDBACKS] + weight
    total[KNOWN_BIAS] *= keep
    total[TIMES] = np.float32(keep * total[TIMES] + weight)  # rounded as the counts of features are
    norm = 1.0 + _meet(model, context, 0, weight, total[TIMES])
    norm += _meet(model, context, action + 1, weight, keep * most_constant(model, context, action + 1) + weight)
    total[NORM] = keep * total[NORM] + weight * norm
    shared_part, shared_variance = _part_and_variance(model, context, 0)
    part, variance = _part_and_variance(model, context, action + 1)
    error_clipped = reward - min(max(total[BIAS] + shared_part + part, total[LOW]), total[HIGH])
    noise = noise_of(model) / weight
    own = bias_variance(model)
    variance = own + shared_variance + variance
    step = error_clipped / (noise + variance)
    total[BIAS] += step * own
    total[KNOWN_BIAS] += 1.0 / (noise + CARE * (variance - own))
    _move(model, context, 0, step, noise, variance)
    _move(model, context, action + 1, step, noise, variance)
    return error


@kernel
def approach(model: Any, context: Features, row: int) -> None:
    """Let what is known of the features of a row be brought near, all at once: the table is large."""
    for j in range(context.start[row], context.start[row + 1]):
        i = context.index[j]
        fetch(model.seen, i)
        fetch(model.seen, i + 1)  # where the end of the row lies, if that is in another line of the cache
        fetch(model.weight, i)


@kernel
def enter(model: Any, reward: float) -> None:
    """Let the bias follow the middle of the range of rewards, by as much as is not known of it."""
    total = model.total
    if total[FEEDBACKS] == 0.0:
        total[BIAS] = total[LOW] = total[HIGH] = reward
    low, high = min(total[LOW], reward), max(total[HIGH], reward)
    total[BIAS] += (0.5 * (low - total[LOW]) + 0.5 * (high - total[HIGH])) * bias_variance(model)
    total[LOW] = low
    total[HIGH] = high


@kernel
def most_constant(model: Any, context: Features, row: int) -> float:
    """Return how often the most frequent feature of a row was there that never changed, this value included."""
    most = 0.0
    for j in range(context.start[row], context.start[row + 1]):
        seen = model.seen[context.index[j]]
        count, mean, farthest = float(seen[COUNT]), float(seen[MEAN]), float(seen[DISTANCE])
        most = max(most, constant_count(bounded(context.value[j], VALUE_MAX), count, mean, farthest))
    return most


@kernel
def constant_count(x: float, count: float, mean: float, farthest: float) -> float:
    """Return how often a feature was there; 0 if it ever changed, or does with this value."""
    moved = _distance_of(x, mean) != 0.0 and count != 0.0
    return 0.0 if moved or farthest != 0.0 else count


@kernel
def bring(some: Array, model: Any, context: Features, at: int, n: int) -> None:
    """Write n values from entry `at` on, and what is known of their features, side by side."""
    for j in range(n):
        some[AT_X + j] = bounded(context.value[at + j], VALUE_MAX)
        seen = model.seen[context.index[at + j]]
        for column in range(_OF_SEEN):
            some[column * AT_ONCE + j] = seen[column]


@routine
def _meet(model: SecondOrder, context: Features, row: int, weight: float, most: float) -> float:
    """Update what is known of the values of a row; return the sum of prior variances times squared coordinates."""
    some = model.scratch_some
    norm, at, end = 0.0, context.start[row], context.start[row + 1]
    while at < end:
        n = min(end - at, AT_ONCE)
        bring(some, model, context, at, n)
        enter_values(some, model, context, at, n, weight, most)
        lanes = whole(n)
        for j in range(lanes):
            h = size_of(some[AT_X + j], some[AT_KIND + j], some[AT_SIZE + j], some[AT_UNIT + j])
            z = _place_of(some[AT_X + j], some[AT_KIND + j], some[AT_MEAN + j], some[AT_DISTANCE + j])
            some[AT_H + j] = h * h + z * z
        for j in range(n):
            norm += some[AT_H + j]
        at += n
    return norm * prior_of(row)


@kernel
def enter_values(some: Array, model: Any, context: Features, at: int, n: int, weight: float, most: float) -> None:
    """Update what is known of n values from entry `at` on, which were brought before, and write it to the table.

    A feature that was there `most` times, or as often as the bias, is a number if it changes; its size says nothing.
    """
    keep, times, rounded_most = model.keep[0], model.total[TIMES], rounded(most)
    for j in range(whole(n)):
        _count_in(some, j, keep, weight)
        always = some[AT_COUNT + j] == rounded_most or some[AT_COUNT + j] == times
        some[AT_KIND + j] = _kind_of(some[AT_COUNT + j], some[AT_SIZE + j], some[AT_DISTANCE + j], always)
        some[AT_UNIT + j] = _NO_SIZE if always else abs(some[AT_X + j])
    _write_back(some, model, context, at, n)


@kernel
def _count_in(some: Array, j: int, keep: float, weight: float) -> None:
    """Update how often a feature was there, the means of its value and size, the largest distance, what is known."""
    x, farthest = some[AT_X + j], some[AT_DISTANCE + j]
    count = keep * some[AT_COUNT + j] + weight
    share = weight / count
    mean = rounded(some[AT_MEAN + j] + (x - some[AT_MEAN + j]) * share)
    known_centred = rounded(keep * some[AT_KNOWN_CENTRED + j])
    distance = abs(_distance_of(x, mean))
    if distance > farthest:
        ratio = farthest / distance
        known_centred = rounded(known_centred * ratio * ratio)
        farthest = rounded(distance)
    some[AT_COUNT + j] = rounded(count)
    some[AT_MEAN + j] = mean
    some[AT_SIZE + j] = rounded(some[AT_SIZE + j] + (abs(x) - some[AT_SIZE + j]) * share)
    some[AT_DISTANCE + j] = farthest
    some[AT_KNOWN + j] = rounded(keep * some[AT_KNOWN + j])
    some[AT_KNOWN_CENTRED + j] = known_centred


def _as_many(n: int) -> int:
    return n


@kernel_beside(_as_many)
def whole(n: int) -> int:
    """Return how many of some features are worked on: whole vectors, of which the rest holds what was there before.

    In Python as many as there are.
    """
    return (n + _LANES - 1) // _LANES * _LANES


@kernel
def rounded(x: float) -> float:
    """Return a number as `seen` holds it."""
    return np.float64(np.float32(x))


@kernel
def _kind_of(count: float, size: float, farthest: float, always: bool) -> float:
    """Return what a feature is, from what was seen of it, and whether it was there as often as it can be."""
    if farthest == 0.0:
        return _WORD
    if always:
        return _NUMBER
    return _FAR_WORD if farthest <= _FAR * size and count >= _OFTEN else _WORD


@kernel
def _write_back(some: Array, model: Any, context: Features, at: int, n: int) -> None:
    """Write what is known of n features to the table, let the mean size of all values follow, write the units.

    A size that is far off counts as four times more, or less. Without any the unit of a feature is its own size. Each
    unit waits for the one before: meanwhile there is time to write.
    """
    total = model.total
    unit, values = total[UNIT], total[VALUES]
    for j in range(n):
        size, seen = some[AT_UNIT + j], model.seen[context.index[at + j]]
        if size != _NO_SIZE:
            if values == 0.0:
                unit = size
            values = min(values + 1.0, _NEWEST)
            if size != unit:  # as it is for words without a weight: a division is saved
                unit += (min(max(size, 0.25 * unit), 4.0 * unit) - unit) / values
        some[AT_UNIT + j] = unit if values > 0.0 else some[AT_SIZE + j]
        for column in range(_OF_SEEN):
            seen[column] = some[column * AT_ONCE + j]
    total[UNIT], total[VALUES] = unit, values


@kernel
def measure(some: Array, model: Any, context: Features, at: int, n: int) -> None:
    """Write the coordinates of n values from entry `at` on, sizes and places, beside what is known of them."""
    bring(some, model, context, at, n)
    place(some, model, n)


@kernel
def place(some: Array, model: Any, n: int) -> None:
    """Write the coordinates of n values, sizes and places, that lie beside what is known of them."""
    unit, has_unit = model.total[UNIT], model.total[VALUES] > 0.0
    for j in range(whole(n)):
        x, kind, size = some[AT_X + j], some[AT_KIND + j], some[AT_SIZE + j]
        some[AT_H + j] = size_of(x, kind, size, unit if has_unit else size)
        some[AT_Z + j] = _place_of(x, kind, some[AT_MEAN + j], some[AT_DISTANCE + j])


@routine
def _row_part(model: SecondOrder, context: Features, row: int) -> float:
    """Return what the features of a row add to the prediction."""
    some, part = model.scratch_some, 0.0
    at, end = context.start[row], context.start[row + 1]
    while at < end:
        n = min(end - at, AT_ONCE)
        measure(some, model, context, at, n)
        for j in range(n):
            i = context.index[at + j]
            part += model.weight[i, SIZED] * some[AT_H + j] + model.weight[i, CENTRED] * some[AT_Z + j]
        at += n
    return part


@routine
def _part_and_variance(model: SecondOrder, context: Features, row: int) -> tuple[float, float]:
    """Return what the features of a row add to the prediction, and to its variance."""
    some, part, variance, prior = model.scratch_some, 0.0, 0.0, prior_of(row)
    at, end = context.start[row], context.start[row + 1]
    while at < end:
        n = min(end - at, AT_ONCE)
        measure(some, model, context, at, n)
        for j in range(whole(n)):
            h, z = some[AT_H + j], some[AT_Z + j]
            some[AT_KNOWN + j] = h * h * prior / (1.0 + prior * some[AT_KNOWN + j])
            some[AT_KNOWN_CENTRED + j] = z * z * prior / (1.0 + prior * some[AT_KNOWN_CENTRED + j])
        for j in range(n):
            i = context.index[at + j]
            part += model.weight[i, SIZED] * some[AT_H + j] + model.weight[i, CENTRED] * some[AT_Z + j]
            variance += some[AT_KNOWN + j]
            variance += some[AT_KNOWN_CENTRED + j]
        at += n
    return part, variance


@routine
def _move(model: SecondOrder, context: Features, row: int, step: float, noise: float, variance: float) -> None:
    """Move the weights of a row by a step, and count what the feedback says of them."""
    some, prior = model.scratch_some, prior_of(row)
    at, end = context.start[row], context.start[row + 1]
    while at < end:
        n = min(end - at, AT_ONCE)
        measure(some, model, context, at, n)
        for j in range(whole(n)):
            _learn_of(some, AT_H + j, AT_KNOWN + j, step, noise, variance, prior)
            _learn_of(some, AT_Z + j, AT_KNOWN_CENTRED + j, step, noise, variance, prior)
        move_weights(some, model, context, at, n)
        at += n


@kernel
def move_weights(some: Array, model: Any, context: Features, at: int, n: int) -> None:
    """Move the weights of n features from entry `at` on by what lies in their places; keep what is known of them."""
    for j in range(n):
        i = context.index[at + j]
        model.weight[i, SIZED] += some[AT_H + j]
        model.weight[i, CENTRED] += some[AT_Z + j]
        model.seen[i, KNOWN] = some[AT_KNOWN + j]
        model.seen[i, KNOWN_CENTRED] = some[AT_KNOWN_CENTRED + j]


@kernel
def _learn_of(some: Array, place: int, known: int, step: float, noise: float, variance: float, prior: float) -> None:
    """Write by how much the weight of a coordinate moves in its place, and what is known of it from now on."""
    h = some[place]
    own = prior / (1.0 + prior * some[known])
    some[place] = step * own * h
    some[known] += h * h / (noise + CARE * max(variance - own * h * h, 0.0))


@kernel
def _bias(model: SecondOrder, context: Features) -> float:
    return model.total[BIAS]


@kernel
def part_of(model: Any, i: int, value: float, scale: float) -> float:
    """Return what a feature adds to the prediction, in a row whose sizes count `scale` times."""
    x, seen = bounded(value, VALUE_MAX), model.seen[i]
    kind, size = float(seen[KIND]), float(seen[SIZE])
    unit = model.total[UNIT] if model.total[VALUES] > 0.0 else size
    h, z = scale * size_of(x, kind, size, unit), _place_of(x, kind, float(seen[MEAN]), float(seen[DISTANCE]))
    return model.weight[i, SIZED] * h + model.weight[i, CENTRED] * z


@kernel
def bias_variance(model: Any) -> float:
    """Return the variance of the bias."""
    return 1.0 / (1.0 + model.total[KNOWN_BIAS])


@kernel
def noise_of(model: Any) -> float:
    """Return the variance of the noise."""
    total = model.total
    return _NOISE * max(total[NORM] / total[FEEDBACKS], 1.0) if total[FEEDBACKS] > 0.0 else _NOISE


@kernel
def prior_of(row: int) -> float:
    """Return the variance of a row's weights before any feedback."""
    return _SHARED_VARIANCE if row == 0 else 1.0


@kernel
def size_of(x: float, kind: float, size: float, unit: float) -> float:
    """Return the size of a value, with its sign: 1 for a word far from 0, 0 for a number; 1 before any feedback."""
    if kind == _NUMBER or x == 0.0:
        return 0.0
    if kind == _FAR_WORD or not size > 0.0:
        return 1.0
    most, unit = min(abs(x), _ALIKE * size), max(min(unit, size * _ALIKE), size / _ALIKE)
    return math.sqrt(most / unit) if x > 0.0 else -math.sqrt(most / unit)


@kernel
def _place_of(x: float, kind: float, mean: float, farthest: float) -> float:
    """Return the distance of a number, or of a word far from 0, from its mean in units of the largest one."""
    if kind == _WORD:
        return 0.0
    return min(max(_distance_of(x, mean) / farthest, -1.0), 1.0)


@kernel
def _distance_of(x: float, mean: float) -> float:
    distance = x - mean
    return 0.0 if abs(distance) <= _SAME * abs(mean) else distance


register_model(
    SecondOrder,
    predict=predict,
    spread=spread,
    fit=fit,
    split=split,
    part=part_of,
    bias=_bias,
    scale=as_it_is,
    decay=let_shares_shrink,
)
