"""The Gymnasium interface where vectors are decided: our environments there, and our policies on anybody's Box."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector.utils import batch_space, create_empty_array
from gymnasium.wrappers import ClipAction, RecordEpisodeStatistics, RescaleAction, TimeLimit
from scipy import stats
from support.bowl import Bowl
from support.environments import make, make_vec, names, params
from support.vector_worlds import tide

from onearm.api import gym
from onearm.api.gym.envs import BanditEnv, BanditVectorEnv, Copies
from onearm.api.gym.problems import action_for, mask_of
from onearm.api.kinds.vectors.points import Points, space_of
from onearm.engine import loop, snapshot
from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.engine.errors import InvalidInput
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import DECIDE, Array, FeedbackKind, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

OF_VECTORS = names("vector")
MIXED = product(ball(2, 0.5, [1.0, 0.0]), box([-1.0], [0.25]), simplex(3, 2.0))
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


def seed_of_nature(seed: int) -> int:
    """Return nature's seed where `reset` gets this one."""
    return int(gymnasium.utils.seeding.np_random(seed)[0].integers(2**63))


def sea(domain: Any = "box", **more: Any) -> Any:
    return gymnasium.make("onearm/Sea-v0", dimension=3, domain=domain, horizon=20, **more)


def test_there_are_environments_of_vectors() -> None:
    assert {"sea", "random_order", "online_regression", "portfolio", "label_shift", "forecasts"} <= set(OF_VECTORS)


@pytest.mark.parametrize("name", OF_VECTORS)
def test_an_episode_of_points_is_the_simulation_of_the_environment(name: str) -> None:
    made, steps = envs.make(name, **params(name)), 25
    env = make(name, horizon=steps)
    assert env.reset(seed=5) == (0, {})
    run = Simulation(policies.make("optimistic_omd"), made, horizon=steps, seed=seed_of_nature(5))
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


@pytest.mark.parametrize("domain", ["ball", "box", "simplex", MIXED.to_json()])
def test_check_env_finds_nothing_in_any_domain(domain: Any) -> None:
    """But that it finds limits other than -1 to 1, or 0 to 1, uncommon."""
    odd = domain == MIXED.to_json()
    env = gymnasium.make("onearm/Sea-v0", dimension=6, domain=domain, horizon=20).unwrapped
    if odd:
        with pytest.warns(UserWarning, match="we recommend using a symmetric and normalized space"):
            check_env(env)
    else:
        check_env(env)


def test_a_box_is_a_plain_one_and_others_say_what_they_are() -> None:
    assert type(sea().action_space) is spaces.Box
    half = 1.0 / math.sqrt(3.0)
    assert sea().action_space == spaces.Box(-half, half, (3,), np.float64)
    assert sea("simplex").action_space == Points(simplex(3))
    space = space_of(MIXED)
    assert isinstance(space, Points)
    assert (space.low.tolist(), space.high.tolist()) == ([0.5, -0.5, -1.0, 0, 0, 0], [1.5, 0.5, 0.25, 2, 2, 2])
    assert repr(Points(ball(2), (4,))) == "Points({'kind': 'ball', 'dimension': 2, 'radius': 1.0}, (4,))"


def test_a_space_of_points_equals_another_of_its_domain_and_survives_copies() -> None:
    space = Points(simplex(3))
    assert space == Points(simplex(3)) != Points(simplex(3, 2.0))
    assert space != Points(simplex(3), (2,)) and space != Points(ball(3))
    around = spaces.Box(space.low, space.high, dtype=np.float64)
    assert space != around and around != space
    space.seed(4)
    for other in (copy.deepcopy(space), pickle.loads(pickle.dumps(space))):
        assert other == space
        assert other.sample().tolist() == copy.deepcopy(space).sample().tolist()


def test_spaces_of_points_come_in_batches() -> None:
    space = Points(simplex(3))
    space.seed(4)
    many = batch_space(space, 5)
    assert many == Points(simplex(3), (5,))
    assert many.sample().tolist() == batch_space(space, 5).sample().tolist(), "the generator is copied, as a Box's is"
    assert many.sample() in many and create_empty_array(space, 5).shape == (5, 3)
    assert batch_space(Points(ball(2), (2,)), 3).shape == (3, 2, 2)
    assert np.full((5, 3), 0.5) not in many and np.full((5, 3), 1 / 3) in many
    synced = gymnasium.make_vec("onearm/Portfolio-v0", num_envs=2, vectorization_mode="sync", assets=3, horizon=5)
    assert synced.action_space == Points(simplex(3), (2,))
    synced.reset(seed=1)
    assert synced.step(synced.action_space.sample())[1].shape == (2,)


