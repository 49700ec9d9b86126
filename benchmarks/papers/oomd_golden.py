"""Traces of a hundred to two thousand rounds that an independent implementation wrote down, and ours beside them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from onearm.engine import loop
from onearm.engine.domain import Domain, ball, box, simplex
from onearm.engine.draws import POLICY, run_key
from onearm.engine.vectors.matrix_projection import matrix_work, step_by
from onearm.engine.vectors.metric import metric_of
from onearm.engine.vectors.projection import project
from onearm.engine.vocabulary import (
    Array,
    Certificate,
    Decision,
    Feedback,
    FeedbackKind,
    Instance,
    Key,
    Policy,
    Problem,
)
from onearm.policies import catalog
from onearm.policies.arms.log_barrier_omd import barrier_step

RUN = run_key(1, 0, POLICY)
BOWL = np.array([1.0, 0.5, 0.0])  # f_t(x) = x' diag(1, .5, 0) x / 2 - b_t . x
NOTHING, THERE = np.zeros(0), np.ones(1, np.bool_)
KNOWN = {"gradient_max": 4.0, "smoothness": 1.0}
TOLERANCE = 1e-8
# (policy, params): what is known of its course on f_t, T = 1000, unit ball
BOWLS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "OGD, D / (G sqrt t)": (
        "gradient_descent",
        {"gradient_max": 4.0},
        {
            "x_2": [0.3977601, 0.53232124, 0.64166345],
            "x_1000": [0.31647044, 0.47809494, 0.81931171],
            "loss": -689.859842293,
            "V_T": 601.549430180,
        },
    ),
    "FTRL": (
        "ftrl",
        {"gradient_max": 4.0},
        {
            "x_2": [0.255339, 0.34171947, 0.41191086],
            "x_1000": [0.31332707, 0.45719577, 0.83234499],
            "loss": -697.908293464,
            "V_T": 600.474517630,
        },
    ),
    "optimistic FTRL (Sachs)": (
        "optimistic_ftrl",
        {"steps": "sachs", **KNOWN},
        {
            "x_2": [0.242209, 0.32414763, 0.39072965],
            "x_1000": [0.31151487, 0.45786517, 0.83265717],
            "loss": -704.510721445,
            "V_T": 598.993860277,
        },
    ),
    "OOMD, convex": (
        "optimistic_omd",
        {"caution": 1.0, **KNOWN},
        {
            "x_2": [0.30952987, 0.41424296, 0.49933114],
            "x_1000": [0.19867302, 0.58643842, 0.78525092],
            "loss": -767.238330866,
            "V_T": 579.251271390,
            "certificate": 6.619953357,
        },
    ),
    "OGD, 1 / (lambda t)": (
        "gradient_descent",
        {"convexity": 0.5},
        {
            "x_2": [0.43059358, 0.57626219, 0.69463016],
            "x_1000": [0.31354068, 0.45768264, 0.8319969],
            "loss": -697.577169246,
            "V_T": 600.382550256,
        },
    ),
    "OOMD, strongly convex": (
        "optimistic_omd",
        {"convexity": 0.5},
        {
            "x_2": [0.43059358, 0.57626219, 0.69463016],
            "x_1000": [0.30998919, 0.46211697, 0.83087581],
            "loss": -712.184155925,
            "V_T": 596.752173018,
            "certificate": -1.113435113,
        },
    ),
    "optimistic FTL (Sachs)": (
        "optimistic_ftrl",
        {"convexity": 0.5},
        {
            "x_2": [0.43059358, 0.57626219, 0.69463016],
            "x_1000": [0.31266325, 0.45884524, 0.83168669],
            "loss": -703.604635771,
            "V_T": 599.493431537,
        },
    ),
    "ensemble": (
        "optimistic_ensemble",
        KNOWN,
        {
            "steps": [0.00559017, 0.01118034, 0.02236068, 0.04472136, 0.08944272, 0.125],
            "x_1000": [0.21236365, 0.56979969, 0.78787583],
            "weights": [0.02224619, 0.0795685, 0.15768574, 0.2340719, 0.26886778, 0.23755988],
            "loss": -724.047035074,
        },
    ),
}


class Trace(NamedTuple):
    """A policy's course."""

    points: list[Array]
    gradients: list[Array]  # of the losses; of implicit steps what was revealed instead
    loss: float
    certificate: Certificate
    state: Any


