"""Courses of losses for policies that decide vectors: even, adversarial and wild ones, some feedback late or never.

What is proven of a course is checked here by another hand than the policies': extreme points, regret, limits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from onearm.engine import loop
from onearm.engine.domain import Domain
from onearm.engine.draws import POLICY, run_key
from onearm.engine.vocabulary import Array, Decision, Feedback, FeedbackKind, Instance, Key, Policy, Problem

RUN = run_key(20, 0, POLICY)
World = Literal["even", "against", "wild"]
Timing = Literal["in time", "late"]


class Course(NamedTuple):
    """What happened: the decisions whose feedback was learned, in that order, and the policy's last state."""

    points: list[Array]  # all that were decided
    learned: list[tuple[Array, Array]]  # (point, detail)
    state: Any


def play(policy: Policy, problem: Problem, world: World, timing: Timing = "in time", steps: int = 60) -> Course:
    """Let a policy decide; late feedback comes up to 7 decisions later, shuffled, and every ninth never."""
    rng = np.random.default_rng(7)
    state = policy.init(policy.params, problem)
    course = Course([], [], state)
    due: list[tuple[int, Instance, Decision, Feedback]] = []
    decide, learn = entries(policy, problem, state)
    for t in range(steps):
        context = rng.normal(size=problem.context_shape)
        instance = Instance(t, context, np.ones(1, np.bool_))
        made = decide(policy.params, state, instance, Key(RUN, t))
        decision = Decision(made.action.copy(), float(made.propensity))
        course.points.append(decision.action)
        if timing == "in time":
            due.append((t, instance, decision, feedback_on(problem, decision.action, world, rng)))
        elif t % 9 != 8:
            later = t + int(rng.integers(0, 8))
            due.append((later, instance, decision, feedback_on(problem, decision.action, world, rng)))
        for entry in [entry for entry in due if entry[0] <= t]:
            _, then, before, feedback = entry
            learn(policy.params, state, then, before, feedback, Key(RUN, then.t))
            course.learned.append((before.action, feedback.detail))
        due = [entry for entry in due if entry[0] > t]
    return course


def entries(policy: Policy, problem: Problem, state: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the compiled `decide` and `learn`: finding them by the types of all fields takes longer than they do."""
    instance, key = Instance(0, np.zeros(problem.context_shape), np.ones(1, np.bool_)), Key(RUN, 0)
    decision, feedback = Decision(np.zeros(problem.dimension), 1.0), Feedback(0.0, np.zeros(problem.detail_length))
    decide = loop.decide.compiled(policy.params, state, instance, key)
    return decide, loop.learn.compiled(policy.params, state, instance, decision, feedback, key)


def feedback_on(problem: Problem, point: Array, world: World, rng: np.random.Generator) -> Feedback:
    """Return what a point reveals: noise; what is worst for it; or numbers of all sizes."""
    assert problem.domain is not None
    d = problem.domain.dimension
    detail = rng.normal(size=d) + 0.3
    if world == "against":  # the reward is best where the point is farthest from
        detail = problem.domain.start - point[:d] + 0.1 * detail
        detail /= math.sqrt(float(detail @ detail)) + 1e-12
    elif world == "wild":
        detail *= 10.0 ** rng.integers(-30, 30)
    if problem.feedback == "example":
        target = float(rng.normal())
        return Feedback(-abs(float(detail @ point) - target), np.append(detail, target))
    rewards = [float(detail @ part) for part in point.reshape(-1, d)]
    kinds: dict[FeedbackKind, Array] = {"reward": np.zeros(0), "two_rewards": np.array(rewards)}
    return Feedback(sum(rewards) / len(rewards), kinds.get(problem.feedback, detail))


def outside(domain: Domain, point: Array) -> float:
    """Return by how much a point breaks the limits of its domain."""
    breach, start = 0.0, 0
    for part in domain.parts:
        x, low, high = point[start : start + len(part.low)], np.array(part.low), np.array(part.high)
        start += len(x)
        if part.kind == "ball":
            breach = max(breach, float(np.linalg.norm(x - low)) - part.size)
        else:
            breach = max(breach, float((low - x).max()), float((x - high).max()))
        if part.kind == "simplex":
            breach = max(breach, abs(float(x.sum()) - part.size))
    return breach


def farthest(domain: Domain, direction: Array) -> Array:
    """Return the point of a domain that is farthest in a direction: the best one where rewards have this gradient."""
    found, start = np.zeros(domain.dimension), 0
    for part in domain.parts:
        place = slice(start, start + len(part.low))
        way, low, high = direction[place], np.array(part.low), np.array(part.high)
        if part.kind == "ball":
            size = float(np.abs(way).max())
            way = way / size if size > 0.0 else way
            length = float(np.linalg.norm(way))
            found[place] = low + (part.size / length * way if length > 0.0 else 0.0)
        elif part.kind == "box":
            found[place] = np.where(way > 0.0, high, low)
        else:
            found[start + int(way.argmax())] = part.size
        start += len(part.low)
    return found


def comparators(domain: Domain, course: Course) -> list[Array]:
    """Return points to compare with: the best for the linear losses, extreme ones, some within, and the first."""
    rng = np.random.default_rng(8)
    d = domain.dimension
    total = np.sum([detail[:d] for _, detail in course.learned], axis=0)
    extreme = [farthest(domain, rng.normal(size=d)) for _ in range(20)]
    mixed = [a + rng.random() * (b - a) for a, b in zip(extreme, reversed(extreme), strict=True)]
    return [farthest(domain, total), farthest(domain, -total), domain.start, *extreme, *mixed]


def regret(problem: Problem, course: Course, other: Array, beta: float = 0.0) -> tuple[float, float]:
    """Return the regret of the learned rounds against a point, and the size of what it is the sum of.

    Of gradients it is that of the linear losses, less beta / 2 times the squares; of examples that of |a . x - b|.
    """
    points, details = (np.array(rows) for rows in zip(*course.learned, strict=True))
    if problem.feedback == "example":
        a, b = details[:, :-1], details[:, -1]
        terms = [np.abs((a * points).sum(axis=1) - b), -np.abs(a @ other - b)]
    else:
        ahead = (details * (other - points)).sum(axis=1)
        terms = [ahead, -0.5 * beta * ahead**2]
    return math.fsum(np.concatenate(terms)), math.fsum(np.abs(terms).ravel())
