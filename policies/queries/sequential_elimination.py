"""Sequential elimination: ask all arms equally often, reject the worst, and go on with the rest until two are left.

Source: successive rejects, Audibert, Bubeck, Munos, "Best arm identification in multi-armed bandits", COLT 2010, fig.
2. Phase k = 1..K-1 ends when each arm that is still in was asked n_k = ceil((T - K) / (L (K + 1 - k))) times, with
L = 1/2 + 1/2 + 1/3 + .. + 1/K. For rewards in [0, 1] it errs with probability at most
K (K - 1) / 2 exp(-(T - K) / (L H2)) (theorem 2), and needs to know nothing of the gaps.
Departs from the paper: n_k is 1 at least, the last two arms take what is left of the budget, and the best mean of all
arms is recommended. Answers may come late: what is under way counts as asked, and a phase ends when each open arm in
it has one answer at least; closed arms are not waited for (`engine/queries/elimination.py`).
State: what was asked and answered, who is still in, and a lot for each arm. Cost: O(K) a decision, O(1) an answer.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ...engine.kernel import kernel
from ...engine.protocol import register_policy
from ...engine.queries.elimination import Elimination, begin_rounds, note_survivors, rank_survivors
from ...engine.queries.evidence import Evidence, ask, budget_of, recommend_best, take_in
from ...engine.queries.query_index import begin_task, choose, share
from ...engine.vocabulary import Decision, Instance, Key, Policy, Problem

ROUNDING = 1e-9  # what a whole number may be off by


class SequentialEliminationParams(NamedTuple):
    """Nothing is fixed at creation."""


class SequentialEliminationState(NamedTuple):
    """What was asked and answered, and who is still in."""

    evidence: Evidence
    rounds: Elimination


def sequential_elimination() -> Policy:
    """Ask all arms equally often and reject the worst, again and again."""
    return Policy(
        "sequential_elimination", SequentialEliminationParams(), init, actions=("query",), feedbacks=("answer",)
    )


def init(params: SequentialEliminationParams, problem: Problem) -> SequentialEliminationState:
    """Return the first phase; refuse tasks that are not of arms, and problems without a budget."""
    evidence = begin_task(problem, "sequential_elimination")
    quota = schedule(problem.n_arms, budget_of(problem, "sequential_elimination"))
    keep = list(range(problem.n_arms - 1, 1, -1))
    return SequentialEliminationState(evidence, begin_rounds(problem.n_arms, quota, keep))


def schedule(arms: int, budget: int) -> list[int]:
    """Return n_k of the phases k = 1..K-2, after which one arm is rejected; the last phase is not over.

    >>> schedule(5, 15)
    [2, 2, 2]
    >>> schedule(4, 100)
    [16, 21]
    """
    if arms < 3:
        return []
    harmonic = 0.5
    for i in range(2, arms + 1):  # not `sum`, which has other bits from Python 3.12 on
        harmonic += 1.0 / i
    parts = ((budget - arms) / (harmonic * (arms + 1 - k)) for k in range(1, arms - 1))
    return [max(1, math.ceil(part - ROUNDING)) for part in parts]


@kernel
def select(
    params: SequentialEliminationParams, state: SequentialEliminationState, instance: Instance, key: Key
) -> Decision:
    """Draw one of the arms still in that were asked least."""
    rank_survivors(state.evidence, state.rounds, instance.available)
    return choose(state.rounds.scratch_index, instance.available, key)


@kernel
def probability(
    params: SequentialEliminationParams, state: SequentialEliminationState, instance: Instance, action: int
) -> float:
    """Return 1 over the number of the arms still in that were asked least, for one of these."""
    rank_survivors(state.evidence, state.rounds, instance.available)
    return share(state.rounds.scratch_index, instance.available, action)


@kernel
def mark(
    params: SequentialEliminationParams,
    state: SequentialEliminationState,
    instance: Instance,
    decision: Decision,
    key: Key,
) -> None:
    """Count what was asked, and write down who is in."""
    note_survivors(state.evidence, state.rounds, instance.available, decision.action, key)
    ask(params, state, instance, decision, key)


register_policy(
    SequentialEliminationParams,
    select=select,
    update=take_in,
    mark=mark,
    probability=probability,
    recommend=recommend_best,
)
