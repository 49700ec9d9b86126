"""Proximal steps, against closed forms in free space, SciPy within domains, and the conditions of a minimum."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from support.every_run import every_run

from onearm.engine.domain import Domain, Region, ball, box, product, simplex
from onearm.engine.errors import InvalidInput
from onearm.engine.vectors.projection import project
from onearm.engine.vectors.prox import LOSSES, check_loss, loss_at, prox, slope_at
from onearm.engine.vocabulary import Array

FREE = box([-1e6] * 3, [1e6] * 3)
DOMAINS = (ball(4, 0.5, [0.25, 0.0, 0.0, 0.0]), box([-1.0, -0.25, 0.0, 0.5], [1.0, 0.25, 2.0, 0.5]), simplex(4))
DOMAINS = (*DOMAINS, product(ball(1, 0.3), simplex(3, 2.0)))


def stepped(domain: Domain, loss: str, a: Array, b: float, eta: float, y: Array) -> Array:
    x = np.zeros(len(y))
    prox(domain.region(), LOSSES.index(loss), np.array([*a, b]), eta, y, x)
    return x


def in_free_space(loss: str, a: Array, b: float, eta: float, y: Array) -> float:
    """Return the s of the minimiser y - s a."""
    z, square = float(a @ y), float(a @ a)
    if loss == "square":
        return eta * (z - b) / (1.0 + eta * square)
    if loss == "absolute":
        return min(max((z - b) / square, -eta), eta)
    if loss == "hinge":  # the margin b z rises towards 1, and no further
        return -b * min(max((1.0 - b * z) / square, 0.0), eta)
    return float(brentq(lambda s: s + eta * b / (1.0 + math.exp(b * (z - s * square))), -eta, eta, xtol=1e-15))


@pytest.mark.parametrize("loss", LOSSES)
def test_steps_in_free_space_are_the_closed_forms(loss: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(60):
        a, y, eta = rng.normal(size=3), rng.normal(size=3), 10.0 ** rng.uniform(-2, 1)
        b = float(rng.choice([-1.0, 1.0])) if loss in ("hinge", "logistic") else float(rng.normal())
        expected = y - in_free_space(loss, a, b, eta, y) * a
        assert np.abs(stepped(FREE, loss, a, b, eta, y) - expected).max() < 1e-12


@pytest.mark.parametrize("loss", ["square", "logistic"])
@pytest.mark.parametrize("domain", DOMAINS[:3])
def test_smooth_steps_within_a_domain_are_those_of_scipy(loss: str, domain: Domain) -> None:
    part = domain.parts[0]
    rng = np.random.default_rng(6)
    for _ in range(4):
        a, y, eta, b = rng.normal(size=4), rng.normal(size=4), 0.7, 1.0

        def cost(x: Array, a: Array = a, y: Array = y, b: float = b, eta: float = eta) -> float:
            return loss_at(LOSSES.index(loss), float(a @ x), b) + float((x - y) @ (x - y)) / (2.0 * eta)

        limits, rules = list(zip(part.low, part.high, strict=True)), []
        if part.kind == "ball":
            limits = [(-2.0, 2.0)] * 4
            rules = [{"type": "ineq", "fun": lambda x: part.size**2 - np.sum((x - np.array(part.low)) ** 2)}]
        elif part.kind == "simplex":
            rules = [{"type": "eq", "fun": lambda x: x.sum() - 1.0}]
        found = minimize(cost, domain.start, method="SLSQP", bounds=limits, constraints=rules, options={"ftol": 1e-15})
        x = stepped(domain, loss, a, b, eta, y)
        assert np.abs(x - found.x).max() < 1e-5
        assert cost(x) <= found.fun + 1e-9


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("domain", DOMAINS)
def test_no_point_of_the_domain_is_better_by_the_three_point_inequality(loss: str, domain: Domain) -> None:
    region = domain.region()
    rng = np.random.default_rng(7)
    for _ in range(25):
        a, y, eta = 3.0 * rng.normal(size=4), rng.normal(size=4), 10.0 ** rng.uniform(-2, 1)
        b = float(rng.choice([-1.0, 1.0]))
        project(region, y)
        x = stepped(domain, loss, a, b, eta, y)
        inside = x.copy()
        project(region, inside)
        assert np.abs(inside - x).max() < 1e-12
        for _ in range(10):
            u = 2.0 * rng.normal(size=4)
            project(region, u)
            gain = loss_at(LOSSES.index(loss), float(a @ x), b) - loss_at(LOSSES.index(loss), float(a @ u), b)
            distances = (u - y) @ (u - y) - (u - x) @ (u - x) - (x - y) @ (x - y)
            assert gain <= distances / (2.0 * eta) + 1e-11


def bisected(domain: Domain, loss: str, a: Array, b: float, eta: float, y: Array) -> Array:
    """Return the minimiser by halving the bracket of s until no number lies in it."""

    def reached(s: float) -> Array:
        x = y - s * a
        project(domain.region(), x)
        return x

    near, far = 0.0, eta * slope_at(LOSSES.index(loss), float(a @ reached(0.0)), b)
    while (middle := near + 0.5 * (far - near)) not in (near, far):
        beyond = middle - eta * slope_at(LOSSES.index(loss), float(a @ reached(middle)), b)
        near, far = (middle, far) if (beyond < 0.0) == (far > 0.0) else (near, middle)
    return reached(far)


@pytest.mark.covering
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("domain", every_run(DOMAINS, DOMAINS[:2]))
def test_steps_of_all_sizes_cost_as_little_as_those_of_bisection(loss: str, domain: Domain) -> None:
    rng = np.random.default_rng(8)
    for _ in range(40):
        a, y = 10.0 ** rng.integers(-3, 4) * rng.normal(size=4), 3.0 * rng.normal(size=4)
        a[rng.random(4) < 0.2] = 0.0
        project(domain.region(), y)  # often onto a wall or a corner
        eta, b = 10.0 ** rng.uniform(-4, 4), float(rng.choice([-1.0, 1.0]))
        found, other = stepped(domain, loss, a, b, eta, y), bisected(domain, loss, a, b, eta, y)
        costs = [
            loss_at(LOSSES.index(loss), float(a @ x), b) + float((x - y) @ (x - y)) / (2.0 * eta)
            for x in (found, other)
        ]
        assert costs[0] <= costs[1] + 1e-13 * (costs[1] + float(np.abs(a) @ np.abs(other)) + 1.0)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("domain", [FREE, *DOMAINS])
def test_few_projections_are_enough(loss: str, domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [0]

    def counted(region: Region, x: Array) -> None:
        made[0] += 1
        project(region, x)

    monkeypatch.setattr("onearm.engine.vectors.prox.project", counted)
    rng, counts, d = np.random.default_rng(9), [], domain.dimension
    for _ in range(100):
        a, y, eta = rng.normal(size=d), rng.normal(size=d), 10.0 ** rng.uniform(-2, 1)
        project(domain.region(), y)
        made[0] = 0
        stepped(domain, loss, a, float(rng.choice([-1.0, 1.0])), eta, y)
        counts.append(made[0])
    assert np.median(counts) <= (5 if domain is DOMAINS[0] or loss == "logistic" else 3)
    assert max(counts) <= 20
    if domain is FREE and loss != "logistic":
        assert max(counts) == 2  # the closed form, and a look whether it was right


def test_a_loss_of_no_slope_or_of_no_features_leaves_the_point() -> None:
    y = np.array([0.5, -0.25, 0.0])
    for loss, a, b in (
        ("absolute", [1.0, 0.0, 0.0], 0.5),
        ("hinge", [4.0, 0.0, 0.0], 1.0),
        ("hinge", [4.0, 0.0, 0.0], 0.0),
        ("square", [0.0, 2.0, 0.0], -0.5),
        ("logistic", [1.0, 1.0, 1.0], 0.0),
        *((loss, [0.0, 0.0, 0.0], 1.0) for loss in LOSSES),
    ):
        assert stepped(ball(3), loss, np.array(a), b, 3.0, y).tolist() == y.tolist()


def test_steps_that_do_not_shrink_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A steep logistic loss on a circle: Newton's method alone takes 51 passes, as its slopes mislead it."""
    made = [0]

    def counted(region: Region, x: Array) -> None:
        made[0] += 1
        project(region, x)

    monkeypatch.setattr("onearm.engine.vectors.prox.project", counted)
    a, y, eta = np.array([4.55, -4.33]), np.array([-0.118, -0.993]), 2.33
    project(ball(2).region(), y)
    found = stepped(ball(2), "logistic", a, -1.0, eta, y)
    assert made[0] <= 25
    assert np.abs(found - bisected(ball(2), "logistic", a, -1.0, eta, y)).max() < 1e-14