def drawn(domain: Domain, n: int = 4000) -> Array:
    space = space_of(domain, (n,))
    space.seed(3)
    points = space.sample()
    assert points in space
    space.seed(3)
    assert space.sample().tolist() == points.tolist() != space.sample().tolist()
    return points


def test_points_of_a_ball_are_drawn_uniformly() -> None:
    """(|x - c| / r)^d is uniform then; and so is, in three dimensions, each coordinate of the direction."""
    away = (drawn(ball(3, 0.5, [2.0, 0.0, -1.0])) - [2.0, 0.0, -1.0]) / 0.5
    length = np.linalg.norm(away, axis=1)
    assert length.max() <= 1.0 + 1e-12
    assert stats.kstest(length**3, "uniform").pvalue > 0.01
    for j in range(3):
        assert stats.kstest(away[:, j] / length, stats.uniform(-1.0, 2.0).cdf).pvalue > 0.01
    assert stats.kstest(drawn(ball(1, 2.0))[:, 0], stats.uniform(-2.0, 4.0).cdf).pvalue > 0.01


def test_points_of_a_simplex_and_of_a_product_are_drawn_uniformly() -> None:
    """Each coordinate of a uniform point of a simplex has the law Beta(1, d - 1), in units of its size."""
    points = drawn(MIXED)
    for j in range(3, 6):
        assert stats.kstest(points[:, j] / 2.0, stats.beta(1, 2).cdf).pvalue > 0.01
    assert np.abs(points[:, 3:].sum(axis=1) - 2.0).max() < 1e-12
    assert stats.kstest(points[:, 2], stats.uniform(-1.0, 1.25).cdf).pvalue > 0.01
    assert stats.kstest(np.linalg.norm(points[:, :2] - [1.0, 0.0], axis=1) ** 2 * 4.0, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(points[:, 0], points[:, 2])[0, 1]) < 0.05
    plain = drawn(box([-1.0, 0.0], [1.0, 0.5]))
    assert stats.kstest(plain[:, 1], stats.uniform(0.0, 0.5).cdf).pvalue > 0.01


def test_neither_masks_nor_probabilities_are_for_points() -> None:
    for given in ({"mask": np.ones(3, np.int8)}, {"probability": np.ones(3)}):
        with pytest.raises(gymnasium.error.Error, match="cannot be provided"):
            Points(simplex(3)).sample(**given)


def test_a_space_projects_onto_its_points() -> None:
    space = Points(MIXED)
    far = np.array([[2.0, 0.0, 3.0, 0.9, 0.9, -5.0], [1.0, 0.1, 0.0, 1.0, 0.5, 0.5]])
    assert space.project(far).round(12).tolist() == [[1.5, 0.0, 0.25, 1.0, 1.0, 0.0], far[1].tolist()]
    assert space.project(far[0]).shape == (6,) and space.project(far.tolist())[0] in space
    assert far[0, 0] == 2.0, "what is handed in stays"
    for given, words in ([1.0, 2.0], "has the shape"), ([math.nan] * 6, "not finite"), ("x", "must hold numbers"):
        with pytest.raises(InvalidInput, match=words):
            space.project(given)


OUTSIDE = [
    (ball(3), [1.0, 1.0, 0.0], "it lies 0.414 farther from the centre of the ball than its radius 1; move it"),
    (ball(3, 0.5, [1.0, 0, 0]), [0.25, 0, 0], "it lies 0.25 farther"),
    (box([-1.0, 0, 0], [1, 1, 2]), [0.0, 0.5, 2.5], "coordinate 2 is 2.5, 0.5 beyond its limits 0 and 2; clip it"),
    (box([-1.0, 0, 0], [1, 1, 2]), [0.0, -0.5, 0.0], "coordinate 1 is -0.5, 0.5 beyond its limits 0 and 1; clip it"),
    (simplex(3), [0.5, 0.5, 0.5], "the coordinates of the simplex add up to 1.5, 0.5 off 1; move it"),
    (simplex(3), [0.5, 0.25, 0.0], "the coordinates of the simplex add up to 0.75, 0.25 off 1"),
    (simplex(3), [0.5, 1.0, -1e-12], "the coordinates of the simplex add up to 1.5, 0.5 off 1"),
    (simplex(3), [0.5, 0.75, -0.25], "coordinate 2 is -0.25, 0.25 beyond its limits 0 and 1; move it"),
    (product(ball(1), box([0.0, 0.0], [1.0, 1.0])), [0.0, 0.0, 7.0], "coordinate 2 is 7, 6 beyond its limits 0 and 1"),
    (
        product(box([0.0], [1.0]), simplex(2)),
        [0.5, 1.0, 1.0],
        "the coordinates of the simplex add up to 2, 1 off 1; move it to the nearest point",
    ),
    (ball(3), [0.0, math.nan, 0.0], "coordinate 1 is nan; all must be finite"),
    (box([-1.0, 0, 0], [1, 1, 2]), [0.0, 0.0, -math.inf], "coordinate 2 is -inf; all must be finite"),
    (simplex(3), [math.nan, 1.0, 0.0], "coordinate 0 is nan"),
    (ball(3), [1e200, 0.0, 0.0], r"it lies 1e\+200 farther"),
]


