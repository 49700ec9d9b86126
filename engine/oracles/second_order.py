"""Second order: one table of weights for the named features of all actions, each with a variance of its own.

Source: AROW, Crammer, Kulesza, Dredze, "Adaptive regularization of weight vectors", 2009, for squared loss as in Vaits,
Crammer 2011, with a diagonal covariance. The weights are taken to be normal and apart, before any feedback with mean 0
and variance 1 in units of the rewards' spread (`_SHARED_VARIANCE` of what all actions share: these change no ranking).
A reward y with the prediction m, coordinates h_i and variances s_i has the predictive variance r + v,
v = sum s_i h_i^2, and Bayes' rule moves each mean by s_i h_i (y - m) / (r + v). The variances lose what the rule says
if the other weights were nearly known: 1 / s_i grows by h_i^2 / (r + _CARE (v - s_i h_i^2)). With _CARE = 1 that is the
exact diagonal of the rule, which learns for too long from words that came together; 0 is AROW's, which stops too soon.
r is `_NOISE` times the mean of 1 + sum h_i^2: however many features there are, a reward says as much of their sum.

What h is, so that neither a feature's unit nor its origin matters:
- A number that was there as often as the bias, or as the most frequent constant of its row (the action's id): the
  distance from its mean, in units of the largest such distance. Its presence says nothing.
- Any other, such as a word and its weight: sign(x) sqrt(|x| / unit). The unit is the mean size of the values of all
  such features, within a ninth and nine times the feature's own mean size: of weighted words the rare ones count for
  more, and beside a price they count as well. The square root is for repeated words, which say less each time.
- A word far from 0, whose values lie within a tenth of their mean, has both: 1, and the distance.
Words are compared (`Compared`; `SecondOrder`, of specs that were stored before, does not compare them):
- A row of many words says no more than one of fewer: where the squares of its sizes sum to more than they do on
  average, over rows of actions or over shared ones, they are multiplied by what makes it the average.
- What a word adds to one action the others lack: of each prediction the mean over all actions of what words that come
  and go add is taken away. No ranking changes by that; what a reward teaches does, as a reward for one of two topics
  speaks against the other. Where there is a single action nothing is taken away.
The bias begins in the middle of the rewards' range, and moves with it by as much as is not known of it.

Departs from its sources: the coordinates, r and _CARE are ours, measured (`benchmarks/sparse.py`), without a bound.
Errors are those of the prediction clipped to the rewards seen so far.
State: 44 bytes a slot, float64 weights and float32 statistics. Cost: O(nonzeros of the shared and of the actions' rows)
for `predict` and `spread`, O(nonzeros of the shared and the action's row) for `fit`, and of all rows where words are
compared; never the size of the table.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..featuriser.words import fetch
from ..kernel import KERNELS, generic, kernel, routine
from ..vocabulary import Array, Features, Problem
from . import by_parts
from .by_parts import as_it_is, bounded, row_part, split
from .forgetting import check_half_life, kept, let_shares_shrink
from .oracle import register_model

VALUE_MAX = 1e30  # beyond, a value counts as this: float32 holds its size
_SHARED_VARIANCE = 1.0 / 32.0  # variance of a shared feature's weight before any feedback; that of an action's is 1
_NOISE = 0.1
_CARE = 0.1
_ALIKE = 9.0  # by how much the unit of a feature may differ from its own mean size, and a value from that
_SURELY_ALIKE = 8.0  # the same, and no rounding matters
_FAR = 0.1  # of its mean size: a feature whose values all lie as near to their mean is far from 0
_OFTEN = 16.0  # feedbacks that hold a feature, before it is found to be far from 0
_SAME = 1e-6  # relative; a value as near to its mean is the mean, which is kept as a float32
_NEWEST = 1000.0  # values over which the mean size of all is taken

SIZED, CENTRED = 0, 1  # columns of `weight`
COUNT, MEAN, SIZE, DISTANCE, KNOWN, KNOWN_CENTRED, KIND = 0, 1, 2, 3, 4, 5, 6  # columns of `seen`
FEEDBACKS, NORM, BIAS, KNOWN_BIAS, LOW, HIGH, UNIT, VALUES, TIMES = 0, 1, 2, 3, 4, 5, 6, 7, 8  # places in `total`
_WORD, _FAR_WORD, _NUMBER = 0.0, 1.0, 2.0  # what KIND says of a feature


class SecondOrder(NamedTuple):
    """Arrays that `fit` writes, where words are not compared."""

    weight: Array  # float64[2^bits, 2] of h where it is a size and where it is a distance, in units of the reward
    seen: Array  # float32[2^bits, 7] how often; means of value and size; largest distance; what is known; the kind
    total: Array  # float64[9] feedbacks; norms; bias, known of it; lowest, highest reward; sizes (2); a float32 count
    keep: Array  # float64[1] what of a count is left after the next feedback, in (0, 1]


class Compared(NamedTuple):
    """Arrays that `fit` writes, where words are compared."""

    weight: Array  # these four as in `SecondOrder`
    seen: Array
    total: Array
    keep: Array
    words: Array  # float64[2] sums over feedbacks of a row's squared sizes: of shared rows, and of those of actions


SecondOrderRule = SecondOrder | Compared


def second_order(problem: Problem, *, half_life: float | None = None, compared: bool = True) -> SecondOrderRule:
    """Return a model of named features that knows nothing yet.

    After `half_life` >= 1 feedbacks that hold a feature, the older ones count half for its mean and its variance; after
    as many of any kind, for the bias and the norm. None: they count in full. Weights and the range of the rewards are
    never forgotten: a half-life keeps up how far new feedbacks move the weights.
    """
    slots = problem.context_shape[1]
    weight, seen = np.zeros((slots, 2)), np.zeros((slots, 7), np.float32)
    total, keep = np.zeros(9), np.array([kept(check_half_life(half_life))])
    return Compared(weight, seen, total, keep, np.zeros(2)) if compared else SecondOrder(weight, seen, total, keep)


@generic
def enter_words(model: Any, row: int, words: float, weight: float) -> None:
    """Enter the sum of the squared sizes of a row's words."""
    KERNELS[type(model)]["enter_words"](model, row, words, weight)


