"""Make every decision of a log again, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from onearm.engine import loop, snapshot
from onearm.engine.actions import empty_actions, equal_actions
from onearm.engine.growth import grown
from onearm.engine.vocabulary import DECIDE, LEARN, Columns, Policy, Problem


class Verification(NamedTuple):
    """What a log was found to be."""

    events: int
    decisions: int
    first_difference: (
        int | None
    )  # number of the first decision that comes out differently, or whose record is not whole
    digest: str  # of the state after the last event that was verified
    note: str | None = None  # what is wrong with that record


def verify(
    policy: Policy,
    problem: Problem,
    run: np.uint64,
    pages: Iterable[Columns | Problem],
    progress: Callable[[int], None] = lambda events: None,
) -> Verification:
    """Replay the pages of a log through its policy; stop at the first decision that differs or is not on record.

    Where an arm joined, the problem from there on stands between two pages. Decisions that someone else made are
    learned from, and not made again.
    """
    state = policy.init(policy.params, problem)
    ledger = _Ledger(problem)
    events = decisions = 0
    for columns in pages:
        if isinstance(columns, Problem):
            state = grown(policy, state, columns)
            continue
        if (fault := ledger.fault(columns)) is not None:
            return Verification(events, decisions, fault.number, snapshot.digest(state), fault.note)
        row = loop.replay(policy.params, state, run, columns)
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


class _Fault(NamedTuple):
    number: int
    note: str


class _Ledger:
    """Every decision once, in order; at most one reward for each, which repeats its action and propensity."""

    def __init__(self, problem: Problem) -> None:
        self._action = empty_actions(0, problem)
        self._propensity = np.zeros(0)
        self._learned = np.zeros(0, np.bool_)

    def fault(self, columns: Columns) -> _Fault | None:
        """Enter a page of the log; return the first thing that is wrong with it."""
        decided, learned = columns.kind != LEARN, columns.kind == LEARN
        number = columns.number[decided]
        first = len(self._action)
        wrong = np.flatnonzero(number != np.arange(first, first + len(number)))
        if len(wrong):
            return _Fault(first + int(wrong[0]), f"decision {first + int(wrong[0])} is missing, or not in its place")
        self._action = np.concatenate([self._action, columns.action[decided]])
        self._propensity = np.append(self._propensity, columns.propensity[decided])
        self._learned = np.append(self._learned, np.zeros(len(number), np.bool_))
        number = columns.number[learned]
        if len(unknown := number[number >= len(self._action)]):
            return _Fault(int(unknown[0]), f"decision {unknown[0]} has a reward, but is missing")
        once, places = np.unique(number, return_index=True)
        twice = np.append(number[np.setdiff1d(np.arange(len(number)), places)], once[self._learned[once]])
        if len(twice):
            return _Fault(int(twice.min()), f"decision {twice.min()} has two rewards")
        self._learned[number] = True
        action, propensity = columns.action[learned], columns.propensity[learned]
        same = equal_actions(action, self._action[number]) & (
            (propensity == self._propensity[number]) | (np.isnan(propensity) & np.isnan(self._propensity[number]))
        )
        if not same.all():
            other = int(number[~same][0])
            return _Fault(other, f"the reward of decision {other} repeats another action or propensity")
        return None
