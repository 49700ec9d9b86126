"""UCRL2: follow the best policy of the best world that is plausible, in L1 balls around what was counted.

Source: Jaksch, Ortner, Auer, "Near-optimal regret bounds for reinforcement learning", JMLR 2010, figure 1: rewards up
to r + sqrt(7 ln(2 S A t / delta) / (2 n)), laws of the next state within sqrt(14 S ln(2 A t / delta) / n) of the
counted ones; a new plan when some pair's count has doubled. Regret O(D S sqrt(A T ln(T / delta))) with a probability of
1 - delta, D the diameter. Rewards in [0, 1], or as parts of the range that is declared.
Departs from the paper: sweeps begin at the values of the plan before, with the aperiodic transform; where units end,
that is one more state of the balls.
State: counts (`engine/states/counts.py`), the plan at hand and the next one (`engine/states/planning.py`), the sets
(`engine/states/balls.py`).
Propensities: 1, as nothing is drawn.
Cost: O(A) per decision. A feedback O(1), or where a plan is due sweeps of O(S) for each pair, at most 1e6
multiply-adds in one update: the rest follows with the next ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ...engine.elementary import log
from ...engine.kernel import kernel, register
from ...engine.states.balls import l1_balls
from ...engine.states.counts import mean_reward_of, write_shares
from ...engine.states.hopeful import HopefulParams, check_delta, hopeful
from ...engine.states.replanning import Planner, planner
from ...engine.vocabulary import Policy, Problem


class Ucrl2Widths(NamedTuple):
    """What the sets are made of."""

    delta: float  # probability with which the true world may lie outside of the set, in (0, 1)


def ucrl2(delta: float = 0.05) -> Policy:
    """Follow the best policy of the best world in L1 balls around what was counted."""
    return hopeful("ucrl2", Ucrl2Widths(check_delta(delta)), init)


def init(params: HopefulParams, problem: Problem) -> Planner:
    """Return the state before any feedback."""
    return planner(problem, l1_balls(problem.states or 0, problem.n_arms))


@kernel
def _describe(widths: Ucrl2Widths, state: Planner, s: int) -> int:
    """Write the largest rewards of a state's actions, and the balls around their laws. Return the work."""
    seen, model = state.seen, state.model
    states, n_arms = seen.visits.shape
    t = float(state.epoch.learned[0])
    log_pairs = log(2.0 * states * n_arms * t / widths.delta)
    log_arms = log(2.0 * n_arms * t / widths.delta)
    outcomes = states + (1 if seen.ended[0] else 0)
    work = 8 * n_arms
    for a in range(n_arms):
        model.reward[s, a] = 1.0
        n = seen.visits[s, a]
        if n > 0:
            model.reward[s, a] = min(mean_reward_of(seen, s, a) + math.sqrt(3.5 * log_pairs / n), 1.0)
            model.laws.radius[s, a] = math.sqrt(14.0 * outcomes * log_arms / n)
        work += write_shares(model.laws.centre, seen, s, a)
    return work


register(Ucrl2Widths, describe=_describe)