@pytest.mark.parametrize(("domain", "point", "words"), OUTSIDE)
def test_a_point_outside_is_refused_with_how_far_and_nothing_happens(
    domain: Domain, point: list[float], words: str
) -> None:
    env, many = sea(domain.to_json()), make_sea_vec(domain)
    inside = domain.start
    rewards = []
    for _ in range(2):
        env.reset(seed=1)
        many.reset(seed=1)
        if rewards:
            with pytest.raises(InvalidInput, match=f"the point of decision 0 is outside the domain: {words}"):
                env.step(np.array(point))
            with pytest.raises(InvalidInput, match=f"the point of decision 0 is outside the domain: {words}"):
                many.step(np.array([inside, point]))
        rewards.append((env.step(inside)[1], many.step(np.array([inside, inside]))[1].tolist()))
    assert rewards[0] == rewards[1]
    assert np.array(point) not in env.action_space


def make_sea_vec(domain: Domain) -> BanditVectorEnv:
    return BanditVectorEnv("sea", 2, 20, dimension=domain.dimension, domain=domain.to_json())


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_a_point_may_lie_outside_by_rounding(size: float) -> None:
    """By 1e-9 of the size of its part."""
    grain = np.array([size, 0.0, 0.0])
    for domain, edge in (
        (ball(3, size), grain),
        (box([-size] * 3, [size, 0.5 * size, 0.5 * size]), grain),
        (simplex(3, size), grain),
        (product(box([-1.0], [0.5]), ball(2, size)), np.array([0.0, 0.0, size])),
    ):
        env = BanditEnv("sea", 20, dimension=3, domain=domain.to_json())
        env.reset(seed=1)
        for off, refused in ((0.9e-9, False), (1.1e-9, True), (1e-6, True)):
            point = edge * (1.0 + off)
            if refused:
                with pytest.raises(InvalidInput, match="is outside the domain"):
                    env.step(point)
            else:
                env.step(point)
            if isinstance(env.action_space, Points):
                assert (point in env.action_space) is not refused


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([0.0, 0.0], r"the action has the shape \[2\]: it must have \[3\]"),
        ([[0.0, 0.0, 0.0]], r"the action has the shape \[1, 3\]"),
        (0.0, r"the action has the shape \[\]"),
        (None, "the action is None: it must hold numbers"),
        (["0", "0", "0"], "it must hold numbers"),
        ([0.0, [1.0], 0.0], "it must hold numbers"),
        ([0j, 0j, 0j], "it must hold numbers"),
        ([True, False, False], "it must hold numbers"),
    ],
)
def test_what_is_no_point_is_refused(given: Any, words: str) -> None:
    env, many = sea("ball"), make_sea_vec(ball(3))
    env.reset(seed=1)
    many.reset(seed=1)
    with pytest.raises(InvalidInput, match=words):
        env.step(given)
    with pytest.raises(InvalidInput, match=r"the action (has the shape|is)"):
        many.step(given)
    for fine in ([0, 0, 1], np.zeros(3, np.float32), [0.25, 0.5, -0.25]):
        env.step(fine)
    assert not any(one in env.action_space for one in (given, {}, "x"))


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


def test_of_copies_that_are_not_asked_nothing_is_checked() -> None:
    copies = Copies(envs.make("sea", dimension=3, domain="ball"), 3, 20)
    points = np.array([[math.nan] * 3, [0.0] * 3, [2.0] * 3])
    copies.check(points, np.array([False, True, False]))
    for asked in ([True, True, False], [False, False, True]):
        with pytest.raises(InvalidInput, match=r"is nan|lies 2\.46 farther"):
            copies.check(points, np.array(asked))


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


