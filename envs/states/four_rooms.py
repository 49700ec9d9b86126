"""Four rooms: a way through doors to a far corner, which pays 1 and leads back to where it began.

A square of 7 x 7 cells has walls around it, and along row 3 and column 3; doors are at (2, 3), (5, 3), (3, 2) and
(3, 5). The 20 cells that are left are numbered row by row, and the way begins in (1, 1). Arms go up, right, down and
left: with probability .7 as meant, with .1 to each side, and with .1 nowhere; at a wall one stays. In (5, 5) every arm
pays 1 and leads to (1, 1).
Source: Sutton, Precup, Singh 1999, with the numbers of Bourel, Maillard, Talebi 2020.
State: where it is (`engine/states/world.py`). Cost: one draw a decision, two where rewards are drawn.
"""

from __future__ import annotations

import numpy as np

from ...engine.states.world import state_world
from ...engine.vocabulary import Environment

SIDE, WALL = 7, 3
DOORS = ((2, 3), (5, 3), (3, 2), (3, 5))
STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))
BEGIN, GOAL = (1, 1), (5, 5)
AS_MEANT, TO_A_SIDE, NOWHERE = 0.7, 0.1, 0.1


def four_rooms() -> Environment:
    """Find the far corner of four rooms, over and over: it pays 1."""
    inner = range(1, SIDE - 1)
    cells = [(i, j) for i in inner for j in inner if WALL not in (i, j) or (i, j) in DOORS]
    number = {cell: s for s, cell in enumerate(cells)}
    n, k = len(cells), len(STEPS)
    transitions, rewards = np.zeros((n, k, n)), np.zeros((n, k, n))
    for (i, j), s in number.items():
        for a in range(k):
            for turn, likely in ((0, AS_MEANT), (1, TO_A_SIDE), (-1, TO_A_SIDE)):
                down, right = STEPS[(a + turn) % k]
                transitions[s, a, number.get((i + down, j + right), s)] += likely
            transitions[s, a, s] += NOWHERE
    transitions[number[GOAL]] = 0.0
    transitions[number[GOAL], :, number[BEGIN]] = 1.0
    rewards[number[GOAL]] = 1.0
    return state_world("four_rooms", transitions, rewards, start=number[BEGIN])