@generic
def taken(model: Any, context: Features, row: int) -> float:
    """Return what the variance of a prediction lacks, as the mean over all actions is taken from what a row adds."""
    return KERNELS[type(model)]["taken"](model, context, row)


@kernel
def predict(model: SecondOrderRule, context: Features, available: Array, scores: Array) -> None:
    """Write the predicted reward of each available action."""
    _approach(model, context, 0)
    for a in range(len(available)):
        if available[a]:
            _approach(model, context, a + 1)
    by_parts.predict(model, context, available, scores)


@kernel
def spread(model: SecondOrderRule, context: Features, available: Array, widths: Array) -> None:
    """Write the width of each available action: sqrt(v / r), the standard error in units of the noise."""
    noise = _noise(model)
    shared = _bias_variance(model) + _variance(model, context, 0)
    for a in range(len(available)):
        if available[a]:
            widths[a] = math.sqrt((shared + _variance(model, context, a + 1)) / noise)


@kernel
def fit(model: SecondOrderRule, context: Features, action: int, reward: float, weight: float) -> float:
    """Take one step towards the reward; return how far the prediction was off."""
    _approach(model, context, 0)
    _approach(model, context, action + 1)
    total, bias = model.total, by_parts.bias(model, context)
    error = reward - bias - row_part(model, context, 0) - row_part(model, context, action + 1)
    level = total[BIAS] - bias
    _enter(model, reward)
    keep = model.keep[0]
    total[FEEDBACKS] = keep * total[FEEDBACKS] + weight
    total[KNOWN_BIAS] *= keep
    total[TIMES] = np.float32(keep * total[TIMES] + weight)  # rounded as the counts of features are
    norm = 1.0 + _meet(model, context, 0, weight, total[TIMES])
    norm += _meet(model, context, action + 1, weight, _most(model, context, action + 1, weight))
    total[NORM] = keep * total[NORM] + weight * norm
    shared_scale, scale = by_parts.scale(model, context, 0), by_parts.scale(model, context, action + 1)
    shared_part, shared_variance = _part_and_variance(model, context, 0, shared_scale)
    part, variance = _part_and_variance(model, context, action + 1, scale)
    predicted = total[BIAS] - level + shared_part + part
    error_clipped = reward - min(max(predicted, total[LOW]), total[HIGH])
    noise = _noise(model) / weight
    own = _bias_variance(model)
    variance = own + shared_variance + variance - taken(model, context, action + 1)
    step = error_clipped / (noise + variance)
    total[BIAS] += step * own
    total[KNOWN_BIAS] += 1.0 / (noise + _CARE * (variance - own))
    _move(model, context, 0, shared_scale, step, noise, variance)
    _move(model, context, action + 1, scale, step, noise, variance)
    return error


