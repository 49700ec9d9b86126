"""KL-UCRL: follow the best policy of the best world that is plausible, in KL balls around what was counted.

Source: Filippi, Cappe, Garivier, "Optimism in reinforcement learning and Kullback-Leibler divergence", 2010: laws of
the next state with KL(counted, law) <= C / n, C = S (B + ln(B + 1 / ln T) (1 + 1 / (B + 1 / ln T))),
B = ln(2 e S^2 A ln T / delta); rewards up to r + sqrt(ln(4 S A ln T / delta) / 1.99 / n); a new plan when some pair's
count has doubled. Regret O(D S sqrt(A T ln(ln T / delta))) with a probability of 1 - delta, D the diameter. T is the
horizon, or where none is known what was learned so far: then no bound is proved. Rewards in [0, 1], or as parts of the
range that is declared.
Departs from the paper: sweeps begin at the values of the plan before, with the aperiodic transform; where units end,
that is one more state of the balls.
State: counts (`engine/states/counts.py`), the plan at hand and the next one (`engine/states/planning.py`), the sets
(`engine/states/balls.py`).
Propensities: 1, as nothing is drawn.
Cost: O(A) per decision. A feedback O(1), or where a plan is due sweeps of some 10 logarithms for each
transition that was seen, at most what 1e6 multiply-adds take in one update: the rest follows with the next ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.elementary import log
from ...engine.kernel import kernel, register
from ...engine.states.balls import kl_balls
from ...engine.states.counts import Experience, mean_reward_of, write_shares
from ...engine.states.hopeful import HopefulParams, check_delta, hopeful
from ...engine.states.planning import Model, Plan
from ...engine.states.replanning import Epoch, planner
from ...engine.vocabulary import Array, Policy, Problem


class KlUcrlWidths(NamedTuple):
    """What the sets are made of."""

    delta: float  # probability with which the true world may lie outside of the set, in (0, 1)


class KlUcrlState(NamedTuple):
    """Arrays that `update` writes; the horizon never changes."""

    seen: Experience
    plan: Plan
    model: Model
    epoch: Epoch
    horizon: Array  # int64[1] decisions in all, 0 if unknown


def kl_ucrl(delta: float = 0.05) -> Policy:
    """Follow the best policy of the best world in KL balls around what was counted."""
    return hopeful("kl_ucrl", KlUcrlWidths(check_delta(delta)), init)


def init(params: HopefulParams, problem: Problem) -> KlUcrlState:
    """Return the state before any feedback."""
    own = planner(problem, kl_balls(problem.states or 0, problem.n_arms))
    return KlUcrlState(*own, horizon=np.array([problem.horizon or 0], np.int64))


@kernel
def _describe(widths: KlUcrlWidths, state: KlUcrlState, s: int) -> int:
    """Write the largest rewards of a state's actions, and the balls around their laws. Return the work."""
    seen, model = state.seen, state.model
    states, n_arms = seen.visits.shape
    log_time = log(max(float(state.horizon[0] if state.horizon[0] > 0 else state.epoch.learned[0]), 3.0))
    pairs = states * n_arms / widths.delta * log_time
    outcomes = states + (1 if seen.ended[0] else 0)
    b = log(2.0 * math.e * outcomes * pairs)
    inner = b + 1.0 / log_time
    radius = outcomes * (b + log(inner) * (1.0 + 1.0 / inner))
    width = math.sqrt(log(4.0 * pairs) / 1.99)
    work = 8 * n_arms
    for a in range(n_arms):
        model.reward[s, a] = 1.0
        n = seen.visits[s, a]
        if n > 0:
            model.reward[s, a] = min(mean_reward_of(seen, s, a) + width / math.sqrt(n), 1.0)
            model.laws.radius[s, a] = radius / n
        work += write_shares(model.laws.centre, seen, s, a)
    return work


register(KlUcrlWidths, describe=_describe)
