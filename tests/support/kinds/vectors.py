"""Vectors in every domain that a policy takes, on every kind of feedback and of hint, in the worlds of courses.py."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import golden
import numpy as np
from support import courses
from support.environments import names
from support.kinds.course import Course, Kind

from onearm.engine import loop, snapshot
from onearm.engine.domain import ball, box, simplex
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_fit
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Decision, Environment, Feedback, FeedbackKind, Instance, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

NAMES = golden.names("vector")
HORIZON = 40
DOMAINS = [*golden.DOMAINS, ball(1, 0.3), box([-2.0], [1.0]), simplex(50), ball(50, 2.0)]
WORLDS: tuple[courses.World, ...] = ("even", "against", "wild")
HINTS = ("last", "zero", "context")
SMALLER: dict[str, dict[str, Any]] = {"random_order": {"losses": 20}}  # several passes within these tests


class Case(NamedTuple):
    """A policy in a problem."""

    name: str
    hint: str | None  # where the policy has one
    feedback: FeedbackKind
    place: int  # of the domain, in DOMAINS

    @property
    def policy(self) -> Policy:
        given = {} if self.hint is None else {"hint": self.hint}
        return policies.make(self.name, **golden.SPECIMENS.get(self.name, {}) | given)

    @property
    def problem(self) -> Problem:
        domain = DOMAINS[self.place]
        shape = (domain.dimension,) if self.hint == "context" else (0,)
        return Problem(0, shape, horizon=HORIZON, domain=domain, feedback=self.feedback)

    @property
    def taken(self) -> bool:
        """Whether the policy decides on the problem; a domain that it does not take it refuses by name."""
        check_fit(self.policy, self.problem)
        try:
            self.policy.init(self.policy.params, self.problem)
        except InvalidInput as error:
            assert error.code in ("bad_domain", "policy_does_not_fit"), error
            return False
        return True

    def __str__(self) -> str:
        return "-".join(str(part) for part in self if part is not None)


def hints_of(name: str) -> tuple[str | None, ...]:
    return HINTS if "hint" in inspect.signature(policies.factory(name)).parameters else (None,)


class VectorWorld:
    """What `courses.feedback_on` reveals."""

    def __init__(self, problem: Problem, sort: courses.World) -> None:
        self.problem, self.sort = problem, sort

    def over(self, t: int) -> bool:
        return False

    def instance(self, t: int) -> Instance:
        return Instance(t, np.random.default_rng([7, t]).normal(size=self.problem.context_shape), np.ones(1, np.bool_))

    def feedback(self, instance: Instance, decision: Decision) -> Feedback:
        rng = np.random.default_rng([6, instance.t])
        return courses.feedback_on(self.problem, decision.action, self.sort, rng)


def begin(case: Case, sort: courses.World) -> Course:
    return Course(case.policy, case.problem, VectorWorld(case.problem, sort), steps=24, patience=7)


def played(case: Case, sort: courses.World, timing: courses.Timing) -> courses.Course:
    return courses.play(case.policy, case.problem, sort, timing, HORIZON)


def digests(name: str) -> Iterator[str]:
    """Yield what identifies courses, in worlds that turn with the domain: the last state, and what it proves."""
    for case in (case for case in PLAIN if case.name == name):
        course = played(case, WORLDS[case.place % len(WORLDS)], "late")
        proof = [float(number).hex() for number in loop.certificate(case.policy.params, course.state)]
        yield f"{case} {snapshot.digest(course.state)} {proof}"


def usual(problem: Problem) -> str:
    """Return a policy that learns from what a problem reveals."""
    return next(name for name in NAMES if problem.feedback in golden.specimen(name).feedbacks)


@cache
def world(name: str) -> Environment:
    return envs.make(name, **SMALLER.get(name, {}))


def simulation(name: str, horizon: int = 28, seed: int = 2) -> Simulation:
    env = world(name)
    return Simulation(golden.specimen(usual(env.problem)), env, horizon=horizon, seed=seed)


ALL = (
    Case(name, hint, feedback, place)
    for name in NAMES
    for hint in hints_of(name)
    for feedback in golden.specimen(name).feedbacks
    for place in range(len(DOMAINS))
)
CASES = [case for case in ALL if case.taken]
PLAIN = [case for case in CASES if case.hint in (None, "last") and case.place < len(golden.DOMAINS)]  # a few seconds
OTHERS = [case for case in CASES if case not in PLAIN]  # other hints, and one dimension or many
ENVS = names("vector")
KIND = Kind(
    courses={f"{case}-{sort}": partial(begin, case, sort) for case in PLAIN for sort in ("even", "wild")},
    simulations={env: partial(simulation, env) for env in ENVS},
    problem=Problem(0, domain=ball(2), feedback="gradient"),
    digests=digests,
)