@kernel
def _approach(model: SecondOrderRule, context: Features, row: int) -> None:
    """Let what is known of the features of a row be brought near, all at once: the table is large."""
    for j in range(context.start[row], context.start[row + 1]):
        i = context.index[j]
        fetch(model.seen, i)
        fetch(model.seen, i + 1)  # where the end of the row lies, if that is in another line of the cache
        fetch(model.weight, i)


@kernel
def _enter(model: SecondOrderRule, reward: float) -> None:
    """Let the bias follow the middle of the range of rewards, by as much as is not known of it."""
    total = model.total
    if total[FEEDBACKS] == 0.0:
        total[BIAS] = total[LOW] = total[HIGH] = reward
    low, high = min(total[LOW], reward), max(total[HIGH], reward)
    total[BIAS] += (0.5 * (low - total[LOW]) + 0.5 * (high - total[HIGH])) * _bias_variance(model)
    total[LOW] = low
    total[HIGH] = high


@kernel
def _most(model: SecondOrderRule, context: Features, row: int, weight: float) -> float:
    """Return how often the most frequent feature of a row that never changed will have been there with this one."""
    most = 0.0
    for j in range(context.start[row], context.start[row + 1]):
        seen = model.seen[context.index[j]]
        x = bounded(context.value[j], VALUE_MAX)
        if float(seen[DISTANCE]) == 0.0 and (float(seen[COUNT]) == 0.0 or _distance(x, float(seen[MEAN])) == 0.0):
            most = max(most, float(seen[COUNT]))
    return model.keep[0] * most + weight


@kernel
def _meet(model: SecondOrderRule, context: Features, row: int, weight: float, most: float) -> float:
    """Update what is known of the values of a row; return the sum of prior variances times squared coordinates.

    A feature that was there `most` times, or as often as the bias, is a number if it changes; its size says nothing.
    """
    keep, total = model.keep[0], model.total
    norm, words = 0.0, 0.0
    for j in range(context.start[row], context.start[row + 1]):
        seen = model.seen[context.index[j]]
        x = bounded(context.value[j], VALUE_MAX)
        count = keep * float(seen[COUNT]) + weight
        share = weight / count
        mean = float(seen[MEAN])
        seen[COUNT] = count
        seen[MEAN] = mean + (x - mean) * share
        seen[SIZE] = float(seen[SIZE]) + (abs(x) - float(seen[SIZE])) * share
        seen[KNOWN] = keep * float(seen[KNOWN])
        seen[KNOWN_CENTRED] = keep * float(seen[KNOWN_CENTRED])
        distance = abs(_distance(x, float(seen[MEAN])))
        if distance > float(seen[DISTANCE]):
            ratio = float(seen[DISTANCE]) / distance
            seen[KNOWN_CENTRED] = float(seen[KNOWN_CENTRED]) * ratio * ratio
            seen[DISTANCE] = distance
        always = float(seen[COUNT]) == float(np.float32(most)) or float(seen[COUNT]) == total[TIMES]
        seen[KIND] = _kind_of(seen, always)
        if not always:
            _enter_size(model, abs(x))
        h, z = _size(model, context.index[j], x), _place(model, context.index[j], x)
        norm += h * h + z * z
        words += h * h
    enter_words(model, row, words, weight)
    return norm * _prior(row)


@kernel
def _kind_of(seen: Array, always: bool) -> float:
    """Return what a feature is, from what was seen of it, and whether it was there as often as it can be."""
    if float(seen[DISTANCE]) == 0.0:
        return _WORD
    if always:
        return _NUMBER
    far = float(seen[DISTANCE]) <= _FAR * float(seen[SIZE]) and float(seen[COUNT]) >= _OFTEN
    return _FAR_WORD if far else _WORD


