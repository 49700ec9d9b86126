"""Queries within a budget, in each task of golden.py that a policy takes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import golden
import numpy as np
from support.kinds.arms import mask
from support.kinds.course import Course, Kind

from onearm.engine.errors import InvalidInput
from onearm.engine.problem import fitted
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Decision, Environment, Feedback, Instance, Policy, Problem
from onearm.envs import catalog as envs

MEANS = {  # of golden.TASKS, by kind
    "arms": [0.25, 1.0, -0.5, 0.0, 0.75],
    "thresholds": [0.5, 0.5, 0.5, 0.5, -0.5, 0.5, -0.5, -0.5, -0.5, -0.5],
    "hypotheses": [-0.5, 0.5, 0.5, 0.25],
}
WORLDS = {
    "arms": envs.make("best_arm", means=MEANS["arms"]),
    "thresholds": envs.make("thresholds", means=MEANS["thresholds"]),
    "hypotheses": envs.make("twenty_questions", table=[[0, 0, 1, 1], [0, 1, 0, 1], [1, 1, 1, 0]]),
}


class QueryWorld:
    """Masks that leave one query to all, and answers in eighths where they are normal, so that sums are exact."""

    def __init__(self, problem: Problem) -> None:
        assert problem.task is not None and problem.horizon is not None
        self.task, self.n, self.budget = problem.task, problem.n_arms, problem.horizon

    def over(self, t: int) -> bool:
        return t >= self.budget

    def instance(self, t: int) -> Instance:
        return Instance(t, np.zeros(0), mask(self.n, t))

    def feedback(self, instance: Instance, decision: Decision) -> Feedback:
        return answer(self.answer_to(decision.action, instance.t))

    def answer_to(self, query: int, t: int) -> float:
        rng = np.random.default_rng([6, t])
        mean = (MEANS[self.task.kind] * 2)[query]
        if self.task.answers == "normal":
            return round(8 * (mean + float(rng.normal()))) / 8
        yes = bool(rng.random() < 0.5 + 0.5 * mean)
        return float(yes) if self.task.answers == "bits" else 2.0 * yes - 1.0


def answer(value: float) -> Feedback:
    return Feedback(0.0, np.array([value]))


def fits(policy: Policy, problem: Problem) -> bool:
    """Tell whether a policy takes a problem."""
    try:
        chosen = fitted(policy, problem)
        chosen.init(chosen.params, problem)
    except InvalidInput:
        return False
    return True


def begin(policy: Policy, problem: Problem) -> Course:
    assert problem.horizon is not None
    return Course(policy, problem, QueryWorld(problem), problem.horizon, patience=4)


def start(name: str, place: int) -> Course:
    """Return a policy at the beginning of the task at a place of golden.TASKS."""
    return begin(golden.specimen(name), golden.TASKS[place])


def world_of(problem: Problem) -> Environment:
    """Return an environment with the task of a problem."""
    assert problem.task is not None
    env = WORLDS[problem.task.kind]
    assert env.problem.task is not None
    assert (env.problem.task.answers, env.problem.n_arms) == (problem.task.answers, problem.n_arms)
    return replace(env, problem=replace(env.problem, task=problem.task))


def simulation(name: str, place: int) -> Simulation:
    problem = golden.TASKS[place]
    assert problem.horizon is not None
    return Simulation(golden.specimen(name), world_of(problem), horizon=problem.horizon, seed=20)


CASES = [
    (name, place)
    for name in golden.names("query")
    for place, problem in enumerate(golden.TASKS)
    if fits(golden.specimen(name), problem)
]
KIND = Kind(
    courses={f"{name}-{place}": partial(start, name, place) for name, place in CASES},
    simulations={f"{name}-{place}": partial(simulation, name, place) for name, place in CASES},
    problem=golden.TASKS[0],
    digests=None,
)
