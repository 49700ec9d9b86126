"""Garnet: a world at random, in which each arm leads from each state to a few others and pays 1 now and then.

All numbers come from one generator, x <- 48271 x modulo 2^31 - 1, which begins with 12345 + seed and whose first 20
draws are thrown away: for each pair of a state and an arm, in order, its next states (those drawn twice are drawn
again), the cuts of [0, 1] whose pieces are their probabilities, and its mean reward.
Source: Archibald, McKinnon, Thomas, "On the generation of Markov decision processes", 1995.
State: where it is (`engine/states/world.py`). Cost: one draw a decision, two where rewards are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...engine.errors import InvalidInput
from ...engine.states.world import state_world, whole
from ...engine.vocabulary import Environment

MODULUS, FACTOR, FIRST, THROWN_AWAY = 2**31 - 1, 48271, 12345, 20


def garnet(states: int = 20, arms: int = 4, branches: int = 3, seed: int = 1) -> Environment:
    """Meet a world drawn with `seed`: each arm leads to `branches` states, and pays 1 with its own probability."""
    n, k = whole("states", states, 1, 1000), whole("arms", arms, 1, 1000)
    ways = whole("branches", branches, 1, n)
    draws = _draws(whole("seed", seed, 0, 10**9))
    if n * n * k > 4_000_000:
        raise InvalidInput("bad_param", f"states x arms x states is {n * n * k}: it must be at most 4000000")
    transitions, rewards = np.zeros((n, k, n)), np.zeros((n, k, n))
    for s, a in np.ndindex(n, k):
        following: list[int] = []
        while len(following) < ways:
            drawn = int(next(draws) * n)
            if drawn not in following:
                following.append(drawn)
        cuts = sorted(next(draws) for _ in range(ways - 1))
        transitions[s, a, following] = np.diff([0.0, *cuts, 1.0])
        rewards[s, a] = next(draws)
    return state_world("garnet", transitions, rewards, drawn=True)


def _draws(seed: int) -> Iterator[float]:
    """Yield numbers from (0, 1), for ever."""
    x = FIRST + seed
    for i in range(2**62):
        x = FACTOR * x % MODULUS
        if i >= THROWN_AWAY:
            yield x / MODULUS
