"""Our environments of vectors in Gymnasium: episodes, copies of them, and every kind of feedback."""

from __future__ import annotations

import copy
import math
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from support.compiled import all_as_python
from support.environments import make, make_vec, names, params, sea, seed_of_nature
from support.every_run import every_run
from support.vector_worlds import tide

from onearm.api import gym
from onearm.api.gym.envs import BanditEnv, BanditVectorEnv
from onearm.api.kinds.vectors.points import Points
from onearm.engine import loop, snapshot
from onearm.engine.domain import box, simplex
from onearm.engine.errors import InvalidInput
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import DECIDE, Array, FeedbackKind
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

OF_VECTORS = names("vector")
FEEDBACKS: dict[FeedbackKind, str] = {
    "reward": 'point_gradient:{"policy":"optimistic_omd"}',
    "two_rewards": 'point_gradient:{"policy":"optimistic_omd"}',
    "gradient": "optimistic_ftrl",
    "losses": "optimistic_omd",
    "example": "implicit_omd",
}


@pytest.fixture(autouse=True)
def _tide_in_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envs, "_outside", {"tide": tide})


def test_there_are_environments_of_vectors() -> None:
    assert {"sea", "random_order", "online_regression", "portfolio", "label_shift", "forecasts"} <= set(OF_VECTORS)


@pytest.mark.parametrize("name", OF_VECTORS)
def test_an_episode_of_points_is_the_simulation_of_the_environment(name: str) -> None:
    made, steps = envs.make(name, **params(name)), 25
    env = make(name, horizon=steps)
    assert env.reset(seed=5) == (0, {})
    run = Simulation(policies.make("optimistic_omd"), made, horizon=steps, seed=seed_of_nature(5))
    with all_as_python():
        log = run.advance_logged(steps)
    total = regret = 0.0
    for row in np.flatnonzero(log.kind == DECIDE):
        _, reward, terminated, truncated, info = env.step(log.action[row])
        assert info["detail"].tobytes() == log.detail[row + 1].tobytes()
        assert info["delay"] == 0 and "action_mask" not in info
        total += float(reward)
        regret += info["regret"]
        assert (terminated, truncated) == (False, log.number[row] == steps - 1)
    assert (total, regret) == (run.totals.reward[0], run.totals.regret[0])


@pytest.mark.parametrize("name", OF_VECTORS)
def test_a_vector_of_points_is_single_environments_to_the_bit(name: str) -> None:
    n, steps = 3, 12
    many, singles = make_vec(name, n, horizon=steps), [make(name, horizon=steps) for _ in range(n)]
    many.reset(seed=40)
    for i, single in enumerate(singles):
        single.reset(seed=40 + i)
    many.action_space.seed(1)
    for _ in range(steps):
        actions = many.action_space.sample()
        assert actions.shape == (n, many.single_action_space.shape[0])
        _, rewards, terminated, truncated, info = many.step(actions)
        for i, single in enumerate(singles):
            _, reward, ended, over, alone = single.step(actions[i])
            assert (rewards[i], terminated[i], truncated[i]) == (reward, ended, over)
            assert (info["regret"][i], info["detail"][i].tolist()) == (alone["regret"], alone["detail"].tolist())
    assert truncated.all()
    assert len(set(rewards.tolist())) == n


def test_a_step_of_a_vector_of_points_is_one_kernel_call(monkeypatch: pytest.MonkeyPatch) -> None:
    many = make_vec("sea", 16, horizon=20)
    many.reset(seed=1)
    calls, answer_all = [], loop.answer_all
    monkeypatch.setattr(loop, "answer_all", lambda *args: calls.append(len(args[2])) or answer_all(*args))
    many.step(many.action_space.sample())
    assert calls == [16]


