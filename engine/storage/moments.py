"""How many rewards there are, their mean and spread: of two lots together, of one without another, and amended."""

from __future__ import annotations

from typing import NamedTuple

BITS = 1074  # behind the point: every float is a whole number of 2^-1074


class Moments(NamedTuple):
    """Of some rewards: how many, their mean, and the sum of their squared distances from it."""

    rewards: int
    mean: float
    square: float


class Amends(NamedTuple):
    """Rewards that are put to others, less those that are taken from them: exact sums, in whichever order they came.

    Corrections come in one order while a service is at work, and are read in another one after a start: the bits are
    the same.

    >>> Amends().put(0.1).put(3.0).taken(0.1) == Amends().put(3.0)
    True
    """

    rewards: int = 0
    total: int = 0  # in 2^-1074
    square: int = 0  # of the sum of squares, in 2^-2148

    def put(self, reward: float) -> Amends:
        """Return these with one reward more."""
        number, places = _whole(reward)
        return Amends(self.rewards + 1, self.total + (number << places), self.square + (number * number << 2 * places))

    def taken(self, reward: float) -> Amends:
        """Return these with one reward less."""
        number, places = _whole(reward)
        return Amends(self.rewards - 1, self.total - (number << places), self.square - (number * number << 2 * places))

    def amended(self, known: Moments) -> Moments:
        """Return the moments of the rewards that are `known` once these are put and taken; `known` without any.

        >>> Amends().put(2.0).amended(Moments(1, 1.0, 0.0)), Amends().taken(2.0).amended(Moments(2, 1.5, 0.5))
        (Moments(rewards=2, mean=1.5, square=0.5), Moments(rewards=1, mean=1.0, square=0.0))
        """
        if self == Amends():
            return known
        rewards = known.rewards + self.rewards
        if rewards <= 0:
            return Moments(rewards, 0.0, 0.0)
        mean, square = (number << places for number, places in map(_whole, known[1:]))
        total = known.rewards * mean + self.total
        squares = (square << BITS) + known.rewards * mean * mean + self.square
        left = rewards * squares - total * total
        return Moments(rewards, total / (rewards << BITS), max(left / (rewards << 2 * BITS), 0.0))


def _whole(number: float) -> tuple[int, int]:
    """Return a whole number, and by how many bits it is shifted to be a number in 2^-1074."""
    numerator, denominator = number.as_integer_ratio()
    return numerator, BITS + 1 - denominator.bit_length()


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
