"""Numbers at their limits: points stay in the domain, and certificates finite and above the regret."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import golden
import numpy as np
import pytest
from support.courses import RUN, farthest, outside
from support.every_run import every_run

from onearm.engine import loop
from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import certifies
from onearm.engine.vocabulary import Array, Decision, Feedback, FeedbackKind, Instance, Key, Policy, Problem
from onearm.policies import catalog

STEPS = 12
DOMAINS: dict[str, Domain] = {
    "ball of 1e-9": ball(3, 1e-9),
    "ball of 1e9": ball(3, 1e9),
    "ball of 1e100": ball(3, 1e100),
    "box far away": box([1e8, 1e8, -1e8], [1e8 + 1e-3, 1e8 + 1.0, -1e8 + 1.0]),
    "thin box": box([0.0, 0.0, 0.0], [1.0, 0.0, 1e-12]),
    "simplex of 1e-9": simplex(3, 1e-9),
    "mixture": product(ball(1, 1e-9), box([-1e9], [1e9]), simplex(2, 1e5)),
    "interval": ball(1, 0.3),
}
COURSES: dict[str, Callable[[int, Array], Array]] = {
    "zero": lambda t, g: 0.0 * g,
    "zero at first": lambda t, g: g * (t > STEPS // 3),
    "1e-300": lambda t, g: 1e-300 * g,
    "1e100": lambda t, g: np.clip(1e100 * g, -1e100, 1e100),
    "one is huge": lambda t, g: g * (1e99 if t == STEPS // 2 else 1e-100),
    "all but one are tiny": lambda t, g: g * (1e99 if t == 0 else 1e-100),
    "all sizes": lambda t, g: g * 10.0 ** (t * 71 % 198 - 99),
}
N_POLICIES = len(golden.names("vector"))
EXTERNAL: list[tuple[str, dict[str, Any]]] = [
    *((name, golden.SPECIMENS.get(name, {})) for name in golden.names("vector")),
    *((name, {"gradient_max": 1e100, "smoothness": 1e100}) for name in ("optimistic_omd", "optimistic_ftrl")),
    *((name, {"gradient_max": 1e-100}) for name in ("ftrl", "gradient_descent", "optimistic_omd", "implicit_omd")),
    *(("optimistic_omd", {"step": step}) for step in (1e-100, 1e100)),
    ("optimistic_ftrl", {"steps": "sachs"}),
    *(("optimistic_ensemble", {"gradient_max": g, "smoothness": s}) for g, s in ((1e-100, 1e100), (1e100, 1e90))),
    *(("implicit_omd", {"loss": loss}) for loss in ("square", "hinge", "logistic")),
    ("optimistic_hedge", {"scale": None}),
]


@pytest.mark.parametrize(
    ("name", "params"), every_run(EXTERNAL, [*EXTERNAL[:N_POLICIES], *EXTERNAL[N_POLICIES::3]]), ids=str
)
def test_points_stay_inside_and_certificates_above_the_regret(name: str, params: dict[str, Any]) -> None:
    """In every domain; every second course is heard late, and the others in the next domain."""
    policy = catalog.make(name, **params)
    taken = [
        (domain, feedback)
        for domain in DOMAINS.values()
        for feedback in policy.feedbacks
        if takes(policy, domain, feedback)
    ]
    assert len(COURSES) % 2 == 1 and taken
    late = False
    for domain, feedback in taken if len(taken) > 1 else 2 * taken:
        for course in COURSES.values():
            late = not late
            with np.errstate(over="ignore", invalid="ignore"):  # compiled code does not warn, and copes
                learned, state = _played(policy, domain, feedback, course, late)
                _assert_proven(policy, domain, feedback, learned, state)


def takes(policy: Policy, domain: Domain, feedback: FeedbackKind) -> bool:
    try:
        policy.init(policy.params, Problem(0, horizon=STEPS, domain=domain, feedback=feedback))
    except InvalidInput:
        return False
    return True


def _played(
    policy: Policy, domain: Domain, feedback: FeedbackKind, course: Callable[[int, Array], Array], late: bool
) -> tuple[list[tuple[Array, Array]], Any]:
    """Return (point, detail) of all that was learned, and the state."""
    state = policy.init(policy.params, Problem(0, horizon=STEPS, domain=domain, feedback=feedback))
    rng, d, waiting, learned = np.random.default_rng(3), domain.dimension, [], []
    size = max(abs(limit) for part in domain.parts for limit in (*part.low, *part.high, part.size))
    for t in range(STEPS):
        instance = Instance(t, np.zeros(0), np.ones(1, np.bool_))
        made = loop.decide(policy.params, state, instance, Key(RUN, t))
        point, detail = made.action.copy(), course(t, rng.normal(size=d))
        for one in point.reshape(-1, d):
            assert np.isfinite(one).all()
            assert outside(domain, one) <= 1e-12 * size
        rewards = [min(max(float(detail @ one), -1e100), 1e100) for one in point.reshape(-1, d)]
        kinds = {"reward": np.zeros(0), "two_rewards": np.array(rewards), "example": np.append(detail, 1.0)}
        told = Feedback(sum(rewards) / len(rewards), kinds.get(feedback, detail))
        waiting.append((instance, Decision(point, made.propensity), told))
        while waiting and (not late or rng.random() < 0.4):
            then, before, known = waiting.pop(rng.integers(len(waiting)))
            loop.learn(policy.params, state, then, before, known, Key(RUN, then.t))
            learned.append((before.action, known.detail))
    return learned, state


def _assert_proven(
    policy: Policy, domain: Domain, feedback: FeedbackKind, learned: list[tuple[Array, Array]], state: Any
) -> None:
    if not certifies(policy.params):
        return
    bound, variation = loop.certificate(policy.params, state)
    assert variation >= 0.0
    if feedback == "example":  # of losses that are no numbers nothing is proven
        assert not math.isnan(bound)
        return
    assert math.isfinite(bound)
    assert math.isfinite(variation)
    total = [math.fsum(detail[j] for _, detail in learned) for j in range(domain.dimension)]
    best = farthest(domain, np.array(total))
    ahead = [math.fsum((*(detail * best), *(-detail * point))) for point, detail in learned]
    beta = float(getattr(state, "beta", [0.0])[0])
    size = math.fsum(float(np.abs(detail) @ (np.abs(point) + np.abs(best))) for point, detail in learned)
    regret = math.fsum(ahead) - (0.5 * beta * math.fsum(one * one for one in ahead) if beta > 0.0 else 0.0)
    assert bound >= regret - 1e-10 * size


@pytest.mark.parametrize("name", ["ftrl", "gradient_descent", "optimistic_omd", "optimistic_ftrl"])
def test_gradients_that_are_zero_for_ever_cost_nothing_and_prove_it(name: str) -> None:
    policy = catalog.make(name)
    learned, state = _played(policy, ball(3), "gradient", COURSES["zero"], late=False)
    assert loop.certificate(policy.params, state) == (0.0, 0.0)
    assert all((point == 0.0).all() for point, _ in learned)


@pytest.mark.parametrize("name", ["ftrl", "gradient_descent", "optimistic_omd", "optimistic_ftrl"])
def test_gradients_of_zero_at_first_leave_no_unit_behind(name: str) -> None:
    """The points of losses in another unit are the same, whatever the first gradients are."""
    policy = catalog.make(name)
    runs = []
    for unit in (1.0, 2.0**40):
        learned, _ = _played(policy, ball(3), "gradient", lambda t, g, u=unit: u * g * (t > 5), late=False)  # type: ignore[misc]
        runs.append(np.array([point for point, _ in learned]))
    assert runs[0].tobytes() == runs[1].tobytes()
    assert np.abs(runs[0]).max() > 0.1


@pytest.mark.parametrize(
    ("name", "params"),
    [("ftrl", {}), ("optimistic_omd", {}), ("optimistic_ftrl", {}), ("optimistic_ftrl", {"steps": "sachs"})],
)
def test_gradients_of_zero_at_first_are_as_if_they_had_not_been(name: str, params: dict[str, str]) -> None:
    policy = catalog.make(name, **params)
    told = np.random.default_rng(5).normal(size=(STEPS, 3))
    plain, _ = _played(policy, ball(3), "gradient", lambda t, g: told[t], late=False)
    after, _ = _played(policy, ball(3), "gradient", lambda t, g: told[t - 4] * (t >= 4), late=False)
    assert (
        np.array([point for point, _ in after[4:]]).tobytes() == np.array([point for point, _ in plain[:-4]]).tobytes()
    )


def test_two_thousand_coordinates_are_as_good_as_two() -> None:
    for name in ("ftrl", "gradient_descent", "optimistic_omd", "optimistic_ftrl"):
        policy = catalog.make(name)
        for domain in (ball(2000), box([-0.5] * 2000, [0.5] * 2000), simplex(2000)):
            state = policy.init(policy.params, Problem(0, domain=domain, feedback="gradient"))
            rng, learned = np.random.default_rng(2), []
            for t in range(3):
                instance = Instance(t, np.zeros(0), np.ones(1, np.bool_))
                point = loop.decide(policy.params, state, instance, Key(RUN, t)).action.copy()
                assert outside(domain, point) <= 1e-12
                detail = rng.normal(size=2000)
                loop.learn(policy.params, state, instance, Decision(point, 1.0), Feedback(0.0, detail), Key(RUN, t))
                learned.append((point, detail))
            _assert_proven(policy, domain, "gradient", learned, state)
