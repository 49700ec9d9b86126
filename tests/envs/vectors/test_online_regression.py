"""Online regression: losses and gradients by their formulas, examples by their law, the best coefficients by SciPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import lsq_linear, minimize
from scipy.stats import kstest

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import regret, respond
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Array, Environment, Instance, Key
from onearm.envs import catalog
from onearm.policies import catalog as policies

RUN = run_key(1, 0, NATURE)
A, B = [[1.0, -2.0], [0.5, 0.25], [3.0, 1.0]], [1.0, -1.0, 1.0]


def start(env: Environment, horizon: int | None = None) -> Any:
    return env.init(env.params, replace(env.problem, horizon=horizon or env.problem.horizon), RUN)


def at(env: Environment, state: Any, t: int, x: Array) -> tuple[float, Array, float]:
    """Return loss, detail and regret."""
    detail, instance = np.full(env.problem.detail_length, np.nan), Instance(t, np.zeros(0), np.ones(1, np.bool_))
    reward, delay = respond(env.params, state, instance, x, detail, Key(RUN, t))
    assert delay == 0
    return -reward, detail, regret(env.params, state, instance, x)


@pytest.mark.parametrize(
    ("loss", "formula"),
    [
        ("squared", lambda z, b: (z - b) ** 2 / 2),
        ("absolute", lambda z, b: abs(z - b)),
        ("logistic", lambda z, b: np.log(1 + np.exp(-b * z))),
    ],
)
def test_losses_and_gradients_are_those_of_the_rows_in_turn(loss: str, formula: Any) -> None:
    env = catalog.make("online_regression", loss=loss, features=A, target=B)
    state, x = start(env), np.array([0.3, -0.6])
    assert env.problem.horizon == 3
    for t in range(6):
        a, b = np.array(A[t % 3]), B[t % 3]
        lost, detail, _ = at(env, state, t, x)
        assert lost == pytest.approx(formula(a @ x, b), rel=1e-14)
        slope = (formula(a @ x + 1e-6, b) - formula(a @ x - 1e-6, b)) / 2e-6
        assert detail == pytest.approx(-slope * a, abs=1e-8)


def test_an_example_is_shown_whole() -> None:
    env = catalog.make("online_regression", loss="absolute", feedback="example", features=A, target=B)
    state = start(env)
    assert [at(env, state, t, np.zeros(2))[1].tolist() for t in range(3)] == [[*A[t], B[t]] for t in range(3)]
    assert env.regret_kind is None
    assert np.isnan(at(env, state, 0, np.zeros(2))[2])


def test_a_logistic_loss_far_out_neither_overflows_nor_vanishes() -> None:
    env = catalog.make("online_regression", loss="logistic", features=[[1.0]], target=[1.0])
    state = start(env)
    assert at(env, state, 0, np.array([-1000.0]))[:2] == (1000.0, pytest.approx([1.0]))
    lost, detail, _ = at(env, state, 0, np.array([50.0]))
    assert (lost, detail[0]) == (pytest.approx(np.exp(-50.0)), pytest.approx(np.exp(-50.0)))


def test_without_drift_and_noise_the_coefficients_are_found_exactly() -> None:
    still = catalog.make("online_regression", dimension=3, noise=0.0, radius=0.5)
    state = start(still, 50)
    found, left, *_ = np.linalg.lstsq(state.features, state.target)
    assert np.linalg.norm(found) == pytest.approx(0.4, rel=1e-12)
    assert left[0] < 1e-24
    assert state.comparator == pytest.approx(found, abs=1e-9)


def test_coefficients_step_by_the_drift() -> None:
    env = catalog.make("online_regression", dimension=2, noise=0.0, drift=0.04, radius=0.5)
    state = start(env, 100)
    angle = 0.04 / 0.4
    w = np.linalg.solve(  # of round 0, from two rounds between which w turns by a known angle, one way or the other
        np.array([state.features[0], state.features[1] @ _turned(angle)]), state.target[:2]
    )
    v = np.linalg.solve(np.array([state.features[0], state.features[1] @ _turned(-angle)]), state.target[:2])
    errors = [
        max(abs(state.features[t] @ _turned(sign * t * angle) @ u - state.target[t]) for t in range(100))
        for sign, u in ((1, w), (-1, v))
    ]
    assert min(errors) < 1e-12


def _turned(angle: float) -> Array:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def test_features_and_noise_are_normal_and_classes_logistic() -> None:
    state = start(catalog.make("online_regression", dimension=4, noise=0.3), 600)
    assert kstest(state.features.ravel(), "norm", (0.0, 0.5)).pvalue > 0.01
    found = np.linalg.lstsq(state.features, state.target)[0]
    assert (state.target - state.features @ found).std() == pytest.approx(0.3, rel=0.1)
    assert np.linalg.norm(found) == pytest.approx(0.8, abs=0.1)
    classes = start(catalog.make("online_regression", loss="logistic", dimension=1, noise=0.5), 2000)
    assert set(classes.target.tolist()) == {-1.0, 1.0}
    one = classes.features[:, 0] * classes.target  # a logistic regression of slope +- 0.8 / 0.5
    slope = minimize(lambda s: np.log1p(np.exp(-s * one)).sum(), 0.0).x[0]
    assert abs(slope) == pytest.approx(1.6, rel=0.15)


def test_the_best_coefficients_are_those_that_scipy_finds() -> None:
    squared = start(catalog.make("online_regression", dimension=4, noise=0.5, shape="box", radius=0.2), 200)
    other = lsq_linear(squared.features, squared.target, (-0.2, 0.2), tol=1e-14)
    assert squared.comparator == pytest.approx(other.x, abs=1e-7)
    logistic = start(catalog.make("online_regression", loss="logistic", dimension=3, noise=1.0, radius=9.0), 200)
    signed = logistic.features * logistic.target[:, None]
    found = minimize(lambda x: np.log1p(np.exp(-signed @ x)).sum(), np.zeros(3), tol=1e-10)
    assert logistic.comparator == pytest.approx(found.x, abs=1e-5)


def test_regret_of_a_pass_is_the_difference_of_losses() -> None:
    env = catalog.make("online_regression", dimension=3, noise=0.4)
    state, x = start(env, 80), np.array([0.1, 0.5, -0.2])
    lost = sum(at(env, state, t, x)[0] - at(env, state, t, state.comparator)[0] for t in range(80))
    assert sum(at(env, state, t, x)[2] for t in range(80)) == pytest.approx(lost)
    assert lost > 0.0


@pytest.mark.parametrize(
    ("loss", "dataset", "shape"), [("squared", "diabetes", (442, 10)), ("logistic", "breast_cancer", (569, 30))]
)
def test_bundled_tables_are_scaled_to_the_unit(loss: str, dataset: str, shape: tuple[int, int]) -> None:
    env = catalog.make("online_regression", loss=loss, dataset=dataset)
    assert env.params.features.shape == shape
    assert env.problem.horizon == shape[0]
    assert np.linalg.norm(env.params.features, axis=1).max() == pytest.approx(1.0)
    assert (env.params.target.min(), env.params.target.max()) == (-1.0, 1.0)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_no_certificate_is_below_the_regret_at_any_time(loss: str) -> None:
    env = catalog.make("online_regression", loss=loss, drift=0.005)
    curves = simulate(policies.make("optimistic_omd"), env, horizon=300, replications=2, seed=3)
    assert (curves.bound >= curves.regret).all()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"loss": "hinge"}, "loss is 'hinge'"),
        ({"feedback": "reward"}, "feedback is 'reward'"),
        ({"shape": "simplex"}, "shape is 'simplex'"),
        ({"radius": 0.0}, "radius is 0"),
        ({"drift": 2.0}, "drift is 2"),
        ({"loss": "logistic", "noise": 0.0}, "noise is 0"),
        ({"features": A}, "only one of features and target"),
        ({"features": A, "target": [1.0]}, "target has 1 numbers and features 3 rows"),
        ({"loss": "logistic", "features": A, "target": [1.0, 0.0, 1.0]}, "target holds other numbers"),
        ({"dataset": "iris"}, "dataset is 'iris': of the squared loss it is generated or diabetes"),
        ({"dimension": 0}, "dimension is 0"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("online_regression", **params)


def test_a_horizon_for_which_there_is_no_room_is_refused() -> None:
    with pytest.raises(InvalidInput, match="examples are made for 5000000 rounds at most"):
        start(catalog.make("online_regression"), 10**8)
