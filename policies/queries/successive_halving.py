"""Successive halving: ask all arms equally often, drop the worse half, and go on with the rest until two are left.

Source: sequential halving, Karnin, Koren, Somekh, "Almost optimal exploration in multi-armed bandits", ICML 2013, fig.
3. With |S| arms left each is asked floor(T / (|S| log2 K)) times more, once at least, and ceil(|S| / 2) stay. For
rewards in [0, 1] and K a power of 2 the paper's policy errs with probability at most 3 log2 K exp(-T / (8 H2 log2 K)).
Departs from the paper: its log2 K is rounded up, which leaves 3 queries of 15 for 5 arms unasked; here the last round
takes what is left. Means are of all answers, and not only of those of a round; the best mean of all arms is
recommended. Answers may come late: what is under way counts as asked, and a round ends when each open arm in it has one
answer at least; closed arms are not waited for (`engine/queries/elimination.py`).
State: what was asked and answered, who is still in, and a lot for each arm. Cost: O(K) a decision, O(K^2) at the end of
a round; O(1) an answer.
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


class SuccessiveHalvingParams(NamedTuple):
    """Nothing is fixed at creation."""


class SuccessiveHalvingState(NamedTuple):
    """What was asked and answered, and who is still in."""

    evidence: Evidence
    rounds: Elimination


def successive_halving() -> Policy:
    """Ask all arms equally often and drop the worse half, again and again."""
    return Policy("successive_halving", SuccessiveHalvingParams(), init, actions=("query",), feedbacks=("answer",))


def init(params: SuccessiveHalvingParams, problem: Problem) -> SuccessiveHalvingState:
    """Return the first round; refuse tasks that are not of arms, and problems without a budget."""
    evidence = begin_task(problem, "successive_halving")
    quota, keep = schedule(problem.n_arms, budget_of(problem, "successive_halving"))
    return SuccessiveHalvingState(evidence, begin_rounds(problem.n_arms, quota, keep))


def schedule(arms: int, budget: int) -> tuple[list[int], list[int]]:
    """Return how often each arm was asked when a round ends, and how many stay, of all rounds but the last.

    >>> schedule(8, 48)
    ([2, 6], [4, 2])
    >>> schedule(5, 15)
    ([1, 3], [3, 2])
    """
    quota, keep = [], []
    asked, left = 0, arms
    while left > 2:
        asked += max(1, math.floor(budget / (left * math.log2(arms))))
        left = -(-left // 2)
        quota.append(asked)
        keep.append(left)
    return quota, keep


@kernel
def select(params: SuccessiveHalvingParams, state: SuccessiveHalvingState, instance: Instance, key: Key) -> Decision:
    """Draw one of the arms still in that were asked least."""
    rank_survivors(state.evidence, state.rounds, instance.available)
    return choose(state.rounds.scratch_index, instance.available, key)


@kernel
def probability(
    params: SuccessiveHalvingParams, state: SuccessiveHalvingState, instance: Instance, action: int
) -> float:
    """Return 1 over the number of the arms still in that were asked least, for one of these."""
    rank_survivors(state.evidence, state.rounds, instance.available)
    return share(state.rounds.scratch_index, instance.available, action)


@kernel
def mark(
    params: SuccessiveHalvingParams, state: SuccessiveHalvingState, instance: Instance, decision: Decision, key: Key
) -> None:
    """Count what was asked, and write down who is in."""
    note_survivors(state.evidence, state.rounds, instance.available, decision.action, key)
    ask(params, state, instance, decision, key)


register_policy(
    SuccessiveHalvingParams,
    select=select,
    update=take_in,
    mark=mark,
    probability=probability,
    recommend=recommend_best,
)
