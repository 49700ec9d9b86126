"""A policy on somebody else's log: it decides on every logged row, and learns where it agrees.

Source: Li, Chu, Langford, Wang, "Unbiased offline evaluation of contextual-bandit-based news article recommendation
algorithms", 2011, algorithm 3. Cost: one decision and one `probability` a row.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from onearm.engine import loop
from onearm.engine.columns import take
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_seed, fitted
from onearm.engine.vocabulary import Array, Columns, Policy, Problem

PAGE = 1 << 18  # rows between two reports of progress


@dataclass(frozen=True)
class Matching:
    """What a policy would have done on a log of n rows."""

    policy: dict[str, Any]  # spec
    agrees: Array  # bool[n], it would have taken the logged action
    target: Array  # float64[n], the probability with which it takes the logged action
    cpu_seconds: float  # in the compiled loop


def match(
    policy: Policy,
    problem: Problem,
    rows: Columns,
    *,
    seed: int = 0,
    progress: Callable[[int], None] = lambda rows: None,
) -> Matching:
    """Let a policy decide on `rows`, one logged decision with its reward each, in their order.

    Moves are refused, for matching needs decisions that leave the next ones as they are; and so are vectors, of which
    no two are the same.

    >>> from onearm.policies import catalog
    >>> from onearm.engine.columns import empty
    >>> rows = empty(4, Problem(n_arms=2))
    >>> rows.action[:], rows.reward[:] = [0, 0, 1, 1], [0.0, 1.0, 1.0, 1.0]
    >>> match(catalog.make("ucb1"), Problem(n_arms=2), rows).agrees
    array([ True, False,  True,  True])
    """
    if problem.action_kind == "vector":
        raise InvalidInput(
            "no_matching",
            "the log is of vectors: another policy decides another point, of whose reward it says nothing; let "
            "policies play with onearm simulate, or make this log's own decisions again with onearm verify",
        )
    if problem.action_kind == "move":
        raise InvalidInput(
            "no_matching",
            "the log is of arms that stream past, where each move changes which are possible later: what another "
            "policy would have met is not in it; let policies play with onearm simulate, or make this log's own "
            "decisions again with onearm verify",
        )
    if problem.action_kind == "query":
        raise InvalidInput(
            "no_matching",
            "the log is of queries, which earn nothing: what counts is what is recommended in the end; let policies "
            "play with onearm simulate, or make this log's own decisions again with onearm verify",
        )
    policy = fitted(policy, problem)
    state = policy.init(policy.params, problem)
    n = len(rows.kind)
    agrees, target = np.zeros(n, np.bool_), np.zeros(n)
    run = run_key(check_seed(seed), 0, POLICY)
    arguments = (policy.params, state, run, take(rows, slice(0, 0)), 0, 0, agrees, target)
    entry = loop.match.compiled(*arguments)
    matched = 0
    started = time.thread_time()
    for start in range(0, n, PAGE):
        part = slice(start, start + PAGE)
        page = take(rows, part)
        matched = entry(policy.params, state, run, page, start, matched, agrees[part], target[part])
        progress(len(page.kind))
    return Matching(policy.spec, agrees, target, time.thread_time() - started)
