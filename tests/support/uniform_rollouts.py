"""Uniform, played out by NumPy: two answers of each query, and the empirical best, ties shared."""

from __future__ import annotations

import numpy as np

from onearm.engine.hardness.rollouts import Rollouts
from onearm.engine.hardness.score_gradient import tally
from onearm.engine.task import Task


def play_uniform(task: Task, means: np.ndarray, rollouts: int, seed: int) -> Rollouts:
    """Play uniform with a budget of twice the number of queries, whose answers are signs or bits."""
    rng = np.random.default_rng(seed)
    n = task.n_queries
    queries = np.broadcast_to(np.tile(np.arange(n), 2), (len(means), rollouts, 2 * n))
    of_query = np.take_along_axis(np.broadcast_to(means[:, None], (len(means), rollouts, n)), queries, 2)
    if task.answers == "bits":
        answers = (rng.random(queries.shape) < of_query).astype(np.float64)
    else:
        answers = np.where(rng.random(queries.shape) < 0.5 * (1.0 + of_query), 1.0, -1.0)
    value = tally(queries, answers, n)[1] @ task.table.T
    return Rollouts(queries, answers, (value + 1e-6 * rng.random(value.shape)).argmax(axis=-1))
