"""UCRL2B: follow the best policy of the best world that is plausible, in boxes as wide as the variances say.

Source: Fruit, Pirotta, Lazaric, "Improved analysis of UCRL2 with empirical Bernstein inequality", 2020: how likely each
next state is within 2 sqrt(p (1 - p) L / n) + 6 L / n, L = ln(6 S A n / delta), rewards likewise by their variance; a
new plan when some pair's count has doubled. Regret O(sqrt(D Gamma S A T ln(T / delta))) with a probability of
1 - delta, D the diameter, Gamma the most states that can follow one. Rewards in [0, 1], or as parts of the range that
is declared.
Departs from the paper: sweeps begin at the values of the plan before, with the aperiodic transform; where units end,
that is one more state.
State: counts (`engine/states/counts.py`), the plan at hand and the next one (`engine/states/planning.py`), the sets
(`engine/states/balls.py`).
Propensities: 1, as nothing is drawn.
Cost: O(A) per decision. A feedback O(1), or where a plan is due sweeps of up to O(S) for each pair, at most
1e6 multiply-adds in one update: the rest follows with the next ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ...engine.elementary import log
from ...engine.kernel import kernel, register
from ...engine.states.balls import Boxes, boxes
from ...engine.states.counts import mean_reward_of, reward_variance, write_shares
from ...engine.states.hopeful import HopefulParams, check_delta, hopeful
from ...engine.states.replanning import Planner, planner
from ...engine.vocabulary import Policy, Problem


class Ucrl2bWidths(NamedTuple):
    """What the sets are made of."""

    delta: float  # probability with which the true world may lie outside of the set, in (0, 1)


def ucrl2b(delta: float = 0.05) -> Policy:
    """Follow the best policy of the best world in boxes as wide as the variances say."""
    return hopeful("ucrl2b", Ucrl2bWidths(check_delta(delta)), init)


def init(params: HopefulParams, problem: Problem) -> Planner:
    """Return the state before any feedback."""
    return planner(problem, boxes(problem.states or 0, problem.n_arms))


@kernel
def _describe(widths: Ucrl2bWidths, state: Planner, s: int) -> int:
    """Write the largest rewards of a state's actions, and the boxes around their laws. Return the work."""
    seen, model = state.seen, state.model
    states, n_arms = seen.visits.shape
    laws: Boxes = model.laws
    laws.ends[0] = seen.ended[0]
    work = 8 * n_arms
    for a in range(n_arms):
        model.reward[s, a] = 1.0
        work += write_shares(laws.centre, seen, s, a)
        n = seen.visits[s, a]
        if n > 0:
            rate = log(6.0 * states * n_arms * n / widths.delta) / n
            bonus = 2.0 * math.sqrt(reward_variance(seen, s, a) * rate) + 6.0 * rate
            model.reward[s, a] = min(mean_reward_of(seen, s, a) + bonus, 1.0)
            laws.width_else[s, a] = 6.0 * rate
            for i in range(laws.centre.successors[s, a]):
                p = laws.centre.chance[s, a, i]
                laws.width[s, a, i] = 2.0 * math.sqrt(p * (1.0 - p) * rate) + 6.0 * rate
            work += 4 * laws.centre.successors[s, a]
    return work


register(Ucrl2bWidths, describe=_describe)