Loss = Callable[[int, Array], tuple[float, Array]]  # (t from 1 on, x) -> the loss and the detail of its feedback


def golden() -> list[dict[str, Any]]:
    """Return a row for each number that is known: ours, what was expected, how far apart these are, whether equal."""
    rows: list[dict[str, Any]] = []
    for name, (policy, params, expected) in BOWLS.items():
        trace = play(catalog.make(policy, **params), ball(3), "gradient", bowl, 1000)
        found = {
            "x_2": trace.points[1],
            "x_1000": trace.points[-1],
            "loss": trace.loss,
            "V_T": trace.certificate.variation,
        }
        if "certificate" in expected:
            found["certificate"] = paper_certificate(trace, params.get("convexity", 0.0))
        if policy == "optimistic_ensemble":
            found |= {"steps": trace.state.step, "weights": trace.state.scratch_weight}
        rows += [row(name, number, found[number], value) for number, value in expected.items()]
    return [*rows, *newton(), *hedge(), *implicit(), *projections()]


def play(policy: Policy, domain: Domain, feedback: FeedbackKind, loss: Loss, steps: int) -> Trace:
    """Play steps of losses; feedback comes at once."""
    params = policy.params
    state = policy.init(params, Problem(0, horizon=steps, domain=domain, feedback=feedback))
    points: list[Array] = []
    gradients: list[Array] = []
    total = 0.0
    decide = learn = None
    for t in range(1, steps + 1):
        instance, key = Instance(t - 1, NOTHING, THERE), Key(RUN, t - 1)
        decide = decide or loop.decide.compiled(params, state, instance, key)
        made = decide(params, state, instance, key)
        decision = Decision(np.array(made[0]), made[1])
        paid, detail = loss(t, decision.action)
        total += paid
        points.append(decision.action)
        gradients.append(-detail)
        told = Feedback(-paid, detail)
        learn = learn or loop.learn.compiled(params, state, instance, decision, told, key)
        learn(params, state, instance, decision, told, key)
    return Trace(points, gradients, total, Certificate(*loop.certificate(params, state)), state)


def paper_certificate(trace: Trace, convexity: float) -> float:
    """Return the bound that the paper's analysis proves of a course of mirror descent in the unit ball.

    Of a round it says <g - M, x - y'> - (|y' - x|^2 + |x - y|^2) / (2 eta); the policy's own certificate is tighter.
    """
    region, diameter = ball(3).region(), 2.0
    y, hint = np.zeros(3), np.zeros(3)
    proven = variation = tail = eta = 0.0
    for t, (x, g) in enumerate(zip(trace.points, trace.gradients, strict=True), 1):
        eta = diameter / math.sqrt(10.0 * diameter**2 + 4.0 * KNOWN["gradient_max"] ** 2 + variation)
        if convexity:
            eta = 2.0 / (convexity * t)
        following = y - eta * g
        project(region, following)
        left = float(((following - x) ** 2).sum())
        proven += float((g - hint) @ (x - following)) - (left + float(((x - y) ** 2).sum())) / (2.0 * eta) + tail
        tail = 0.5 * convexity * left
        variation += float(((g - hint) ** 2).sum())
        y, hint = following, g
    return proven + (0.25 * convexity * diameter**2 if convexity else diameter**2 / (2.0 * eta))


def bowl(t: int, x: Array) -> tuple[float, Array]:
    """Return f_t and minus its gradient."""
    linear = np.sin(0.3 * t * np.arange(1, 4)) + 0.5
    return float(0.5 * (x * BOWL) @ x - linear @ x), linear - BOWL * x


def example(t: int) -> tuple[Array, float]:
    return np.cos(0.7 * t * np.arange(1, 4)), math.sin(0.5 * t)


