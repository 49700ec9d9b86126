"""Shifted Laplacian: draws by their laws, counts against dense sweeps and known means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from support.every_run import every_run

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import observe, respond
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Array, Environment, Instance, Key
from onearm.envs import catalog
from onearm.policies import catalog as policies

RUN = run_key(4, 0, NATURE)
LAWS = {"low": (2, 6), "high": (0.5, 1.5)}


def shift_of(env: Environment, t: int) -> float:
    context = np.zeros(1)
    observe(env.params, None, t, context, np.ones(env.problem.n_arms, np.bool_), Key(RUN, t))
    return float(context[0])


def answer(env: Environment, state: Any, t: int, arm: int) -> float:
    instance = Instance(t, np.array([shift_of(env, t)]), np.ones(env.problem.n_arms, np.bool_))
    reward, delay = respond(env.params, state, instance, arm, np.zeros(0), Key(RUN, t))
    assert delay == 0
    return reward


def dense(side: int, shift: float) -> Array:
    """Return the matrix as the sum of two Kronecker products."""
    line = 2.0 * np.eye(side) - np.eye(side, k=1) - np.eye(side, k=-1)
    matrix = np.kron(line, np.eye(side)) + np.kron(np.eye(side), line)
    return matrix + shift * np.eye(side * side)


def sweeps(matrix: Array, b: Array, omega: float, rtol: float) -> int:
    """Count sweeps of SOR from 0, by solves with the whole lower triangle."""
    lower = np.diag(np.diag(matrix)) / omega + np.tril(matrix, -1)
    x, count = np.zeros(len(b)), 0
    while np.linalg.norm(b - matrix @ x) > rtol * np.linalg.norm(b):
        x += np.linalg.solve(lower, b - matrix @ x)
        count += 1
    return count


@pytest.mark.parametrize("variance", LAWS)
def test_a_reward_is_minus_the_sweeps_of_a_dense_reference(variance: str) -> None:
    env = catalog.make("shifted_laplacian", variance=variance, side=4, points=5, omega_max=1.8, rtol=1e-3)
    state = env.init(env.params, env.problem, RUN)
    for t in range(8):
        found = [answer(env, state, t, arm) for arm in range(5)]
        matrix = dense(4, shift_of(env, t))
        expected = [-sweeps(matrix, state.scratch_b, omega, 1e-3) for omega in (1.0, 1.2, 1.4, 1.6, 1.8)]
        assert found == expected
        assert np.linalg.norm(state.scratch_b) <= 4.0


@pytest.mark.parametrize("method", ["ssor", "ssor-cg"])
def test_other_methods_solve_the_same_systems_in_fewer_iterations(method: str) -> None:
    plain, other = (
        catalog.make("shifted_laplacian", side=4, points=3, rtol=1e-6, method=name) for name in ("sor", method)
    )
    states = [env.init(env.params, env.problem, RUN) for env in (plain, other)]
    for t in range(4):
        assert answer(plain, states[0], t, 0) < answer(other, states[1], t, 0) < 0.0
        assert (states[0].scratch_b == states[1].scratch_b).all()
        solution = np.linalg.solve(dense(4, shift_of(other, t)), states[1].scratch_b)
        np.testing.assert_allclose(states[1].scratch_x, solution, atol=1e-4)


@pytest.mark.parametrize(("variance", "law"), LAWS.items())
def test_shifts_have_their_beta_law(variance: str, law: tuple[float, float]) -> None:
    env = catalog.make("shifted_laplacian", variance=variance)
    shifts = np.array([shift_of(env, t) for t in range(1500)])
    assert stats.kstest((shifts + 0.15) / 0.6, stats.beta(*law).cdf).pvalue > 0.01
    assert shifts.mean() == pytest.approx(0.0, abs=4.0 * 0.6 * stats.beta(*law).std() / np.sqrt(1500))


def test_right_hand_sides_are_normal_within_the_ball() -> None:
    """Side 2: the norm given that it is at most 2, is chi with 4 degrees; all directions; not the shift's draws."""
    env = catalog.make("shifted_laplacian", side=2, rtol=0.5)
    state = env.init(env.params, env.problem, RUN)
    rows = []
    for t in range(1200):
        answer(env, state, t, 0)
        rows.append(state.scratch_b.copy())
    b = np.array(rows)
    norms = np.linalg.norm(b, axis=1)
    chi = stats.chi(4)
    assert norms.max() <= 2.0
    assert stats.kstest(chi.cdf(norms) / chi.cdf(2.0), "uniform").pvalue > 0.01
    directions = b / norms[:, None]
    assert np.abs(directions.mean(axis=0)).max() < 4.0 * np.sqrt(0.25 / 1200)
    shifts = [shift_of(env, t) for t in range(1200)]
    assert max(abs(np.corrcoef(shifts, column)[0, 1]) for column in b.T) < 4.0 / np.sqrt(1200)
    assert np.abs(directions.T @ directions / 1200 - np.eye(4) / 4).max() < 0.05


def test_all_arms_meet_the_same_system_and_runs_differ() -> None:
    env = catalog.make("shifted_laplacian", side=3, rtol=0.1)
    state = env.init(env.params, env.problem, RUN)
    sides = set()
    for t in (5, 6):
        for arm in (0, 7, 0):
            answer(env, state, t, arm)
            sides.add(tuple(state.scratch_b))
    assert len(sides) == 2


def test_a_solve_at_the_cap_costs_the_cap() -> None:
    env = catalog.make("shifted_laplacian", side=3, rtol=1e-8, iterations_max=5)
    state = env.init(env.params, env.problem, RUN)
    assert [answer(env, state, 0, arm) for arm in (0, 19)] == [-5.0, -5.0]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"variance": "medium"}, "variance is 'medium': it must be one of low, high"),
        ({"method": "jacobi"}, "method is 'jacobi': it must be one of sor, ssor, ssor-cg"),
        ({"side": 0}, "side is 0"),
        ({"side": 3.0}, "side is 3.0"),
        ({"points": 0}, "points is 0"),
        ({"omega_max": 2.0}, "omega_max is 2"),
        ({"omega_min": 0.0}, "omega_min is 0"),
        ({"omega_min": 1.5, "omega_max": 1.4}, "the grid must rise"),
        ({"rtol": 0.0}, "rtol is 0"),
        ({"rtol": float("nan")}, "rtol is nan"),
        ({"iterations_max": 0}, "iterations_max is 0"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("shifted_laplacian", **params)


# Mean sweeps of 5000 systems by an independent implementation, give or take three deviations between its runs.
BANDS = {
    ("low", 1.0): (265, 282),
    ("low", 1.2): (174.8, 185.0),
    ("low", 1.4): (107.8, 114.4),
    ("low", 1.6): (61.9, 65.5),
    ("low", 1.65): (58.0, 61.0),
    ("low", 1.8): (85.7, 86.2),
    ("high", 1.0): (585, 640),
    ("high", 1.6): (146.1, 157.5),
    ("high", 1.8): (102.0, 105.0),
}


@pytest.mark.jit
@pytest.mark.parametrize(("variance", "omega"), every_run(BANDS, [("low", 1.8), ("high", 1.8)]))
def test_a_fixed_omega_costs_what_others_measured(variance: str, omega: float) -> None:
    env = catalog.make("shifted_laplacian", variance=variance, points=1, omega_min=omega)
    simulation = Simulation(policies.make("uniform"), env, horizon=5000, seed=1)
    simulation.advance(5000)
    low, high = BANDS[variance, omega]
    assert low <= -simulation.totals.reward[0] / 5000 <= high
