"""Runs of policies on a stream of arms: which arm was pulled how often, and how the regret compares with a reference.

The reference figures are means and standard errors of an independent implementation, at 100 or 200 runs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

import numpy as np
from support.passing import NO_KEY

from onearm.engine import loop
from onearm.engine.actions import READ
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import LEARN, Policy
from onearm.envs import catalog as envs

DECISIONS = 10_000  # of a run whose arms are followed, at the most


class Run(NamedTuple):
    """What a simulation did."""

    batches: list[tuple[int, int, float]]  # arm, pulls and sum of the rewards, in order
    recommended: int  # arm, -1 for none
    regret: float
    peak: int  # arms held at the most, the arriving one included

    @property
    def pulls(self) -> dict[int, int]:
        """Return the pulls of each arm that was pulled."""
        made: dict[int, int] = {}
        for arm, n, _ in self.batches:
            made[arm] = made.get(arm, 0) + n
        return made


def run(policy: Policy, trials: int, *, slots: int = 8, seed: int = 1, **world: Any) -> Run:
    """Simulate a policy, and follow the arms through the places by its log."""
    simulation = Simulation(policy, envs.make("arm_stream", slots=slots, **world), horizon=trials, seed=seed)
    log = simulation.advance_logged(DECISIONS)
    learned = log.kind == LEARN
    places, batches = [-1] * (slots + 1), []
    for (what, place, _), reward, (n, arm) in zip(
        log.action[learned].tolist(), log.reward[learned].tolist(), log.detail[learned].tolist(), strict=True
    ):
        if what == READ:
            places[place], places[slots] = places[slots], int(arm)
            places[slots] = int(arm)
        else:
            assert places[place] >= 0
            batches.append((places[place], int(n), reward))
    assert simulation.trials == trials == sum(n for _, n, _ in batches)
    place = loop.recommendation(simulation.params, simulation.state, NO_KEY)
    recommended = places[place] if place >= 0 else -1
    return Run(batches, recommended, simulation.totals.regret[0], int(simulation.world.state.held[1]))


def follow(run: Run, pseudo_code: Generator[tuple[int, float], float, None], trials: int) -> None:
    """Check the batches of a run against pseudo-code that yields arms and pulls, and is sent the sums of the rewards.

    The last batch is cut to the trials that are left; the pseudo-code ends with as many pulls as there are of one arm.
    """
    expected = next(pseudo_code)
    for arm, n, total in run.batches:
        assert (arm, n) == (expected[0], min(expected[1], trials))
        trials -= n
        expected = pseudo_code.send(total)
    assert trials == 0


def without(policy: Policy, *, arms: bool = False, trials: bool = False) -> Policy:
    """Return the policy as it is where the number of arms, or of trials, is unknown."""
    unknown = ({"n_arms": 0} if arms else {}) | ({"horizon": None} if trials else {})
    return dataclasses.replace(
        policy, init=lambda params, problem: policy.init(params, dataclasses.replace(problem, **unknown))
    )


def pulls_where_arms_are_unknown(pulls_of_arm: Callable[[int], int], trials: int, arms: int) -> list[int]:
    """Return the pulls of each arm: as if it were the last, but at most its share of what is left."""
    made: list[int] = []
    for i in range(1, arms + 1):
        share = (trials - sum(made)) / (6 * i)
        made.append(max(min(pulls_of_arm(i), math.ceil(share)), 1))
    return made


def regrets(policy: Policy, trials: int, *, runs: int = 100, slots: int = 8, **world: Any) -> np.ndarray[Any, Any]:
    """Return the regret of each run, float64[runs]; seed 3."""
    env, found = envs.make("arm_stream", slots=slots, **world), np.empty(runs)
    for r in range(runs):
        simulation = Simulation(policy, env, horizon=trials, seed=3, replication=r)
        simulation.advance(trials)
        found[r] = simulation.totals.regret[0]
    return found


def peak(policy: Policy, trials: int, *, slots: int = 8, **world: Any) -> int:
    """Return how many arms are held at the most, the arriving one included."""
    simulation = Simulation(policy, envs.make("arm_stream", slots=slots, **world), horizon=trials, seed=1)
    simulation.advance(trials)
    return int(simulation.world.state.held[1])


def agree(found: np.ndarray[Any, Any], mean: float, error: float) -> bool:
    """Tell whether the mean of runs is that of the reference within 4 standard errors and half a percent."""
    own = float(found.std(ddof=1)) / math.sqrt(len(found))
    return abs(float(found.mean()) - mean) <= 4.0 * math.hypot(own, error) + 0.005 * mean


def hard_scale(arms: int, trials: int) -> float:
    """Return K^(1/3) T^(2/3), in which the worst case is measured."""
    return arms ** (1 / 3) * trials ** (2 / 3)
