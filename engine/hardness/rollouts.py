"""Play a policy out against given means: how training and evaluation see what a policy does with its budget.

>>> import numpy as np
>>> from onearm.engine.problem import query_problem
>>> from onearm.engine.task import best_arm
>>> from onearm.policies import catalog
>>> problem = query_problem(best_arm(2), budget=6)
>>> found = roll_out(catalog.make("uniform_budget"), problem, np.array([[0.0, 3.0], [3.0, 0.0]]), rollouts=50)
>>> found.queries.shape, found.recommended.shape, bool((found.recommended.mean(axis=1) > [0.9, -1.0]).all())
((2, 50, 6), (2, 50), True)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .. import loop
from ..answers import ANSWERS
from ..draws import NATURE, POLICY, run_key
from ..errors import InvalidInput
from ..problem import check_problem, check_seed, fitted
from ..vocabulary import Array, Policy, Problem

ROLLOUTS_MAX = 2**40  # of one seed


class Rollouts(NamedTuple):
    """What a policy did: of M means L rollouts each, of T queries."""

    queries: Array  # int64[M, L, T]
    answers: Array  # float64[M, L, T]
    recommended: Array  # int64[M, L] hypotheses


def roll_out(
    policy: Policy, problem: Problem, means: Array, rollouts: int, *, seed: int = 0, start: int = 0
) -> Rollouts:
    """Play `policy` out `rollouts` times against each of the `means`, float64[M, n], all queries open.

    Rollouts are numbered from `start` on: those of other numbers, or of another seed, have other draws. Compiled; it
    takes what the policy's decisions take, and 0.1 us each.
    """
    check_problem(problem)
    task, budget = problem.task, problem.horizon
    if task is None or budget is None:
        raise InvalidInput("no_budget", "rollouts are of a task with a budget: give the problem both")
    given = np.ascontiguousarray(means, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] != task.n_queries or not np.isfinite(given).all():
        raise InvalidInput(
            "bad_means",
            f"the means have the shape {list(given.shape)}: [M, {task.n_queries}] finite numbers are needed",
        )
    if rollouts < 1 or not 0 <= start <= ROLLOUTS_MAX - len(given) * rollouts:
        raise InvalidInput(
            "bad_rollouts", f"{rollouts} rollouts from number {start} on: at least 1, and at most 2^40 numbers in all"
        )
    chosen = fitted(policy, problem)
    state, fresh = (chosen.init(chosen.params, problem) for _ in range(2))
    keys = (run_key(check_seed(seed), 0, POLICY), run_key(seed, 0, NATURE))
    shape = (len(given), rollouts, budget)
    found = Rollouts(np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape[:2], np.int64))
    room = (np.zeros(0), np.ones(task.n_queries, np.bool_), np.zeros(1))
    loop.play_out(chosen.params, state, fresh, *keys, ANSWERS[task.answers], given, start, *room, *found)
    return found