def newton() -> list[dict[str, Any]]:
    def squares(t: int, x: Array) -> tuple[float, Array]:
        a, b = example(t)
        return 0.5 * float(a @ x - b) ** 2, (b - a @ x) * a

    optimistic, plain = (
        play(
            catalog.make("optimistic_newton", gradient_max=4.0, beta=0.05, **hint),
            ball(3, 0.4),
            "gradient",
            squares,
            200,
        )
        for hint in ({}, {"hint": "zero"})
    )
    name = "optimistic Newton"
    return [
        row(name, "x_2", optimistic.points[1], [0.32823616, 0.07294232, -0.21665743]),
        row(name, "x_200", optimistic.points[-1], [-0.26381432, 0.1272276, 0.27242456]),
        row(name, "loss", optimistic.loss, 49.025132438),
        row(name, "V_T", optimistic.certificate.variation, 286.527757692),
        row(name, "sum of |g - M|^2 by H^-1", optimistic.state.error[0], 146.883356771),
        row(f"{name}, without a hint", "loss", plain.loss, 52.015760231),
    ]


def hedge() -> list[dict[str, Any]]:
    def waves(t: int, x: Array) -> tuple[float, Array]:
        losses = 0.5 + 0.5 * np.sin(0.01 * t * np.arange(1, 5))
        return float(losses @ x), -losses

    known = {"last": 1006.616133938, "zero": 1021.726185821}
    traces = {
        hint: play(catalog.make("optimistic_hedge", hint=hint), simplex(4), "losses", waves, 2000) for hint in known
    }
    best = min(sum(waves(t, np.zeros(4))[1] * -1.0 for t in range(1, 2001)))
    rows = [row(f"optimistic Hedge, hint {hint}", "loss", traces[hint].loss, known[hint]) for hint in known]
    return [*rows, row("optimistic Hedge", "best arm", best, 1013.629517690)]


def implicit() -> list[dict[str, Any]]:
    def absolute(t: int, x: Array) -> tuple[float, Array]:
        a, b = example(t)
        return abs(float(a @ x - b)), np.array([*a, b])

    policy = catalog.make("implicit_omd", loss="absolute", gradient_max=2.0)
    trace = play(policy, ball(3, 0.4), "example", absolute, 200)
    return [
        row("implicit, absolute loss", "loss", trace.loss, 133.717416355),
        row("implicit, absolute loss", "sum of v^2", trace.certificate.variation, 539.071938857),
    ]


def projections() -> list[dict[str, Any]]:
    x = np.array([0.9, 0.5, -0.2, 0.4])
    project(simplex(4).region(), x)
    step = np.zeros(3)
    barrier_step(0.5, np.array([0.5, 0.3, 0.2]), np.array([1.0, 0.0, 2.0]), step)
    matrix = np.array([[4.0, 1.0, 0.0, 1.0], [1.0, 3.0, 1.0, 0.0], [0.0, 1.0, 2.0, 1.0], [1.0, 0.0, 1.0, 5.0]])
    small, y = np.array([[4.0, 1.0], [1.0, 1.0]]), [0.9, 0.5, -0.2, 0.4]
    name = "projection"
    return [
        row(name, "simplex", x, [0.63333333, 0.23333333, 0.0, 0.13333333]),
        row(name, "log-barrier step", step, [0.47881115, 0.34225016, 0.1789387]),
        row(name, "ball by H", by(ball(2), small, [2.0, 1.0]), [0.94317838, 0.33228683]),
        row(name, "simplex by H", by(simplex(4), matrix, y), [0.77096774, 0.08064516, 0.0, 0.1483871]),
        row(name, "box by H", by(box([0.0] * 4, [0.45] * 4), matrix, y), [0.45, 0.45, 0.0, 0.45]),
    ]


def by(domain: Domain, matrix: Array, y: list[float]) -> Array:
    """Return the projection of y by the norm of a matrix."""
    x = domain.start
    step_by(metric_of(matrix), domain.region(), matrix_work(domain), np.array(y), np.zeros(len(y)), x)
    return x


def row(trace: str, number: str, ours: Any, expected: Any) -> dict[str, Any]:
    """Compare a number, or a list of them."""
    difference = float(np.abs(np.asarray(ours) - np.asarray(expected)).max())
    return {
        "trace": trace,
        "number": number,
        "ours": np.asarray(ours).tolist(),
        "expected": expected,
        "difference": difference,
        "equal": difference <= TOLERANCE,
    }
