"""Queries in Gymnasium: our environments there, and policies that ask, an episode at a time."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit
from support.environments import make, make_vec, names, seed_of_nature

from onearm.api import gym
from onearm.api.gym.queries import QueryEnv
from onearm.engine import snapshot
from onearm.engine.errors import Conflict, InvalidInput
from onearm.engine.simulation import Simulation
from onearm.engine.task import best_arm
from onearm.engine.vocabulary import LEARN
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

OF_QUERIES = names("query")
BUDGET = 12


def cuts(**params: Any) -> Any:
    return gymnasium.make("onearm/Thresholds-v0", **{"points": 3, "change": 1, "horizon": 4} | params).unwrapped


def test_there_are_environments_of_queries() -> None:
    assert {"thresholds", "best_arm"} <= set(OF_QUERIES)


@pytest.mark.parametrize("name", OF_QUERIES)
def test_they_are_of_a_class_of_their_own_and_check_env_finds_nothing(name: str) -> None:
    env = make(name, horizon=BUDGET).unwrapped
    assert isinstance(env, QueryEnv)
    check_env(env)


@pytest.mark.parametrize("name", OF_QUERIES)
def test_the_answers_are_those_of_the_simulation(name: str) -> None:
    env = make(name, horizon=BUDGET)
    env.reset(seed=5)
    world = envs.make(name)
    run = Simulation(policies.make("uniform_budget"), world, horizon=BUDGET, seed=seed_of_nature(5))
    log = run.advance_logged(BUDGET)
    learned = np.flatnonzero(log.kind == LEARN)
    assert len(learned) == BUDGET
    for row in learned:
        observation, reward, terminated, truncated, info = env.step(int(log.action[row]))
        assert (info["answer"], reward, terminated, truncated) == (log.detail[row, 0], 0.0, False, False)
    evidence = run.state.evidence
    assert observation["count"].tolist() == evidence.count.tolist() and observation["left"] == 0
    assert observation["total"].tolist() == evidence.total.tolist()


@pytest.mark.parametrize("name", OF_QUERIES)
def test_a_policy_plays_an_episode_as_it_is_simulated(name: str) -> None:
    nature = seed_of_nature(7)
    course = gym.run("uniform_budget", Reseeded(make(name, horizon=BUDGET)), steps=BUDGET + 1, seed=nature)
    run = Simulation(policies.make("uniform_budget"), envs.make(name), horizon=BUDGET, seed=nature)
    log = run.advance_logged(BUDGET)
    learned = log.kind == LEARN
    assert course.action[:BUDGET].tolist() == log.action[learned].tolist()
    assert course.propensity[:BUDGET].tolist() == log.propensity[learned].tolist()
    assert math.isnan(course.propensity[BUDGET]) and course.episodes == 1
    assert snapshot.digest(course.state) == snapshot.digest(run.state)
    reward, loss = run.at(BUDGET)
    assert course.reward.tolist() == [0.0] * BUDGET + [reward] and reward == -loss


class Reseeded(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Begins with the seed 7, whatever the policy's seed is."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return super().reset(seed=7)


def test_a_policy_begins_each_episode_anew() -> None:
    env = cuts(amplitude=1.0)
    course = gym.run("uniform_budget", env, steps=15, seed=1)
    assert course.episodes == 3
    for first in (0, 5, 10):
        assert set(course.action[first : first + 3].tolist()) == {0, 1, 2}, "each query once: nothing was asked before"
        assert course.propensity[first] == 1 / 3
        assert course.action[first + 4] == 3 + 1 and course.reward[first + 4] == 0.0  # the right cut
    assert len({tuple(course.action[first : first + 4].tolist()) for first in (0, 5, 10)}) > 1, "with other draws"


def test_an_episode_that_is_cut_short_is_followed_by_another() -> None:
    course = gym.run("uniform_budget", TimeLimit(cuts(horizon=100), 5), steps=11, seed=1)
    assert course.episodes == 2 and course.propensity[5] == course.propensity[10] == 1 / 3


def test_policies_of_arms_and_domains_are_refused() -> None:
    with pytest.raises(InvalidInput, match="'ucb1' decides on arms"):
        gym.run("ucb1", cuts(), steps=5)
    with pytest.raises(InvalidInput, match="domain and feedback are for vectors"):
        gym.run("uniform_budget", cuts(), steps=5, feedback="gradient")
    with pytest.raises(InvalidInput, match="asks no queries"):
        QueryEnv("bernoulli")


def test_after_the_budget_only_recommendations_are_possible() -> None:
    env = cuts()
    _, info = env.reset(seed=1)
    assert info["action_mask"].tolist() == [1] * 7
    for query in (0, 1, 2, 0):
        observation, _, _, _, info = env.step(query)
    assert info["action_mask"].tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert (observation["count"].tolist(), observation["left"]) == ([2, 1, 1], 0)
    before = observation["total"].tolist()
    with pytest.raises(
        InvalidInput, match="4 queries are asked of 4: recommend a hypothesis, with an action from 3 to 6"
    ):
        env.step(0)
    observation, reward, terminated, _, info = env.step(6)
    assert (reward, terminated, info["loss"], info["recommendation"]) == (-1.0, True, 1.0, 3)  # 2 points at .5 each
    assert observation["total"].tolist() == before
    with pytest.raises(Conflict, match="the episode is over: reset"):
        env.step(3)
    assert env.reset()[0]["left"] == 4


@pytest.mark.parametrize(("cut", "loss"), [(0, 0.5), (1, 0.0), (2, 0.5), (3, 1.0)])
def test_an_early_recommendation_ends_the_episode_and_pays_its_loss(cut: int, loss: float) -> None:
    env = cuts()
    env.reset(seed=1)
    env.step(2)
    observation, reward, terminated, truncated, _ = env.step(3 + cut)
    assert (reward, terminated, truncated, observation["left"]) == (0.0 - loss, True, False, 3)
    assert math.copysign(1.0, reward) == (1.0 if loss == 0.0 else -1.0), "no -0.0"


@pytest.mark.parametrize("action", [7, -1, 0.5, None])
def test_an_action_that_is_none_is_refused(action: Any) -> None:
    env = cuts()
    env.reset(seed=1)
    with pytest.raises(InvalidInput, match=r"it must be in Discrete\(7\)"):
        env.step(action)


def test_a_closed_query_is_masked_and_refused() -> None:
    env = cuts()
    env.reset(seed=1)
    env._copies.available[0, 1] = False
    with pytest.raises(InvalidInput, match="the query 1 is closed: open ones are 0, 2"):
        env.step(1)
    assert env._mask().tolist() == [1, 0, 1, 1, 1, 1, 1]


def test_the_task_and_the_budget_are_in_the_metadata() -> None:
    env = gymnasium.make("onearm/BestArm-v0", means=[0.5, 0.0], horizon=9)
    assert env.metadata["queries"] == {"task": best_arm(2).to_json(), "budget": 9}
    assert gymnasium.make("onearm/BestArm-v0").metadata["queries"]["budget"] == 20
    assert "queries" not in gymnasium.make("onearm/Bernoulli-v0").metadata


def test_answers_that_the_task_does_not_have_are_not_learned() -> None:
    class Odd(gymnasium.Wrapper[Any, Any, Any, Any]):
        def step(self, action: Any) -> Any:
            *found, info = super().step(action)
            return (*found, info | {"answer": 0.25})

    with pytest.raises(InvalidInput, match=r"the answer is 0\.25: it must be -1 or 1"):
        gym.run("uniform_budget", Odd(cuts()), steps=3)


@pytest.mark.parametrize("name", OF_QUERIES)
def test_copies_are_single_environments_to_the_bit(name: str) -> None:
    n = 3
    many, singles = make_vec(name, n, horizon=2), [make(name, horizon=2) for _ in range(n)]
    observations, info = many.reset(seed=40)
    for i, single in enumerate(singles):
        assert single.reset(seed=40 + i)[1]["action_mask"].tolist() == info["action_mask"][i].tolist()
    for actions in ([0, 1, 1], [1, 1, 0], [many.single_action_space.n - 1] * n):
        observations, rewards, terminated, _, info = many.step(np.array(actions))
        for i, single in enumerate(singles):
            observation, reward, ended, _, alone = single.step(actions[i])
            assert (rewards[i], terminated[i]) == (reward, ended)
            assert all(np.array_equal(observations[key][i], observation[key]) for key in observation)
            assert info["action_mask"][i].tolist() == alone["action_mask"].tolist()
    assert terminated.all()


@pytest.mark.jit
@pytest.mark.usefixtures("entries_are_compiled")
def test_compiled_episodes_are_those_of_plain_python() -> None:
    """Compiled kernels are called from Python here: the loss of a recommendation."""
    course = gym.run("uniform_budget", cuts(change=2), steps=10, seed=3)
    assert course.action.tolist() == [0, 1, 2, 1, 5, 2, 0, 1, 1, 3]
    assert course.reward.tolist() == [0.0] * 9 + [-1.0]
