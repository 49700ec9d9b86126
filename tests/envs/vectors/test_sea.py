"""Sea: both dials mean what they say, and regret is counted against what was best."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from onearm.engine.domain import Domain
from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import regret, respond
from onearm.engine.simulation import simulate
from onearm.engine.vectors.projection import project
from onearm.engine.vocabulary import Array, Environment, Instance, Key
from onearm.envs import catalog
from onearm.policies import catalog as policies

RUN = run_key(1, 0, NATURE)
ROUNDS = 120


class Sea:
    """A sea of 120 rounds that can be asked at any point and time."""

    def __init__(self, horizon: int = ROUNDS, **params: Any) -> None:
        self.env: Environment = catalog.make("sea", **params)
        self.problem = self.env.problem.__class__(0, horizon=horizon, domain=self.domain, feedback="gradient")
        self.state = self.env.init(self.env.params, self.problem, RUN)

    @property
    def domain(self) -> Domain:
        assert self.env.problem.domain is not None
        return self.env.problem.domain

    def at(self, t: int, x: Array) -> tuple[float, Array]:
        """Return the drawn loss and its gradient."""
        detail = np.full(len(x), np.nan)
        reward, delay = respond(self.env.params, self.state, self._instance(t), x, detail, Key(RUN, t))
        assert delay == 0
        return -reward, -detail

    def slopes(self, rounds: int = ROUNDS) -> Array:
        """Return the gradients at 0, float64[rounds, d]."""
        return np.array([self.at(t, np.zeros(self.domain.dimension))[1] for t in range(rounds)])

    def regret(self, x: Array) -> float:
        """Return the regret of one point over all rounds."""
        return sum(regret(self.env.params, self.state, self._instance(t), x) for t in range(ROUNDS))

    def _instance(self, t: int) -> Instance:
        return Instance(t, np.zeros(0), np.ones(1, np.bool_))


def test_the_gradient_is_that_of_the_drawn_loss() -> None:
    sea = Sea(dimension=3, noise=0.3, drift=0.2, convexity=0.7, reach=0.5)
    x, step = np.array([0.1, -0.4, 0.2]), 1e-6
    for t in (0, 7, 119):
        gradient = sea.at(t, x)[1]
        for j in range(3):
            side = step * np.eye(3)[j]
            slope = (sea.at(t, x + side)[0] - sea.at(t, x - side)[0]) / (2 * step)
            assert slope == pytest.approx(gradient[j], abs=1e-8)


def test_the_noise_has_its_length_each_time_and_no_mean() -> None:
    noisy, calm = (Sea(dimension=100, noise=noise, kind="rotating", drift=0.05) for noise in (0.5, 0.0))
    noise = noisy.slopes() - calm.slopes()
    assert np.linalg.norm(noise, axis=1) == pytest.approx(0.5)
    assert abs(noise.mean()) < 4 * 0.05 / np.sqrt(noise.size)
    assert np.abs(noise.T @ noise - np.eye(100) * ROUNDS * 0.0025).max() < 5 * np.sqrt(ROUNDS) * 0.0025


@pytest.mark.parametrize(("dimension", "wall"), [(4, 0.0), (5, 1.0)])
def test_a_rotating_level_steps_by_the_drift_and_keeps_its_length(dimension: int, wall: float) -> None:
    slopes = Sea(dimension=dimension, wall=wall, noise=0.0, kind="rotating", drift=0.03, reach=0.2).slopes()
    assert np.linalg.norm(np.diff(slopes, axis=0), axis=1) == pytest.approx(0.03, rel=1e-12)
    slopes[:, 0] -= wall
    assert np.linalg.norm(slopes, axis=1) == pytest.approx(0.2, rel=1e-12)


def test_a_coordinate_without_a_neighbour_swings() -> None:
    slopes = Sea(dimension=1, wall=0.0, noise=0.0, kind="rotating", drift=0.4, reach=0.2).slopes(4)
    assert np.abs(slopes).ravel() == pytest.approx(0.2)
    assert (np.sign(slopes[1:]) != np.sign(slopes[:-1])).all()


def test_jitter_steps_by_the_drift_on_average_and_is_the_same_each_time() -> None:
    sea = Sea(dimension=20, noise=0.0, drift=0.6)
    steps = np.diff(sea.slopes(), axis=0)
    assert np.sqrt((steps**2).sum(axis=1).mean()) == pytest.approx(0.6, rel=0.05)
    assert (sea.slopes() == Sea(dimension=20, noise=0.0, drift=0.6).slopes()).all()
    other = sea.env.init(sea.env.params, sea.problem, run_key(2, 0, NATURE))
    assert (other.level != sea.state.level)[:, 1:].all()


def test_the_noise_says_nothing_of_the_jitter_nor_of_the_level() -> None:
    params: dict[str, Any] = {"dimension": 50, "wall": 0.0}
    both, jitter, level = (
        Sea(**params | {"noise": noise, "drift": drift}).slopes()
        for noise, drift in ((0.5, 0.5), (0.0, 0.5), (0.0, 0.0))
    )
    noise, steps = both - jitter, jitter - level
    assert abs(np.corrcoef(noise.ravel(), steps.ravel())[0, 1]) < 4.0 / np.sqrt(noise.size)
    assert abs(np.corrcoef(steps[1:].ravel(), steps[:-1].ravel())[0, 1]) < 4.0 / np.sqrt(noise.size)


@pytest.mark.covering
@pytest.mark.parametrize("domain", ["box", "ball", "simplex"])
@pytest.mark.parametrize("convexity", [0.0, 0.9])
def test_no_point_is_better_than_the_comparator(domain: str, convexity: float) -> None:
    sea = Sea(dimension=4, domain=domain, noise=2.0, drift=0.3, wall=0.4, reach=0.3, convexity=convexity)
    best = sea.state.comparator[0]
    inside = best.copy()
    project(sea.domain.region(), inside)
    assert inside == pytest.approx(best, abs=1e-15)
    assert sea.regret(best) == 0.0
    rng = np.random.default_rng(1)
    for near in (1.0, 0.1, 0.01):
        for _ in range(15):
            x = best + near * rng.normal(size=4)
            project(sea.domain.region(), x)
            assert sea.regret(x) >= -1e-12


def test_regret_is_the_difference_of_expected_losses() -> None:
    noisy, calm = (Sea(dimension=4, noise=noise, drift=0.3, convexity=0.5) for noise in (2.0, 0.0))
    x = np.array([0.3, -0.1, 0.0, 0.4])
    lost = sum(calm.at(t, x)[0] - calm.at(t, calm.state.comparator[0])[0] for t in range(ROUNDS))
    assert noisy.regret(x) == pytest.approx(lost, abs=1e-12)


def test_the_best_of_a_linear_sea_is_that_of_linear_programming() -> None:
    sea = Sea(dimension=4, noise=0.0, drift=0.3, wall=0.4, reach=0.3)
    slope = sea.slopes().sum(axis=0)
    best = linprog(slope, bounds=[(-0.5, 0.5)] * 4)
    assert slope @ sea.state.comparator[0] == pytest.approx(best.fun, rel=1e-12)


def test_pieces_are_of_one_length_and_each_can_have_a_comparator() -> None:
    params = {"dimension": 3, "noise": 0.0, "drift": 0.0, "wall": 0.0, "reach": 0.8, "convexity": 1.0, "domain": "ball"}
    sea = Sea(pieces=4, comparator="piece", **params)
    slopes = sea.slopes()
    changes = np.flatnonzero((np.diff(slopes, axis=0) != 0.0).any(axis=1)) + 1
    assert changes.tolist() == [30, 60, 90]
    assert sea.state.comparator == pytest.approx(-slopes[::30], abs=1e-12)
    fixed = Sea(pieces=4, **params)
    assert fixed.state.comparator == pytest.approx(np.tile(-slopes.mean(axis=0), (4, 1)), abs=1e-12)
    assert (sea.slopes(140)[120:] == slopes[-1]).all()  # the last piece lasts


def test_corruption_turns_the_wall_in_rounds_evenly_spaced() -> None:
    sea = Sea(dimension=3, noise=0.0, drift=0.0, wall=0.5, corruption=6.9)
    turned = np.flatnonzero(sea.slopes()[:, 0] < 0.0)
    assert len(turned) == 6  # each changes the gradient by 1
    assert np.diff(turned).tolist() == [20] * 5
    everywhere = Sea(dimension=3, noise=0.0, drift=0.0, wall=0.5, corruption=1e9)
    assert (everywhere.slopes()[:, 0] == -0.5).all()


@pytest.mark.jit
@pytest.mark.parametrize(
    "params",
    [
        {"drift": 0.0},
        {"drift": 0.2},
        {"drift": 0.01, "kind": "rotating"},
        {"drift": 0.01, "kind": "rotating", "convexity": 1.0, "domain": "ball"},
        {"pieces": 10, "reach": 0.8, "wall": 0.0, "domain": "simplex"},
        {"corruption": 200.0},
    ],
)
def test_no_certificate_is_below_the_regret_of_a_sea_without_noise(params: dict[str, Any]) -> None:
    env = catalog.make("sea", noise=0.0, **params)
    curves = simulate(policies.make("optimistic_omd"), env, horizon=5000, replications=4, seed=3)
    assert (curves.bound >= curves.regret - 1e-9).all()


@pytest.mark.jit
@pytest.mark.parametrize(("noise", "drift"), [(0.4, 0.0), (0.0, 0.3), (0.4, 0.3)])
def test_the_variation_that_a_policy_meets_is_twice_the_noise_and_the_drift(noise: float, drift: float) -> None:
    env = catalog.make("sea", noise=noise, drift=drift, wall=0.0, reach=0.0)
    curves = simulate(policies.make("optimistic_omd"), env, horizon=20_000, replications=2, seed=1)
    assert curves.variation / 20_000 == pytest.approx(2 * noise**2 + drift**2, rel=0.02)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"dimension": 0}, "dimension is 0"),
        ({"noise": -1.0}, "noise is -1"),
        ({"drift": float("nan")}, "drift is nan"),
        ({"domain": "torus"}, "domain is 'torus'"),
        ({"domain": {"kind": "ball", "dimension": 3}}, "dimension is 10 and the domain has 3"),
        ({"kind": "walking"}, "kind is 'walking'"),
        ({"comparator": "path"}, "comparator is 'path'"),
        ({"kind": "rotating", "drift": 0.3, "reach": 0.1}, "drift is 0.3"),
        ({"corruption": 5.0, "wall": 0.0}, "corruption is 5"),
        ({"pieces": 0}, "pieces is 0"),
        ({"pieces": 1.5}, "pieces is 1.5"),
        ({"pieces": 100_001}, "pieces is 100001"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("sea", **params)
