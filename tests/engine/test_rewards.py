"""Rewards as parts of their range: which range a table has, and policies whose own params say another one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_fit, fitted, range_seen
from onearm.engine.rewards import UNIT, lack_of, part_of, range_up_to, reward_at, said_outside, width_at
from onearm.engine.vocabulary import Problem, RewardRange
from onearm.policies import catalog


@pytest.mark.parametrize(
    ("rewards", "limits"),
    [
        ([0.25, 0.5], (0.0, 1.0)),
        ([0.0, 1.0], (0.0, 1.0)),
        ([-3.0, 0.5], (-3.0, 0.5)),
        ([np.nan, 2.0, 7.0], (2.0, 7.0)),
        ([5.0, 5.0], None),
    ],
)
def test_a_table_lies_in_0_to_1_or_from_its_least_to_its_greatest(rewards: Any, limits: Any) -> None:
    assert range_seen(np.array(rewards)) == limits


@pytest.mark.parametrize("reward", [0.0, -0.0, 1.0, 0.1, 1 / 3, -7.5, 1e100, 5e-324])
def test_in_0_to_1_a_reward_keeps_its_bits(reward: float) -> None:
    assert np.float64(part_of(UNIT, reward)).tobytes() == np.float64(reward).tobytes()
    assert lack_of(UNIT, reward) == 1.0 - reward


def test_parts_and_rewards_are_each_others_inverse() -> None:
    euros = RewardRange.of(-5.0, 15.0)
    for reward in (-5.0, 0.0, 15.0, 2.5):
        assert reward_at(euros, part_of(euros, reward)) == reward
        assert part_of(euros, reward) + lack_of(euros, reward) == 1.0
    assert width_at(euros, 0.25) == 5.0


@pytest.mark.parametrize("name", ["tsallis_inf", "log_barrier_omd"])
def test_a_reward_max_says_the_range_and_must_be_its_upper_end(name: str) -> None:
    policy = catalog.make(name, reward_max=-2.0)
    assert policy.reward_range == (-3.0, -2.0)
    assert fitted(policy, Problem(2, reward_range=(-12.0, -2.0))).reward_range == (-12.0, -2.0)
    with pytest.raises(
        InvalidInput, match=rf"the reward_max of policy '{name}' is -2, but rewards are declared to lie"
    ):
        fitted(policy, Problem(2, reward_range=(0.0, 1.0)))
    with pytest.raises(InvalidInput, match="no reward is so near"):
        catalog.make(name, reward_max=1e100)


def test_a_policy_for_any_unit_is_as_it_was_in_a_declared_range() -> None:
    policy = catalog.make("thompson_any")
    assert policy.reward_range is None
    assert fitted(policy, Problem(2, reward_range=(-1.0, 9.0))) is policy
    check_fit(policy, Problem(2, reward_range=(-1.0, 9.0)))


def test_a_wrapper_is_made_for_what_the_policy_inside_is() -> None:
    policy = catalog.make(
        "floor", policy={"name": "budget", "params": {"policy": "kl_ucb", "cost": [1, 2], "limit": 2}}
    )
    assert policy.reward_range == (0.0, 1.0)
    params = fitted(policy, Problem(2, reward_range=(-1.0, 3.0))).params
    assert params.inner.inner.rewards == RewardRange(-1.0, 3.0, 0.25)


def test_ranges_up_to_a_reward_have_the_length_1() -> None:
    assert range_up_to(1.0) == UNIT
    assert range_up_to(-1) == RewardRange(-2.0, -1.0, 1.0)


def test_rewards_outside_are_counted() -> None:
    assert said_outside(np.array([0.0, 1.0]), (0.0, 1.0)) is None
    assert said_outside(np.zeros(0), (0.0, 1.0)) is None
    said = said_outside(np.array([0.0, -2.5, 1.5, 0.5]), (0.0, 1.0))
    assert said == "2 of 4 rewards lie outside of [0, 1], the least is -2.5 and the greatest 1.5"