def test_wrappers_work_on_boxes() -> None:
    half = 1.0 / math.sqrt(3.0)

    def rewards(env: Any, points: Array) -> list[float]:
        env.reset(seed=3)
        return [float(env.step(point)[1]) for point in points]

    points = np.random.default_rng(1).uniform(-1.0, 1.0, (15, 3))
    points[0], points[1] = [1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]
    assert rewards(ClipAction(sea()), points) == rewards(sea(), points.clip(-half, half))
    scaled = RescaleAction(sea(), np.float64(-1.0), np.float64(1.0))
    np.testing.assert_allclose(rewards(scaled, points), rewards(sea(), points * half), atol=1e-12)
    counted = TimeLimit(RecordEpisodeStatistics(sea()), 4)
    counted.reset(seed=3)
    ends = [counted.step(np.zeros(3)) for _ in range(4)]
    assert [end[3] for end in ends] == [False, False, False, True]
    course = gym.run("optimistic_ftrl", RescaleAction(sea(), np.float64(-1.0), np.float64(1.0)), steps=20, seed=1)
    assert np.abs(course.action).max() > 0.9 and course.episodes == 1


@pytest.mark.parametrize("named", [True, False])
def test_run_goes_to_the_best_point_of_anybodys_box(named: bool) -> None:
    env = Bowl(feedback="gradient" if named else None)
    course = gym.run("optimistic_ftrl", env, steps=60, feedback=None if named else "gradient")
    assert course.action.dtype == np.float64 and course.action.shape == (60, 2)
    assert np.abs(course.action[-1] - [0.7, 0.05]).max() < 1e-3
    assert env.points[-1].dtype == np.float32 and env.points[-1].shape == (2, 1)
    assert course.episodes == 6 and env.begun == 7
    assert course.reward[-1] > course.reward[0]


def test_what_run_is_told_of_the_feedback_goes_before_what_the_environment_says() -> None:
    assert gym.run("optimistic_ftrl", Bowl(feedback="example"), steps=2, feedback="gradient").episodes == 0


def test_a_mask_is_for_arms() -> None:
    told = {"action_mask": np.array([0, 1], np.int8)}
    assert mask_of(told, Problem(2)).tolist() == [False, True]
    assert mask_of(told, Problem(0, domain=ball(2))).tolist() == [True]


def test_the_points_of_a_course_are_each_its_own() -> None:
    """A policy writes all of its points into one array."""
    env = Bowl(feedback="gradient")
    course = gym.run("optimistic_ftrl", env, steps=20)
    assert len(np.unique(course.action, axis=0)) > 10
    assert np.array([point.ravel() for point in env.points]).tolist() == course.action.astype(np.float32).tolist()


def test_a_policy_of_rewards_needs_no_detail() -> None:
    env = Bowl(told=None)
    course = gym.run('point_gradient:{"policy":"optimistic_omd"}', env, steps=300, seed=1)
    assert course.reward[-50:].mean() > course.reward[:50].mean()
    gym.run('point_gradient:{"policy":"optimistic_omd"}', gymnasium.make("Pendulum-v1"), steps=5)


