"""All states that a task with two answers to a query can be in, in the order of `engine/trained/tables.py`.

>>> from onearm.engine.task import best_arm
>>> states = count_states(best_arm(2, "bits"), 1)
>>> states.asked.tolist(), states.up.tolist(), states.n_open
([[0, 0], [0, 1], [0, 1], [1, 0], [1, 0]], [[0, 0], [0, 0], [0, 1], [0, 0], [1, 0]], 1)
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ...task import Array, Task
from ...trained.tables import TablePolicy, binomials, check_table_task, n_rows


class CountStates(NamedTuple):
    """Row by row what was answered, and which row comes next; rows before `n_open` have answers to come."""

    asked: Array  # int64[S, n] how often each query was answered
    up: Array  # int64[S, n] how often with 1
    n_open: int
    next_up: Array  # int64[n_open, n] the row after query i was answered with 1
    next_down: Array  # int64[n_open, n] the same with -1 or 0
    layers: tuple[int, ...]  # where the rows with t answers begin, t = 0..T, and S


def count_states(task: Task, budget: int) -> CountStates:
    """Return all states of a task with a budget. Cost: O(S n^2)."""
    check_table_task(task, budget)
    n = task.n_queries
    sums = binomials(n, budget)
    layers = (0, *(n_rows(n, t) for t in range(budget + 1)))
    parts = np.zeros((layers[-1], 2 * n), dtype=np.int64)  # up_1, down_1, up_2, ...
    after = np.zeros((layers[-2], 2 * n), dtype=np.int64)
    for start, end in pairwise(layers[:-1]):
        for j in range(2 * n):
            child = parts[start:end].copy()
            child[:, j] += 1
            after[start:end, j] = rows_of(sums, child)
            parts[after[start:end, j]] = child
    up = parts[:, 0::2].copy()
    return CountStates(up + parts[:, 1::2], up, layers[-2], after[:, 0::2], after[:, 1::2], layers)


def rows_of(sums: Array, parts: Array) -> Array:
    """Return the rows of states, int64[...], given as up_1, down_1, up_2, ...: int64[..., 2 n]."""
    return np.asarray(sums[np.arange(parts.shape[-1]), np.cumsum(parts, axis=-1)].sum(axis=-1))


def uniform(task: Task, budget: int) -> TablePolicy:
    """Return the policy that asks what was asked least, ties at random, and recommends the empirical best."""
    states = count_states(task, budget)
    asked = states.asked[: states.n_open]
    return TablePolicy(task, budget, shared(-asked.astype(np.float64)), shared(plug_in(task, states)))


def plug_in(task: Task, states: CountStates) -> Array:
    """Return how good each hypothesis looks, float64[S, m], as `engine/queries/evidence.py` scores it.

    Of arms that is the mean answer, -inf before the first; else <z, s> with the answers to each query, as signs, added.
    """
    signs = 2 * states.up - states.asked
    if task.kind != "arms":
        return np.asarray(signs @ task.table.T)
    return np.where(states.asked > 0, signs / np.maximum(states.asked, 1), -np.inf)


def shared(score: Array) -> Array:
    """Return the law that takes the largest of each row, equals (to 1e-9) with equal probability."""
    best = (score >= score.max(axis=1, keepdims=True) - 1e-9).astype(np.float64)
    return np.asarray(best / best.sum(axis=1, keepdims=True))
