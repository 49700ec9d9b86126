"""What a table policy loses, exactly: answers that have equal counts are equally likely, in whatever order they came.

So a policy is a flow over states: what flows into a state goes on to both states after each query, whole, and only in
the end it is weighted with the likelihood of the counts. That makes the loss linear in the flow.

Source: occupancy measures of decision processes; Zhang, Jain, Jamieson, arXiv 2010.15382.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ...errors import InvalidInput
from ...task import Array, Task
from ...trained.tables import TablePolicy
from ..complexity import difficulty
from .states import CountStates, count_states


def exact_losses(policy: TablePolicy, instances: Array) -> Array:
    """Return the expected loss of a policy at means float64[M, n]: float64[M]. Exact. Cost: O(S n + M S n)."""
    states = count_states(policy.task, policy.budget)
    ends = slice(states.n_open, None)
    flow = end_flow(policy, states)[:, None] * policy.recommendation[ends]
    costs = policy.task.losses(instances)
    return np.array(
        [likelihood(policy.task, states, means) @ flow @ cost for means, cost in zip(instances, costs, strict=True)]
    )


def end_flow(policy: TablePolicy, states: CountStates) -> Array:
    """Return the flow into each state with the whole budget answered, before it is weighted with its likelihood."""
    flow = np.zeros(len(states.asked))
    flow[0] = 1.0
    for start, end in pairwise(states.layers[:-1]):
        out = flow[start:end, None] * policy.query[start:end]
        for after in (states.next_up, states.next_down):
            np.add.at(flow, after[start:end], out)
    return flow[states.n_open :]


def likelihood(task: Task, states: CountStates, means: Array) -> Array:
    """Return how likely the answers of each state with the whole budget answered are, in one order of them."""
    chance = means if task.answers == "bits" else 0.5 * (1.0 + means)
    up, down = states.up[states.n_open :], states.asked[states.n_open :] - states.up[states.n_open :]
    return np.asarray((chance**up * (1.0 - chance) ** down).prod(axis=1))


def grid_instances(task: Task, grid: list[float], level: float) -> Array:
    """Return the means on a grid, the same for each query, whose difficulty is at most `level`: float64[M, n]."""
    _check_grid(task, grid)
    points = np.array(np.meshgrid(*[grid] * task.n_queries, indexing="ij")).reshape(task.n_queries, -1).T
    within = points[difficulty(task, points) <= level * (1.0 + 1e-9)]
    if len(within) == 0:
        raise InvalidInput(
            "no_such_level", f"no means on the grid {grid} have a difficulty of {level:g} or less: take a larger level"
        )
    return within


def _check_grid(task: Task, grid: list[float]) -> None:
    if task.answers == "normal":
        raise InvalidInput("bad_grid", "answers are normal: exact losses are those of answers that are signs or bits")
    low = 0.0 if task.answers == "bits" else -1.0
    for mean in grid:
        if not low <= mean <= 1.0:
            raise InvalidInput(
                "bad_grid", f"the grid holds the mean {mean}: means of {task.answers} lie in [{low:g}, 1]"
            )
