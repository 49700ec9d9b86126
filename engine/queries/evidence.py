"""What policies that ask know, and how the world answers: shared by the tasks of active learning (`engine/task.py`).

`Evidence` counts queries and answers, and adds answers up; sums commute (of normal
answers up to the last digit), so answers may come late and in any order.
The plug-in score of a hypothesis z says how good it looks: of arms the mean answer, of other hypotheses <z, s>, the sum
of the answers to what it holds, which for signs is minus its number of errors, up to a constant (bits count as -1/2 and
1/2); and where answers are normal <z, mean>.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..answers import ANSWERS, BITS
from ..draws import RECOMMENDATION, uniform
from ..errors import InvalidInput
from ..kernel import kernel
from ..vocabulary import Array, Decision, Feedback, Instance, Key, Problem

ARMS, SUMS, MEANS = range(3)


class Evidence(NamedTuple):
    """What was asked, and what was answered."""

    asked: Array  # int64[n] how often each query was decided
    count: Array  # int64[n] how many answers of each were learned
    total: Array  # float64[n] the sum of these
    scratch_table: Array  # float64[m, n] the hypotheses, fixed by the problem
    scratch_score: Array  # float64[m]
    scratch_rule: Array  # int64[2] how answers are scored, ARMS, SUMS or MEANS, and their kind; fixed by the problem


def begin(problem: Problem) -> Evidence:
    """Return what is known before the first query. Raises `InvalidInput` where the problem has no task."""
    task = problem.task
    if task is None:
        raise InvalidInput("policy_does_not_fit", "this policy asks queries, and the problem has no task: give it one")
    rule = ARMS if task.kind == "arms" else MEANS if task.answers == "normal" else SUMS
    return Evidence(
        asked=np.zeros(task.n_queries, np.int64),
        count=np.zeros(task.n_queries, np.int64),
        total=np.zeros(task.n_queries),
        scratch_table=task.table.copy(),
        scratch_score=np.zeros(task.n_hypotheses),
        scratch_rule=np.array([rule, ANSWERS[task.answers]]),
    )


def budget_of(problem: Problem, policy: str) -> int:
    """Return how many queries there are to ask; refuse a problem that does not say."""
    if problem.horizon is None:
        raise InvalidInput(
            "no_budget", f"policy {policy!r} plans with the number of queries: give the budget as the horizon"
        )
    return problem.horizon


@kernel
def ask(params: Any, state: Any, instance: Instance, decision: Decision, key: Key) -> None:
    """Count what was asked: a `mark` for states that hold an `evidence`."""
    state.evidence.asked[decision.action] += 1


@kernel
def take_in(params: Any, state: Any, instance: Instance, decision: Decision, feedback: Feedback, key: Key) -> None:
    """Count an answer: an `update` for states that hold an `evidence`."""
    state.evidence.count[decision.action] += 1
    state.evidence.total[decision.action] += feedback.detail[0]


@kernel
def mean_of(evidence: Evidence, query: int) -> float:
    """Return the mean answer to a query; -inf before the first."""
    return evidence.total[query] / evidence.count[query] if evidence.count[query] > 0 else -math.inf


@kernel
def score(evidence: Evidence) -> None:
    """Write the plug-in score of every hypothesis into `scratch_score`. Cost: O(n) for arms, O(m n) for others."""
    rule, kind = evidence.scratch_rule[0], evidence.scratch_rule[1]
    scores = evidence.scratch_score
    for z in range(len(scores)):
        if rule == ARMS:
            scores[z] = mean_of(evidence, z)
            continue
        value = 0.0
        for i in range(len(evidence.count)):
            if evidence.count[i] > 0:
                total = evidence.total[i] - (0.5 * evidence.count[i] if kind == BITS else 0.0)
                value += evidence.scratch_table[z, i] * (total / evidence.count[i] if rule == MEANS else total)
        scores[z] = value


@kernel
def recommend_best(params: Any, state: Any, key: Key) -> int:
    """Return the hypothesis that looks best, one of several by a draw: a `recommend` for states with an `evidence`."""
    score(state.evidence)
    return best_of(state.evidence.scratch_score, key)


@kernel
def best_of(scores: Array, key: Key) -> int:
    """Return the place of the largest score; of several one, each as likely."""
    best = -math.inf
    ties = 0
    for z in range(len(scores)):
        if scores[z] > best:
            best = scores[z]
            ties = 0
        if scores[z] == best:
            ties += 1
    nth = min(int(uniform(key, RECOMMENDATION) * ties), ties - 1)
    for z in range(len(scores)):
        if scores[z] == best:
            if nth == 0:
                return z
            nth -= 1
    return 0
