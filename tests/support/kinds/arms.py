"""One of k arms, with every kind of context that a policy reads."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import golden
import numpy as np
from support.environments import WORLDS, kind_of
from support.every_run import first_of_others
from support.kinds.course import Course, Kind
from support.quadratures import fewer

from onearm.engine.features import Encoder
from onearm.engine.problem import state_problem
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Array, Decision, Environment, Features, Feedback, Instance, Policy, Problem
from onearm.envs import catalog as envs

MEANS = [0.3, 0.7, 0.1, 0.5]
STEPS = {"none": 20, "dense": 16, "actions": 16, "named": 16, "states": 18}
STATES = 5
NAMES = golden.names("arm")


def contexts_of(name: str) -> list[str]:
    """Return the kinds of contexts that a policy takes, and last "none": all that take dense ones can do without."""
    kinds = golden.specimen(name).contexts
    return [*kinds, *(("none",) if "dense" in kinds else ())]


def with_features(cases: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return which cases, a policy and a kind of contexts, every run tries: of others than representatives the first.

    What decides by contexts is tried without them only where it has no other case. What takes dense ones and states
    alike decides by neither.
    """
    kept = first_of_others(cases, lambda case: case[0])
    featured = {name for name, context in kept if context != "none" and "states" not in contexts_of(name)}
    return [(name, context) for name, context in kept if context != "none" or name not in featured]


def problem_of(policy: Policy, context: str, n_arms: int) -> Problem:
    if context == "states":
        return replace(state_problem(STATES, n_arms), horizon=1000)
    length = 3 if policy.context_length_max is None else min(3, policy.context_length_max)
    shapes = {"none": (0,), "dense": (length,), "actions": (n_arms, 3), "named": (n_arms, 256)}
    return Problem(n_arms, shapes[context], horizon=1000, nonzeros=100 if context == "named" else None)


class ArmWorld:
    """Masks that leave one arm to all, random contexts, rewards of 0 and 1 and every fifth time between them.

    What is drawn depends on nothing but the time and the shape. So it is drawn once, and not anew for each policy.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def over(self, t: int) -> bool:
        return False

    def instance(self, t: int) -> Instance:
        return Instance(t, self.context(t), mask(self.problem.n_arms, t))

    def context(self, t: int) -> Any:
        problem = self.problem
        if problem.states is not None:
            return _place(problem.states, t).copy()
        if problem.context_kind != "named":
            return _numbers(problem.context_shape, t).copy()
        return Features(*(column.copy() for column in _named(problem.n_arms, t)))

    def feedback(self, instance: Instance, decision: Decision) -> Feedback:
        reward, after = _luck(instance.t)
        if instance.t % 5 != 4:
            reward = float(reward < MEANS[decision.action])
        return Feedback(reward, np.zeros(0) if self.problem.states is None else np.array([after]))


def mask(n: int, t: int) -> Array:
    """Return which of n are available at time t: one of them to all."""
    return _mask(n, t).copy()


@functools.cache
def _mask(n: int, t: int) -> Array:
    rng = np.random.default_rng([5, t])
    available = rng.random(n) < rng.choice([0.3, 0.7, 1.0])
    available[rng.integers(n)] = True
    return available


@functools.cache
def _luck(t: int) -> tuple[float, float]:
    """Return what decides on a reward, and the state that comes next."""
    return float(np.random.default_rng([6, t]).random()), float(np.random.default_rng([8, t]).integers(STATES + 1))


@functools.cache
def _place(states: int, t: int) -> Array:
    rng = np.random.default_rng([7, t])
    return np.array([rng.integers(states), rng.random() < 0.2], np.float64)


@functools.cache
def _numbers(shape: tuple[int, ...], t: int) -> Array:
    return np.random.default_rng([7, t]).normal(size=shape)


@functools.cache
def _named(n_arms: int, t: int) -> Features:
    rng = np.random.default_rng([7, t])
    shared = {"x": rng.normal(size=2).tolist(), "city": str(rng.integers(3))}
    actions = [{"id": str(a), "price": rng.random()} for a in range(n_arms)]
    return Encoder(bits=8).encode(shared, actions)


def begin(name: str, context: str = "", n_arms: int = len(MEANS)) -> Course:
    """Return a policy at its beginning; without contexts, or in states, where none are named."""
    policy, kind = golden.specimen(name), context or contexts_of(name)[-1]
    problem = problem_of(policy, kind, n_arms)
    return Course(policy, problem, ArmWorld(problem), fewer(name, STEPS[kind]), patience=8)


@functools.cache
def world(name: str) -> Environment:
    return envs.make(name, **WORLDS.get(name, {}))


def simulation(env: str) -> Simulation:
    policy = {"dense": "ucb1", "states": "differential_q"}.get(world(env).problem.context_kind, "squarecb")
    return Simulation(golden.specimen(policy), world(env), horizon=32, seed=2)


ENVS = [name for name in envs.names() if kind_of(name) == "arm"]
KIND = Kind(
    courses={
        f"{name}-{context}": functools.partial(begin, name, context) for name in NAMES for context in contexts_of(name)
    },
    simulations={env: functools.partial(simulation, env) for env in ENVS},
    problem=Problem(3),
    digests=None,
)
