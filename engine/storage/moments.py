"""How many rewards there are, their mean and their spread: of two lots together, and of one without another."""

from __future__ import annotations

from typing import NamedTuple


class Moments(NamedTuple):
    """Of some rewards: how many, their mean, and the sum of their squared distances from it."""

    rewards: int
    mean: float
    square: float


def together(one: Moments, two: Moments) -> Moments:
    """Return the moments of the rewards of both (Chan, Golub and LeVeque 1979).

    >>> together(Moments(1, 1.0, 0.0), Moments(1, 2.0, 0.0))
    Moments(rewards=2, mean=1.5, square=0.5)
    """
    rewards = one.rewards + two.rewards
    if not rewards:
        return one
    apart, share = two.mean - one.mean, two.rewards / rewards
    return Moments(rewards, one.mean + apart * share, one.square + two.square + apart * apart * one.rewards * share)


def without(both: Moments, two: Moments) -> Moments:
    """Return the moments of the rewards of `both` without those of `two`, which are among them.

    What is far larger than all others leaves its rounding behind.

    >>> without(Moments(2, 1.5, 0.5), Moments(1, 2.0, 0.0))
    Moments(rewards=1, mean=1.0, square=0.0)
    """
    rewards = both.rewards - two.rewards
    if rewards <= 0:
        return Moments(rewards, 0.0, 0.0)
    if not two.rewards:
        return both
    mean = both.mean + (both.mean - two.mean) * two.rewards / rewards
    apart = two.mean - mean
    square = both.square - two.square - apart * apart * rewards * two.rewards / both.rewards
    return Moments(rewards, mean, max(square, 0.0))
