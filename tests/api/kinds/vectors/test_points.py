"""The space of points in Gymnasium: what it is, how it draws, and what it projects."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector.utils import batch_space, create_empty_array
from scipy import stats
from support.environments import sea

from onearm.api.kinds.vectors.points import Points, space_of
from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Array

MIXED = product(ball(2, 0.5, [1.0, 0.0]), box([-1.0], [0.25]), simplex(3, 2.0))


@pytest.mark.parametrize("domain", ["ball", "box", "simplex", MIXED.to_json()])
def test_check_env_finds_nothing_in_any_domain(domain: Any) -> None:
    """But that it finds limits other than -1 to 1, or 0 to 1, uncommon."""
    odd = domain == MIXED.to_json()
    env = gymnasium.make("onearm/Sea-v0", dimension=6, domain=domain, horizon=20).unwrapped
    if odd:
        with pytest.warns(UserWarning, match="we recommend using a symmetric and normalized space"):
            check_env(env)
    else:
        check_env(env)


def test_a_box_is_a_plain_one_and_others_say_what_they_are() -> None:
    assert type(sea().action_space) is spaces.Box
    half = 1.0 / math.sqrt(3.0)
    assert sea().action_space == spaces.Box(-half, half, (3,), np.float64)
    assert sea("simplex").action_space == Points(simplex(3))
    space = space_of(MIXED)
    assert isinstance(space, Points)
    assert (space.low.tolist(), space.high.tolist()) == ([0.5, -0.5, -1.0, 0, 0, 0], [1.5, 0.5, 0.25, 2, 2, 2])
    assert repr(Points(ball(2), (4,))) == "Points({'kind': 'ball', 'dimension': 2, 'radius': 1.0}, (4,))"


def test_a_space_of_points_equals_another_of_its_domain_and_survives_copies() -> None:
    space = Points(simplex(3))
    assert space == Points(simplex(3)) != Points(simplex(3, 2.0))
    assert space != Points(simplex(3), (2,)) and space != Points(ball(3))
    around = spaces.Box(space.low, space.high, dtype=np.float64)
    assert space != around and around != space
    space.seed(4)
    for other in (copy.deepcopy(space), pickle.loads(pickle.dumps(space))):
        assert other == space
        assert other.sample().tolist() == copy.deepcopy(space).sample().tolist()


def test_spaces_of_points_come_in_batches() -> None:
    space = Points(simplex(3))
    space.seed(4)
    many = batch_space(space, 5)
    assert many == Points(simplex(3), (5,))
    assert many.sample().tolist() == batch_space(space, 5).sample().tolist(), "the generator is copied, as a Box's is"
    assert many.sample() in many and create_empty_array(space, 5).shape == (5, 3)
    assert batch_space(Points(ball(2), (2,)), 3).shape == (3, 2, 2)
    assert np.full((5, 3), 0.5) not in many and np.full((5, 3), 1 / 3) in many
    synced = gymnasium.make_vec("onearm/Portfolio-v0", num_envs=2, vectorization_mode="sync", assets=3, horizon=5)
    assert synced.action_space == Points(simplex(3), (2,))
    synced.reset(seed=1)
    assert synced.step(synced.action_space.sample())[1].shape == (2,)


def drawn(domain: Domain, n: int = 4000) -> Array:
    space = space_of(domain, (n,))
    space.seed(3)
    points = space.sample()
    assert points in space
    space.seed(3)
    assert space.sample().tolist() == points.tolist() != space.sample().tolist()
    return points


def test_points_of_a_ball_are_drawn_uniformly() -> None:
    """(|x - c| / r)^d is uniform then; and so is, in three dimensions, each coordinate of the direction."""
    away = (drawn(ball(3, 0.5, [2.0, 0.0, -1.0])) - [2.0, 0.0, -1.0]) / 0.5
    length = np.linalg.norm(away, axis=1)
    assert length.max() <= 1.0 + 1e-12
    assert stats.kstest(length**3, "uniform").pvalue > 0.01
    for j in range(3):
        assert stats.kstest(away[:, j] / length, stats.uniform(-1.0, 2.0).cdf).pvalue > 0.01
    assert stats.kstest(drawn(ball(1, 2.0))[:, 0], stats.uniform(-2.0, 4.0).cdf).pvalue > 0.01


def test_points_of_a_simplex_and_of_a_product_are_drawn_uniformly() -> None:
    """Each coordinate of a uniform point of a simplex has the law Beta(1, d - 1), in units of its size."""
    points = drawn(MIXED)
    for j in range(3, 6):
        assert stats.kstest(points[:, j] / 2.0, stats.beta(1, 2).cdf).pvalue > 0.01
    assert np.abs(points[:, 3:].sum(axis=1) - 2.0).max() < 1e-12
    assert stats.kstest(points[:, 2], stats.uniform(-1.0, 1.25).cdf).pvalue > 0.01
    assert stats.kstest(np.linalg.norm(points[:, :2] - [1.0, 0.0], axis=1) ** 2 * 4.0, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(points[:, 0], points[:, 2])[0, 1]) < 0.05
    plain = drawn(box([-1.0, 0.0], [1.0, 0.5]))
    assert stats.kstest(plain[:, 1], stats.uniform(0.0, 0.5).cdf).pvalue > 0.01


def test_neither_masks_nor_probabilities_are_for_points() -> None:
    for given in ({"mask": np.ones(3, np.int8)}, {"probability": np.ones(3)}):
        with pytest.raises(gymnasium.error.Error, match="cannot be provided"):
            Points(simplex(3)).sample(**given)


def test_a_space_projects_onto_its_points() -> None:
    space = Points(MIXED)
    far = np.array([[2.0, 0.0, 3.0, 0.9, 0.9, -5.0], [1.0, 0.1, 0.0, 1.0, 0.5, 0.5]])
    assert space.project(far).round(12).tolist() == [[1.5, 0.0, 0.25, 1.0, 1.0, 0.0], far[1].tolist()]
    assert space.project(far[0]).shape == (6,) and space.project(far.tolist())[0] in space
    assert far[0, 0] == 2.0, "what is handed in stays"
    for given, words in ([1.0, 2.0], "has the shape"), ([math.nan] * 6, "not finite"), ("x", "must hold numbers"):
        with pytest.raises(InvalidInput, match=words):
            space.project(given)
