"""Arrivals of an unknown mixture: the queue of `service`, in which people arrive at one of four rates, drawn anew.

How the queue moves at each rate is known, phi, the mixture "arrivals" of `engine/states/known_mixtures.py`; how often
each rate holds, theta = (.3, .4, .2, .1), is not. So four numbers are to be learned, and not a law for each state and
speed: `policies/states/loop_mixture.py`.
Source: the class of worlds of He, Zhong, Yang, ICLR 2024; this one is our own.
State: where it is (`engine/states/world.py`). Cost: one draw a decision.
"""

from __future__ import annotations

import numpy as np

from ...engine.states.known_mixtures import arrivals
from ...engine.states.world import state_world, whole
from ...engine.vocabulary import Environment

SHARES = (0.3, 0.4, 0.2, 0.1)


def arrivals_mixture(places: int = 20) -> Environment:
    """Choose one of four speeds for a queue at which people arrive at four rates, of which the shares are unknown."""
    n = whole("places", places, 2, 1000)
    phi, reward = arrivals(n, 4)
    transitions = np.einsum("sadk,d->sak", phi, np.array(SHARES))
    return state_world("arrivals_mixture", transitions, np.repeat(reward[:, :, np.newaxis], n, axis=2))
