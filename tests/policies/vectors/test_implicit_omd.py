"""Implicit mirror descent, against a trace that is known to the digit and the regret itself on any course."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linprog

from onearm.engine import loop
from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_fit
from onearm.engine.vectors.projection import project
from onearm.engine.vectors.prox import LOSSES, loss_at, slope_at
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)
DOMAINS = (ball(3, 0.7), box([-1.0, 0.0, -2.0], [1.0, 0.5, 3.0]), simplex(3), product(ball(1), box([0, 0], [1, 2])))


def start(policy: Policy, domain: Domain, horizon: int | None = None) -> Any:
    return policy.init(policy.params, Problem(0, horizon=horizon, domain=domain, feedback="example"))


def decide(policy: Policy, state: Any, t: int) -> tuple[Instance, Decision]:
    instance = Instance(t, np.zeros(0), np.ones(1, np.bool_))
    point, propensity = loop.decide(policy.params, state, instance, Key(RUN, t))
    return instance, Decision(point.copy(), propensity)


def learn(policy: Policy, state: Any, instance: Instance, decision: Decision, detail: Array) -> None:
    loop.learn(policy.params, state, instance, decision, Feedback(0.0, detail), Key(RUN, instance.t))


def test_a_trace_that_is_known_to_the_digit() -> None:
    policy = catalog.make("implicit_omd", loss="absolute", gradient_max=2.0)
    state = start(policy, ball(3, 0.4))
    loss = 0.0
    for t in range(1, 201):
        example = np.array([*np.cos(0.7 * t * np.arange(1, 4)), math.sin(0.5 * t)])
        instance, decision = decide(policy, state, t - 1)
        loss += abs(example[:3] @ decision.action - example[3])
        learn(policy, state, instance, decision, example)
    bound, variation = loop.certificate(policy.params, state)
    assert abs(loss - 133.717416355) < 1e-8
    assert abs(variation - 539.071938857) < 1e-8
    assert 0.0 < bound <= 1.2 * math.sqrt(1.0 + 16.0 + variation)  # (3 D / 2) sqrt(1 + 4 G^2 + V)


def test_the_certificate_of_one_step_worked_by_hand() -> None:
    policy = catalog.make("implicit_omd", gradient_max=1.0)
    state = start(policy, box([-1.0], [1.0]))
    learn(policy, state, *decide(policy, state, 0), np.array([1.0, 1.0]))
    eta = 2.0 / math.sqrt(5.0)  # the point goes from 0 to eta, and the loss falls by as much
    bound, variation = loop.certificate(policy.params, state)
    assert bound == pytest.approx(eta - eta / 2.0 + 4.0 / (2.0 * eta), rel=1e-14)
    assert variation == pytest.approx(1.0, rel=1e-14)


@pytest.mark.covering
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("gradient_max", [None, 0.01, 5.0])
def test_the_certificate_holds_for_any_point_on_any_course(loss: str, late: bool, gradient_max: float | None) -> None:
    policy = catalog.make("implicit_omd", loss=loss, gradient_max=gradient_max)
    number = LOSSES.index(loss)
    rng = np.random.default_rng(7)
    for course, domain in enumerate(DOMAINS):
        state = start(policy, domain)
        waiting, examples, paid = [], [], 0.0
        scale = 10.0 ** rng.integers(-1, 2)
        drift = rng.normal(size=3) * (course % 3)
        for t in range(24):
            a = scale * (rng.normal(size=3) + drift) * (20.0 if t == 12 else 1.0)
            waiting.append((*decide(policy, state, t), np.array([*a, rng.choice([-1.0, 1.0])])))
            while waiting and (not late or rng.random() < 0.4):
                instance, decision, example = waiting.pop(rng.integers(len(waiting)))
                learn(policy, state, instance, decision, example)
                examples.append(example)
                paid += loss_at(number, float(example[:3] @ decision.action), example[3])
        bound = loop.certificate(policy.params, state).bound
        best = _best(number, domain, np.array(examples))
        assert paid - best <= bound + 1e-8 * max(1.0, abs(bound)), course


def _best(loss: int, domain: Domain, examples: Array) -> float:
    """Return the loss of a good fixed point: the best of those that subgradient descent meets."""
    x, region, best = domain.start, domain.region(), math.inf
    for step in range(60):
        z = examples[:, :3] @ x
        best = min(best, sum(loss_at(loss, float(one), b) for one, b in zip(z, examples[:, 3], strict=True)))
        slopes = np.array([slope_at(loss, float(one), b) for one, b in zip(z, examples[:, 3], strict=True)])
        gradient = slopes @ examples[:, :3]
        x = x - domain.diameter / (2.0 * math.sqrt(step + 1.0)) * gradient / max(
            float(np.linalg.norm(gradient)), 1e-300
        )
        project(region, x)
    return best


@pytest.mark.parametrize("gradient_max", [None, 3.0])
def test_steps_follow_what_came_unexpected(gradient_max: float | None) -> None:
    """Each step by its formula, from the points and examples alone."""
    policy = catalog.make("implicit_omd", loss="square", gradient_max=gradient_max)
    domain, rng = box([-1.0, -0.5], [1.0, 0.5]), np.random.default_rng(4)
    state, total, largest, shrunk = start(policy, domain), 0.0, 0.0, 0
    last = np.zeros(3)
    for t in range(30):
        known = 4.0 * gradient_max**2 if gradient_max else largest
        eta = domain.diameter / math.sqrt(1.0 + known + total)
        instance, decision = decide(policy, state, t)
        example = np.append(rng.normal(size=2) * (3.0 if t == 9 else 1.0), rng.normal())
        learn(policy, state, instance, decision, example)
        assert state.step[0] == pytest.approx(eta, rel=1e-13)
        x, following = decision.action, state.point
        ((new_at_x, new_at_y), (old_at_x, old_at_y)) = (
            [0.5 * float(one[:2] @ point - one[2]) ** 2 for point in (x, following)] for one in (example, last)
        )
        unexpected = new_at_x - new_at_y - (old_at_x - old_at_y if t else 0.0)
        square = max(unexpected, 0.0) ** 2 / float((x - following) @ (x - following))
        shrunk += square < largest
        total, largest, last = total + square, max(largest, square), example
    assert loop.certificate(policy.params, state).variation == pytest.approx(total, rel=1e-12)
    assert shrunk > 10


def test_a_decision_better_than_where_the_step_leads_was_no_surprise() -> None:
    policy = catalog.make("implicit_omd", gradient_max=100.0)
    state = start(policy, box([-1.0], [1.0]))
    instance, _ = decide(policy, state, 0)
    learn(policy, state, instance, Decision(np.array([1.0]), 1.0), np.array([1.0, 1.0]))  # as late feedback may
    assert loop.certificate(policy.params, state).variation == 0.0
    assert 0.0 < state.point[0] < 0.5


def test_of_a_loss_that_is_no_number_nothing_is_proven() -> None:
    policy = catalog.make("implicit_omd", loss="square")
    state = start(policy, ball(2, 1e99, [1e100, 0.0]))  # where all losses are of (1e200)^2
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(2):
            learn(policy, state, *decide(policy, state, t), np.array([1e100, 0.0, 0.0]))
        assert loop.certificate(policy.params, state).bound == math.inf
        assert np.isfinite(decide(policy, state, 2)[1].action).all()


def test_a_known_loss_that_repeats_costs_nothing_after_the_first() -> None:
    policy = catalog.make("implicit_omd", loss="square")
    state = start(policy, ball(2))
    variations = []
    for t in range(30):
        instance, decision = decide(policy, state, t)
        learn(policy, state, instance, decision, np.array([0.5, -0.25, 0.3]))
        variations.append(loop.certificate(policy.params, state).variation)
    assert variations[0] > 0.0
    assert variations[-1] == variations[0]  # f_t - f_{t-1} = 0: the hint is the loss


@pytest.mark.jit
def test_near_parallel_features_are_learned_sooner_than_by_gradients() -> None:
    """The regret against the best point, exact by linear programming; a gradient overshoots where features agree."""
    regrets = {}
    makers: dict[str, Callable[[], Policy]] = {
        "implicit": lambda: catalog.make("implicit_omd", gradient_max=1.1),
        "gradient": lambda: catalog.make("optimistic_omd", gradient_max=1.1, smoothness=0.0, caution=1.0),
    }
    for name, make in makers.items():
        policy, rng = make(), np.random.default_rng(3)
        domain, steps = box([-1.0] * 4, [1.0] * 4), 1500
        kind: Any = policy.feedbacks[0]
        state = policy.init(policy.params, Problem(0, domain=domain, feedback=kind))
        base = np.array([0.5, -0.5, 0.5, 0.5])
        examples, paid = [], 0.0
        for t in range(steps):
            a = base + 0.03 * rng.normal(size=4)
            example = np.array([*a, a @ np.array([0.6, -0.2, 0.1, 0.4]) + 0.02 * rng.normal()])
            instance, decision = decide(policy, state, t)
            miss = float(example[:4] @ decision.action - example[4])
            paid += abs(miss)
            examples.append(example)
            learn(policy, state, instance, decision, example if name == "implicit" else -np.sign(miss) * a)
        table = np.array(examples)
        slack = -sparse.eye_array(steps)
        rows = sparse.block_array([[table[:, :4], slack], [-table[:, :4], slack]], format="csc")
        sides = np.concatenate([table[:, 4], -table[:, 4]])
        cost = np.concatenate([np.zeros(4), np.ones(steps)])
        best = linprog(cost, rows, sides, bounds=[(-1.0, 1.0)] * 4 + [(0.0, None)] * steps).fun
        regrets[name] = paid - best
        assert paid - best <= loop.certificate(policy.params, state).bound
    assert regrets["implicit"] < 0.5 * regrets["gradient"]


def test_what_cannot_be_is_refused() -> None:
    for params, words in (({"loss": "log"}, "loss is 'log'"), ({"gradient_max": 0.0}, r"gradient_max is 0\.0")):
        with pytest.raises(InvalidInput, match=words):
            catalog.make("implicit_omd", **params)
    with pytest.raises(InvalidInput, match=r"learns from an example, .* but this problem reveals the gradient"):
        check_fit(catalog.make("implicit_omd"), Problem(0, domain=ball(2), feedback="gradient"))
