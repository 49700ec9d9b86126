"""Points in Gymnasium that are none, or lie outside the domain: what is refused, and with which words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from support.environments import make_sea_vec, sea

from onearm.api.gym.envs import BanditEnv, Copies
from onearm.api.kinds.vectors.points import Points
from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.engine.errors import InvalidInput
from onearm.envs import catalog as envs

OUTSIDE = [
    (ball(3), [1.0, 1.0, 0.0], "it lies 0.414 farther from the centre of the ball than its radius 1; move it"),
    (ball(3, 0.5, [1.0, 0, 0]), [0.25, 0, 0], "it lies 0.25 farther"),
    (box([-1.0, 0, 0], [1, 1, 2]), [0.0, 0.5, 2.5], "coordinate 2 is 2.5, 0.5 beyond its limits 0 and 2; clip it"),
    (box([-1.0, 0, 0], [1, 1, 2]), [0.0, -0.5, 0.0], "coordinate 1 is -0.5, 0.5 beyond its limits 0 and 1; clip it"),
    (simplex(3), [0.5, 0.5, 0.5], "the coordinates of the simplex add up to 1.5, 0.5 off 1; move it"),
    (simplex(3), [0.5, 0.25, 0.0], "the coordinates of the simplex add up to 0.75, 0.25 off 1"),
    (simplex(3), [0.5, 1.0, -1e-12], "the coordinates of the simplex add up to 1.5, 0.5 off 1"),
    (simplex(3), [0.5, 0.75, -0.25], "coordinate 2 is -0.25, 0.25 beyond its limits 0 and 1; move it"),
    (product(ball(1), box([0.0, 0.0], [1.0, 1.0])), [0.0, 0.0, 7.0], "coordinate 2 is 7, 6 beyond its limits 0 and 1"),
    (
        product(box([0.0], [1.0]), simplex(2)),
        [0.5, 1.0, 1.0],
        "the coordinates of the simplex add up to 2, 1 off 1; move it to the nearest point",
    ),
    (ball(3), [0.0, math.nan, 0.0], "coordinate 1 is nan; all must be finite"),
    (box([-1.0, 0, 0], [1, 1, 2]), [0.0, 0.0, -math.inf], "coordinate 2 is -inf; all must be finite"),
    (simplex(3), [math.nan, 1.0, 0.0], "coordinate 0 is nan"),
    (ball(3), [1e200, 0.0, 0.0], r"it lies 1e\+200 farther"),
]


@pytest.mark.parametrize(("domain", "point", "words"), OUTSIDE)
def test_a_point_outside_is_refused_with_how_far_and_nothing_happens(
    domain: Domain, point: list[float], words: str
) -> None:
    env, many = sea(domain.to_json()), make_sea_vec(domain)
    inside = domain.start
    rewards = []
    for _ in range(2):
        env.reset(seed=1)
        many.reset(seed=1)
        if rewards:
            with pytest.raises(InvalidInput, match=f"the point of decision 0 is outside the domain: {words}"):
                env.step(np.array(point))
            with pytest.raises(InvalidInput, match=f"the point of decision 0 is outside the domain: {words}"):
                many.step(np.array([inside, point]))
        rewards.append((env.step(inside)[1], many.step(np.array([inside, inside]))[1].tolist()))
    assert rewards[0] == rewards[1]
    assert np.array(point) not in env.action_space


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_a_point_may_lie_outside_by_rounding(size: float) -> None:
    """By 1e-9 of the size of its part."""
    grain = np.array([size, 0.0, 0.0])
    for domain, edge in (
        (ball(3, size), grain),
        (box([-size] * 3, [size, 0.5 * size, 0.5 * size]), grain),
        (simplex(3, size), grain),
        (product(box([-1.0], [0.5]), ball(2, size)), np.array([0.0, 0.0, size])),
    ):
        env = BanditEnv("sea", 20, dimension=3, domain=domain.to_json())
        env.reset(seed=1)
        for off, refused in ((0.9e-9, False), (1.1e-9, True), (1e-6, True)):
            point = edge * (1.0 + off)
            if refused:
                with pytest.raises(InvalidInput, match="is outside the domain"):
                    env.step(point)
            else:
                env.step(point)
            if isinstance(env.action_space, Points):
                assert (point in env.action_space) is not refused


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([0.0, 0.0], r"the action has the shape \[2\]: it must have \[3\]"),
        ([[0.0, 0.0, 0.0]], r"the action has the shape \[1, 3\]"),
        (0.0, r"the action has the shape \[\]"),
        (None, "the action is None: it must hold numbers"),
        (["0", "0", "0"], "it must hold numbers"),
        ([0.0, [1.0], 0.0], "it must hold numbers"),
        ([0j, 0j, 0j], "it must hold numbers"),
        ([True, False, False], "it must hold numbers"),
    ],
)
def test_what_is_no_point_is_refused(given: Any, words: str) -> None:
    env, many = sea("ball"), make_sea_vec(ball(3))
    env.reset(seed=1)
    many.reset(seed=1)
    with pytest.raises(InvalidInput, match=words):
        env.step(given)
    with pytest.raises(InvalidInput, match=r"the action (has the shape|is)"):
        many.step(given)
    for fine in ([0, 0, 1], np.zeros(3, np.float32), [0.25, 0.5, -0.25]):
        env.step(fine)
    assert not any(one in env.action_space for one in (given, {}, "x"))


def test_of_copies_that_are_not_asked_nothing_is_checked() -> None:
    copies = Copies(envs.make("sea", dimension=3, domain="ball"), 3, 20)
    points = np.array([[math.nan] * 3, [0.0] * 3, [2.0] * 3])
    copies.check(points, np.array([False, True, False]))
    for asked in ([True, True, False], [False, False, True]):
        with pytest.raises(InvalidInput, match=r"is nan|lies 2\.46 farther"):
            copies.check(points, np.array(asked))
