"""Training against a known optimum: three arms with answers that are bits, six queries, every loss exact.

A policy is trained as `onearm train` does it, at a few seeds, and its network turned into a table of laws, whose worst
losses over the grid are then exact.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from active_exact import KNOWN, Small, level_losses
from threadpoolctl import threadpool_limits

from onearm.api.train.duel import Duel
from onearm.api.train.networks import Weights, network_for
from onearm.api.train.objective import log_softmax
from onearm.api.train.recipe import robust_recipe
from onearm.engine.hardness.exact.states import count_states
from onearm.engine.hardness.rollouts import roll_out
from onearm.engine.problem import query_problem
from onearm.engine.task import Array
from onearm.engine.trained.tables import TablePolicy
from onearm.policies.queries.mapo import with_weights

PROBLEM = "arms K=3 T=6"
ITERATIONS = 600
SEEDS = (0, 1)


def trained_rows() -> list[dict[str, Any]]:
    """Return the gap of what was trained at each seed."""
    with threadpool_limits(1), ThreadPoolExecutor(len(SEEDS)) as pool:
        return list(pool.map(trained, SEEDS))


def begun(seed: int) -> Duel:
    """Return a run of training at one seed, before its first iteration."""
    small = problem()
    asked = query_problem(small.task, small.budget)

    def play(weights: Weights, means: Array, rollouts: int, key: int) -> tuple[Array, Array]:
        policy = with_weights("arm_net/1", small.task, small.budget, weights)
        found = roll_out(policy, asked, means, rollouts, seed=key)
        return found.queries, found.answers

    recipe = replace(robust_recipe(small.task), iterations=ITERATIONS)
    return Duel(small.task, small.budget, small.levels, small.minimax, recipe, (seed,), play)


def trained(seed: int) -> dict[str, Any]:
    """Train to the end, and return the exact worst losses and the gap to the optimum of each level."""
    duel = begun(seed)
    started = time.thread_time()
    while duel.iteration < ITERATIONS:
        duel.step()
    seconds = time.thread_time() - started
    small = problem()
    losses = level_losses(small, as_table(small, duel.weights()))
    return {
        "problem": PROBLEM,
        "seed": seed,
        "iterations": ITERATIONS,
        "losses": [float(loss) for loss in losses],
        "gap": float((losses - small.minimax).max()),
        "cpu_seconds": seconds,
    }


def problem() -> Small:
    """Return the problem that is trained for."""
    return next(small for small in KNOWN if small.problem == PROBLEM)


def as_table(small: Small, weights: Weights) -> TablePolicy:
    """Return what a network asks and recommends in every state, as laws."""
    network = network_for(small.task, small.budget)
    states = count_states(small.task, small.budget)
    sums = states.up if small.task.answers == "bits" else 2 * states.up - states.asked
    answered = network.answer(weights, states.asked.astype(np.float32), sums.astype(np.float32))
    query, recommendation = (
        np.exp(log_softmax(each.astype(np.float64))) for each in (answered.logits, answered.scores)
    )
    return TablePolicy(small.task, small.budget, query[: states.n_open], recommendation)
