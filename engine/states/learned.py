"""What policies have learned of states that decisions move, for people: read from their states, and never written.

Gains, biases and Q are in the unit of rewards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..vocabulary import Learned, Policy, RewardRange
from .optimum import TIE


def learned_by(policy: Policy, state: Any) -> Learned | None:
    """Return what a policy has learned, None where it learns no states."""
    return None if policy.learned is None else policy.learned(policy.params, state)


def learned_by_plan(params: Any, state: Any) -> Learned:
    """Return what a policy has learned whose state has `seen`, `plan` and `epoch`, as `replanning.py` has them."""
    seen, plan, rewards = state.seen, state.plan, params.rewards
    q = np.where(seen.open, plan.q, -np.inf)
    best = (q >= q.max(axis=1, keepdims=True) - TIE).argmax(axis=1)
    width = _width(rewards)
    bias = plan.bias[:-1]
    lowest = bias[seen.met].min() if seen.met.any() else 0.0
    return Learned(
        gain=rewards.low + width * float(plan.gain[0]),
        bias=width * (bias - lowest),
        q=width * (plan.q - lowest),
        best=np.where(seen.met, best, -1),
        visits=seen.visits.copy(),
        plans=int(plan.made[0]),
        since=int(seen.learned[0] - state.epoch.learned[0]),
    )


def learned_inside(policy: Policy) -> Callable[[Any, Any], Learned] | None:
    """Return what tells it of a policy inside a wrapper, whose params and state hold its own as `inner`."""
    tell = policy.learned
    return None if tell is None else lambda params, state: tell(params.inner, state.inner)


def _width(rewards: RewardRange) -> float:
    return rewards.high - rewards.low
