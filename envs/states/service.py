"""Service: how fast to work while a queue grows and shrinks; speed costs, and so does waiting.

The state is the length of the queue, 0 to `places` - 1. Arms are speeds: one is served with probability .2, .4, .6 or
.8, which costs 0, .1, .3 or .6, also when nobody waits. Then somebody arrives with probability .4, unless the queue is
full. The reward is 1 less a part for the share of the places that were taken and for the cost.
Source: Weber, Stidham, "Optimal control of service rates in networks of queues", 1987.
State: where it is (`engine/states/world.py`). Cost: one draw a decision, two where rewards are drawn.
"""

from __future__ import annotations

import numpy as np

from ...engine.states.queues import queue_moves, queue_pay
from ...engine.states.world import state_world, whole
from ...engine.vocabulary import Environment

ARRIVES = 0.4


def service(places: int = 20) -> Environment:
    """Choose one of four speeds for a queue of up to `places` - 1 people: fast costs, and so does waiting."""
    n = whole("places", places, 2, 1000)
    return state_world("service", queue_moves(n, ARRIVES), np.repeat(queue_pay(n)[:, :, np.newaxis], n, axis=2))
