"""Mixtures that are known by name: how they move in each part, and what they pay, for as many states as there are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import InvalidInput
from ..vocabulary import Array
from .queues import queue_moves, queue_pay

RATES = (0.1, 0.3, 0.5, 0.7)  # of arrivals


def arrivals(states: int, n_arms: int) -> tuple[Array, Array]:
    """Return phi, float64[S, 4, 4, S], of the queue of `service`, with four rates of arrivals, and r, float64[S, 4]."""
    if n_arms != 4 or states < 2:
        raise InvalidInput(
            "bad_model",
            f"the mixture 'arrivals' has 4 arms, the speeds, and at least 2 states; the problem has {n_arms} arms and "
            f"{states} states",
        )
    return np.stack([queue_moves(states, rate) for rate in RATES], axis=2), queue_pay(states)


def river(states: int, n_arms: int) -> tuple[Array, Array]:
    """Return phi, float64[S, A, 3, S], of a river, and r, float64[S, A].

    Arm 0 goes down a state, which pays .005 in the lowest one; other arms go up, stay or go down, which are the parts,
    and pay 1 in the highest one.
    """
    phi, reward = np.zeros((states, n_arms, 3, states)), np.zeros((states, n_arms))
    for s, a in np.ndindex(states, n_arms):
        for i, to in enumerate((s + 1, s, s - 1) if a else (s - 1, s - 1, s - 1)):
            phi[s, a, i, min(max(to, 0), states - 1)] = 1.0
    reward[states - 1, 1:] = 1.0
    reward[0, 0] = 0.005
    return phi, reward


KNOWN: dict[str, Callable[[int, int], tuple[Array, Array]]] = {"arrivals": arrivals, "river": river}
