"""Projections: the nearest point of a ball, a box, a simplex and products, beside sorting and the optimality test."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine.domain import ball, box, product, simplex
from onearm.engine.vectors.projection import inside, project
from onearm.engine.vocabulary import Array


def by_sorting(x: Array, size: float) -> Array:
    """Project onto a simplex by sorting (Held, Wolfe, Crowder 1974), from the largest coordinate in long doubles."""
    high = np.sort(x.astype(np.longdouble) - x.max())[::-1]
    thresholds = (np.cumsum(high) - size) / np.arange(1, len(x) + 1)
    threshold = thresholds[np.flatnonzero(high > thresholds)[-1]]
    return np.maximum(x.astype(np.longdouble) - x.max() - threshold, 0).astype(np.float64)


@pytest.mark.parametrize("dimension", [1, 2, 5, 100, 1000])
@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 1e3, 1e12])
@pytest.mark.parametrize("size", [1.0, 2.5e-4, 1e6])
def test_a_simplex_agrees_with_sorting(dimension: int, scale: float, size: float) -> None:
    rng = np.random.default_rng(dimension)
    for round_to in (16, 0):  # rounded to whole numbers, most are ties
        x = scale * rng.normal(size=dimension).round(round_to)
        found = x.copy()
        project(simplex(dimension, size).region(), found)
        assert np.abs(found - by_sorting(x, size)).max() < 1e-12 * size + 1e-15 * min(scale, size) * dimension
        assert abs(found.sum() - size) < 1e-12 * size


@pytest.mark.parametrize("level", [1e20, -1e20, 1e300, -1e300, 12345.678, 0.0])
def test_far_away_a_simplex_still_gets_its_sum(level: float) -> None:
    x = np.array([level, level, level - abs(level) / 2 - 1.0])
    project(simplex(3).region(), x)
    assert x.tolist() == [0.5, 0.5, 0.0]


def test_a_simplex_of_one_is_a_point() -> None:
    for x in ([-7.0], [0.0], [1e300]):
        found = np.array(x)
        project(simplex(1, 3.0).region(), found)
        assert found[0] == 3.0


def leaving_one_by_one(most: int, distance: float = 1e-15) -> Array:
    """Return coordinates of which each pass drops one: each lies n times as far below the threshold as the last."""
    x, threshold = [0.5, 0.5], 0.0
    for n in range(3, most + 1):
        x.append(threshold - distance)
        threshold -= distance / n
        distance *= n
    return np.array([number for number in x if number > -0.5])


def passes(x: Array, size: float) -> int:
    """Count the passes of Michelot's rule, with what is out of reach of the largest left out."""
    threshold, count, made = x.max() - size, -1, 0
    while True:
        above = x[x > threshold]
        if len(above) == count:
            return made
        made, count, threshold = made + 1, len(above), (above.sum() - size) / len(above)


def test_the_worst_case_takes_few_passes() -> None:
    worst = max(passes(leaving_one_by_one(most, 1e-16), 1.0) for most in range(2, 30))
    assert worst == 18
    x = leaving_one_by_one(30, 1e-16)
    found = x.copy()
    project(simplex(len(x)).region(), found)
    assert np.abs(found - by_sorting(x, 1.0)).max() < 1e-14
    rng = np.random.default_rng(5)
    assert max(passes(rng.normal(size=1000), 1.0) for _ in range(100)) <= 8


def test_a_ball_scales_whatever_the_size() -> None:
    for scale in (1e-200, 1e-12, 1.0, 1e12, 1e200):
        x = scale * np.array([3.0, 4.0])
        with np.errstate(over="ignore"):
            project(ball(2, 1e-3).region(), x)
        expected = scale * np.array([3.0, 4.0]) if scale < 1e-10 else [0.6e-3, 0.8e-3]
        assert np.allclose(x, expected, rtol=1e-14)
    x = np.array([1.0, 2.0])  # the centre itself stays
    project(ball(2, 0.5, [1.0, 2.0]).region(), x)
    assert x.tolist() == [1.0, 2.0]


def test_a_box_clips() -> None:
    x = np.array([-1e300, 0.25, 7.0, 3.0])
    project(box([-1.0, 0.0, 0.0, 2.0], [1.0, 1.0, 5.0, 2.0]).region(), x)
    assert x.tolist() == [-1.0, 0.25, 5.0, 2.0]


def test_the_nearest_point_of_a_product_is_that_of_each_part() -> None:
    domain = product(ball(2, 0.5, [1.0, 0.0]), box([-1.0], [0.5]), simplex(3, 2.0))
    x = np.random.default_rng(2).normal(size=(50, 6)) * 3
    for row in x:
        found = row.copy()
        project(domain.region(), found)
        away = row[:2] - [1.0, 0.0]
        away *= min(1.0, 0.5 / np.linalg.norm(away))
        expected = [1.0 + away[0], away[1], np.clip(row[2], -1.0, 0.5), *by_sorting(row[3:], 2.0)]
        assert np.abs(found - expected).max() < 1e-14


def test_what_lies_inside_is_known() -> None:
    region = product(ball(2, 0.5, [1.0, 0.0]), box([-1.0], [0.5])).region()
    for x, lies in (
        ([1.0, 0.5, -1.0], True),
        ([1.0, 0.5, 0.5], True),
        ([1.0, 0.51, 0.0], False),
        ([1.0, 0.0, 0.51], False),
        ([1.0, 0.0, -1.01], False),
        ([np.nan, 0.0, 0.0], False),
        ([1.0, 0.0, np.nan], False),
    ):
        assert inside(region, np.array(x)) == lies
    assert not inside(simplex(2).region(), np.array([0.5, 0.5]))
