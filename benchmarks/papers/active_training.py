"""Training against a known optimum: three arms with answers that are bits, six queries, every loss exact.

A policy is trained as `onearm train` does it, at a few seeds, and its network turned into a table of laws, whose worst
losses over the grid are then exact.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from active_exact import KNOWN, Small, level_losses

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
    """Return the gap of what was trained at each seed; none where PyTorch is not installed, which is said."""
    if importlib.util.find_spec("torch") is None:
        print("!!! PyTorch is not installed: training is MISSING from this run", file=sys.stderr)
        return []
    duels = [begun(seed) for seed in SEEDS]  # one after another: weights are drawn from a generator that all share
    with ThreadPoolExecutor(len(SEEDS)) as pool:
        return list(pool.map(trained, SEEDS, duels))


def begun(seed: int) -> Any:
    """Return a run of training at one seed, before its first iteration."""
    duels, recipes = (importlib.import_module(f"onearm.api.train.{name}") for name in ("duel", "recipe"))
    importlib.import_module("torch").set_num_threads(1)
    small = problem()
    asked = query_problem(small.task, small.budget)

    def play(weights: Any, means: Array, rollouts: int, key: int) -> tuple[Array, Array]:
        policy = with_weights("arm_net/1", small.task, small.budget, weights)
        found = roll_out(policy, asked, means, rollouts, seed=key)
        return found.queries, found.answers

    recipe = replace(recipes.robust_recipe(small.task), iterations=ITERATIONS)
    return duels.Duel(small.task, small.budget, small.levels, small.minimax, recipe, (seed,), play)


def trained(seed: int, duel: Any) -> dict[str, Any]:
    """Train to the end, and return the exact worst losses and the gap to the optimum of each level."""
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


def as_table(small: Small, weights: dict[str, Array]) -> TablePolicy:
    """Return what a network asks and recommends in every state, as laws."""
    networks, torch = importlib.import_module("onearm.api.train.networks"), importlib.import_module("torch")
    network = networks.network_for(small.task, small.budget)
    networks.load_arrays(network, weights)
    states = count_states(small.task, small.budget)
    sums = states.up if small.task.answers == "bits" else 2 * states.up - states.asked
    with torch.no_grad():
        given = [torch.from_numpy(array.astype(np.float32)) for array in (states.asked, sums)]
        laws = [torch.softmax(each.double(), -1).numpy() for each in network(*given)]
    return TablePolicy(small.task, small.budget, laws[0][: states.n_open], laws[1])
