"""Moves on arms that stream past: with arms and trials that are known and unknown."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import golden
import numpy as np
from support.kinds.course import Course, Kind
from support.passing import Passing

from onearm.engine import snapshot
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Decision, Environment, Feedback, Instance, Problem
from onearm.envs import catalog as envs

NAMES = golden.names("move")
SLOTS = 8
ARMS, TRIALS = 30, 20_000
KNOWN = [(ARMS, TRIALS), (0, TRIALS), (ARMS, None), (0, None)]  # of the arms and the trials; 0 and None: unknown


class MoveWorld:
    """Arms in plain Python, which refuse every move that cannot be made, until all trials are made."""

    def __init__(self) -> None:
        self.passing = Passing(SLOTS, ARMS)

    def over(self, t: int) -> bool:
        return sum(self.passing.pulls.values()) >= TRIALS

    def instance(self, t: int) -> Instance:
        return Instance(t, np.zeros(0), self.passing.available())

    def feedback(self, instance: Instance, decision: Decision) -> Feedback:
        return self.passing.make(decision.action)


def begin(name: str, arms: int, trials: int | None) -> Course:
    return Course(golden.specimen(name), Problem(arms, horizon=trials, slots=SLOTS), MoveWorld(), steps=70)


def stream(arms: int = ARMS, slots: int = SLOTS, **params: Any) -> Environment:
    return envs.make("arm_stream", arms=arms, slots=slots, **params)


def simulation(name: str) -> Simulation:
    return Simulation(golden.specimen(name), stream(), horizon=TRIALS, seed=2)


def digests(name: str) -> Iterator[str]:
    """Yield what identifies whole simulations: the moves, what they earned, and the last state."""
    for rewards in ("bernoulli", "normal", "two_point"):
        run = Simulation(golden.specimen(name), stream(200, means="clear", rewards=rewards), horizon=10**9, seed=5)
        run.advance(10**9)
        earned = (run.totals.reward[0].hex(), run.totals.regret[0].hex())
        yield f"{rewards} {run.t} {earned} {snapshot.digest(run.state)}"


KIND = Kind(
    courses={f"{name}-{arms}-{trials}": partial(begin, name, arms, trials) for name in NAMES for arms, trials in KNOWN},
    simulations={name: partial(simulation, name) for name in NAMES},
    problem=Problem(ARMS, horizon=TRIALS, slots=SLOTS),
    digests=digests,
)
