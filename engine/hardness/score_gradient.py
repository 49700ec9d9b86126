"""The gradient of a policy's loss by the means, estimated from rollouts: what the answers would have been more often.

By the score of the answers, E[(loss - b) grad ln f(answers | theta)], plus the gradient of the loss itself, which is 0
of identification. b is the mean loss of the other rollouts at the same means: it costs no bias, and took three
quarters of the variance where it was measured.

>>> advantages(np.array([[1.0, 0.0, 0.0]])).tolist()
[[1.0, -0.5, -0.5]]
>>> counts, sums = tally(np.array([[[0, 1, 0]]]), np.array([[[1.0, -1.0, 1.0]]]), 2)
>>> counts.tolist(), sums.tolist()
([[[2, 1]]], [[[2.0, -1.0]]])

Source: Zhang, Jain, Jamieson, arXiv 2010.15382, section 4; leave-one-out baselines: Kool, van Hoof, Welling, 2019.
"""

from __future__ import annotations

import numpy as np

from ..task import Array, Task


def tally(queries: Array, answers: Array, n: int) -> tuple[Array, Array]:
    """Count the queries and add up their answers, [..., T] each: return int64[..., n] and float64[..., n]."""
    shape = (*queries.shape[:-1], n)
    rows = int(np.prod(queries.shape[:-1], dtype=np.int64))
    place = (np.arange(rows)[:, None] * n + queries.reshape(rows, -1)).ravel()
    counts = np.bincount(place, minlength=rows * n).reshape(shape)
    return counts, np.bincount(place, weights=answers.ravel(), minlength=rows * n).reshape(shape)


def scores(task: Task, means: Array, counts: Array, sums: Array) -> Array:
    """Return the gradient of ln f(answers | theta) by theta, float64[..., n], from how often each was asked, and sums.

    Means must lie inside the box: of signs in (-1, 1), of bits in (0, 1).
    """
    if task.answers == "normal":
        return sums - counts * means
    if task.answers == "signs":
        return 0.5 * ((counts + sums) / (1.0 + means) - (counts - sums) / (1.0 - means))
    return sums / means - (counts - sums) / (1.0 - means)


def advantages(losses: Array) -> Array:
    """Return each loss less the mean of the others in its row, float64[M, L]; L must be 2 or more."""
    n = losses.shape[-1]
    return (losses - losses.mean(axis=-1, keepdims=True)) * (n / (n - 1.0))


def score_gradient(task: Task, means: Array, counts: Array, sums: Array, losses: Array) -> Array:
    """Return the part of the gradient that comes from the answers' law, float64[M, n].

    Of L rollouts at each of M means: `counts` and `sums` of answers are [M, L, n] (see `tally`), `losses` [M, L].
    """
    score = scores(task, means[:, None, :], counts, sums)
    return np.asarray((advantages(losses)[:, :, None] * score).mean(axis=1))


def loss_gradient(task: Task, means: Array, law: Array) -> Array:
    """Return the part of the gradient that comes from the loss itself, float64[M, n]: 0 of identification.

    `law` says how often each hypothesis was recommended, float64[M, m]: frequencies, or a mean of probabilities.
    """
    if task.loss == "identification":
        return np.zeros_like(means)
    best = (task.signed(means) @ task.table.T).argmax(axis=-1)
    return np.asarray((2.0 if task.is_shifted else 1.0) * (task.table[best] - law @ task.table))


def frequencies(recommended: Array, m: int) -> Array:
    """Return how often each of m hypotheses was recommended, float64[M, m], of int64[M, L]."""
    place = np.arange(len(recommended))[:, None] * m + recommended
    counts = np.bincount(place.ravel(), minlength=len(recommended) * m)
    return counts.reshape(len(recommended), m) / recommended.shape[1]


def losses_of(task: Task, means: Array, recommended: Array) -> Array:
    """Return what each recommendation cost, float64[M, L], of int64[M, L]."""
    return np.take_along_axis(task.losses(means), recommended, axis=1)


def rollout_gradient(task: Task, means: Array, queries: Array, answers: Array, recommended: Array) -> Array:
    """Return the estimated gradient of the loss by the means, float64[M, n], from what `roll_out` returns."""
    counts, sums = tally(queries, answers, task.n_queries)
    law = frequencies(recommended, task.n_hypotheses)
    return score_gradient(task, means, counts, sums, losses_of(task, means, recommended)) + loss_gradient(
        task, means, law
    )
