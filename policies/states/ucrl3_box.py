"""UCRL3 by its boxes: follow the best policy of the best world in boxes that hold at all times at once.

Source: Bourel, Maillard, Talebi, "Tightening exploration in upper confidence reinforcement learning", ICML 2020, with
the constants of the authors' program: how likely each next state is within sqrt(p L / n) + L / (3 n), with
L = 2 ln ln max(e, n) + ln(3 / d) and d = delta / (2 S A); rewards likewise, with their mean for p; a new plan when some
pair's count has doubled. Rewards in [0, 1], or as parts of the range that is declared.
Departs from the paper: it also takes the smaller one of this width and those of sub-Gaussian bounds, and leaves states
out that are not likely enough to follow; that is not built. Sweeps begin at the values of the plan before, with the
aperiodic transform; where units end, that is one more state.
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
from ...engine.states.counts import mean_reward_of, write_shares
from ...engine.states.hopeful import HopefulParams, check_delta, hopeful
from ...engine.states.replanning import Planner, planner
from ...engine.vocabulary import Policy, Problem


class Ucrl3BoxWidths(NamedTuple):
    """What the sets are made of."""

    delta: float  # probability with which the true world may lie outside of the set, in (0, 1)


def ucrl3_box(delta: float = 0.05) -> Policy:
    """Follow the best policy of the best world in boxes that hold at all times at once."""
    return hopeful("ucrl3_box", Ucrl3BoxWidths(check_delta(delta)), init)


def init(params: HopefulParams, problem: Problem) -> Planner:
    """Return the state before any feedback."""
    return planner(problem, boxes(problem.states or 0, problem.n_arms))


@kernel
def _describe(widths: Ucrl3BoxWidths, state: Planner, s: int) -> int:
    """Write the largest rewards of a state's actions, and the boxes around their laws. Return the work."""
    seen, model = state.seen, state.model
    states, n_arms = seen.visits.shape
    laws: Boxes = model.laws
    laws.ends[0] = seen.ended[0]
    log_pairs = log(6.0 * states * n_arms / widths.delta)
    work = 8 * n_arms
    for a in range(n_arms):
        model.reward[s, a] = 1.0
        work += write_shares(laws.centre, seen, s, a)
        n = seen.visits[s, a]
        if n > 0:
            rate = (2.0 * log(log(max(math.e, float(n)))) + log_pairs) / n
            bonus = math.sqrt(mean_reward_of(seen, s, a) * rate) + rate / 3.0
            model.reward[s, a] = min(mean_reward_of(seen, s, a) + bonus, 1.0)
            laws.width_else[s, a] = rate / 3.0
            for i in range(laws.centre.successors[s, a]):
                laws.width[s, a, i] = math.sqrt(laws.centre.chance[s, a, i] * rate) + rate / 3.0
            work += 4 * laws.centre.successors[s, a]
    return work


register(Ucrl3BoxWidths, describe=_describe)
