"""Rollouts of a network in PyTorch: a second way to play, beside the engine's kernels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from onearm.api.train.networks import Network, load_arrays, network_for
from onearm.engine.task import Array, Task


def player(task: Task, budget: int) -> Callable[[dict[str, Array], Array, int, int], tuple[Array, Array]]:
    """Return what a duel plays with: (weights, means, rollouts, seed) -> queries and answers, [M, L, T] each."""
    network = network_for(task, budget)

    def play(weights: dict[str, Array], means: Array, rollouts: int, seed: int) -> tuple[Array, Array]:
        load_arrays(network, weights)
        return play_out(
            network, task, np.repeat(means, rollouts, axis=0), budget, np.random.default_rng(seed), rollouts
        )

    return play


@torch.no_grad()
def play_out(
    network: Network, task: Task, means: Array, budget: int, rng: np.random.Generator, rollouts: int
) -> tuple[Array, Array]:
    b, n = means.shape
    row = np.arange(b)
    count, total = torch.zeros(b, n), torch.zeros(b, n)
    queries, answers = np.zeros((b, budget), np.int64), np.zeros((b, budget))
    for t in range(budget):
        logits = network(count, total)[0].double().numpy()
        query = (logits + rng.gumbel(size=(b, n))).argmax(axis=1)
        mean = means[row, query]
        if task.answers == "normal":
            answer = mean + rng.normal(size=b)
        else:
            yes = rng.random(b) < (0.5 + 0.5 * mean if task.answers == "signs" else mean)
            answer = np.where(yes, 1.0, -1.0 if task.answers == "signs" else 0.0)
        count[row, query] += 1.0
        total[row, query] += torch.from_numpy(answer).float()
        queries[:, t], answers[:, t] = query, answer
    shape = (-1, rollouts, budget)
    return queries.reshape(shape), answers.reshape(shape)
