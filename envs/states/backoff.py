"""Backoff: when to try again after failures, each of which makes the next one more likely.

The state is how many tries in a row have failed, 0 to 7. Arm 0 tries: it succeeds with probability .9 times .75 to the
power of the state, which pays 1 and forgets all failures; else there is one more. Arms 1 and 2 wait, for a short or a
long time, do something else meanwhile that pays .28 / 1.3 or .22 / 1.3, and make two failures forgotten with
probability .3 or .8.
Source: the retry of a service that is overloaded; made for this package.
State: where it is (`engine/states/world.py`). Cost: one draw a decision, two where rewards are drawn.
"""

from __future__ import annotations

import numpy as np

from ...engine.states.world import state_world
from ...engine.vocabulary import Environment

FAILURES = 8
SUCCEEDS, FADES, FORGOTTEN = 0.9, 0.75, 2
WAITS = ((0.3, 0.28 / 1.3), (0.8, 0.22 / 1.3))  # how likely failures are forgotten, and what it pays


def backoff() -> Environment:
    """Try again (0), or wait for a short (1) or a long time (2), after up to 7 failures in a row."""
    n = FAILURES
    transitions, rewards = np.zeros((n, 3, n)), np.zeros((n, 3, n))
    for k in range(n):
        succeeds = SUCCEEDS * FADES**k
        transitions[k, 0, 0] = succeeds
        transitions[k, 0, min(k + 1, n - 1)] += 1.0 - succeeds
        rewards[k, 0, 0] = 1.0
        for a, (forgets, pays) in enumerate(WAITS, start=1):
            transitions[k, a, max(k - FORGOTTEN, 0)] += forgets
            transitions[k, a, k] += 1.0 - forgets
            rewards[k, a] = pays
    return state_world("backoff", transitions, rewards)
