"""Rollouts of a network in NumPy, as it is trained: a second way to play, beside the engine's kernels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from onearm.api.train.networks import Network, Weights, network_for
from onearm.engine.task import Array, Task


def player(task: Task, budget: int) -> Callable[[Weights, Array, int, int], tuple[Array, Array]]:
    """Return what a duel plays with: (weights, means, rollouts, seed) -> queries and answers, [M, L, T] each."""
    network = network_for(task, budget)

    def play(weights: Weights, means: Array, rollouts: int, seed: int) -> tuple[Array, Array]:
        rng = np.random.default_rng(seed)
        return play_out(network, weights, task, np.repeat(means, rollouts, axis=0), budget, rng, rollouts)

    return play


def play_out(
    network: Network, weights: Weights, task: Task, means: Array, budget: int, rng: np.random.Generator, rollouts: int
) -> tuple[Array, Array]:
    b, n = means.shape
    row = np.arange(b)
    count, total = np.zeros((b, n), np.float32), np.zeros((b, n), np.float32)
    queries, answers = np.zeros((b, budget), np.int64), np.zeros((b, budget))
    for t in range(budget):
        logits = network.answer(weights, count, total).logits.astype(np.float64)
        query = (logits + rng.gumbel(size=(b, n))).argmax(axis=1)
        mean = means[row, query]
        if task.answers == "normal":
            answer = mean + rng.normal(size=b)
        else:
            yes = rng.random(b) < (0.5 + 0.5 * mean if task.answers == "signs" else mean)
            answer = np.where(yes, 1.0, -1.0 if task.answers == "signs" else 0.0)
        count[row, query] += 1.0
        total[row, query] += answer.astype(np.float32)
        queries[:, t], answers[:, t] = query, answer
    shape = (-1, rollouts, budget)
    return queries.reshape(shape), answers.reshape(shape)
