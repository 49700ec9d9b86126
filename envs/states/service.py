"""Service: how fast to work while a queue grows and shrinks; speed costs, and so does waiting.

The state is the length of the queue, 0 to `places` - 1. Arms are speeds: one is served with probability .2, .4, .6 or
.8, which costs 0, .1, .3 or .6, also when nobody waits. Then somebody arrives with probability .4, unless the queue is
full. The reward is 1 less a part for the share of the places that were taken and for the cost.
Source: Weber, Stidham, "Optimal control of service rates in networks of queues", 1987.
State: where it is (`engine/states/world.py`). Cost: one draw a decision, two where rewards are drawn.
"""

from __future__ import annotations

import numpy as np

from ...engine.states.world import state_world, whole
from ...engine.vocabulary import Array, Environment

ARRIVES = 0.4
SERVES, COSTS, WIDTH = (0.2, 0.4, 0.6, 0.8), (0.0, 0.1, 0.3, 0.6), 1.6


def service(places: int = 20) -> Environment:
    """Choose one of four speeds for a queue of up to `places` - 1 people: fast costs, and so does waiting."""
    n = whole("places", places, 2, 1000)
    return state_world("service", moves(n, ARRIVES), pay(n))


def moves(places: int, arrives: float) -> Array:
    """Return P, float64[places, 4, places], where somebody arrives with that probability."""
    top = places - 1
    transitions = np.zeros((places, len(SERVES), places))
    for length, a in np.ndindex(places, len(SERVES)):
        for served, serves in ((0, 1.0 - SERVES[a]), (1, SERVES[a])):
            for arrived, likely in ((0, 1.0 - arrives), (1, arrives)):
                transitions[length, a, min(max(length - served, 0) + arrived, top)] += serves * likely
    return transitions


def pay(places: int) -> Array:
    """Return R, float64[places, 4, places]."""
    taken = np.arange(places) / (places - 1)
    reward = 1.0 - (taken[:, np.newaxis] + np.array(COSTS)) / WIDTH
    return np.repeat(reward[:, :, np.newaxis], places, axis=2)
