"""RiverSwim: swim against the stream for a large reward far away, or drift to a small one close by.

Arm 0 drifts: one state down, and in the lowest one it pays .005. Arm 1 swims: it moves up with probability .35, stays
with .6 and falls back with .05; from the lowest state it moves up with .6, from the highest it falls back with .4, and
there it pays 1. Whoever does not explore far, never finds out.
`clipped` swims alike everywhere: what would leave the river stays.
Source: Strehl, Littman, "An analysis of model-based interval estimation for Markov decision processes", 2008, with the
numbers of Jaksch, Ortner, Auer 2010.
State: where it is (`engine/states/world.py`). Cost: one draw a decision, two where rewards are drawn.
"""

from __future__ import annotations

import numpy as np

from ...engine.errors import InvalidInput, as_seen
from ...engine.states.world import state_world, whole
from ...engine.vocabulary import Environment

STATES_MAX = 1000
UP, STAY, DOWN = 0.35, 0.6, 0.05


def river_swim(states: int = 6, clipped: bool = False) -> Environment:
    """Swim up a river of `states` states: 1 at its end, .005 at its beginning; `clipped` for one law everywhere."""
    n = whole("states", states, 2, STATES_MAX)
    if not isinstance(clipped, bool):
        raise InvalidInput("bad_param", f"clipped is {as_seen(clipped)}: it must be true or false")
    transitions, rewards = np.zeros((n, 2, n)), np.zeros((n, 2, n))
    for s in range(n):
        transitions[s, 0, max(s - 1, 0)] = 1.0
        for to, likely in ((s + 1, UP), (s, STAY), (s - 1, DOWN)):
            transitions[s, 1, min(max(to, 0), n - 1)] += likely
    if not clipped:
        transitions[0, 1, :2] = 0.4, 0.6
        transitions[n - 1, 1, n - 2 :] = 0.4, 0.6
    rewards[0, 0] = 0.005
    rewards[n - 1, 1] = 1.0
    return state_world("river_swim", transitions, rewards, drawn=True)