@kernel
def _enter_size(model: SecondOrderRule, size: float) -> None:
    """Let the mean size of all values follow; one that is far off counts as four times more, or less."""
    total = model.total
    if total[VALUES] == 0.0:
        total[UNIT] = size
    total[VALUES] = min(total[VALUES] + 1.0, _NEWEST)
    if size != total[UNIT]:  # as it is for words without a weight: a division is saved
        total[UNIT] += (min(max(size, 0.25 * total[UNIT]), 4.0 * total[UNIT]) - total[UNIT]) / total[VALUES]


@kernel
def _move(
    model: SecondOrderRule, context: Features, row: int, scale: float, step: float, noise: float, variance: float
) -> None:
    prior = _prior(row)
    for j in range(context.start[row], context.start[row + 1]):
        i = context.index[j]
        x = bounded(context.value[j], VALUE_MAX)
        seen = model.seen[i]
        h = scale * _size(model, i, x)
        if h != 0.0:
            own = prior / (1.0 + prior * float(seen[KNOWN]))
            model.weight[i, SIZED] += step * own * h
            seen[KNOWN] = float(seen[KNOWN]) + h * h / (noise + _CARE * max(variance - own * h * h, 0.0))
        z = _place(model, i, x)
        if z != 0.0:
            own = prior / (1.0 + prior * float(seen[KNOWN_CENTRED]))
            model.weight[i, CENTRED] += step * own * z
            known = float(seen[KNOWN_CENTRED]) + z * z / (noise + _CARE * max(variance - own * z * z, 0.0))
            seen[KNOWN_CENTRED] = known


@kernel
def _bias(model: SecondOrderRule, context: Features) -> float:
    return model.total[BIAS]


@routine
def _relative_bias(model: Compared, context: Features) -> float:
    """Return the bias less what words that come and go add on average over the actions."""
    n_actions = _n_actions(context)
    if n_actions < 2:
        return model.total[BIAS]
    total = 0.0
    for row in range(1, len(context.start) - 1):
        total += _passing(model, context, row)[0]
    return model.total[BIAS] - total / n_actions


@kernel
def _taken(model: Compared, context: Features, row: int) -> float:
    n_actions = _n_actions(context)
    return _passing(model, context, row)[1] / n_actions if n_actions > 1 else 0.0


@kernel
def _nothing_taken(model: SecondOrderRule, context: Features, row: int) -> float:
    return 0.0


@kernel
def _n_actions(context: Features) -> int:
    """Return how many actions have features; a page may have empty rows."""
    n = 0
    for row in range(1, len(context.start) - 1):
        n += context.start[row] < context.start[row + 1]
    return n


@kernel
def _passing(model: Compared, context: Features, row: int) -> tuple[float, float]:
    """Return what words add to the prediction and to its variance that come and go.

    These were not there as often as something of the row that never changes.
    """
    most, part, variance = 0.0, 0.0, 0.0
    for j in range(context.start[row], context.start[row + 1]):
        seen = model.seen[context.index[j]]
        if float(seen[DISTANCE]) == 0.0:
            most = max(most, float(seen[COUNT]))
    for j in range(context.start[row], context.start[row + 1]):
        i = context.index[j]
        if 0.0 < float(model.seen[i, COUNT]) < most:
            h = _size(model, i, bounded(context.value[j], VALUE_MAX))
            part += model.weight[i, SIZED] * h
            variance += h * h / (1.0 + float(model.seen[i, KNOWN]))
    if variance == 0.0:
        return 0.0, 0.0
    scale = _even(model, context, row)
    return scale * part, scale * scale * variance


@kernel
def _part(model: SecondOrderRule, i: int, value: float, scale: float) -> float:
    """Return what a feature adds to the prediction."""
    x = bounded(value, VALUE_MAX)
    h = scale * _size(model, i, x)
    return model.weight[i, SIZED] * h + model.weight[i, CENTRED] * _place(model, i, x)


