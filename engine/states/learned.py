"""What policies have learned of states that decisions move, for people: read from their states, and never written.

Gains, biases and Q are in the unit of rewards. A plan hopes for more where little is known; a gain is told as the
largest reward at most, and as the smallest at least.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..vocabulary import Array, Learned, Policy, RewardRange
from .optimum import TIE


def learned_by(policy: Policy, state: Any) -> Learned | None:
    """Return what a policy has learned, None where it learns no states."""
    return None if policy.learned is None else policy.learned(policy.params, state)


def learned_by_plan(params: Any, state: Any) -> Learned:
    """Return what a policy has learned whose state has `seen`, `plan` and `epoch`, as `replanning.py` has them."""
    plan = state.plan
    planned = float(plan.gain[0]), plan.bias[:-1], plan.q, int(plan.made[0])
    return told(params.rewards, state.seen, *planned, int(state.epoch.learned[0]))


def learned_by_values(rewards: RewardRange, seen: Any, gain: float, q: Array) -> Learned:
    """Return what a policy has learned that makes no plans: a gain and q, float64[S, A], in parts of their range.

    Each transition makes them anew, and counts as a plan.
    """
    bias = np.where(seen.open, q, -np.inf).max(axis=1)
    return told(rewards, seen, gain, bias, q, int(seen.learned[0]), int(seen.learned[0]))


def told(rewards: RewardRange, seen: Any, gain: float, bias: Array, q: Array, plans: int, learned: int) -> Learned:
    """Return a plan in the unit of rewards: its gain, bias float64[S] and q float64[S, A] in parts of their range.

    `seen` is what was counted (`counts.py`), `learned` how many transitions when the plan was begun.
    """
    width = rewards.high - rewards.low
    available = np.where(seen.open, q, -np.inf)
    best = (available >= available.max(axis=1, keepdims=True) - TIE).argmax(axis=1)
    lowest = bias[seen.met].min() if seen.met.any() else 0.0
    return Learned(
        gain=rewards.low + width * min(max(gain, 0.0), 1.0) if plans else math.nan,
        bias=width * (bias - lowest),
        q=width * (q - lowest),
        best=np.where(seen.met, best, -1),
        visits=seen.visits.copy(),
        plans=plans,
        since=int(seen.learned[0]) - learned,
    )


def learned_inside(policy: Policy) -> Callable[[Any, Any], Learned] | None:
    """Return what tells it of a policy inside a wrapper, whose params and state hold its own as `inner`."""
    tell = policy.learned
    return None if tell is None else lambda params, state: tell(params.inner, state.inner)
