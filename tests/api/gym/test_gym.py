"""The Gymnasium interface: our environments there, and our policies on anybody's environments."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import golden
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from support.compiled import all_as_python
from support.environments import NAMES, STREAM, TABLE, WORLDS, make, make_vec, names, params
from support.every_run import every_run

from onearm.api import gym
from onearm.api.gym.envs import Copies
from onearm.api.gym.registration import env_id
from onearm.engine import loop, snapshot
from onearm.engine.domain import ball
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import DECIDE, Decision, Feedback, Instance, Key
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

OF_ARMS = names("arm")


SCRIPTS = (
    "import onearm.gym, gymnasium; onearm.gym.register_envs(); gymnasium.make('onearm/Bernoulli-v0')",
    "import gymnasium; gymnasium.make('onearm.gym:onearm/Bernoulli-v0')",
    "import onearm.gym, gymnasium; gymnasium.make('onearm/Bernoulli-v0')",
    "import gymnasium, onearm.api.gym; gymnasium.make('onearm/Bernoulli-v0')",
)


@pytest.mark.jit
@pytest.mark.parametrize("script", every_run(SCRIPTS, SCRIPTS[:2]))
def test_every_environment_is_registered_once(script: str) -> None:
    """In a process of its own, warnings being errors: Gymnasium warns of an id that is registered twice."""
    listed = "print(sorted(i for i in gymnasium.registry if i.startswith('onearm/')))"
    command = [sys.executable, "-W", "error", "-c", f"{script}; {listed}"]
    plain = os.environ | {"NUMBA_DISABLE_JIT": "1"}  # nothing is to be compiled for that
    done = subprocess.run(command, env=plain, capture_output=True, text=True, check=False)
    assert done.stdout == f"{sorted(map(env_id, envs.names()))}\n", done.stderr


def test_an_environment_of_named_features_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no space of Gymnasium holds: take the environment inside it"):
        make("named")


def test_rows_of_actions_are_a_box() -> None:
    env = gymnasium.make(env_id("linear"), arms=3, dimension=2, action_features=True)
    observation, _ = env.reset(seed=1)
    assert observation.shape == (3, 2)
    assert observation in env.observation_space


# Every environment is tried by one of three tests, and every test with a third of them.
@pytest.mark.parametrize("name", every_run(NAMES, NAMES[::3]))
def test_check_env_finds_nothing(name: str) -> None:
    """Warnings are errors here; a short horizon makes it see an end."""
    env = make(name, horizon=20)
    if name == "logged_table":  # check_env plays arms that the mask excludes
        env = gymnasium.make(env_id(name), reward=[[1.0, 0.5], [0.0, 2.0]], context=[[1.0], [2.0]], horizon=20)
    check_env(env.unwrapped)
    env.close()


def test_an_arm_that_the_mask_excludes_is_refused() -> None:
    env = make("logged_table").unwrapped
    env.reset(seed=1)
    with pytest.raises(InvalidInput, match="arm 1 is not available at decision 0: available arms are 0, 2"):
        env.step(1)
    many = make_vec("logged_table", 2)
    many.reset(seed=1)
    with pytest.raises(InvalidInput, match="arm 1 is not available at decision 0"):
        many.step(np.array([0, 1]))
    assert many.step(np.array([0, 2]))[1].tolist() == [1.0, 0.5]


@pytest.mark.parametrize("name", every_run(OF_ARMS, OF_ARMS[1::3]))
def test_an_episode_is_the_simulation_of_the_environment(name: str) -> None:
    """The seed of `reset` gives nature's seed; what a policy meets here is what it meets in a simulation."""
    made, steps = envs.make(name, **params(name)), 30
    env = make(name, horizon=steps)
    _, info = env.reset(seed=5)
    seed = int(gymnasium.utils.seeding.np_random(5)[0].integers(2**63))
    run = Simulation(policies.make("uniform"), made, horizon=steps, seed=seed)
    with all_as_python():
        log = run.advance_logged(steps)
    decided = np.flatnonzero(log.kind == DECIDE)
    masks = np.broadcast_to(log.available, (len(log.kind), run.problem.n_arms))
    total = regret = 0.0
    known = made.regret_kind is not None
    env.reset(seed=5)
    for t, row in enumerate(decided):
        assert info["action_mask"].tolist() == masks[row].tolist()
        observation, reward, terminated, truncated, info = env.step(int(log.action[row]))
        total += float(reward)
        assert ("regret" in info) == known
        regret += info["regret"] if known else np.nan
        assert (terminated, truncated) == (False, t == steps - 1)
        if t + 1 < steps and run.problem.context_shape != (0,):
            seen = np.atleast_1d(observation).tolist()  # a state alone, and not whether a unit begins in it
            assert seen == log.context[decided[t + 1]].tolist()[: len(seen)]
    assert total == run.totals.reward[0]
    assert regret == run.totals.regret[0] if known else np.isnan(run.totals.regret[0])


