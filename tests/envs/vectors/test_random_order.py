"""Random order: each pass meets every loss once, in an order of its own, and regret is that of all losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import regret, respond
from onearm.engine.simulation import simulate
from onearm.engine.vectors.projection import project
from onearm.engine.vocabulary import Array, Environment, Instance, Key
from onearm.envs import catalog
from onearm.policies import catalog as policies

RUN = run_key(1, 0, NATURE)
SLOPES = [[1.0, 0.0], [-2.0, 0.5], [0.25, 3.0], [0.5, -1.0]]


def at(env: Environment, state: Any, t: int, x: Array) -> tuple[float, Array, float]:
    """Return loss, gradient and regret."""
    detail, instance = np.zeros(len(x)), Instance(t, np.zeros(0), np.ones(1, np.bool_))
    reward, delay = respond(env.params, state, instance, x, detail, Key(RUN, t))
    assert delay == 0
    return -reward, -detail, regret(env.params, state, instance, x)


def test_each_pass_meets_every_loss_once_in_an_order_of_its_own() -> None:
    env = catalog.make("random_order", slopes=SLOPES)
    state = env.init(env.params, env.problem, RUN)
    assert env.problem.horizon == 4
    passes = [[at(env, state, t, np.zeros(2))[1].tolist() for t in range(4 * p, 4 * p + 4)] for p in range(20)]
    assert all(sorted(met) == sorted(SLOPES) for met in passes)
    assert len({str(met) for met in passes}) > 10
    assert [at(env, state, t, np.zeros(2))[1].tolist() for t in range(4, 8)] == passes[1]  # whatever was asked between


def test_first_losses_of_passes_are_as_likely() -> None:
    env = catalog.make("random_order", slopes=SLOPES)
    state = env.init(env.params, env.problem, RUN)
    first = [SLOPES.index(at(env, state, 4 * p, np.zeros(2))[1].tolist()) for p in range(1200)]
    assert np.abs(np.bincount(first) - 300).max() < 4 * np.sqrt(1200 * 3 / 16)


@pytest.mark.parametrize("convexity", [0.0, 0.5, 4.0])
def test_loss_gradient_and_regret_of_a_pass_are_those_of_the_table(convexity: float) -> None:
    env = catalog.make("random_order", slopes=SLOPES, convexity=convexity, domain="ball")
    state = env.init(env.params, env.problem, RUN)
    x, total = np.array([0.2, -0.5]), np.sum(SLOPES, axis=0)
    answers = [at(env, state, t, x) for t in range(4)]
    assert sum(loss for loss, _, _ in answers) == pytest.approx(total @ x + 2 * convexity * x @ x)
    assert sum(slope for _, slope, _ in answers) == pytest.approx(total + 4 * convexity * x)
    best = -total / (4 * convexity or 1.0)
    project(env.problem.domain.region(), best)  # type: ignore[union-attr]
    best = best if convexity else -total / np.linalg.norm(total)
    lost = total @ (x - best) + 2 * convexity * (x @ x - best @ best)
    assert sum(more for _, _, more in answers) == pytest.approx(lost)


def test_losses_that_are_made_spread_around_the_wall() -> None:
    env = catalog.make("random_order", losses=400, dimension=4, spread=0.6, wall=-0.5)
    state = env.init(env.params, env.problem, RUN)
    around = state.slope - np.array([-0.5, 0.0, 0.0, 0.0])
    assert np.abs(around) == pytest.approx(0.3)
    assert np.abs(around.mean(axis=0)).max() < 4 * 0.3 / 20


def test_no_certificate_is_below_the_regret_of_whole_passes() -> None:
    env = catalog.make("random_order", losses=150, spread=0.5)
    for passes in (1, 4):
        curves = simulate(policies.make("optimistic_omd"), env, horizon=150 * passes, replications=4, seed=2)
        assert (curves.bound[:, -1] >= curves.regret[:, -1]).all()
        assert (curves.regret[:, -1] > 0.0).all()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"losses": 0}, "losses is 0"),
        ({"losses": 10**8}, "there is room for 5000000"),
        ({"slopes": [[1.0], [1.0, 2.0]]}, "slopes is not a table"),
        ({"spread": -1.0}, "spread is -1"),
        ({"domain": "cone"}, "domain is 'cone'"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("random_order", **params)
