"""Courses for policies that descend: one that is known to the digit, and ones of every kind for their certificates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from onearm.engine import loop
from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.engine.draws import POLICY, run_key
from onearm.engine.vectors.projection import project
from onearm.engine.vocabulary import Array, Certificate, Decision, Feedback, Instance, Key, Policy, Problem

RUN = run_key(1, 0, POLICY)
BOWL = np.array([1.0, 0.5, 0.0])  # f_t(x) = x' diag(1, .5, 0) x / 2 - b_t . x
DOMAINS = (
    ball(4, 0.7, [0.5, 0.0, -1.0, 0.0]),
    box([-1.0, 0.0, -2.0, 0.0], [1.0, 0.5, 3.0, 0.01]),
    simplex(4, 2.0),
    product(ball(2), simplex(2)),
)


class Trace(NamedTuple):
    """What a policy did on the course that is known."""

    points: list[Array]
    loss: float
    certificate: Certificate


class Learned(NamedTuple):
    """What a policy has learned of a course so far."""

    domain: Domain
    points: Array  # float64[n, d] what had been decided
    gradients: Array  # float64[n, d] of the losses
    certificate: Certificate


def trace(policy: Policy, steps: int = 1000) -> Trace:
    """Play the losses f_t on the unit ball, b_t,j = sin(.3 t j) + .5."""
    state = policy.init(policy.params, Problem(0, domain=ball(3), feedback="gradient"))
    points, loss = [], 0.0
    for t in range(1, steps + 1):
        linear = np.sin(0.3 * t * np.arange(1, 4)) + 0.5
        x = played(policy, state, Instance(t - 1, np.zeros(0), np.ones(1, np.bool_)), lambda x, b=linear: b - BOWL * x)
        points.append(x)
        loss += 0.5 * (x * BOWL) @ x - linear @ x
    return Trace(points, loss, loop.certificate(policy.params, state))


def played(policy: Policy, state: Any, instance: Instance, gradient: Any) -> Array:
    """Decide, learn the gradient of the reward at what was decided, and return that."""
    point, propensity = loop.decide(policy.params, state, instance, Key(RUN, instance.t))
    x = point.copy()
    feedback = Feedback(0.0, gradient(x))
    loop.learn(policy.params, state, instance, Decision(x, propensity), feedback, Key(RUN, instance.t))
    return x


def courses(policy: Policy, *, late: bool, steps: int = 60) -> Iterator[Learned]:
    """Play gradients of all sizes with jumps and drifts in every domain; late feedback comes in any order, or never."""
    rng = np.random.default_rng(7)
    for course in range(12):
        domain = DOMAINS[course % 4]
        shape = (4,) if getattr(policy.params, "hint", 0) == 2 else (0,)
        state = policy.init(policy.params, Problem(0, shape, domain=domain, feedback="gradient"))
        waiting, points, gradients = [], [], []
        scale, drift = 10.0 ** rng.integers(-3, 4), rng.normal(size=4) * (course % 3)
        for t in range(steps):
            instance = Instance(t, scale * rng.normal(size=shape), np.ones(1, np.bool_))
            point, propensity = loop.decide(policy.params, state, instance, Key(RUN, t))
            gradient = scale * (rng.normal(size=4) + drift) * (50.0 if t == steps // 2 else 1.0) * (t > course % 5)
            waiting.append((instance, Decision(point.copy(), propensity), gradient))
            while waiting and (not late or rng.random() < 0.4):
                then, decision, told = waiting.pop(rng.integers(len(waiting)))
                loop.learn(policy.params, state, then, decision, Feedback(0.0, -told), Key(RUN, then.t))
                points.append(decision.action)
                gradients.append(told)
            if points:
                yield Learned(domain, np.array(points), np.array(gradients), loop.certificate(policy.params, state))


def regret(learned: Learned, convexity: float = 0.0) -> float:
    """Return the largest sum of g . (x - u) - convexity |u - x|^2 / 2 over u in the domain."""
    against, paid = learned.gradients.sum(0), (learned.gradients * learned.points).sum()
    if convexity > 0.0:
        weight = convexity * len(learned.points)
        best = (convexity * learned.points.sum(0) - against) / weight
        project(learned.domain.region(), best)
        return float(paid - against @ best - 0.5 * convexity * ((learned.points - best) ** 2).sum())
    first = 0
    for part in learned.domain.parts:
        slopes = against[first : first + len(part.low)]
        first += len(part.low)
        if part.kind == "ball":
            paid -= slopes @ np.array(part.low) - part.size * np.linalg.norm(slopes)
        elif part.kind == "box":
            paid -= np.minimum(slopes * np.array(part.low), slopes * np.array(part.high)).sum()
        else:
            paid -= part.size * slopes.min()
    return float(paid)


def rounding(learned: Learned) -> float:
    """Return what sums of such numbers may be wrong by."""
    return 1e-11 * float(np.abs(learned.gradients).sum() + abs(learned.certificate.bound))
