"""Uniform: ask every query equally often, in random order, and recommend what looks best.

Source: the baseline of fixed-budget exploration (Audibert, Bubeck, Munos, "Best arm identification in multi-armed
bandits", COLT 2010, section 2); as measured in this project's tables: a round robin in which each query is drawn among
those asked least so far.
State: how often each query was asked and answered, and sums of answers. Cost: O(n) a decision, O(1) an answer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...engine.kernel import kernel
from ...engine.protocol import register_policy
from ...engine.queries.evidence import Evidence, ask, begin, recommend_best, take_in
from ...engine.queries.query_index import choose, share
from ...engine.vocabulary import Array, Decision, Instance, Key, Policy, Problem


class UniformBudgetParams(NamedTuple):
    """Nothing is fixed at creation."""


class UniformBudgetState(NamedTuple):
    """What was asked and answered."""

    evidence: Evidence
    scratch_index: Array  # float64[n]


def uniform_budget() -> Policy:
    """Ask every query equally often, and recommend what looks best."""
    return Policy("uniform_budget", UniformBudgetParams(), init, actions=("query",), feedbacks=("answer",))


def init(params: UniformBudgetParams, problem: Problem) -> UniformBudgetState:
    """Return the state before the first query."""
    return UniformBudgetState(begin(problem), np.zeros(problem.n_arms))


@kernel
def select(params: UniformBudgetParams, state: UniformBudgetState, instance: Instance, key: Key) -> Decision:
    """Draw one of the open queries that were asked least."""
    _rank(state)
    return choose(state.scratch_index, instance.available, key)


@kernel
def probability(params: UniformBudgetParams, state: UniformBudgetState, instance: Instance, action: int) -> float:
    """Return 1 over the number of open queries that were asked least, for one of these."""
    _rank(state)
    return share(state.scratch_index, instance.available, action)


@kernel
def _rank(state: UniformBudgetState) -> None:
    for i in range(len(state.scratch_index)):
        state.scratch_index[i] = -float(state.evidence.asked[i])


register_policy(
    UniformBudgetParams, select=select, update=take_in, mark=ask, probability=probability, recommend=recommend_best
)
