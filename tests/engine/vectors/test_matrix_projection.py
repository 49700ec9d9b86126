"""Projections by the norm of a matrix: golden values, every set of limits tried in turn, and the optimality test."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import brentq
from support.courses import farthest, outside
from support.every_run import every_run

from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.engine.errors import InvalidInput
from onearm.engine.vectors.matrix_projection import matrix_work, shortfall, step_by
from onearm.engine.vectors.metric import metric_of
from onearm.engine.vocabulary import Array

COUPLED = np.array([[4.0, 1.0, 0.0, 1.0], [1.0, 3.0, 1.0, 0.0], [0.0, 1.0, 2.0, 1.0], [1.0, 0.0, 1.0, 5.0]])
AIM = np.array([0.9, 0.5, -0.2, 0.4])
CONDITIONS = [1.0, 100.0, 1e4, 1e8]


def stepped(matrix: Array, domain: Domain, y: Array, push: Array) -> Array:
    x = y.copy()
    step_by(metric_of(matrix), domain.region(), matrix_work(domain), y, push, x)
    return x


def projected(matrix: Array, domain: Domain, y: Array, start: Array | None = None) -> Array:
    x = domain.start if start is None else start.copy()
    step_by(metric_of(matrix), domain.region(), matrix_work(domain), y, np.zeros(len(y)), x)
    return x


def random_matrix(rng: np.random.Generator, dimension: int, condition: float) -> Array:
    """Return a symmetric matrix with eigenvalues from 1 to `condition`, evenly in the logarithm."""
    turn, _ = np.linalg.qr(rng.normal(size=(dimension, dimension)))
    made = (turn * np.geomspace(1.0, condition, dimension)) @ turn.T
    return np.asarray(0.5 * (made + made.T))


@pytest.mark.parametrize(
    ("matrix", "domain", "y", "expected"),
    [
        ([[4.0, 1.0], [1.0, 1.0]], ball(2), [2.0, 1.0], [0.94317838, 0.33228683]),
        (COUPLED, simplex(4), AIM, [0.77096774, 0.08064516, 0.0, 0.1483871]),
        (COUPLED, box([0.0] * 4, [0.45] * 4), AIM, [0.45, 0.45, 0.0, 0.45]),
    ],
)
def test_values_that_are_known_to_the_digit(matrix: Array, domain: Domain, y: Array, expected: list[float]) -> None:
    assert np.abs(projected(np.array(matrix), domain, np.array(y)) - expected).max() < 1e-8


def by_trying_all(matrix: Array, domain: Domain, y: Array) -> Array:
    """Return the best point by solving for every choice of limits; a ball has none here."""
    region, d = domain.region(), domain.dimension
    sums = [p for p in range(len(region.kind)) if region.kind[p] == 2]
    rows = np.array([[float(region.start[p] <= j < region.start[p + 1]) for j in range(d)] for p in sums])
    rows = rows.reshape(len(sums), d)
    within_ball = [domain.parts[p].kind == "ball" for p in range(len(region.kind)) for _ in domain.parts[p].low]
    low = np.where(within_ball, -np.inf, region.low)
    high = np.where(rows.any(axis=0) | within_ball, np.inf, region.high)
    unit = np.abs(matrix).max()
    best, least = np.zeros(d), math.inf
    limits = [[0, *([-1] if low[j] > -math.inf else []), *([1] if high[j] < math.inf else [])] for j in range(d)]
    for choice in itertools.product(*limits):
        at = np.array(choice)
        x = np.where(at < 0, low, np.where(at > 0, high, 0.0))
        free = np.flatnonzero(at == 0)
        if len(free):
            held = unit * rows[:, free]
            active = held.any(axis=1)
            n, m = len(free), int(active.sum())
            system = np.zeros((n + m, n + m))
            system[:n, :n] = matrix[np.ix_(free, free)]
            system[n:, :n] = held[active]
            system[:n, n:] = held[active].T
            fixed = np.where(at == 0, 0.0, x)
            target = [*(matrix @ (y - fixed))[free], *unit * (region.size[sums] - rows @ fixed)[active]]
            x[free] = np.linalg.solve(system, np.array(target))[:n]
        feasible = (x >= low - 1e-12).all() and (x <= high + 1e-12).all()
        feasible &= bool(np.abs(rows @ x - region.size[sums]).max(initial=0.0) < 1e-12)
        value = 0.5 * (x - y) @ matrix @ (x - y)
        if feasible and value < least:
            best, least = x, value
    return best


@pytest.mark.covering
@pytest.mark.parametrize("condition", every_run(CONDITIONS, CONDITIONS[1::2]))
@pytest.mark.parametrize(
    "domain",
    [
        box([-1.0, 0.0, -0.5, 0.0], [1.0, 0.5, 0.5, 0.1]),
        simplex(4),
        product(simplex(2, 2.0), box([-0.3, 0.2], [0.5, 0.2])),
        product(simplex(2), simplex(2, 0.5)),
    ],
)
def test_boxes_and_simplices_agree_with_trying_every_set_of_limits(domain: Domain, condition: float) -> None:
    rng = np.random.default_rng(3)
    for _ in range(15):
        matrix, y = random_matrix(rng, 4, condition), rng.normal(size=4)
        assert np.abs(projected(matrix, domain, y) - by_trying_all(matrix, domain, y)).max() < 1e-8


@pytest.mark.parametrize("condition", [1.0, 100.0, 1e4, 1e8])
@pytest.mark.parametrize("dimension", [1, 2, 3, 10])
def test_a_ball_agrees_with_eigenvectors_and_bisection(dimension: int, condition: float) -> None:
    rng = np.random.default_rng(dimension)
    centre = rng.normal(size=dimension)
    for radius in (0.1, 1.0, 1e-6):
        matrix = random_matrix(rng, dimension, condition)
        y = centre + rng.normal(size=dimension)
        values, vectors = np.linalg.eigh(matrix)
        away = vectors.T @ (y - centre)

        def too_long(scaled: float, away: Array = away, values: Array = values, radius: float = radius) -> float:
            return float(np.linalg.norm(away * values / (values + scaled)) / radius - 1.0)

        expected = y
        if too_long(0.0) > 0.0:
            mu = brentq(too_long, 0.0, 1e3 * condition / radius, xtol=1e-300, rtol=1e-15, maxiter=1000)
            expected = centre + vectors @ (away * values / (values + mu))
        found = projected(matrix, ball(dimension, radius, centre.tolist()), y)
        assert np.abs(found - expected).max() < 1e-8 * radius


@pytest.mark.parametrize("condition", every_run(CONDITIONS, CONDITIONS[1::2]))
def test_a_product_with_a_ball_agrees_with_bisection_over_its_multiplier(condition: float) -> None:
    rng = np.random.default_rng(8)
    domain = product(simplex(2, 2.0), ball(2, 0.5, [1.0, 0.0]), box([-1.0], [0.5]))
    of_ball, centre = np.diag([0.0, 0.0, 1.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0, 0.0, 0.0])
    met = 0
    for _ in range(4):
        matrix, y = random_matrix(rng, 5, condition), 2.0 * rng.normal(size=5)

        def best(mu: float, matrix: Array = matrix, y: Array = y) -> Array:
            raised = matrix + mu * of_ball
            return by_trying_all(raised, domain, np.linalg.solve(raised, matrix @ y + mu * of_ball @ centre))

        def too_long(mu: float, best: Callable[[float], Array] = best) -> float:
            return float(np.linalg.norm((best(mu) - centre)[2:4]) - 0.5)

        expected = best(0.0)
        if too_long(0.0) > 0.0:
            met += 1
            expected = best(brentq(too_long, 0.0, 1e3 * condition, xtol=1e-14, rtol=1e-14))
        assert np.abs(projected(matrix, domain, y) - expected).max() < 1e-8
    assert met >= 2


WITHIN = (  # a point on some limits, and one on none
    (box([-1.0, 0.0, -0.5, 0.0], [1.0, 0.5, 0.5, 0.1]), [0.2, 0.5, -0.1, 0.0], [0.0, 0.2, 0.1, 0.05]),
    (simplex(4), [0.0, 0.6, 0.4, 0.0], [0.4, 0.1, 0.2, 0.3]),
    (product(simplex(2, 2.0), box([-0.3, 0.2], [0.5, 0.2])), [2.0, 0.0, 0.1, 0.2], [0.5, 1.5, 0.0, 0.2]),
    (product(simplex(2), simplex(2, 0.5)), [0.0, 1.0, 0.25, 0.25], [0.5, 0.5, 0.1, 0.4]),
)


@pytest.mark.parametrize("condition", [1.0, 100.0, 1e6])
@pytest.mark.parametrize(("domain", "on_limits", "on_none"), WITHIN)
def test_a_step_is_the_projection_of_where_the_push_leads(
    domain: Domain, on_limits: list[float], on_none: list[float], condition: float
) -> None:
    rng = np.random.default_rng(13)
    for y in (np.array(on_limits), np.array(on_none)):
        for scale in (1e-3, 0.1, 1.0, 30.0):
            matrix, push = random_matrix(rng, 4, condition), scale * rng.normal(size=4)
            expected = by_trying_all(matrix, domain, y + np.linalg.solve(matrix, push))
            assert np.abs(stepped(matrix, domain, y, push) - expected).max() < 1e-8


@pytest.mark.parametrize(("domain", "on_limits", "on_none"), [*WITHIN, (ball(4), [1.0, 0.0, 0.0, 0.0], [0.0] * 4)])
def test_a_push_beside_which_the_matrix_is_nothing_leads_to_the_farthest_point(
    domain: Domain, on_limits: list[float], on_none: list[float]
) -> None:
    rng = np.random.default_rng(14)
    for y in (np.array(on_limits), np.array(on_none)):
        push = 1e29 * rng.normal(size=4)
        found = stepped(random_matrix(rng, 4, 100.0), domain, y, push)
        assert np.abs(found - farthest(domain, push)).max() < 1e-12


def test_a_step_that_meets_no_limit_factorises_nothing_on_a_simplex_too() -> None:
    domain = product(simplex(3), box([-1.0], [1.0]), simplex(2))
    work, y, x = matrix_work(domain), domain.start, domain.start
    matrix = random_matrix(np.random.default_rng(15), 6, 10.0)
    push = np.array([0.1, -0.2, 0.3, 0.5, 0.1, -0.4])
    step_by(metric_of(matrix), domain.region(), work, y, push, x)
    assert (work.pivot == 0.0).all() and (work.factor == 0.0).all()
    slope = matrix @ (x - y) - push  # equal over each simplex, and 0 else
    assert max(np.ptp(slope[:3]), abs(slope[3]), np.ptp(slope[4:])) < 1e-14
    assert abs(x[:3].sum() - 1.0) + abs(x[4:].sum() - 1.0) < 1e-15


PRODUCT = product(ball(2, 0.5, [1.0, 0.0]), box([-1.0], [0.5]), simplex(3, 2.0))


@pytest.mark.covering
@pytest.mark.parametrize(
    "domain",
    [
        ball(30),
        box([-0.1] * 30, [0.1] * 30),
        simplex(30),
        product(ball(10), box([0.0] * 10, [1.0] * 10), simplex(10)),
    ],
)
@pytest.mark.parametrize("condition", [10.0, 1e8])
def test_no_point_of_the_domain_is_nearer_in_many_dimensions(domain: Domain, condition: float) -> None:
    rng = np.random.default_rng(4)
    region = domain.region()
    for scale in (0.1, 1.0, 100.0):
        matrix, y = random_matrix(rng, 30, condition), scale * rng.normal(size=30)
        x = projected(matrix, domain, y)
        bounded = region.low < region.high  # not of a ball
        assert ((region.low <= x) & (x <= region.high))[bounded].all()  # to the bit
        slope = matrix @ (x - y)
        size = float((np.abs(matrix) @ (np.abs(x) + np.abs(y))).sum())
        # A lower bound of all points: f(u) >= f(x) + <slope, u - x>
        assert -1e-14 * size <= shortfall(region, slope, x) < 1e-13 * size
        again = projected(matrix, domain, y, start=x)
        assert np.abs(matrix @ (again - x)).max() < 1e-12 * size


def test_where_the_search_begins_does_not_matter() -> None:
    rng = np.random.default_rng(6)
    for domain in (simplex(6), box([-1.0] * 6, [0.5] * 6), PRODUCT):
        for _ in range(10):
            matrix, y = random_matrix(rng, 6, 1e3), rng.normal(size=6)
            middle = projected(matrix, domain, y)
            corner = projected(np.eye(6), domain, 100.0 * rng.normal(size=6))
            assert np.abs(projected(matrix, domain, y, start=corner) - middle).max() < 1e-11


def test_a_limit_is_left_for_a_small_pull() -> None:
    best, start = np.array([1e-10, 0.5, 1.0, 1.0 - 1e-10]), np.array([0.0, 0.5, 1.0, 1.0])
    y = best + np.linalg.solve(COUPLED, [0.0, 0.0, 1.0, 0.0])  # only the third limit is needed
    found = projected(COUPLED, box([0.0] * 4, [1.0] * 4), y, start=start)
    assert np.abs(found - best).max() < 1e-14


def test_the_identity_gives_the_euclidean_projection() -> None:
    x = projected(np.eye(4), simplex(4), AIM)
    assert np.abs(x - [0.63333333, 0.23333333, 0.0, 0.13333333]).max() < 1e-8


def test_the_shortfall_is_that_of_the_best_vertex() -> None:
    domain = product(ball(2, 0.5, [1.0, 0.0]), box([-1.0], [0.5]), simplex(2, 2.0))
    slope = np.array([3.0, 4.0, -2.0, 1.0, -1.0])
    x = np.array([1.0, 0.25, 0.0, 0.5, 1.5])
    least = (3.0 - 0.5 * 5.0) + (-2.0 * 0.5) + (-2.0)
    assert abs(shortfall(domain.region(), slope, x) - (slope @ x - least)) < 1e-14


def test_a_matrix_that_is_singular_by_rounding_gives_a_point_of_the_domain() -> None:
    for domain in (ball(3), box([-1.0] * 3, [1.0] * 3), simplex(3)):
        x = projected(np.ones((3, 3)) * 1e100 + np.eye(3), domain, np.array([5.0, -2.0, 1.0]))
        assert np.isfinite(x).all()
        assert outside(domain, x) < 1e-12


def test_what_cannot_be_projected_onto_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="a product with 2 balls: projections by a matrix are onto one"):
        matrix_work(product(ball(2), ball(3)))
    with pytest.raises(InvalidInput, match="has 2001 dimensions"):
        matrix_work(ball(2001))
