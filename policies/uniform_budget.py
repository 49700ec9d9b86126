"""Uniform: ask every query equally often, in random order, and recommend what looks best.

Source: the baseline of fixed-budget exploration (Audibert, Bubeck, Munos, "Best arm identification in multi-armed
bandits", COLT 2010, section 2); as measured in this project's tables: a round robin in which each query is drawn among
those asked least so far.
State: how often each query was asked and answered, and sums of answers. Cost: O(n) a decision, O(1) an answer.
"""

from __future__ import annotations

from typing import NamedTuple

from onearm.engine.draws import uniform
from onearm.engine.kernel import kernel
from onearm.engine.protocol import register_policy
from onearm.engine.queries import Evidence, ask, begin, recommend_best, take_in
from onearm.engine.vocabulary import Array, Decision, Instance, Key, Policy, Problem


class UniformBudgetParams(NamedTuple):
    """Nothing is fixed at creation."""


class UniformBudgetState(NamedTuple):
    """What was asked and answered."""

    evidence: Evidence


def uniform_budget() -> Policy:
    """Ask every query equally often, and recommend what looks best."""
    return Policy("uniform_budget", UniformBudgetParams(), init, actions=("query",), feedbacks=("answer",))


def init(params: UniformBudgetParams, problem: Problem) -> UniformBudgetState:
    """Return the state before the first query."""
    return UniformBudgetState(begin(problem))


@kernel
def select(params: UniformBudgetParams, state: UniformBudgetState, instance: Instance, key: Key) -> Decision:
    """Draw one of the open queries that were asked least."""
    asked = state.evidence.asked
    least, ties = fewest(asked, instance.available)
    nth = min(int(uniform(key, 0) * ties), ties - 1)
    for i in range(len(asked)):
        if instance.available[i] and asked[i] == least:
            if nth == 0:
                return Decision(i, 1.0 / ties)
            nth -= 1
    return Decision(0, 1.0)  # never: one of them is the nth


@kernel
def fewest(asked: Array, available: Array) -> tuple[int, int]:
    """Return how often the open queries that were asked least were asked, and how many these are."""
    least = -1
    ties = 0
    for i in range(len(asked)):
        if available[i]:
            if least < 0 or asked[i] < least:
                least = asked[i]
                ties = 0
            ties += asked[i] == least
    return least, ties


@kernel
def probability(params: UniformBudgetParams, state: UniformBudgetState, instance: Instance, action: int) -> float:
    """Return 1 over the number of open queries that were asked least, for one of these."""
    least, ties = fewest(state.evidence.asked, instance.available)
    return 1.0 / ties if instance.available[action] and state.evidence.asked[action] == least else 0.0


register_policy(
    UniformBudgetParams, select=select, update=take_in, mark=ask, probability=probability, recommend=recommend_best
)