def test_a_domain_within_the_box_is_kept_to_and_rounding_does_not_leave_the_box() -> None:
    env = Bowl(spaces.Box(-1.0, 1.0, (2,), np.float64))
    course = gym.run("optimistic_omd", env, steps=40, domain=ball(2, 0.5), feedback="gradient")
    np.testing.assert_allclose(np.linalg.norm(course.action[-1]), 0.5, atol=1e-12)
    for domain in (ball(2), {"kind": "simplex", "dimension": 2}, simplex(2, 1.0)):
        assert gym.run("optimistic_omd", env, steps=40, domain=domain, feedback="gradient").episodes == 4
    over = np.array([np.nextafter(1.0, 2.0), 0.0])
    assert action_for(env.action_space, over).tolist() == [1.0, 0.0]
    assert action_for(Points(ball(2)), over).tolist() == over.tolist(), "ours takes it, and the bits are the loop's"
    exact = Bowl()
    gym.run("optimistic_omd", exact, steps=9, domain=box([-0.7, 0.0], [0.7, 0.1]), feedback="gradient")


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (Bowl(), {}, "'optimistic_omd' learns from the gradient of the loss, but this problem reveals the reward of what"),
    (Bowl(feedback="example"), {}, "'optimistic_omd' learns from the gradient .* but this problem reveals an example"),
    (Bowl(), {"feedback": "rumours"}, "the feedback is 'rumours': it must be one of reward, gradient, losses"),
    (Bowl(feedback="gossip"), {}, "the feedback is 'gossip'"),
    (Bowl(spaces.Box(-np.inf, np.inf, (2,))), {"feedback": "gradient"}, r"Box\(-inf, .* which has no limits: name a d"),
    (Bowl(spaces.Box(0.0, np.inf, (2,))), {"feedback": "gradient"}, "which has no limits"),
    (Bowl(spaces.Box(0, 9, (2,), np.int64)), {"feedback": "gradient"}, "vectors are of real numbers, and not of whole"),
    (
        Bowl(spaces.MultiBinary(2)),
        {"feedback": "gradient"},
        r"MultiBinary\(2\): policies over arms need a Discrete one",
    ),
    (Bowl(spaces.Discrete(2)), {}, "'optimistic_omd' decides on vectors in a domain, but this problem has arms"),
    (
        Bowl(),
        {"feedback": "gradient", "domain": ball(3, 0.01)},
        r"the domain has 3 coordinates, and a point of (.|\n)* has 2",
    ),
    (Bowl(), {"feedback": "gradient", "domain": ball(2, 0.05)}, "reaches out of the action space"),
    (Bowl(), {"feedback": "gradient", "domain": box([0.0, 0.0], [0.8, 0.1])}, "reaches out of the action space"),
    (Bowl(), {"feedback": "gradient", "domain": box([-0.8, 0.0], [0.7, 0.1])}, "reaches out of the action space"),
    (Bowl(), {"feedback": "gradient", "domain": {"kind": "torus"}}, "must be an object like"),
    (Bowl(spaces.Box(-1, 1, (3,))), {"feedback": "two_rewards"}, r"two points are decided, so that its shape must be"),
    (Bowl(spaces.Box(1.0, 1.0, (2,))), {"feedback": "gradient"}, "the box is a point"),
]


@pytest.mark.parametrize(("env", "given", "words"), REFUSED)
def test_what_does_not_fit_is_refused_by_name_before_the_first_step(env: Bowl, given: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        gym.run("optimistic_omd", env, steps=3, **given)
    assert env.begun == 0


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (None, r"info has no detail: where the feedback is 'gradient' it must have one, float64\[2\]"),
        ([1.0], r"info\[.detail.\] has the shape \[1\]: it must have \[2\]"),
        ("steep", r"info\[.detail.\] is not a list of numbers: it must be one, of 2"),
        ([1.0, math.nan], r"info\[.detail.\]\[1\] is nan: it must be finite, and at most 1e\+100 in size"),
        ([math.inf, 0.0], r"\[0\] is inf: it must be finite"),
        ([0.0, -1.1e100], r"\[1\] is -1\.1e\+100: it must be finite, and at most 1e\+100"),
    ],
)
def test_a_detail_that_cannot_be_is_refused(told: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        gym.run("optimistic_omd", Bowl(told=told, feedback="gradient"), steps=3)


def test_a_reward_that_is_not_finite_is_refused() -> None:
    class Broken(Bowl):
        def step(self, action: Any) -> Any:
            return {"a": np.zeros(2, np.float32), "b": 1}, math.nan, False, False, {}

    with pytest.raises(InvalidInput, match="the reward is nan"):
        gym.run('point_gradient:{"policy":"optimistic_omd"}', Broken(), steps=3)


def test_limits_of_two_points_are_those_that_both_keep() -> None:
    low, high = np.array([[-1.0, 0.0], [-2.0, 0.5]]), np.array([[1.0, 1.0], [0.5, 2.0]])
    env = Bowl(spaces.Box(low, high, dtype=np.float64), told=np.array([-0.5, -0.25]))
    policy = 'point_gradient:{"policy":"optimistic_omd"}'
    course = gym.run(policy, env, steps=30, feedback="two_rewards")
    points = course.action.reshape(-1, 2)
    assert points.min(axis=0).tolist() >= [-1.0, 0.5] and points.max(axis=0).tolist() <= [0.5, 1.0]


@pytest.mark.jit
def test_compiled_environments_of_vectors_answer_as_single_ones() -> None:
    for name in ("sea", "forecasts"):  # gradients and losses; each takes some seconds to compile
        test_a_vector_of_points_is_single_environments_to_the_bit(name)
        test_an_episode_of_points_is_the_simulation_of_the_environment(name)
    test_every_kind_of_feedback_is_told_and_drives_a_policy("two_rewards")
