"""The best of all policies, randomised ones included, for a few queries and answers: linear programmes.

`minimax` has the least worst loss of one level; `robust` the least worst gap to those of several levels at once. Means
come from a finite grid, so these are certified optima of that grid, and lower bounds on those of all means.

>>> from onearm.engine.task import best_arm
>>> found = minimax(best_arm(2, "bits"), 4, [0.1, 0.5, 0.9], 13.0)
>>> round(float(found.losses[0]), 6)
0.168

Source: the linear programme of a decision process with a finite horizon over what is known; Zhang, Jain, Jamieson,
arXiv 2010.15382, for the robust objective. Solver: HiGHS, by way of SciPy.
Cost: of three arms and six answers (924 states, three levels) 0.8 s; of four points and five answers (1287) 5 s.
"""

from __future__ import annotations

from itertools import permutations
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array, hstack, vstack

from ...errors import InvalidInput, Unavailable
from ...task import Array, Task
from ...trained.tables import TablePolicy, binomials
from .losses import exact_losses, grid_instances, likelihood
from .states import CountStates, count_states, plug_in, rows_of, shared

ARMS_ALIKE_MAX = 5  # arms that are treated alike: their orders are gone through
FLOW_MIN = 1e-9  # what less flows through is not reached


class Optimum(NamedTuple):
    """A best policy, and what it loses."""

    policy: TablePolicy
    losses: Array  # float64[levels] worst loss of each level, exact
    gap: float  # the largest difference to the offsets
    offsets: Array  # float64[levels] what any policy loses at each level at least; of `minimax` the loss itself


def minimax(task: Task, budget: int, grid: list[float], level: float) -> Optimum:
    """Return the policy whose worst loss over the means on the grid with difficulty <= level is the least."""
    instances = grid_instances(task, grid, level)
    policy = _solved(task, budget, instances, np.zeros(len(instances)))
    losses = exact_losses(policy, instances).max(keepdims=True)
    return Optimum(policy, losses, 0.0, losses)


def robust(
    task: Task, budget: int, grid: list[float], levels: list[float], offsets: Array | list[float] | None = None
) -> Optimum:
    """Return the policy whose worst gap to the offsets is the least: by default to the minimax loss of each level.

    Levels ascend. Each instance has the offset of the easiest level that holds it.
    """
    if not levels or sorted(set(levels)) != list(levels):
        raise InvalidInput("bad_levels", f"the levels are {levels}: they must ascend, and there must be one at least")
    least = [minimax(task, budget, grid, level).losses[0] for level in levels] if offsets is None else offsets
    if len(least) != len(levels):
        raise InvalidInput("bad_levels", f"{len(levels)} levels have {len(least)} offsets: give one for each")
    instances = grid_instances(task, grid, levels[-1])
    inside = [_rows_within(instances, grid_instances(task, grid, level)) for level in levels]
    own = np.asarray(least, dtype=np.float64)[np.array(inside).argmax(axis=0)]
    policy = _solved(task, budget, instances, own)
    found = exact_losses(policy, instances)
    losses = np.array([found[rows].max() for rows in inside])
    return Optimum(policy, losses, float((losses - least).max()), np.asarray(least, dtype=np.float64))


def _rows_within(instances: Array, some: Array) -> Array:
    return (instances[:, None, :] == some[None, :, :]).all(axis=2).any(axis=1)


def _solved(task: Task, budget: int, instances: Array, offsets: Array) -> TablePolicy:
    """Minimise g over flows, where the loss of each instance is at most its offset and g."""
    states = count_states(task, budget)
    balance, losses = _balance(task, states), _losses(task, states, instances)
    n_states, n_flows = len(states.asked), _n_flows(task, states)
    root = np.zeros(n_states)
    root[0] = 1.0
    bounds = [(0.0, None)] * n_flows + [(None, None)]
    cost = np.zeros(len(bounds))
    cost[-1] = 1.0
    found = linprog(
        cost,
        A_ub=hstack([losses, -np.ones((len(instances), 1))], format="csr"),
        b_ub=offsets,
        A_eq=hstack([balance, csr_array((n_states, 1))], format="csr"),
        b_eq=root,
        bounds=bounds,
        method="highs-ipm",  # 2.5 times as fast as the simplex
    )
    if found.status != 0:
        raise Unavailable("no_optimum", f"the linear programme was not solved: {found.message}; take a smaller problem")
    return _as_policy(task, budget, states, np.maximum(found.x[:-1], 0.0))


