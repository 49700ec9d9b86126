"""One run of training as a process of its own: `python -m onearm.api.train.worker FOLDER RUN`.

It goes on where the folder says that the run stands, prints how far it is as lines of JSON, and saves now and then and
when it is interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from ...engine.errors import InvalidInput
from ...engine.hardness.rollouts import roll_out
from ...engine.problem import query_problem
from ...engine.task import Array
from ...policies.queries.mapo import with_weights
from .bench import FIRST, Bench
from .duel import Duel
from .networks import Weights
from .plan import PRIOR, Plan

SAVE_SECONDS, TELL_SECONDS = 10.0, 0.5
INTERRUPTED, REFUSED = 130, 2  # exit codes


def main(folder: str, run: str) -> int:
    """Make the iterations of a run that are left; return the exit code. What cannot be done is said as JSON too."""
    try:
        return work(Bench(Path(folder)), run)
    except InvalidInput as error:
        print(json.dumps({"run": run, "refused": error.code, "said": str(error)}), flush=True)
        return REFUSED


def work(bench: Bench, run: str) -> int:
    """Make the iterations of a run that are left; return the exit code."""
    stopped: list[int] = []
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, frame: stopped.append(number))
    duel = duel_of(bench, run)
    saved = told = time.monotonic()
    parent = os.getppid()
    while duel.iteration < duel.recipe.iterations and not stopped and os.getppid() == parent:  # for whom else?
        duel.step()
        now = time.monotonic()
        if now - saved > SAVE_SECONDS:
            bench.save(run, duel.arrays())
            saved = now
        if now - told > TELL_SECONDS:
            _tell(run, duel)
            told = now
    bench.save(run, duel.arrays())
    _tell(run, duel)
    return INTERRUPTED if duel.iteration < duel.recipe.iterations else 0


def duel_of(bench: Bench, run: str) -> Duel:
    """Return a run where it stands."""
    plan = bench.plan()
    levels, offsets, easier = _part(bench, plan, run)
    key, before = (plan.seed, plan.runs.index(run)), plan.begins_with(run)
    weights = None if before is None else bench.weights(before)
    duel = Duel(plan.task, plan.budget, levels, offsets, plan.recipe(run), key, _play(plan), easier, weights)
    if (arrays := bench.load(run)) is not None:
        duel.restore(arrays)
    return duel


def _part(bench: Bench, plan: Plan, run: str) -> tuple[list[float], list[float], list[float]]:
    """Return the levels and offsets of a run, and the levels below."""
    if run == PRIOR:
        return list(plan.levels), [0.0] * len(plan.levels), []
    if run in plan.level_runs:
        k = plan.level_runs.index(run)
        return [plan.levels[k]], [0.0], list(plan.levels[:k])
    return list(plan.levels), bench.read_json(FIRST)["offsets"], []


def _play(plan: Plan) -> Any:
    """Return what plays the present weights out: the engine's loop."""
    problem = query_problem(plan.task, plan.budget)

    def play(weights: Weights, means: Array, rollouts: int, seed: int) -> tuple[Array, Array]:
        policy = with_weights(plan.architecture, plan.task, plan.budget, weights)
        found = roll_out(policy, problem, means, rollouts, seed=seed)
        return found.queries, found.answers

    return play


def _tell(run: str, duel: Duel) -> None:
    print(json.dumps({"run": run, "iteration": duel.iteration, "worst": duel.worst}), flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
