"""Best arm: its answers and its losses."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onearm.engine.draws import NATURE, normal, run_key, uniform
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import recommendation_loss, respond
from onearm.engine.simulation import problem_of, simulate
from onearm.engine.vocabulary import Environment, Instance, Key
from onearm.envs import catalog
from onearm.policies import catalog as policies

RUN = run_key(1, 0, NATURE)


def answers(env: Environment, arm: int, times: int) -> list[float]:
    state, detail = env.init(env.params, env.problem, RUN), np.zeros(1)
    found = []
    for t in range(times):
        instance = Instance(t, np.zeros(0), np.ones(env.problem.n_arms, np.bool_))
        assert respond(env.params, state, instance, arm, detail, Key(RUN, t)) == (0.0, 0)
        found.append(float(detail[0]))
    return found


def test_answers_are_the_mean_and_a_normal_draw_a_sign_or_a_bit() -> None:
    draws = [uniform(Key(RUN, t), 0) for t in range(200)]
    env = catalog.make("best_arm", means=[-1.5, 0.5])
    assert answers(env, 0, 200) == [-1.5 + normal(Key(RUN, t), 0) for t in range(200)]
    env = catalog.make("best_arm", means=[-0.5, 0.5], answers="signs")
    assert answers(env, 0, 200) == [1.0 if u < 0.25 else -1.0 for u in draws]
    env = catalog.make("best_arm", means=[0.25, 0.5], answers="bits")
    assert answers(env, 0, 200) == [float(u < 0.25) for u in draws]
    env = catalog.make("best_arm", means=[-1.0, 1.0], answers="signs")
    assert (set(answers(env, 0, 50)), set(answers(env, 1, 50))) == ({-1.0}, {1.0})


def test_a_recommendation_costs_1_or_what_its_arm_lacks() -> None:
    for loss, known in (("identification", [1.0, 0.0, 1.0]), ("simple_regret", [1.5, 0.0, 0.25])):
        env = catalog.make("best_arm", means=[-0.5, 1.0, 0.75], loss=loss)
        state = env.init(env.params, env.problem, RUN)
        assert [recommendation_loss(env.params, state, arm) for arm in range(3)] == known
    env = catalog.make("best_arm", means=[1.0, 1.0, 0.5])
    state = env.init(env.params, env.problem, RUN)
    assert [recommendation_loss(env.params, state, arm) for arm in range(3)] == [0.0, 0.0, 1.0]


def test_the_budget_is_the_horizon_of_the_run() -> None:
    env = catalog.make("best_arm")
    assert env.problem.horizon is None
    problem = problem_of(env, 15)
    assert (problem.horizon, problem.n_arms, problem.action_kind, problem.detail_length) == (15, 5, "query", 1)


def test_a_simulation_reports_the_loss_of_what_is_recommended_at_each_time() -> None:
    """Without noise to speak of, it is 0 once both arms were asked, and 1 or 0 before."""
    env = catalog.make("best_arm", means=[0.0, 1e6])
    curves = simulate(policies.make("uniform_budget"), env, horizon=4, replications=40, seed=1)
    assert curves.task
    assert set(curves.regret[:, 0]) == {0.0, 1.0}
    assert not curves.regret[:, 1:].any()
    assert (curves.reward == -curves.regret).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"means": []}, "one or more numbers"),
        ({"means": [0.0, math.nan]}, r"means\[1\] is nan"),
        ({"means": [0.5, 1.5], "answers": "signs"}, "from -1 to 1"),
        ({"means": [0.5, -0.5], "answers": "bits"}, "from 0 to 1"),
        ({"answers": "words"}, "one of normal, signs, bits"),
        ({"loss": "regret"}, "loss is 'regret'"),
    ],
)
def test_what_is_no_world_is_refused(params: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        catalog.make("best_arm", **params)
