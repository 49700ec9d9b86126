"""Inventory: how much to order, when keeping, ordering and having nothing to sell all cost.

The state is the stock, 0 to 10. Arm a orders 2 a, cut to what fits. Then customers come, as many as a Poisson law of
mean 3 says, and buy what there is. The reward is sales - .5 for each that was ordered - .8 for an order - .05 for each
that is kept, moved into [0, 1].
Source: Scarf 1960, in the form of Puterman 1994, 3.2.
State: where it is (`engine/states/world.py`). Cost: one draw a decision, two where rewards are drawn.
"""

from __future__ import annotations

import math

import numpy as np

from ...engine.states.world import state_world
from ...engine.vocabulary import Environment

STOCK_MAX, ARMS, UNIT_ORDER, DEMAND = 10, 5, 2, 3.0
PRICE, AN_ORDER, KEEPING, LEAST, WIDTH = 0.5, 0.8, 0.05, 5.3, 15.3


def inventory() -> Environment:
    """Order 0, 2, 4, 6 or 8 for a stock of at most 10, before about 3 customers come."""
    n = STOCK_MAX + 1
    asked = [math.exp(-DEMAND) * DEMAND**d / math.factorial(d) for d in range(n)]
    transitions, rewards = np.zeros((n, ARMS, n)), np.zeros((n, ARMS, n))
    for stock, a in np.ndindex(n, ARMS):
        order = min(UNIT_ORDER * a, STOCK_MAX - stock)
        full = stock + order
        for kept in range(full + 1):
            sales = full - kept
            likely = asked[sales] if kept else 1.0 - sum(asked[:full])
            transitions[stock, a, kept] = likely
            earned = sales - PRICE * order - AN_ORDER * (order > 0) - KEEPING * kept
            rewards[stock, a, kept] = (earned + LEAST) / WIDTH
    return state_world("inventory", transitions, rewards)