def test_a_way_that_leaves_a_corner_is_as_short_as_one_within(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [0]

    def counted(region: Region, x: Array) -> None:
        made[0] += 1
        project(region, x)

    monkeypatch.setattr("onearm.engine.vectors.prox.project", counted)
    found = stepped(box([-1.0, -1.0], [1.0, 1.0]), "square", np.array([1.0, -2.0]), 0.0, 0.1, np.array([1.0, -1.0]))
    assert found == pytest.approx([0.8, -0.6], abs=1e-15)  # s = eta z / (1 + eta |a|^2) = .3 / 1.5
    assert made[0] == 2


def test_a_hinge_may_have_labels_of_any_size() -> None:
    rng = np.random.default_rng(11)
    for b in (4.0, -0.25):
        for _ in range(20):
            a, y, eta = rng.normal(size=3), rng.normal(size=3), 10.0 ** rng.uniform(-2, 1)
            s = -b * min(max((1.0 - b * float(a @ y)) / (b * b * float(a @ a)), 0.0), eta)
            assert np.abs(stepped(FREE, "hinge", a, b, eta, y) - (y - s * a)).max() < 1e-12


def test_a_kink_at_0_is_met_exactly() -> None:
    for y in (0.5, -0.25):
        found = stepped(box([-1.0], [1.0]), "absolute", np.array([2.0]), 0.0, 3.0, np.array([y]))
        assert found.tolist() == [0.0]


@pytest.mark.parametrize("loss", LOSSES)
def test_slopes_are_those_of_the_loss(loss: str) -> None:
    number = LOSSES.index(loss)
    for z in (-30.0, -2.0, -0.3, 0.4, 1.7, 40.0):
        for b in (-1.0, 1.0):
            rise = (loss_at(number, z + 1e-6, b) - loss_at(number, z - 1e-6, b)) / 2e-6
            assert abs(slope_at(number, z, b) - rise) < 1e-6


def test_logistic_losses_do_not_overflow() -> None:
    assert loss_at(3, -1e6, 1.0) == 1e6
    assert loss_at(3, 1e6, 1.0) == 0.0
    assert slope_at(3, -1e6, 1.0) == -1.0


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(InvalidInput, match="loss is 'huber': it must be one of absolute, square, hinge, logistic"):
        check_loss("huber")
