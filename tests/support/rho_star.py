"""rho*: how many answers a task needs at least, when the queries are shared out in the best way."""

from __future__ import annotations

import math

import numpy as np

from onearm.engine.hardness.allocation import least_cost
from onearm.engine.task import Task


def rho_star(task: Task, means: np.ndarray) -> np.ndarray:
    """Return min over shares lambda of max over z of sum_i (z_i - z*_i)^2 / lambda_i / <z* - z, theta>^2, float64[...].

    With noise of variance 1 no method is right with probability 1 - delta after much fewer than
    2 rho* ln(1 / (2.4 delta)) answers. Exact to 1e-10 of it. Cost: some 30 systems of min(m, n) equations each.
    """
    flat = task.signed(means).reshape(-1, task.n_queries)
    found = [_rho_star(task, theta) for theta in flat]
    return np.array(found).reshape(means.shape[:-1])


def _rho_star(task: Task, theta: np.ndarray) -> float:
    value = task.table @ theta
    best = int(value.argmax())
    others = np.delete(np.arange(task.n_hypotheses), best)
    gap = value[best] - value[others]
    if len(gap) == 0 or gap.min() <= 0.0:
        return 0.0 if len(gap) == 0 else math.inf
    apart = (task.table[others] - task.table[best]) / gap[:, None]
    return least_cost(apart * apart)[0]
