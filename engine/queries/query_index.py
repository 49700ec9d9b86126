"""Which open query is asked: the one of the largest index, of several one by a draw.

A query that was asked counts as visited before its answer comes, so that a batch that is asked at once is not one query
again and again; and as long as it has no answer at all, it is hoped to be as good as the best.
"""

from __future__ import annotations

import math

from ..draws import uniform
from ..errors import InvalidInput
from ..kernel import kernel
from ..task import TaskKind
from ..vocabulary import Array, Decision, Key, Problem
from .evidence import Evidence, begin


def begin_task(problem: Problem, policy: str, kinds: tuple[TaskKind, ...] = ("arms",)) -> Evidence:
    """Return what is known before the first query; refuse a task that is not of one of these kinds."""
    evidence = begin(problem)
    assert problem.task is not None  # or `begin` had refused it
    if problem.task.kind not in kinds:
        raise InvalidInput(
            "policy_does_not_fit",
            f"policy {policy!r} is for tasks of the kind {' or '.join(kinds)}, and this one is of the kind "
            f"{problem.task.kind!r}: take another policy (see `onearm policies`)",
        )
    return evidence


@kernel
def visits(evidence: Evidence, query: int) -> int:
    """Return how often a query was asked, answered or not; an answer counts also where others had asked."""
    return max(evidence.asked[query], evidence.count[query])


@kernel
def hopeful_means(evidence: Evidence, available: Array, means: Array) -> None:
    """Write the mean answer to each query, float64[n]; of what has none that of the best open one, and 0 at first."""
    best = -math.inf
    for i in range(len(means)):
        if evidence.count[i] > 0:
            means[i] = evidence.total[i] / evidence.count[i]
            if available[i]:
                best = max(best, means[i])
    for i in range(len(means)):
        if evidence.count[i] == 0:
            means[i] = best if best > -math.inf else 0.0


@kernel
def largest(index: Array, available: Array) -> tuple[float, int]:
    """Return the largest index, float64[n], of the open queries, and how many of them have it."""
    best = -math.inf
    ties = 0
    for i in range(len(index)):
        if available[i]:
            if index[i] > best:
                best = index[i]
                ties = 0
            ties += index[i] == best
    return best, ties


@kernel
def choose(index: Array, available: Array, key: Key) -> Decision:
    """Return the open query of the largest index; of several one, each as likely."""
    best, ties = largest(index, available)
    nth = min(int(uniform(key, 0) * ties), ties - 1)
    for i in range(len(index)):
        if available[i] and index[i] == best:
            if nth == 0:
                return Decision(i, 1.0 / ties)
            nth -= 1
    return Decision(0, 1.0)  # never: one of them is the nth


@kernel
def share(index: Array, available: Array, query: int) -> float:
    """Return the probability that `choose` returns a query."""
    best, ties = largest(index, available)
    return 1.0 / ties if available[query] and index[query] == best else 0.0
