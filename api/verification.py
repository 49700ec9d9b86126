"""Make every decision of a log again, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from onearm.engine import loop, snapshot
from onearm.engine.vocabulary import DECIDE, Columns, Policy, Problem


class Verification(NamedTuple):
    """What a log was found to be."""

    events: int
    decisions: int
    first_difference: int | None  # number of the first decision that comes out differently
    digest: str  # of the state after the last event that was verified


def verify(
    policy: Policy,
    problem: Problem,
    run: np.uint64,
    pages: Iterable[Columns],
    progress: Callable[[int], None] = lambda events: None,
) -> Verification:
    """Replay the pages of a log through its policy; stop at the first decision that differs."""
    state = policy.init(policy.params, problem)
    events = decisions = 0
    for columns in pages:
        row = loop.replay(policy.params, state, run, columns, np.zeros(0))
        if row >= 0:
            return Verification(
                events + row,
                decisions + int((columns.kind[:row] == DECIDE).sum()),
                int(columns.number[row]),
                snapshot.digest(state),
            )
        events += len(columns.kind)
        decisions += int((columns.kind == DECIDE).sum())
        progress(len(columns.kind))
    return Verification(events, decisions, None, snapshot.digest(state))