def _n_flows(task: Task, states: CountStates) -> int:
    """Return how many flows there are: n out of each open state, m out of each of the others."""
    return states.n_open * task.n_queries + (len(states.asked) - states.n_open) * task.n_hypotheses


def _balance(task: Task, states: CountStates) -> csr_array:
    """Return what flows out of each state less what flows in, by the flows: n of an open state, m of the others."""
    n, m, n_open = task.n_queries, task.n_hypotheses, states.n_open
    queries = np.arange(n_open * n).reshape(n_open, n)
    ends = np.arange(n_open, len(states.asked))
    recommended = n_open * n + np.arange(len(ends) * m).reshape(-1, m)
    out = [(np.repeat(np.arange(n_open), n), queries.ravel()), (np.repeat(ends, m), recommended.ravel())]
    into = [(after.ravel(), queries.ravel()) for after in (states.next_up, states.next_down)]
    rows, columns = (np.concatenate(parts) for parts in zip(*out, *into, strict=True))
    values = np.where(np.arange(len(rows)) < queries.size + recommended.size, 1.0, -1.0)
    return coo_array((values, (rows, columns)), shape=(len(states.asked), queries.size + recommended.size)).tocsr()


def _losses(task: Task, states: CountStates, instances: Array) -> csr_array:
    """Return the loss of each instance by the flows, which is paid where the budget is answered."""
    rows = [
        csr_array(np.outer(likelihood(task, states, means), cost).reshape(1, -1))
        for means, cost in zip(instances, task.losses(instances), strict=True)
    ]
    return csr_array(hstack([csr_array((len(rows), states.n_open * task.n_queries)), vstack(rows)], format="csr"))


def _as_policy(task: Task, budget: int, states: CountStates, flow: Array) -> TablePolicy:
    """Turn flows into laws: any query where nothing flows, and the empirical best before the budget is answered."""
    n, n_open = task.n_queries, states.n_open
    asking, recommending = flow[: n_open * n].reshape(n_open, n), flow[n_open * n :].reshape(-1, task.n_hypotheses)
    if task.kind == "arms" and n <= ARMS_ALIKE_MAX:
        asking, recommending = _alike(states, binomials(n, budget), asking, recommending)
    query = _laws(asking, np.full((n_open, n), 1.0 / n))
    early = shared(plug_in(task, states))
    return TablePolicy(task, budget, query, np.concatenate([early[:n_open], _laws(recommending, early[n_open:])]))


def _alike(states: CountStates, sums: Array, asking: Array, recommending: Array) -> tuple[Array, Array]:
    """Return the mean of a flow over all orders of the arms: it treats arms alike, and its worst loss is no larger."""
    n = states.asked.shape[1]
    parts = np.stack([states.up, states.asked - states.up], axis=-1)
    orders = [list(order) for order in permutations(range(n))]
    queries, ends = np.zeros_like(asking), np.zeros_like(recommending)
    for order in orders:
        rows = rows_of(sums, parts[:, order].reshape(len(parts), -1))
        place = np.argsort(order)  # where an arm stands in that order
        queries += asking[rows[: states.n_open]][:, place]
        ends += recommending[rows[states.n_open :] - states.n_open][:, place]
    return queries / len(orders), ends / len(orders)


def _laws(flow: Array, otherwise: Array) -> Array:
    total = flow.sum(axis=1, keepdims=True)
    return np.where(total > FLOW_MIN, flow / np.maximum(total, FLOW_MIN), otherwise)
