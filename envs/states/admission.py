"""Admission: who may enter while the house fills up; each guest pays at the door, and a full house costs.

The state is 2 l + c: l guests are inside, 0 to 9, and one of class c waits, which is 1 with probability .3. Arm 0
refuses, arm 1 lets in (nobody, where the house is full): a guest of class 0 pays .3, one of class 1 pays 1, and each
who is inside then costs .04. One of them leaves with probability .4. Rewards are moved into [0, 1].
Source: Naor, "The regulation of queue size by levying tolls", 1969, in the form of Puterman 1994, 8.
State: where it is (`engine/states/world.py`). Cost: one draw a decision, two where rewards are drawn.
"""

from __future__ import annotations

import numpy as np

from ...engine.states.world import state_world
from ...engine.vocabulary import Environment

ROOM = 9
HIGH_CLASS, LEAVES = 0.3, 0.4
FEES, EACH_COSTS, LEAST, WIDTH = (0.3, 1.0), 0.04, 0.4, 1.4


def admission() -> Environment:
    """Refuse (0) or let in (1) who waits: guests pay .3 or 1 at the door, and crowds cost."""
    n = 2 * (ROOM + 1)
    transitions, rewards = np.zeros((n, 2, n)), np.zeros((n, 2, n))
    for length, who, a in np.ndindex(ROOM + 1, 2, 2):
        enters = a == 1 and length < ROOM
        inside = length + enters
        s = 2 * length + who
        rewards[s, a] = ((FEES[who] if enters else 0.0) - EACH_COSTS * inside + LEAST) / WIDTH
        for left, likely in ((0, 1.0 - LEAVES), (1, LEAVES)):
            after = 2 * max(inside - left, 0)
            transitions[s, a, after] += likely * (1.0 - HIGH_CLASS)
            transitions[s, a, after + 1] += likely * HIGH_CLASS
    return state_world("admission", transitions, rewards)