def test_the_same_seed_gives_the_same_episode_and_no_seed_another() -> None:
    env = make("bernoulli", horizon=60)

    def episode(seed: int | None) -> list[float]:
        env.reset(seed=seed)
        return [float(env.step(1)[1]) for _ in range(60)]

    first = episode(3)
    second = episode(None)
    assert first != second
    assert episode(3) == first
    assert episode(None) == second, "resets without a seed follow from the last seed"
    assert episode(4) != first


def test_spaces_say_what_comes() -> None:
    plain = make("bernoulli").unwrapped
    assert plain.observation_space == spaces.Discrete(1) and plain.action_space == spaces.Discrete(3)
    table = make("classification").unwrapped
    assert table.observation_space.shape == (2,)
    observation, _ = table.reset(seed=1)
    assert observation.dtype == np.float64 and observation.tolist() in TABLE["features"]


def test_an_environment_with_an_end_of_its_own_keeps_it() -> None:
    env = make("classification")
    env.reset(seed=1)
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]


def test_the_delay_is_told_though_the_reward_is_handed_out_at_once() -> None:
    env = gymnasium.make("onearm/Delayed-v0", env={"name": "bernoulli", "params": {"mean": [1.0]}}, delay=7)
    env.reset(seed=1)
    _, reward, _, _, info = env.step(0)
    assert (reward, info["delay"], info["regret"]) == (1.0, 7, 0.0)


@pytest.mark.parametrize("action", [3, -1, 0.5, None])
def test_an_action_that_is_no_arm_is_refused(action: Any) -> None:
    env = make("bernoulli").unwrapped
    env.reset(seed=1)
    with pytest.raises(InvalidInput, match=r"it must be in Discrete\(3\)"):
        env.step(action)


def test_params_and_names_are_checked_as_elsewhere() -> None:
    with pytest.raises(InvalidInput, match="no param 'means'"):
        gymnasium.make("onearm/Bernoulli-v0", means=[0.5])
    with pytest.raises(gymnasium.error.NameNotFound):
        gymnasium.make("onearm/Nobody-v0")


@pytest.mark.parametrize("name", every_run(OF_ARMS, OF_ARMS[2::3]))
def test_a_vector_is_single_environments_to_the_bit(name: str) -> None:
    n, steps = 3, 25
    many = make_vec(name, n, horizon=steps)
    singles = [make(name, horizon=steps) for _ in range(n)]
    observations, info = many.reset(seed=40)
    for i, single in enumerate(singles):
        observation, alone = single.reset(seed=40 + i)
        assert np.array_equal(observations[i], observation)
        assert np.array_equal(info["action_mask"][i], alone["action_mask"])
    generator = np.random.default_rng(0)
    for _ in range(steps):
        actions = np.array([generator.choice(np.flatnonzero(mask)) for mask in info["action_mask"]])
        observations, rewards, terminated, truncated, info = many.step(actions)
        assert many.observation_space.contains(observations)
        for i, single in enumerate(singles):
            observation, reward, ended, over, alone = single.step(int(actions[i]))
            assert np.array_equal(observations[i], observation)
            assert (rewards[i], terminated[i], truncated[i]) == (reward, ended, over)
            assert (info["delay"][i], info["action_mask"][i].tolist()) == (
                alone["delay"],
                alone["action_mask"].tolist(),
            )
            assert ("regret" in info) == ("regret" in alone)
            assert "regret" not in info or info["regret"][i] == alone["regret"]
    assert truncated.all()


