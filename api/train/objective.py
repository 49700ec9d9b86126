"""What a step of the network makes smaller, and its gradient, from rollouts.

It is the mean of R over rollouts less a bonus for the entropy of the query laws, R being the expected loss of the soft
recommendation. The gradient of the mean of R is that of (R - b) sum ln p(query) + R. There b is the mean R of the other
rollouts of the same particle, and R - b counts as a constant.

With A = R - b, p the law of a query, H its entropy and q the law of the recommendation, of B rollouts of T queries the
gradient by logits and scores is
    (A / B) (1[j was asked] - p_j) + bonus / (T B) p_j (ln p_j + H)    by the logit of query j, at each of T steps,
    q_k (cost_k - R) / B                                               by the score of hypothesis k, in the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...engine.hardness.score_gradient import advantages
from ...engine.task import Array
from .networks import Network, Weights

# Rows of a layer at a time: all that a layer makes stays in the cache, and at 512 and fewer the sums of OpenBLAS are
# the same for any number of threads.
ROWS = 512


@dataclass(frozen=True)
class Histories:
    """What T queries of M x L rollouts were and came to, step by step. B = M L."""

    queries: Array  # int64[T, B]
    count: Array  # float32[T + 1, B, n], before each query and in the end
    total: Array  # float32[T + 1, B, n]


class Objective(NamedTuple):
    """What rollouts say of a network."""

    gradient: Weights
    losses: Array  # float64[M, L], R of each rollout
    laws: Array  # float64[M, m], the mean law of the recommendation


def histories_of(queries: Array, answers: Array, n: int) -> Histories:
    """Rebuild from [M, L, T] queries and answers what the policy knew at every step."""
    flat = queries.reshape(-1, queries.shape[-1]).T
    asked = np.zeros((len(flat) + 1, flat.shape[1], n), np.float32)
    np.put_along_axis(asked[1:], flat[:, :, None], 1.0, axis=2)
    told = asked.copy()
    told[1:] *= answers.reshape(-1, answers.shape[-1]).T[:, :, None].astype(np.float32)
    count, total = (np.cumsum(steps, axis=0, out=steps) for steps in (asked, told))
    return Histories(np.ascontiguousarray(flat), count, total)


def objective_of(
    network: Network, weights: Weights, histories: Histories, costs: Array, particles: int, entropy: float
) -> Objective:
    """Return the gradient of what a step makes smaller, unbiased, and what the rollouts lost.

    `costs` float[B, m] is what each recommendation costs in each rollout; `entropy` is the bonus.
    """
    b, steps, dtype = len(costs), len(histories.queries), weights["w1"].dtype
    gradient = {name: np.zeros_like(value) for name, value in weights.items()}
    laws, loss = np.empty(costs.shape), np.empty(b)
    for rows in _blocks(network, b):
        answered = network.answer(weights, histories.count[-1, rows], histories.total[-1, rows])
        law = np.exp(log_softmax(answered.scores))
        lost = (law * costs[rows]).sum(axis=1, keepdims=True)
        laws[rows], loss[rows] = law, lost[:, 0]
        by_scores = (law * (costs[rows] - lost) / b).astype(dtype, copy=False)
        _add(gradient, network.gradient(weights, answered, np.zeros_like(answered.logits), by_scores))
    losses = loss.reshape(particles, -1)
    share = np.tile((advantages(losses).ravel() / b).astype(dtype), steps)
    count, total = (known[:-1].reshape(b * steps, -1) for known in (histories.count, histories.total))
    queries, bonus = histories.queries.ravel(), entropy / (b * steps)
    for rows in _blocks(network, b * steps):
        answered = network.answer(weights, count[rows], total[rows])
        by_logits = _by_logits(answered.logits, queries[rows], share[rows], bonus)
        _add(gradient, network.gradient(weights, answered, by_logits, np.zeros_like(answered.scores)))
    return Objective(gradient, losses, laws.reshape(*losses.shape, -1).mean(axis=1))


def log_softmax(values: Array) -> Array:
    """Return the logarithms of the shares that are in proportion to exp(values), row by row."""
    low = values - values.max(axis=1, keepdims=True)
    low -= np.log(np.exp(low).sum(axis=1, keepdims=True))
    return low


def _by_logits(logits: Array, queries: Array, share: Array, bonus: float) -> Array:
    log_law = log_softmax(logits)
    law = np.exp(log_law)
    spread = -(law * log_law).sum(axis=1, keepdims=True)
    found: Array = law * (bonus * (log_law + spread) - share[:, None])
    found[np.arange(len(found)), queries] += share
    return found


def _blocks(network: Network, histories: int) -> Iterator[slice]:
    size = max(1, ROWS // network.n_rows)
    return (slice(begin, min(begin + size, histories)) for begin in range(0, histories, size))


def _add(gradient: Weights, part: Weights) -> None:
    for name, value in part.items():
        gradient[name] += value
