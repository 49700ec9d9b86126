"""Inner problems of optimism: vectors worked out elsewhere, linear programmes, and a fine grid for KL balls."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from support.every_run import every_run
from support.small_states import boxes_of, kl_of, l1_of, most_in_box, most_in_l1

from onearm.engine.kernel import loop
from onearm.engine.states import transitions
from onearm.engine.states.balls import sort_states
from onearm.engine.states.transitions import transitions_of
from onearm.engine.vocabulary import Array

P, V = np.array([0.2, 0.5, 0.3, 0.0]), np.array([0.0, 1.0, 2.0, 4.0])
Q = np.array([0.2, 0.4, 0.3, 0.1])
SHAPES = {"l1": l1_of, "box": boxes_of, "kl": kl_of}


@loop
def outlook(laws: Any, s: int, a: int, value: Array) -> float:
    transitions.arrange(laws, value)
    return transitions.outlook(laws, s, a, value)


def outlook_of(shape: str, p: Array, value: Array, size: float) -> float:
    """Return the largest mean of `value` over the set of that shape around p, whose length is that of `value`."""
    n = len(p)
    centre = transitions_of(np.broadcast_to(p, (n, 1, n)))
    laws = SHAPES[shape](centre, np.full((n, 1), size))
    padded = np.append(value, value.mean())  # what an end is worth: the mean over where units begin
    first = outlook(laws, 0, 0, padded)
    assert outlook(laws, n - 1, 0, padded) == first  # scratch is as it was
    return float(first)


@pytest.mark.parametrize(
    ("shape", "p", "size", "most"),
    [
        ("l1", P, 0.5, 2.05),
        ("box", P, 0.1, 1.6),
        ("kl", P, 0.1, 1.45403648),
        ("kl", Q, 0.1, 1.97494235),
    ],
)
def test_the_vectors_of_the_paper_notes(shape: str, p: Array, size: float, most: float) -> None:
    assert outlook_of(shape, p, V, size) == pytest.approx(most, abs=1e-8)


@pytest.mark.parametrize("seed", every_run(range(40), range(12)))
def test_l1_balls_and_boxes_equal_linear_programmes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 8))
    p, value = rng.dirichlet(np.full(n, 0.5)), rng.normal(size=n).round(int(rng.integers(0, 4)))
    p = np.where(rng.random(n) < 0.3, 0.0, p)
    p = p / p.sum() if p.sum() > 0 else np.eye(n)[0]
    for size in (0.0, 0.03, 0.4, 1.3, 3.0):
        assert outlook_of("l1", p, value, size) == pytest.approx(most_in_l1(p, value, size), abs=1e-8)
        assert outlook_of("box", p, value, size) == pytest.approx(most_in_box(p, value, size), abs=1e-8)


def _kl(p: Array, q: Array) -> Array:
    """Return KL(p || q) of rows q."""
    came = p > 0
    with np.errstate(divide="ignore"):
        return np.asarray((p[came] * (np.log(p[came]) - np.log(q[:, came]))).sum(axis=1))


@pytest.mark.covering
@pytest.mark.parametrize(
    "p", [[0.2, 0.5, 0.3], [0.05, 0.95, 0.0], [0.0, 0.3, 0.7], [1.0, 0.0, 0.0], [0.01, 0.01, 0.98]]
)
@pytest.mark.parametrize("radius", [1e-3, 0.1, 1.0])
def test_kl_balls_equal_a_fine_grid(p: list[float], radius: float) -> None:
    """Three states; each grid is finer around the best point of the one before."""
    centre, value = np.array(p), np.array([2.0, -1.0, 0.25])
    low, high = np.zeros(2), np.ones(2)
    best = -math.inf
    for _ in range(14):
        axes = [np.linspace(low[i], high[i], 101) for i in range(2)]
        q = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
        q = np.column_stack([q, 1.0 - q.sum(axis=1)])
        q = q[(q >= 0.0).all(axis=1)]
        q = q[_kl(centre, q) <= radius]
        at = q[np.argmax(q @ value)]
        best = max(best, float(at @ value))
        reach = (high - low) / 8
        low, high = np.maximum(at[:2] - reach, 0.0), np.minimum(at[:2] + reach, 1.0)
    found = outlook_of("kl", centre, value, radius)
    assert best <= found + 1e-9
    assert found == pytest.approx(best, abs=3e-5)


@pytest.mark.parametrize("seed", every_run(range(60), range(15)))
def test_kl_balls_are_optimal_by_their_conditions(seed: int) -> None:
    """With p_k = r q_k / (nu - v_k): KL is the radius, and the dual says that no law in the ball has a larger mean.

    For any nu above all values, max p v <= nu - exp(sum q ln(nu - v) - radius), and there is equality at the best.
    """
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9))
    p = rng.dirichlet(np.full(n, rng.choice([0.1, 1.0, 5.0])))
    p = np.where(rng.random(n) < 0.3, 0.0, p)
    p = p / p.sum() if p.sum() > 0 else np.eye(n)[0]
    value = rng.normal(size=n) * 10.0 ** rng.integers(-9, 3)
    came = p > 0
    for radius in (1e-6, 1e-3, 0.1, 2.0, 60.0):
        found = outlook_of("kl", p, value, radius)
        spread = value.max() - value.min()
        coarse = spread * np.logspace(-30, 6, 2000)
        best = int(_dual(p[came], value[came], value.max(), coarse, radius).argmin())
        fine = np.geomspace(coarse[max(best - 1, 0)], coarse[min(best + 1, 1999)], 2000)  # a dual is convex
        dual = _dual(p[came], value[came], value.max(), fine, radius)
        if value[~came].max(initial=-math.inf) == value.max():
            at_top = value.max() - value[came]
            limit = value.max() - math.exp(float(p[came] @ np.log(at_top)) - radius) if (at_top > 0).all() else math.inf
            dual = np.append(dual, limit)
        assert found == pytest.approx(dual.min(), abs=1e-7 * spread), radius
        assert found <= value.max() + 1e-12


def _dual(p: Array, value: Array, most: float, beyond: Array, radius: float) -> Array:
    """Return the bounds of nu at so much beyond the largest value."""
    ahead = (most - value)[:, np.newaxis] + beyond
    return np.asarray(most + beyond - np.exp((p[:, np.newaxis] * np.log(ahead)).sum(axis=0) - radius))


def test_what_was_never_tried_may_lead_to_the_best_state() -> None:
    value = np.array([0.0, 3.0, 1.0, 0.5])
    for make in SHAPES.values():
        laws = make(transitions_of(np.zeros((3, 1, 3))), np.full((3, 1), 0.01))
        assert outlook(laws, 2, 0, value) == 3.0


def test_only_boxes_of_worlds_where_units_end_give_the_end_a_share() -> None:
    centre = transitions_of(np.array([[[1.0, 0.0]], [[1.0, 0.0]]]))
    value = np.array([0.0, 4.0, 2.0])
    for ends, most in ((False, 0.25 * 4.0), (True, 0.25 * 4.0 + 0.25 * 2.0)):
        laws = boxes_of(centre, np.full((2, 1), 0.25), ends)
        laws = laws._replace(width=np.full((2, 1, 3), 0.75))
        assert outlook(laws, 0, 0, value) == most


def test_states_are_sorted_by_value_and_then_by_number() -> None:
    value = np.array([1.0, 3.0, 1.0, 3.0, 2.0])
    for start in (np.arange(5), np.array([4, 2, 0, 1, 3])):
        sort_states(start, value)
        assert start.tolist() == [1, 3, 4, 0, 2]
