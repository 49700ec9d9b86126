"""Seasonal: what the time of the year adds to each arm, and which arm is then the best."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import observe, regret, respond
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import DECIDE, Environment, Instance, Key
from onearm.envs import catalog
from onearm.policies import catalog as policies

RUN = run_key(1, 0, NATURE)
MEAN = [0.0, 0.5, 1.0]
NORMAL = {"name": "normal", "params": {"mean": MEAN, "sd": 0.5}}
LINEAR = {"name": "linear", "params": {"arms": 4, "dimension": 3, "min_actions": 2}}


def shown(env: Environment, steps: int) -> list[tuple[list[float], list[int], list[float], list[float]]]:
    """Return the context, which arms are there, and what each of these pays and lacks, at each decision."""
    state = env.init(env.params, env.problem, RUN)
    context, available = np.zeros(env.problem.context_shape), np.ones(env.problem.n_arms, np.bool_)
    found = []
    for t in range(steps):
        observe(env.params, state, t, context, available, Key(RUN, t))
        instance, arms = Instance(t, context.copy(), available.copy()), np.flatnonzero(available).tolist()
        paid = [respond(env.params, state, instance, a, np.zeros(0), Key(RUN, t)) for a in arms]
        assert [delay for _, delay in paid] == [0] * len(arms)
        lacks = [regret(env.params, state, instance, a) for a in arms]
        found.append((context.tolist(), arms, [reward for reward, _ in paid], lacks))
    return found


def season(t: int, arm: int, k: int, period: int, swing: float) -> float:
    return swing * math.cos(2 * math.pi * (t / period - arm / k))


@pytest.mark.parametrize("inner", [NORMAL, LINEAR])
def test_an_arm_pays_what_it_pays_inside_and_what_its_season_adds(inner: dict[str, Any]) -> None:
    inside, env = catalog.from_spec(inner), catalog.make("seasonal", env=inner, swing=0.75, period=12)
    k = env.problem.n_arms
    for t, (before, now) in enumerate(zip(shown(inside, 40), shown(env, 40), strict=True)):
        assert now[:2] == before[:2]
        added = [season(t, a, k, 12, 0.75) for a in now[1]]
        np.testing.assert_allclose(np.subtract(now[2], before[2]), added, atol=1e-12)
        worth = np.subtract(added, before[3])
        np.testing.assert_allclose(now[3], worth.max() - worth, atol=1e-12)
        assert min(now[3]) == 0.0


def test_every_arm_has_its_season_and_the_year_comes_again() -> None:
    env = catalog.make("seasonal", env={"name": "normal", "params": {"mean": [0.5] * 4}}, period=400)
    lacks = np.array([row[3] for row in shown(env, 800)])
    assert lacks.argmin(axis=1)[[0, 40, 100, 200, 300, 399]].tolist() == [0, 0, 1, 2, 3, 0]
    np.testing.assert_array_equal(lacks[:400], lacks[400:])
    assert lacks[0].tolist() == pytest.approx([0.0, 0.5, 1.0, 0.5])


def test_late_rewards_are_those_of_the_season_that_was_decided_in() -> None:
    still = {"name": "adversarial", "params": {"table": [[0.0, 0.0]]}}
    env = catalog.make("seasonal", env={"name": "delayed", "params": {"env": still, "delay": 5}}, swing=1.0, period=10)
    assert env.delay_max == 5
    log = Simulation(policies.make("uniform"), env, horizon=30, seed=2).advance_logged(30)
    for row in np.flatnonzero(log.kind != DECIDE):
        assert log.reward[row] == pytest.approx(season(log.number[row], log.action[row], 2, 10, 1.0))


def test_its_range_is_wider_by_the_swing_on_both_sides() -> None:
    coin = {"name": "bernoulli", "params": {"mean": [0.5]}}
    assert catalog.make("seasonal", env=coin, swing=0.25).problem.reward_range == (-0.25, 1.25)
    assert catalog.make("seasonal", env=coin, swing=1e100).problem.reward_range == (-1e100, 1e100)
    assert catalog.make("seasonal", env=NORMAL).problem.reward_range is None
    unknown = catalog.make("seasonal", env={"name": "heat_equation", "params": {"side": 4, "points": 3}})
    assert unknown.regret_kind is None


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"swing": 0.0}, "swing"),
        ({"swing": float("nan")}, "swing is nan"),
        ({"swing": "1"}, "swing is '1'"),
        ({"period": 1}, "period is 1"),
        ({"period": 10.0}, "period is 10.0"),
        ({"period": True}, "period is True"),
        ({"period": 2**60}, "2 to 2\\^53"),
        ({"env": {"name": "sea", "params": {"dimension": 3}}}, "numbered once for all"),
        ({"env": {"name": "linear", "params": {"action_features": True}}}, "numbered once for all"),
        ({"env": {"name": "scaled", "params": {"env": {"name": "seasonal", "params": {"env": NORMAL}}}}}, "already"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("seasonal", **({"env": NORMAL} | params))
