"""Rewards as parts of the range that they lie in, for policies that are made for such.

These hold a `RewardRange` among their params: [0, 1], or another one where a problem declares it (`problem.fitted` puts
it in). Their kernels learn parts, and tell rewards. Nothing is clipped or refused here: interfaces refuse what lies
outside of a declared range, before anything is written, and kernels clip where there is none. In [0, 1] a reward keeps
its bits.

>>> euros = RewardRange.of(-5.0, 15.0)
>>> part_of(euros, 0.0), lack_of(euros, 0.0), reward_at(euros, 0.25)
(0.25, 0.75, 0.0)
>>> import numpy as np
>>> said_outside(np.array([0.5, 7.5, -1.0]), (0.0, 1.0))
'2 of 3 rewards lie outside of [0, 1], the least is -1 and the greatest 7.5'
"""

from __future__ import annotations

from .errors import InvalidInput
from .kernel import kernel
from .problem import REWARD_MAX, check_param
from .vocabulary import Array, Outside, RewardRange

UNIT = RewardRange(0.0, 1.0, 1.0)


def range_up_to(reward_max: float) -> RewardRange:
    """Return the range of length 1 whose highest reward is `reward_max`."""
    high = check_param("reward_max", reward_max, low=-REWARD_MAX, high=REWARD_MAX)
    if high - 1.0 == high:
        raise InvalidInput(
            "bad_param", f"reward_max is {high:g}, and losses lie in [0, 1]: no reward is so near; declare a range"
        )
    return RewardRange(high - 1.0, high, 1.0)


def said_outside(rewards: Array, limits: tuple[float, float]) -> str | None:
    """Say how many rewards, float64[n], lie outside of a range, and how far; None where none does."""
    low, high = limits
    count = int(((rewards < low) | (rewards > high)).sum())
    if not count:
        return None
    seen = f"the least is {rewards.min():g} and the greatest {rewards.max():g}"
    return f"{count:,} of {len(rewards):,} rewards lie outside of [{low:g}, {high:g}], {seen}"


def said_of(outside: Outside, policy: str, env: str) -> str:
    """Say of a simulation that rewards lay outside, and what that means."""
    return (
        f"policy {policy!r} is made for rewards in [{outside.low:g}, {outside.high:g}], and {outside.count[0]:,} of "
        f"those that {env!r} paid lie outside, from {outside.least[0]:g} to {outside.greatest[0]:g}: nothing is "
        "promised for these, and it may have read them as the nearest end; take thompson_any for rewards of any unit"
    )


@kernel
def count_outside(outside: Outside, reward: float) -> None:
    """Count a reward where it lies outside."""
    if reward < outside.low or reward > outside.high:
        outside.count[0] += 1
        outside.least[0] = min(outside.least[0], reward)
        outside.greatest[0] = max(outside.greatest[0], reward)


@kernel
def part_of(limits: RewardRange, reward: float) -> float:
    """Return a reward as a part of its range: 0 for the lowest and 1 for the highest."""
    return (reward - limits.low) * limits.factor


@kernel
def clipped_part(limits: RewardRange, reward: float) -> float:
    """Return a reward as a part of its range, from 0 to 1: one outside counts as the nearest end."""
    return min(max(part_of(limits, reward), 0.0), 1.0)


@kernel
def lack_of(limits: RewardRange, reward: float) -> float:
    """Return what a reward lacks to the highest, as a part of the range: a loss from 0 to 1."""
    return (limits.high - reward) * limits.factor


@kernel
def reward_at(limits: RewardRange, part: float) -> float:
    """Return the reward at a part of the range."""
    return limits.low + part * (limits.high - limits.low)


@kernel
def width_at(limits: RewardRange, part: float) -> float:
    """Return how far apart two rewards are whose parts differ by this."""
    return part * (limits.high - limits.low)
