"""The optimistic Newton step, against traces known to the digit, a plain copy in NumPy, and bounds on any course."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.optimize import minimize
from support.courses import entries, farthest, outside

from onearm.engine import loop, snapshot
from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.vectors.matrix_projection import matrix_work, step_by
from onearm.engine.vectors.metric import metric_of
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)
NOTHING = np.zeros(0)


class Run(NamedTuple):
    points: list[Array]
    loss: float
    state: Any
    bound: float


def squares(policy: Policy, domain: Domain, examples: list[tuple[Array, float]]) -> Run:
    """Meet the losses (a . x - y)^2 / 2."""
    state = policy.init(policy.params, Problem(0, domain=domain, feedback="gradient"))
    points, loss = [], 0.0
    for t, (a, y) in enumerate(examples):
        x = turn(policy, state, t, lambda x, a=a, y=y: (y - a @ x) * a)
        points.append(x)
        loss += 0.5 * float(a @ x - y) ** 2
    return Run(points, loss, state, loop.certificate(policy.params, state).bound)


def turn(policy: Policy, state: Any, t: int, gradient_at: Any, context: Array = NOTHING) -> Array:
    """Decide and learn once; return the point."""
    instance = Instance(t, context, np.ones(1, np.bool_))
    point, propensity = loop.decide(policy.params, state, instance, Key(RUN, t))
    x = np.array(point)
    feedback = Feedback(0.0, gradient_at(x))
    loop.learn(policy.params, state, instance, Decision(x, propensity), feedback, Key(RUN, t))
    return x


def waves(steps: int) -> list[tuple[Array, float]]:
    return [(np.cos(0.7 * t * np.arange(1, 4)), math.sin(0.5 * t)) for t in range(1, steps + 1)]


def test_a_trace_that_is_known_to_the_digit() -> None:
    run = squares(catalog.make("optimistic_newton", gradient_max=4.0, beta=0.05), ball(3, 0.4), waves(200))
    assert np.abs(run.points[1] - [0.32823616, 0.07294232, -0.21665743]).max() < 1e-8
    assert np.abs(run.points[-1] - [-0.26381432, 0.1272276, 0.27242456]).max() < 1e-8
    assert abs(run.loss - 49.025132438) < 1e-8
    assert abs(run.state.variation[0] - 286.527757692) < 1e-8
    assert abs(run.state.error[0] - 146.883356771) < 1e-8
    plain = catalog.make("optimistic_newton", gradient_max=4.0, beta=0.05, hint="zero")
    assert abs(squares(plain, ball(3, 0.4), waves(200)).loss - 52.015760231) < 1e-8


@pytest.mark.covering
@pytest.mark.parametrize(
    "domain",
    [
        ball(3, 0.4),
        ball(3, 50.0),
        box([-0.3, 0.0, -1.0], [0.3, 0.1, 1.0]),
        simplex(3),
        product(ball(2, 0.2), box([-0.1], [0.3])),
    ],
)
@pytest.mark.parametrize("hint", ["last", "zero"])
def test_each_step_is_that_of_the_formula(domain: Domain, hint: str) -> None:
    policy = catalog.make("optimistic_newton", gradient_max=2.0, alpha=0.5, identity=0.3, hint=hint)
    run = squares(policy, domain, waves(120))
    beta = 0.5 * min(1.0 / (4.0 * 2.0 * domain.diameter), 0.5)
    matrix = (0.3 + 0.5 * beta * 4.0) * np.eye(3)
    y, last, region, work = domain.start, np.zeros(3), domain.region(), matrix_work(domain)

    def stepped(along: Array) -> Array:
        point = domain.start
        step_by(metric_of(matrix), region, work, y - np.linalg.solve(matrix, along), np.zeros(3), point)
        return point

    for (a, target), x in zip(waves(120), run.points, strict=True):
        assert np.abs(x - stepped(last)).max() < 1e-10
        gradient = (a @ x - target) * a
        y = stepped(gradient)
        matrix += 0.5 * beta * np.outer(gradient, gradient)
        last = gradient if hint == "last" else last
    assert np.abs(run.state.metric.matrix - matrix).max() < 1e-12 * np.trace(matrix)


DOMAINS = (
    ball(4, 0.7),
    box([-1.0, 0.0, -2.0, 0.0], [1.0, 0.5, 3.0, 0.01]),
    simplex(4),
    product(ball(2, 0.5, [0.3, 0.0]), simplex(2, 2.0)),
)


def most_regret(domain: Domain, rounds: list[tuple[Array, Array]], beta: float) -> float:
    """Return the largest sum of <g, x - u> - beta / 2 <g, x - u>^2 over u, up to what a general solver finds.

    Rounds are pairs of a point and the gradient of its reward.
    """
    points, rewards = (np.array(column) for column in zip(*rounds, strict=True))
    earned = (points * rewards).sum(axis=1)
    curve, pull = beta * rewards.T @ rewards, rewards.sum(axis=0) + beta * rewards.T @ earned
    constant = -earned.sum() - 0.5 * beta * (earned**2).sum()
    trials = [domain.start, *(corner(domain, sign * pull) for sign in (1.0, -1.0)), *points]
    raised = curve + 1e-9 * max(np.trace(curve), 1e-300) * np.eye(len(pull))
    best = domain.start
    step_by(metric_of(raised), domain.region(), matrix_work(domain), domain.start * 0.0, pull, best)
    trials.append(best)
    return float(max(constant + pull @ u - 0.5 * u @ curve @ u for u in trials))


def corner(domain: Domain, pull: Array) -> Array:
    """Return the point of a domain that is furthest along `pull`."""
    point = domain.start
    region = domain.region()
    for part in range(len(region.kind)):
        here = slice(region.start[part], region.start[part + 1])
        if domain.parts[part].kind == "ball":
            point[here] += region.size[part] * pull[here] / np.linalg.norm(pull[here])
        elif domain.parts[part].kind == "box":
            point[here] = np.where(pull[here] > 0, region.high[here], region.low[here])
        else:
            point[here] = region.size[part] * (pull[here] == pull[here].max())
    return point


@pytest.mark.covering
@pytest.mark.parametrize(
    "params", [{"gradient_max": 2.0}, {"gradient_max": 0.01, "beta": 3.0}, {"hint": "zero"}, {"hint": "context"}]
)
@pytest.mark.parametrize("late", [False, True])
def test_the_certificate_holds_for_any_point_on_any_course(params: dict[str, Any], late: bool) -> None:
    policy = catalog.make("optimistic_newton", **params)
    rng = np.random.default_rng(7)
    for course in range(8):
        domain = DOMAINS[course % 4]
        context_shape = (4,) if policy.params.hint == 2 else (0,)
        state = policy.init(policy.params, Problem(0, context_shape, domain=domain, feedback="gradient"))
        waiting: list[tuple[Instance, Decision, Array]] = []
        learned: list[tuple[Array, Array]] = []
        scale, drift = 10.0 ** rng.integers(-3, 3), rng.normal(size=4) * (course % 3)
        for t in range(24):
            instance = Instance(t, rng.normal(size=context_shape), np.ones(1, np.bool_))
            point, propensity = loop.decide(policy.params, state, instance, Key(RUN, t))
            gradient = scale * (rng.normal(size=4) + drift) * (50.0 if t == 12 else 1.0)
            waiting.append((instance, Decision(point.copy(), propensity), gradient))
            while waiting and (not late or rng.random() < 0.4):
                then, decision, told = waiting.pop(rng.integers(len(waiting)))
                loop.learn(policy.params, state, then, decision, Feedback(0.0, told), Key(RUN, then.t))
                learned.append((decision.action, told))
            if learned and t % 3 == 0:
                bound = loop.certificate(policy.params, state).bound
                regret = most_regret(domain, learned, float(state.beta[0]))
                assert regret <= bound + 1e-9 * scale * scale, (course, t)


def told(policy: Policy, state: Any, t: int, point: list[float], gradient: list[float]) -> float:
    """Learn the gradient of the reward at a point that was decided earlier; return the bound."""
    instance, decision = Instance(t, NOTHING, np.ones(1, np.bool_)), Decision(np.array(point), 1.0)
    loop.learn(policy.params, state, instance, decision, Feedback(0.0, np.array(gradient)), Key(RUN, t))
    return loop.certificate(policy.params, state).bound


def test_two_rounds_by_hand() -> None:
    policy = catalog.make("optimistic_newton", gradient_max=1.0, beta=0.8)
    state = policy.init(policy.params, Problem(0, domain=box([-1.0], [1.0]), feedback="gradient"))
    # H = 1.4, and the farthest point is 1 from the middle
    assert abs(loop.certificate(policy.params, state).bound - 0.7) < 1e-14
    # y' = 0.7 / 1.4 = 0.5, 0.5 - -0.5 = 1 ahead of what was decided: 0.7 + 0.4 * 0.7^2 - 1.4 * 0.5^2 / 2
    assert abs(told(policy, state, 0, [-0.5], [0.7]) - (0.7 + 0.7 + 0.196 - 0.175)) < 1e-13
    assert abs(state.metric.matrix[0, 0] - 1.596) < 1e-15
    # y' = max(0.5 - 10 / 1.596, -1), so 12.5 + 0.4 * 12.5^2 - 1.596 * 1.5^2 / 2
    assert abs(told(policy, state, 1, [0.25], [-10.0]) - (1.421 + 12.5 + 62.5 - 1.7955)) < 1e-12
    assert state.point.tolist() == [-1.0]
    assert abs(loop.certificate(policy.params, state).variation - (0.49 + 10.7**2)) < 1e-12
    assert abs(state.error[0] - (0.49 / 1.4 + 10.7**2 / 1.596)) < 1e-12


def test_a_step_that_misses_the_best_point_pays_for_what_it_misses() -> None:
    policy = catalog.make("optimistic_newton", gradient_max=1.0, beta=0.8)
    state = policy.init(policy.params, Problem(0, domain=box([-1.0], [1.0]), feedback="gradient"))
    state.metric.pivot[0] *= 2.0  # as if factors had lost half of what H is: y' = 0.25, where 0.5 is best
    bound = told(policy, state, 0, [-0.5], [0.7])
    assert state.point.tolist() == [0.25]
    missed = (0.7 - 1.4 * 0.25) * (1.0 - 0.25)
    assert abs(bound - (0.7 + 0.525 + 0.4 * 0.525**2 - 0.7 * 0.25**2 + missed)) < 1e-13


def test_without_its_square_the_certificate_would_be_below_the_regret() -> None:
    policy = catalog.make("optimistic_newton", gradient_max=1.0, beta=0.8)
    state = policy.init(policy.params, Problem(0, domain=box([-1.0], [1.0]), feedback="gradient"))
    matrix, y, squares = 1.4, 0.0, 0.0
    for t in range(40):  # all was decided at 1, and against 1 there is no regret
        bound = told(policy, state, t, [1.0], [0.2])
        y = min(y + 0.2 / matrix, 1.0)
        matrix += 0.4 * 0.2**2
        squares += 0.4 * (0.2 * (1.0 - y)) ** 2
        assert bound >= 0.0
    assert bound < squares  # so that what is left without them is negative


@pytest.mark.covering
@np.errstate(over="ignore", invalid="ignore")  # squares of H, which are looked at before they are used
@pytest.mark.parametrize("size", [1e29, 1e100])
@pytest.mark.parametrize("domain", [*DOMAINS, simplex(9), ball(9, 1e3), box([-1e-3] * 9, [1.0] * 9)])
def test_after_a_gradient_of_any_size_no_step_proves_less_than_none(domain: Domain, size: float) -> None:
    policy = catalog.make("optimistic_newton", hint="zero")
    state = policy.init(policy.params, Problem(0, domain=domain, feedback="gradient"))
    rng, d = np.random.default_rng(12), domain.dimension
    for t in range(40):
        gradient = rng.normal(size=d) * (size if t in (3, 17) else 10.0 ** rng.integers(-3, 4))
        instance = Instance(t, NOTHING, np.ones(1, np.bool_))
        point = loop.decide(policy.params, state, instance, Key(RUN, t)).action.copy()
        assert outside(domain, point) < 1e-9 and outside(domain, state.point) < 1e-9
        state.proven[0] = 0.0
        added = told(policy, state, t, point.tolist(), gradient.tolist())
        most = float(gradient @ (farthest(domain, gradient) - point))  # what any point may have earned more
        square = 0.5 * float(state.beta[0]) * float(gradient @ (state.point - point)) ** 2
        rounding = 1e-13 * (square + np.trace(state.metric.matrix) * domain.diameter**2)
        assert 0.0 <= added <= most + square + rounding


def test_what_rounding_may_take_is_added() -> None:
    policy = catalog.make("optimistic_newton", gradient_max=1.0, beta=0.8)
    state = policy.init(policy.params, Problem(0, domain=box([-1.0], [1.0]), feedback="gradient"))
    told(policy, state, 0, [0.0], [1e20])
    assert state.metric.matrix[0, 0] == 0.4 * 1e40
    before, instance = state.proven[0], Instance(1, NOTHING, np.ones(1, np.bool_))
    assert before > 0.4 * 1e40
    told(policy, state, 1, [1.0], [1.0])  # H cannot take this in: 0.4 are lost beside 4e39
    assert state.metric.matrix[0, 0] == 0.4 * 1e40
    assert state.proven[0] - before >= 2.0**-53 * 4e39
    assert loop.decide(policy.params, state, instance, Key(RUN, 1)).action.tolist() == [1.0]


@np.errstate(over="ignore", invalid="ignore")
def test_more_than_a_float_holds_is_no_bound_and_no_step() -> None:
    policy = catalog.make("optimistic_newton", gradient_max=1e50, beta=1e50)
    for domain in (ball(2, 1e100), box([-1e100] * 2, [1e100] * 2), simplex(2, 1e100)):
        state = policy.init(policy.params, Problem(0, domain=domain, feedback="gradient"))
        for t in range(6):
            instance = Instance(t, NOTHING, np.ones(1, np.bool_))
            point = loop.decide(policy.params, state, instance, Key(RUN, t)).action.copy()
            bound = told(policy, state, t, point.tolist(), [1e100 * (-1) ** t, 3e99])
            assert outside(domain, point) <= 1e-9 * 1e100
        assert bound == math.inf


def test_where_its_premises_hold_the_certificate_is_below_the_papers() -> None:
    for domain in (ball(3, 0.4), box([-0.2] * 3, [0.3] * 3), simplex(3)):
        policy = catalog.make("optimistic_newton", gradient_max=4.0)
        run = squares(policy, domain, waves(300))
        beta, diameter = float(run.state.beta[0]), domain.diameter
        assert run.bound <= 0.5 * diameter**2 * (1.0 + 8.0 * beta) + 2.0 * run.state.error[0]
        assert run.state.error[0] <= 8.0 * 3.0 / beta * math.log(1.0 + beta * run.state.variation[0] / 24.0)


def test_log_loss_regret_is_certified_on_a_portfolio() -> None:
    rng = np.random.default_rng(5)
    returns = np.exp(0.02 * rng.normal(size=(400, 3)) + [0.001, 0.0, -0.001])
    policy = catalog.make(
        "optimistic_newton", gradient_max=float(np.linalg.norm(returns, axis=1).max() / returns.min())
    )
    state = policy.init(policy.params, Problem(0, domain=simplex(3), feedback="gradient"))
    held = [turn(policy, state, t, lambda x, r=r: r / (r @ x)) for t, r in enumerate(returns)]
    wealth = np.log((returns * held).sum(axis=1)).sum()
    best = minimize(
        lambda u: -np.log(returns @ u).sum(),
        np.full(3, 1 / 3),
        bounds=[(0.0, 1.0)] * 3,
        constraints={"type": "eq", "fun": lambda u: u.sum() - 1.0},
    )
    regret = -best.fun - wealth
    worst = -best.fun - np.log(returns).sum(axis=0).min()
    assert regret <= loop.certificate(policy.params, state).bound < worst


def test_hints_that_are_true_leave_only_the_domain_to_pay() -> None:
    policy = catalog.make("optimistic_newton", hint="context")
    state = policy.init(policy.params, Problem(0, (2,), domain=ball(2), feedback="gradient"))
    rng = np.random.default_rng(3)
    for t in range(50):
        gradient = rng.normal(size=2)
        turn(policy, state, t, lambda x, gradient=gradient: gradient, gradient)
    certificate = loop.certificate(policy.params, state)
    assert certificate.variation == state.error[0] == 0.0
    assert certificate.bound <= 0.5 * (1.0 + 0.5 * float(state.beta[0]))


def test_what_is_stored_is_enough_to_go_on() -> None:
    policy = catalog.make("optimistic_newton", gradient_max=4.0)
    whole = squares(policy, simplex(3), waves(120)).state
    again = policy.init(policy.params, Problem(0, domain=simplex(3), feedback="gradient"))
    for t, (a, y) in enumerate(waves(120)):
        if t == 60:
            fresh = policy.init(policy.params, Problem(0, domain=simplex(3), feedback="gradient"))
            again = snapshot.unpack([snapshot.pack(again)], fresh)
        turn(policy, again, t, lambda x, a=a, y=y: (y - a @ x) * a)
    assert snapshot.digest(again) == snapshot.digest(whole)


@pytest.mark.jit
def test_regret_is_logarithmic_in_the_number_of_rounds() -> None:
    dimension, horizon, noise = 5, 30_000, 1.0
    rng = np.random.default_rng(11)
    best = 0.3 * np.ones(dimension) / math.sqrt(dimension)
    residual = 0.8 * math.sqrt(dimension) + noise  # at most
    policy = catalog.make("optimistic_newton", gradient_max=residual * math.sqrt(dimension), beta=1.0 / residual**2)
    regret, at = 0.0, {}
    problem = Problem(0, domain=ball(dimension, 0.5), feedback="gradient")
    state = policy.init(policy.params, problem)
    decide, learn = entries(policy, problem, state)
    for t in range(1, horizon + 1):
        a = rng.uniform(-1.0, 1.0, dimension)
        y = a @ best + noise * rng.uniform(-1.0, 1.0)
        instance = Instance(t, NOTHING, np.ones(1, np.bool_))
        x = decide(policy.params, state, instance, Key(RUN, t)).action.copy()
        learn(policy.params, state, instance, Decision(x, 1.0), Feedback(0.0, (y - a @ x) * a), Key(RUN, t))
        regret += 0.5 * ((a @ x - y) ** 2 - (a @ best - y) ** 2)
        at[t] = regret
        assert t % 1000 or regret <= loop.certificate(policy.params, state).bound
    first, second = at[3000] - at[300], at[30_000] - at[3000]
    assert second < 1.6 * first  # a decade adds as much as the one before; sqrt(T) would add 3.2 times that


def test_what_cannot_be_is_refused() -> None:
    for params, words in (
        ({"hint": "tomorrow"}, "hint is 'tomorrow'"),
        ({"gradient_max": 0.0}, "gradient_max is 0.0"),
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"beta": -1.0}, "beta is -1.0"),
        ({"identity": 0.0}, "identity is 0.0"),
    ):
        with pytest.raises(InvalidInput, match=words):
            catalog.make("optimistic_newton", **params)
    policy = catalog.make("optimistic_newton")
    with pytest.raises(InvalidInput, match="a product with 2 balls"):
        policy.init(policy.params, Problem(0, domain=product(ball(1), ball(1)), feedback="gradient"))
    forecast = catalog.make("optimistic_newton", hint="context")
    with pytest.raises(InvalidInput, match=r"contexts have the shape \[0\]: a forecast has \[2\]"):
        forecast.init(forecast.params, Problem(0, domain=ball(2), feedback="gradient"))