@kernel
def _variance(model: SecondOrderRule, context: Features, row: int) -> float:
    """Return what the features of a row add to the variance of the prediction."""
    return _part_and_variance(model, context, row, by_parts.scale(model, context, row))[1]


@kernel
def _part_and_variance(model: SecondOrderRule, context: Features, row: int, scale: float) -> tuple[float, float]:
    """Return what the features of a row add to the prediction, and to its variance."""
    part, variance, prior = 0.0, 0.0, _prior(row)
    for j in range(context.start[row], context.start[row + 1]):
        i = context.index[j]
        x = bounded(context.value[j], VALUE_MAX)
        h, z = scale * _size(model, i, x), _place(model, i, x)
        part += model.weight[i, SIZED] * h + model.weight[i, CENTRED] * z
        variance += h * h * prior / (1.0 + prior * float(model.seen[i, KNOWN]))
        if z != 0.0:
            variance += z * z * prior / (1.0 + prior * float(model.seen[i, KNOWN_CENTRED]))
    return part, variance


@kernel
def _even(model: Compared, context: Features, row: int) -> float:
    """Return what makes the squared sizes of a row sum to what they sum to on average; 1 where they sum to less."""
    known, words = model.words[min(row, 1)], 0.0
    if not known > 0.0:
        return 1.0
    for j in range(context.start[row], context.start[row + 1]):
        h = _size(model, context.index[j], bounded(context.value[j], VALUE_MAX))
        words += h * h
    known /= model.total[FEEDBACKS]
    return math.sqrt(known / words) if words > known else 1.0


@kernel
def _count_words(model: Compared, row: int, words: float, weight: float) -> None:
    place = min(row, 1)
    model.words[place] = model.keep[0] * model.words[place] + weight * words


@kernel
def _count_nothing(model: SecondOrderRule, row: int, words: float, weight: float) -> None:
    pass


@kernel
def _bias_variance(model: SecondOrderRule) -> float:
    return 1.0 / (1.0 + model.total[KNOWN_BIAS])


@kernel
def _noise(model: SecondOrderRule) -> float:
    total = model.total
    return _NOISE * max(total[NORM] / total[FEEDBACKS], 1.0) if total[FEEDBACKS] > 0.0 else _NOISE


@kernel
def _prior(row: int) -> float:
    return _SHARED_VARIANCE if row == 0 else 1.0


@kernel
def _size(model: SecondOrderRule, i: int, x: float) -> float:
    """Return the size of a value, with its sign: 1 for a word far from 0, 0 for a number; 1 before any feedback."""
    kind, size = float(model.seen[i, KIND]), float(model.seen[i, SIZE])
    if kind == _NUMBER or x == 0.0:
        return 0.0
    if kind == _FAR_WORD or not size > 0.0:
        return 1.0
    unit = size
    if model.total[VALUES] > 0.0:
        unit = min(model.total[UNIT], size * _ALIKE)
        if size > _SURELY_ALIKE * unit:  # seldom: a division takes as long as all else here
            unit = max(unit, size / _ALIKE)
    most = min(abs(x), _ALIKE * size)
    h = 1.0 if most == unit else math.sqrt(most / unit)  # as it is for words without a weight
    return h if x > 0.0 else -h


@kernel
def _place(model: SecondOrderRule, i: int, x: float) -> float:
    """Return the distance of a number, or of a word far from 0, from its mean in units of the largest one."""
    if float(model.seen[i, KIND]) == _WORD:
        return 0.0
    distance = _distance(x, float(model.seen[i, MEAN])) / float(model.seen[i, DISTANCE])
    return min(max(distance, -1.0), 1.0)


@kernel
def _distance(x: float, mean: float) -> float:
    distance = x - mean
    return 0.0 if abs(distance) <= _SAME * abs(mean) else distance


RULES = (
    (SecondOrder, as_it_is, _bias, _nothing_taken, _count_nothing),
    (Compared, _even, _relative_bias, _taken, _count_words),
)
for rule, scale, bias, less, count in RULES:
    register_model(
        rule,
        predict=predict,
        spread=spread,
        fit=fit,
        split=split,
        part=_part,
        bias=bias,
        scale=scale,
        taken=less,
        enter_words=count,
        decay=let_shares_shrink,
    )