def test_a_step_of_a_vector_is_one_kernel_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two loops run a step: the answers of all copies, and what all of them show next."""
    many = make_vec("bernoulli", 16)
    many.reset(seed=1)
    calls: list[str] = []
    for name in ("answer_all", "observe_all"):
        counted = _counting(getattr(loop, name), name, calls)
        monkeypatch.setattr(loop, name, counted)
    many.step(np.zeros(16, np.int64))
    assert calls == ["answer_all", "observe_all"]


def test_the_step_after_an_end_begins_the_next_episode() -> None:
    """Gymnasium's NEXT_STEP mode: that step ignores its actions and rewards nothing."""
    many = make_vec("bernoulli", 2, horizon=2)
    assert many.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    many.reset(seed=1)
    assert many.step(np.array([2, 2]))[3].tolist() == [False, False]
    assert many.step(np.array([2, 2]))[3].tolist() == [True, True]
    _, rewards, terminated, truncated, info = many.step(np.array([2, 2]))
    assert rewards.tolist() == [0.0, 0.0]
    assert not terminated.any() and not truncated.any()
    assert info["action_mask"].shape == (2, 3)
    assert [many.step(np.array([2, 2]))[3].tolist()[0] for _ in range(2)] == [False, True]


def test_copies_of_a_vector_differ_from_each_other() -> None:
    many = make_vec("bernoulli", 4)
    for seeds in (1, [1, 2, 3, 4], [1, None, None, 2], None):
        many.reset(seed=seeds)
        earned = np.array([many.step(np.ones(4, np.int64))[1] for _ in range(60)])
        assert len(np.unique(earned, axis=1).T) == 4


@pytest.mark.parametrize("actions", [[0, 3], [-1, 0], [0], [0, 0, 0], [[0, 0]], [0.0, 1.0], [None, 0]])
def test_a_vector_refuses_actions_that_are_no_arms(actions: Any) -> None:
    many = make_vec("bernoulli", 2)
    many.reset(seed=1)
    with pytest.raises(InvalidInput, match="they must be in"):
        many.step(np.array(actions))


SHAPES = ("ucb1", "exp3_ix", "thompson_beta", "linucb", "sticky")  # of laws: none, from weights, by quadrature, inside


@pytest.mark.parametrize("name", every_run(golden.without_states(), SHAPES))
def test_run_on_our_own_environment_is_the_simulation(name: str) -> None:
    """With prompt rewards: same nature, same policy key, so the same course and the same last state."""
    steps = 20
    env = make("bernoulli", horizon=steps)
    course = gym.run(golden.specimen(name), env, steps=steps, seed=5)
    nature = int(gymnasium.utils.seeding.np_random(5)[0].integers(2**63))
    world = Copies(envs.make("bernoulli", **params("bernoulli")), 1, steps)
    world.restart([0], [nature])
    world.observe()
    policy = golden.specimen(name)
    state, run = policy.init(policy.params, world.problem), run_key(5, 0, POLICY)
    for t in range(steps):
        instance, key = Instance(t, np.zeros(0), np.ones(3, np.bool_)), Key(run, t)
        decision = Decision(*loop.decide(policy.params, state, instance, key))
        world.step(np.array([decision.action]), np.ones(1, np.bool_))
        loop.learn(policy.params, state, instance, decision, Feedback(float(world.rewards[0]), np.zeros(0)), key)
        assert (course.action[t], course.reward[t]) == (decision.action, world.rewards[0])
        assert np.array_equal(course.propensity[t], decision.propensity, equal_nan=True)
    assert snapshot.digest(course.state) == snapshot.digest(state)
    assert course.episodes == 1


def test_run_honours_masks_and_contexts() -> None:
    env = gymnasium.make("onearm/LoggedTable-v0", **WORLDS["logged_table"])
    course = gym.run("uniform", env, steps=90, seed=1)
    rows = WORLDS["logged_table"]["reward"]
    assert all(rows[t % 3][action] is not None for t, action in enumerate(course.action))
    offered = [sum(value is not None for value in row) for row in rows]
    assert course.propensity.tolist() == [1 / offered[t % 3] for t in range(90)]


def test_run_drives_cart_pole() -> None:
    """A dense observation and rewards of 1: episodes end and the policy goes on."""
    course = gym.run("ucb1", gymnasium.make("CartPole-v1"), steps=300, seed=1)
    assert course.reward.tolist() == [1.0] * 300
    assert set(course.action) == {0, 1}
    assert 5 <= course.episodes <= 40
    again = gym.run("ucb1", gymnasium.make("CartPole-v1"), steps=300, seed=1)
    assert again.action.tolist() == course.action.tolist()


class Corridor(gymnasium.Env[int, int]):
    """Three actions named 5, 6 and 7, of which 6 is worth 1; observations from a Discrete space."""

    def __init__(self) -> None:
        self.observation_space = spaces.Discrete(4)
        self.action_space = spaces.Discrete(3, start=5)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        return 3, float(action == 6), False, False, {}