def test_an_environment_is_solved_once_however_many_copies_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before an episode begins the copies are alike; a portfolio finds its comparator by a descent of milliseconds."""
    made = envs.make("portfolio", assets=2)
    solved: list[int] = []
    counted = copy.copy(made.__dict__)
    counted["init"] = lambda *args: solved.append(1) or made.init(*args)
    monkeypatch.setattr(envs, "_outside", {"portfolio": lambda: type(made)(**counted)})
    many = BanditVectorEnv("portfolio", num_envs=8, horizon=5)
    assert len(solved) == 1
    many.reset(seed=1)
    assert len(solved) == 9


def test_the_step_after_an_end_ignores_its_points() -> None:
    many = BanditVectorEnv("sea", 2, 1, dimension=3, domain="ball")
    many.reset(seed=1)
    assert many.step(np.zeros((2, 3)))[3].all()
    _, rewards, _, truncated, info = many.step(np.full((2, 3), math.nan))
    assert rewards.tolist() == [0.0, 0.0] and not truncated.any()
    assert info["regret"].tolist() == [0.0, 0.0] and not info["detail"].any()
    with pytest.raises(InvalidInput, match="coordinate 0 is nan"):
        many.step(np.full((2, 3), math.nan))


def test_what_a_step_told_stays_when_the_next_is_taken() -> None:
    many = BanditVectorEnv("sea", 2, 20, dimension=3, domain="ball")
    many.reset(seed=1)
    info = many.step(np.zeros((2, 3)))[4]
    before = info["detail"].tolist()
    assert many.step(np.zeros((2, 3)))[4]["detail"].tolist() != before == info["detail"].tolist()


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_every_kind_of_feedback_is_told_and_drives_a_policy(feedback: FeedbackKind) -> None:
    """To the simulation's bits, though the interface has but spaces, rewards and info."""
    env = BanditEnv("tide", 30, feedback=feedback)
    assert env.metadata["feedback"] == feedback
    assert env.action_space.shape == ((2, 3) if feedback == "two_rewards" else (3,))
    policy = policies.parse(FEEDBACKS[feedback])
    course = gym.run(policy, env, steps=30, seed=5)
    if feedback not in ("reward", "two_rewards"):  # their draws come from the policy's seed, which is another here
        run = Simulation(policy, tide(feedback), horizon=30, seed=seed_of_nature(5))
        log = run.advance_logged(30)
        assert course.action.tobytes() == log.action[log.kind == DECIDE].tobytes()
        assert snapshot.digest(course.state) == snapshot.digest(run.state)
        assert course.certificate == run.certificate
        assert course.reward.cumsum()[-1] == run.totals.reward[0]
    else:
        assert math.isnan(course.certificate.bound) and np.isnan(course.propensity).all()
        assert len(np.unique(course.action[:, :3], axis=0)) == 30
    assert course.action.shape == (30, 6 if feedback == "two_rewards" else 3)
    assert course.episodes == 1


def test_two_points_are_told_apart() -> None:
    env = BanditEnv("tide", 30, feedback="two_rewards", domain=simplex(3))
    assert env.action_space == Points(simplex(3), (2,))
    env.reset(seed=1)
    points = np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    _, reward, _, _, info = env.step(points)
    assert info["detail"][0] != info["detail"][1] and reward == info["detail"].sum() / 2
    with pytest.raises(
        InvalidInput, match=r"the point of decision 1 is outside the domain: the coordinates .* up to 2,"
    ):
        env.step(np.array([[1.0, 0.0, 0.0], [1.0, 0.5, 0.5]]))
    boxes = BanditEnv("tide", 30, feedback="two_rewards", domain=box([-1.0, -2.0], [1.0, 2.0]))
    assert boxes.action_space == spaces.Box(np.array([[-1.0, -2.0]] * 2), np.array([[1.0, 2.0]] * 2), dtype=np.float64)
    many = BanditVectorEnv("tide", 4, 30, feedback="two_rewards", domain=simplex(3))
    many.reset(seed=[1, 2, 3, 4])
    assert many.step(np.array([points] * 4))[1][0] == reward
    assert many.metadata["feedback"] == "two_rewards" and "feedback" not in BanditVectorEnv.metadata


@pytest.mark.parametrize("policy", ["optimistic_omd", 'optimistic_omd:{"hint":"context"}'])
def test_observations_are_forecasts_of_the_detail(policy: str) -> None:
    """A policy that reads them meets less variation; one without contexts has none to read."""
    course = gym.run(policy, BanditEnv("tide", 200, feedback="losses"), steps=200, seed=2)
    assert (course.certificate.variation < 20.0) == ("context" in policy)
    with pytest.raises(InvalidInput, match="the hint is the context"):
        gym.run('optimistic_omd:{"hint":"context"}', sea(), steps=1)


def test_the_certificate_is_not_below_the_regret_of_a_run() -> None:
    """The regret against the best fixed point, by linear losses that the wrapper writes down."""
    env = Recorded(sea("ball", noise=0.2))
    course = gym.run("optimistic_ftrl", env, steps=20, seed=1)
    gradients = np.array(env.details)
    best = np.linalg.norm(gradients.sum(axis=0))
    regret = best - float((gradients * course.action).sum())
    assert regret <= course.certificate.bound < 40.0
    assert course.propensity.tolist() == [1.0] * 20


class Recorded(gymnasium.Wrapper[Any, Any, Any, Any]):
    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.details: list[Array] = []

    def step(self, action: Any) -> Any:
        found = super().step(action)
        self.details.append(found[4]["detail"])
        return found


@pytest.mark.jit
@pytest.mark.usefixtures("entries_are_compiled")
@pytest.mark.parametrize("name", every_run(["sea", "forecasts"], ["sea"]))  # gradients and losses: 4 s each
def test_compiled_environments_of_vectors_answer_as_single_ones(name: str) -> None:
    test_a_vector_of_points_is_single_environments_to_the_bit(name)
    test_an_episode_of_points_is_the_simulation_of_the_environment(name)


@pytest.mark.jit
@pytest.mark.usefixtures("entries_are_compiled")
@pytest.mark.parametrize("feedback", every_run(["two_rewards"], []))  # as Python every kind is tried, and its tiers
def test_compiled_every_kind_of_feedback_is_told(feedback: FeedbackKind) -> None:
    test_every_kind_of_feedback_is_told_and_drives_a_policy(feedback)
