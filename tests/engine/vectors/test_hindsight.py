"""Hindsight: the best fixed points are those that SciPy finds, or no point near them is better."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, linprog, lsq_linear, minimize

from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.engine.errors import InvalidInput
from onearm.engine.vectors.hindsight import LinearLosses, best_by_descent, best_for_bowl, best_for_slope
from onearm.engine.vectors.projection import project

RNG = np.random.default_rng(4)


def test_a_slope_is_lowest_at_a_corner_or_at_the_rim() -> None:
    domain = product(box([-1.0, 0.0, 2.0], [1.0, 0.5, 4.0]), simplex(3, 2.0), ball(2, 0.5, [1.0, 1.0]))
    slope = np.array([1.0, -2.0, 0.0, 0.3, -0.1, 5.0, 3.0, 4.0])
    assert best_for_slope(domain, slope) == pytest.approx([-1.0, 0.5, 3.0, 0.0, 2.0, 0.0, 0.7, 0.6])
    assert best_for_slope(ball(2), np.zeros(2)).tolist() == [0.0, 0.0]
    for _ in range(20):
        slope = RNG.normal(size=4)
        found = linprog(slope, A_eq=[[1.0] * 4], b_eq=[1.0])
        assert slope @ best_for_slope(simplex(4), slope) == pytest.approx(found.fun)


def test_a_bowl_is_lowest_at_the_projection_of_its_middle() -> None:
    slope = np.array([3.0, -0.4])
    for domain in (box([-1.0, -1.0], [1.0, 1.0]), ball(2)):
        best = best_for_bowl(domain, slope, 2.0)
        value = slope @ best + best @ best
        for _ in range(200):
            x = best + 0.1 * RNG.normal(size=2)
            project(domain.region(), x)
            assert slope @ x + x @ x >= value - 1e-12
    assert best_for_bowl(ball(2), np.array([0.1, 0.2]), 2.0).tolist() == [-0.05, -0.1]


def test_descent_finds_the_least_squares_of_a_box() -> None:
    a, b = RNG.normal(size=(30, 5)) * [1.0, 3.0, 0.1, 1.0, 1.0], RNG.normal(size=30)
    square, right = a.T @ a, a.T @ b
    found = best_by_descent(box([-0.05] * 5, [0.05] * 5), lambda x: square @ x - right, np.linalg.eigvalsh(square)[-1])
    assert found == pytest.approx(lsq_linear(a, b, (-0.05, 0.05), tol=1e-14).x, abs=1e-8)


def test_descent_finds_the_best_portfolio() -> None:
    returns = np.exp(0.1 * RNG.normal(size=(200, 4)))

    def gradient(x: np.ndarray) -> np.ndarray:
        return np.asarray(-(returns / (returns @ x)[:, None]).sum(axis=0))

    found = best_by_descent(simplex(4), gradient, float((returns**2).sum() / returns.min() ** 2))
    other = minimize(
        lambda x: -np.log(returns @ x).sum(),
        np.full(4, 0.25),
        jac=gradient,
        bounds=[(0.0, 1.0)] * 4,
        constraints=LinearConstraint(np.ones(4), 1.0, 1.0),
        method="SLSQP",
        options={"ftol": 1e-14},
    )
    assert np.log(returns @ found).sum() >= -other.fun - 1e-9
    assert found == pytest.approx(other.x, abs=1e-5)


DOMAINS = (
    ball(3, 0.5, [0.2, 0.0, -1.0]),
    box([-1.0, 0.0, 2.0], [1.0, 0.5, 4.0]),
    simplex(3, 2.0),
    product(ball(1), simplex(2)),
)
CUTS = {1: [0, 11], 2: [0, 6, 11], 3: [0, 4, 8, 11], 5: [0, 3, 5, 7, 9, 11], 11: list(range(12))}


def played(domain: Domain, rounds: int = 11) -> tuple[np.ndarray, np.ndarray]:
    """Return points of a domain, and slopes."""
    points = RNG.normal(size=(rounds, domain.dimension))
    for point in points:
        project(domain.region(), point)
    return points, RNG.normal([0.5, 0.0, -0.5], size=(rounds, 3))


def least(domain: Domain, slope: np.ndarray) -> float:
    """Return the least slope . x, by a solver: linear programs, and for balls their own formula."""
    total, first = 0.0, 0
    for part in domain.parts:
        here = slope[first : first + len(part.low)]
        first += len(part.low)
        if part.kind == "ball":
            total += here @ np.array(part.low) - part.size * np.linalg.norm(here)
        elif part.kind == "box":
            total += linprog(here, bounds=list(zip(part.low, part.high, strict=True))).fun
        else:
            total += linprog(here, A_eq=[[1.0] * len(here)], b_eq=[part.size]).fun
    return float(total)


@pytest.mark.parametrize("segments", CUTS)
@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.parts[0].kind)
def test_regret_of_linear_losses_is_that_against_what_a_solver_finds(domain: Domain, segments: int) -> None:
    points, slopes = played(domain)
    losses = LinearLosses(domain, segments=segments, rounds=11)
    losses.add(points, slopes)
    lost = float(np.einsum("ij,ij", points, slopes))
    cuts = CUTS[segments]
    parts = [slopes[start:stop].sum(axis=0) for start, stop in itertools.pairwise(cuts)]
    assert losses.lost == pytest.approx(lost)
    assert losses.regret == pytest.approx(lost - least(domain, slopes.sum(axis=0)))
    assert losses.regret_by_segment == pytest.approx(lost - sum(least(domain, part) for part in parts))
    assert losses.regret_by_segment >= losses.regret - 1e-12
    assert losses.best.shape == (segments, 3)
    for best, part in zip(losses.best, parts, strict=True):
        assert best @ part == pytest.approx(least(domain, part))


def test_rounds_may_be_added_in_pages_of_any_size_to_the_same_bits() -> None:
    points, slopes = played(DOMAINS[3])
    found = set()
    for size in (1, 2, 5, 11):
        losses = LinearLosses(DOMAINS[3], segments=3, rounds=11)
        for start in range(0, 11, size):
            losses.add(points[start : start + size], slopes[start : start + size])
        assert losses.rounds == 11
        found.add((losses.lost, losses.regret, losses.regret_by_segment, losses.best.tobytes()))
    assert len(found) == 1


def test_without_rounds_nothing_is_lost_and_what_comes_beyond_them_is_of_the_last_segment() -> None:
    assert (LinearLosses(ball(2)).lost, LinearLosses(ball(2)).regret) == (0.0, 0.0)
    losses = LinearLosses(box([-1.0], [1.0]), segments=2, rounds=2)
    losses.add(np.zeros((3, 1)), np.array([[1.0], [-2.0], [0.5]]))
    assert (losses.regret, losses.regret_by_segment) == (0.5, 2.5)


@pytest.mark.parametrize("segments", [0, -1, 333_334, 1.0, True, None])
def test_segments_are_whole_numbers_that_fit(segments: Any) -> None:
    with pytest.raises(InvalidInput, match=r"segments is .*: it must be a whole number from 1 to 333333"):
        LinearLosses(ball(3), segments=segments)