def test_run_maps_arms_to_the_actions_of_the_space() -> None:
    course = gym.run("ucb1", Corridor(), steps=200, seed=1)
    assert course.action[:3].tolist() == [0, 1, 2]
    assert np.array_equal(course.reward, (course.action == 1).astype(float))
    assert course.reward[100:].mean() > 0.8


def test_run_reports_progress_and_refuses_actions_that_are_no_arms() -> None:
    done: list[int] = []
    gym.run(policies.make("uniform"), Corridor(), steps=7, progress=done.append)
    assert done == [1] * 7
    with pytest.raises(InvalidInput, match=r"'uniform' decides on arms .* but this problem has vectors in a domain"):
        gym.run("uniform", gymnasium.make("Pendulum-v1"), steps=1)
    with pytest.raises(InvalidInput, match="over arms need a Discrete one"):
        gym.run("early_drop", make("arm_stream"), steps=1)
    for more in ({"domain": ball(2)}, {"feedback": "gradient"}):
        with pytest.raises(InvalidInput, match="domain and feedback are for vectors"):
            gym.run("uniform", Corridor(), steps=1, **more)
    with pytest.raises(InvalidInput, match="'early_drop' decides on arms that stream past"):
        gym.run("early_drop", Corridor(), steps=1)
    with pytest.raises(InvalidInput, match="no policy 'nobody'"):
        gym.run("nobody", Corridor(), steps=1)


def test_an_episode_of_a_stream_is_its_simulation() -> None:
    """It is truncated by the last trial, not by a number of moves."""
    trials, made = 500, envs.make("arm_stream", **STREAM)
    env = make("arm_stream", horizon=trials)
    _, info = env.reset(seed=5)
    seed = int(gymnasium.utils.seeding.np_random(5)[0].integers(2**63))
    run = Simulation(policies.make("early_drop"), made, horizon=trials, seed=seed)
    with all_as_python():
        log = run.advance_logged(trials)
    rows = np.flatnonzero(log.kind == DECIDE)
    regret = 0.0
    for row in rows:
        assert info["action_mask"].tolist() == log.available[row].tolist()
        observation, reward, terminated, truncated, info = env.step(log.action[row])
        assert (observation, reward, terminated, truncated) == (0, log.reward[row + 1], False, row == rows[-1])
        assert info["detail"].tolist() == log.detail[row + 1].tolist()
        regret += info["regret"]
    assert regret == run.totals.regret[0] > 0.0


def test_the_space_of_moves_says_what_comes_and_draws_possible_ones() -> None:
    env = make("arm_stream", horizon=50).unwrapped
    assert env.action_space == spaces.MultiDiscrete([2, 3, 51])
    assert env.observation_space == spaces.Discrete(1)
    _, info = env.reset(seed=1)
    assert info["action_mask"].tolist() == [0, 0, 0, 1]
    env.action_space.seed(3)
    drawn, asked = set(), []
    ends = [False, False]
    while not any(ends):
        move = env.action_space.sample(info["action_mask"])
        assert env.action_space.contains(move)
        drawn.add(tuple(move[:2].tolist()))
        asked.append(move[2])
        _, _, *ends, info = env.step(move)
    assert {what for what, _ in drawn} == {0, 1}
    assert max(asked) <= 50
    assert env.action_space.sample()[0] == 1, "a stream begins with reading"


@pytest.mark.parametrize(
    "move", [[0, 0, 1], [0, 1, 1], [0, 2, 0], [0, 3, 1], [2, 0, 0], [0, 2, 51], [0, 2], [0.0, 2.0, 1.0], 1, None]
)
def test_an_impossible_move_is_refused_and_changes_nothing(move: Any) -> None:
    """An arm has arrived, and the slots are empty."""
    env = make("arm_stream", horizon=50).unwrapped
    env.reset(seed=1)
    env.step([1, 2, 0])
    with pytest.raises(InvalidInput, match=r"cannot be made at decision 1: pull a place|must be in"):
        env.step(move)
    assert env.step([0, 2, 50])[3]


@pytest.mark.parametrize("move", [[0, 0, 1], [0, 2, 0], [0, 3, 1], [0.5, 2, 1]])
def test_a_vector_refuses_an_impossible_move_and_nothing_changes(move: list[float]) -> None:
    many = make_vec("arm_stream", 2, horizon=50)
    many.reset(seed=1)
    many.step(np.array([[1, 2, 0]] * 2))
    with pytest.raises(InvalidInput, match=r"cannot be made at decision 1: pull a place|must be in"):
        many.step(np.array([[0, 2, 1], move]))
    assert many.step(np.array([[0, 2, 50], [0, 2, 1]]))[3].tolist() == [True, False]
    with pytest.raises(InvalidInput, match="cannot be made at decision 2"):
        many.step(np.array([[0, 0, 0], [0, 1, 1]]))
    assert many.step(np.array([[0, 0, 0], [0, 2, 1]]))[1][0] == 0.0
    assert many.step(np.array([[1, 2, 0], [0, 2, 48]]))[3].tolist() == [False, True]


