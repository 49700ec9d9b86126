"""How much what a decision earns varies: reward and value of the next state, together.

A pair of a state and an action that was learned N times is known to within about v / N, v the variance. Here is v, in
two forms: `KnownNoise` is a bound that holds for all pairs; `SeenNoise` is what was seen, beside one more sample of the
largest variance that there can be, since no variance after a visit or two is not certainty. `variance_of` finds the
kernel of the class, as `engine/protocol.py` does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..kernel import KERNELS, generic, kernel, register
from ..vocabulary import Array


@generic
def variance_of(noise: Any, s: int, a: int, visits: float, following: float) -> float:
    """Return v of a pair that was learned; `following` is the variance of the value of what came next."""
    return KERNELS[type(noise)]["variance_of"](noise, s, a, visits, following)


@generic
def note_rewards(noise: Any, s: int, a: int, variance: float) -> None:
    """Note the variance of a pair's rewards."""
    KERNELS[type(noise)]["note_rewards"](noise, s, a, variance)


class KnownNoise(NamedTuple):
    """The variance is at most `most`, whatever is seen."""

    most: Array  # float64[1]


class SeenNoise(NamedTuple):
    """The variance that was seen, and one sample of `most`."""

    most: Array  # float64[1]
    rewards: Array  # float64[S, A] variance of the rewards


def known_noise(states: int, n_arms: int) -> KnownNoise:
    """Return a bound to be written."""
    return KnownNoise(np.ones(1))


def seen_noise(states: int, n_arms: int) -> SeenNoise:
    """Return what was seen before anything was."""
    return SeenNoise(np.ones(1), np.zeros((states, n_arms)))


@kernel
def _known(noise: KnownNoise, s: int, a: int, visits: float, following: float) -> float:
    return noise.most[0]


@kernel
def _seen(noise: SeenNoise, s: int, a: int, visits: float, following: float) -> float:
    return (visits * (noise.rewards[s, a] + following) + noise.most[0]) / (visits + 1.0)


@kernel
def _note_nothing(noise: KnownNoise, s: int, a: int, variance: float) -> None:
    pass


@kernel
def _note(noise: SeenNoise, s: int, a: int, variance: float) -> None:
    noise.rewards[s, a] = variance


register(KnownNoise, variance_of=_known, note_rewards=_note_nothing)
register(SeenNoise, variance_of=_seen, note_rewards=_note)
