"""A queue that is served at one of four speeds: how it moves, and what it pays."""

from __future__ import annotations

import numpy as np

from ..vocabulary import Array

SERVES, COSTS, WIDTH = (0.2, 0.4, 0.6, 0.8), (0.0, 0.1, 0.3, 0.6), 1.6


def queue_moves(places: int, arrives: float) -> Array:
    """Return P, float64[places, 4, places], where somebody arrives with that probability, unless the queue is full."""
    top = places - 1
    transitions = np.zeros((places, len(SERVES), places))
    for length, a in np.ndindex(places, len(SERVES)):
        for served, serves in ((0, 1.0 - SERVES[a]), (1, SERVES[a])):
            for arrived, likely in ((0, 1.0 - arrives), (1, arrives)):
                transitions[length, a, min(max(length - served, 0) + arrived, top)] += serves * likely
    return transitions


def queue_pay(places: int) -> Array:
    """Return r, float64[places, 4]: 1, less a part for the share of the places that are taken and for the speed."""
    taken = np.arange(places) / (places - 1)
    return np.asarray(1.0 - (taken[:, np.newaxis] + np.array(COSTS)) / WIDTH)