def test_an_episode_whose_arms_were_all_dropped_is_terminated() -> None:
    env = make("arm_stream")
    env.reset(seed=1)
    ends = [env.step([1, 2, 0])[2:4] for _ in range(STREAM["arms"] + 1)]
    assert ends == [(False, False)] * STREAM["arms"] + [(True, False)]


def test_copies_of_a_stream_end_each_in_its_own_time_as_single_environments_do() -> None:
    n, trials = 4, 60
    many = make_vec("arm_stream", n, horizon=trials)
    singles = [make("arm_stream", horizon=trials).unwrapped for _ in range(n)]
    _, info = many.reset(seed=40)
    alone = [single.reset(seed=40 + i)[1] for i, single in enumerate(singles)]
    ended, ends = np.zeros(n, np.bool_), [0] * n
    space = many.single_action_space
    space.seed(2)
    for _ in range(150):
        moves = [
            [0, 0, 0] if over else space.sample(mask) for over, mask in zip(ended, info["action_mask"], strict=True)
        ]
        _, rewards, terminated, truncated, info = many.step(np.array(moves))
        for i, single in enumerate(singles):
            if ended[i]:
                alone[i] = single.reset()[1]
                assert (rewards[i], terminated[i], truncated[i], info["regret"][i]) == (0.0, False, False, 0.0)
            else:
                _, reward, over, cut, alone[i] = single.step(moves[i])
                assert (rewards[i], terminated[i], truncated[i]) == (reward, over, cut)
                assert info["detail"][i].tolist() == alone[i]["detail"].tolist()
                assert info["regret"][i] == alone[i]["regret"]
            assert info["action_mask"][i].tolist() == alone[i]["action_mask"].tolist()
        ended = terminated | truncated
        ends = [count + int(over) for count, over in zip(ends, ended, strict=True)]
    assert min(ends) >= 3
    assert len(set(ends)) > 1, "they did end at different times"


def test_moves_can_be_drawn_by_the_masks_of_copies_that_end_without_arms() -> None:
    """After such an episode nothing is possible; what is drawn then is ignored."""
    many = make_vec("arm_stream", 3, horizon=1000)
    _, info = many.reset(seed=1)
    space = many.single_action_space
    space.seed(2)
    assert space.sample(np.zeros(4, np.int8))[0] == 1
    ends = np.zeros(3, np.int64)
    for _ in range(150):
        moves = np.array([space.sample(mask) for mask in info["action_mask"]])
        moves[moves[:, 0] == 1, 1] = 2  # nothing is stored
        moves[:, 2] = moves[:, 0] == 0
        _, _, terminated, _, info = many.step(moves)
        assert info["action_mask"][terminated].sum() == 0
        ends += terminated
    assert ends.min() >= 3


@pytest.mark.jit
@pytest.mark.usefixtures("entries_are_compiled")
@pytest.mark.parametrize("name", every_run(["bernoulli", "logged_table"], ["bernoulli"]))
def test_compiled_environments_answer_as_single_ones(name: str) -> None:
    test_a_vector_is_single_environments_to_the_bit(name)
    test_an_episode_is_the_simulation_of_the_environment(name)


@pytest.mark.jit
@pytest.mark.usefixtures("entries_are_compiled")
def test_compiled_copies_of_a_stream_end_each_in_its_own_time() -> None:
    test_an_episode_of_a_stream_is_its_simulation()
    test_copies_of_a_stream_end_each_in_its_own_time_as_single_environments_do()


@pytest.mark.jit
@pytest.mark.usefixtures("entries_are_compiled")
def test_a_policy_keeps_what_it_learned_from_one_episode_to_the_next() -> None:
    course = gym.run("ucb1", make("bernoulli"), steps=3000, seed=1)
    assert course.episodes == 3
    assert abs(course.reward[1000:].mean() - 0.9) < 4 * np.sqrt(0.09 / 2000) + 0.02


def _counting(function: Any, name: str, calls: list[str]) -> Any:
    def counted(*args: Any) -> Any:
        calls.append(name)
        return function(*args)

    return counted
