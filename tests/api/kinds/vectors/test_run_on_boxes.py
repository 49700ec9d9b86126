"""Our policies of vectors on anybody's Box: what they reach, and what is refused before the first step."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import ClipAction, RecordEpisodeStatistics, RescaleAction, TimeLimit
from support.bowl import Bowl
from support.environments import sea

from onearm.api import gym
from onearm.api.gym.problems import action_for, mask_of
from onearm.api.kinds.vectors.points import Points
from onearm.engine.domain import ball, box, simplex
from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Array, Problem


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
