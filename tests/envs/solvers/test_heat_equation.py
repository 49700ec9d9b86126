"""The heat equation: steps against SciPy and a reference in NumPy, coefficients by their formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve, spsolve_triangular
from support.every_run import every_run

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import observe, respond
from onearm.engine.simulation import Simulation
from onearm.engine.solvers.heat import diffusivity
from onearm.engine.vocabulary import Array, Environment, Instance, Key
from onearm.envs import catalog
from onearm.policies import catalog as policies

RUN = run_key(0, 0, NATURE)
DT = 1e-3


def kappa(time: float) -> float:
    return max(0.1 * math.sin(2 * math.pi * time), -10.0 * math.sin(2 * math.pi * time))


def bump(side: int, x: float, y: float, radius: float) -> Array:
    """Return exp(1 - 1 / (1 - q)) at all inner points, row by row."""
    points = np.arange(1, side) / side
    q = ((points[None, :] - x) ** 2 + (points[:, None] - y) ** 2) / radius**2
    with np.errstate(divide="ignore"):
        return np.exp(1.0 - 1.0 / (1.0 - np.minimum(q, 1.0))).ravel()


def system(side: int, u: Array, time: float) -> tuple[Any, Array]:
    """Return the matrix and the right-hand side of a Crank-Nicolson step."""
    m = side - 1
    line = sparse.diags_array([np.ones(m - 1), -2.0 * np.ones(m), np.ones(m - 1)], offsets=(-1, 0, 1))
    laplacian = sparse.kron(line, sparse.eye_array(m)) + sparse.kron(sparse.eye_array(m), line)
    h = time + DT / 2
    scaled = kappa(h) * DT * side**2 / 2 * laplacian
    angle = 16 * math.pi * h
    force = 32.0 * bump(side, 0.5 + math.cos(angle) / 4, 0.5 + math.sin(angle) / 4, 0.125)
    one = sparse.eye_array(m * m)
    return (one - scaled).tocsr(), (one + scaled) @ u + DT * force


def pcg(matrix: Any, b: Array, x: Array, omega: float, rtol: float) -> tuple[Array, int]:
    """Solve by conjugate gradients, preconditioned by SSOR with the upper triangle first; return the steps, too."""
    diagonal = matrix.diagonal()
    lower = (sparse.diags_array(diagonal / omega) + sparse.tril(matrix, -1)).tocsr()
    upper = lower.T.tocsr()
    x, r = x.copy(), b - matrix @ x
    p, before, steps = np.zeros(len(b)), np.inf, 0
    while np.linalg.norm(r) > rtol * np.linalg.norm(b):
        z = spsolve_triangular(lower, diagonal * spsolve_triangular(upper, r, lower=False), lower=True)
        rz = r @ z
        p, before = z + rz / before * p, rz
        alpha = rz / (p @ (matrix @ p))
        x, r = x + alpha * p, r - alpha * (matrix @ p)
        steps += 1
    return x, steps


def start(side: int, **params: Any) -> tuple[Environment, Any]:
    env = catalog.make("heat_equation", side=side, **params)
    return env, env.init(env.params, env.problem, RUN)


def step(env: Environment, state: Any, t: int, arm: int) -> float:
    instance = Instance(t, np.zeros(1), np.ones(env.problem.n_arms, np.bool_))
    reward, delay = respond(env.params, state, instance, arm, np.zeros(0), Key(RUN, t))
    assert delay == 0
    return reward


def test_steps_and_iterations_are_those_of_a_sparse_reference() -> None:
    """From a step of fast diffusion on; side 7 is odd: the centre of the bumps is no point of the grid."""
    env, state = start(7, points=5, omega_min=1.0, omega_max=1.8)
    u = bump(7, 0.5, 0.5, 0.25)
    np.testing.assert_allclose(state.u, u, atol=1e-15)
    for t, arm in ((1, 0), (300, 3), (600, 0), (601, 2), (750, 4), (751, 1), (999, 3)):
        before = state.u.copy()
        matrix, b = system(7, before, t * DT)
        expected, steps = pcg(matrix, b, before, 1.0 + 0.2 * arm, 1e-8)
        assert step(env, state, t, arm) == -steps
        np.testing.assert_allclose(state.scratch_b, b, atol=1e-14)
        np.testing.assert_allclose(state.u, expected, atol=1e-12)
        np.testing.assert_allclose(state.u, spsolve(matrix, b), atol=1e-7)


def test_time_begins_anew_after_the_last_step() -> None:
    env, state = start(4, steps=3, rtol=1e-4)
    first = [(step(env, state, t, 5), state.u.copy()) for t in range(3)]
    again = [(step(env, state, t, 5), state.u.copy()) for t in range(3, 6)]
    for (reward, u), (same_reward, same_u) in zip(first, again, strict=True):
        assert reward == same_reward and (u == same_u).all()
    assert (first[0][1] != first[1][1]).any()


def test_the_context_is_the_diffusivity_at_the_beginning_of_the_step() -> None:
    env, state = start(4, steps=1300)
    context = np.zeros(1)
    for t in (0, 1, 250, 500, 501, 750, 999, 1299, 1300, 1301, 2600, 3333):
        observe(env.params, state, t, context, np.ones(20, np.bool_), Key(RUN, t))
        assert context[0] == pytest.approx(kappa((t % 1300) * DT), abs=1e-12)
        assert 0.0 <= context[0] <= 10.0


def test_a_step_that_is_solved_from_the_start_takes_no_iteration() -> None:
    """At t = 0.5 nothing diffuses, and with a tolerance of a half the source of one step does not count."""
    env, state = start(4, rtol=0.5)
    before = state.u.copy()
    assert step(env, state, 500, 0) == 0.0
    assert (state.u == before).all()


def test_a_step_at_the_cap_costs_the_cap_and_time_goes_on() -> None:
    env, state = start(6, iterations_max=2)
    assert step(env, state, 750, 0) == -2.0
    assert np.isfinite(state.u).all()
    assert step(env, state, 751, 19) == -2.0


def test_the_diffusivity_is_never_negative() -> None:
    assert min(diffusivity(n * 0.5) for n in range(11)) >= 0.0
    assert diffusivity(0.25) == pytest.approx(0.1) and diffusivity(4.75) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"side": 1}, "side is 1: it must be a whole number from 2"),
        ({"steps": 0}, "steps is 0"),
        ({"points": 0}, "points is 0"),
        ({"omega_max": 2.0}, "omega_max is 2"),
        ({"rtol": 1.0}, "rtol is 1"),
        ({"iterations_max": True}, "iterations_max is True"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("heat_equation", **params)


@pytest.mark.jit
@pytest.mark.parametrize(("omega", "expected"), every_run([(1.0, 6.56), (1.4, 5.89), (1.5, 6.46)], [(1.4, 5.89)]))
def test_a_fixed_omega_costs_what_others_measured(omega: float, expected: float) -> None:
    env = catalog.make("heat_equation", points=1, omega_min=omega)
    simulation = Simulation(policies.make("uniform"), env, horizon=5000)
    simulation.advance(5000)
    assert -simulation.totals.reward[0] / 5000 == pytest.approx(expected, rel=0.01)
