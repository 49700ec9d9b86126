"""Make every decision of a log again, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import NamedTuple

import numpy as np

from ...engine import snapshot
from ...engine.storage.database import event_pages
from ...engine.storage.records import Event
from ...engine.storage.store import Store
from ...engine.vocabulary import DECIDE, DECISIONS, LEARN, Array, Columns
from ..experiment.spec import Spec
from ..kinds.kind import Kind, Whole
from .bases import beginning, given
from .checkpoints import Before, Checkpoint, Pause, with_checkpoints
from .closings import fault_of
from .company import Company
from .history import History, Part


class Verification(NamedTuple):
    """What a log was found to be."""

    events: int
    decisions: int
    first_difference: int | None  # the first decision that comes out differently, or whose record is not whole
    digest: str  # of the state after the last event that was verified
    note: str | None = None  # what is wrong with that record
    bad_snapshot: str | None = None  # what is wrong with the first snapshot that the log does not fold to
    base: int | None = None  # the seq of the base that it begins with: no decision before it was made again


def verify_log(
    store: Store,
    key: int,
    spec: Spec,
    kind: Kind,
    last: int,
    progress: Callable[[int], None] = lambda events: None,
) -> Verification:
    """Verify the log of an experiment in a database up to a seq, from its newest base on.

    What windows closed with is compared with what came from the beginning on. Raises `Damaged` where that base cannot
    be read, or rows of the log.
    """
    history = History(spec, store.changes(key), kind.change_types)
    bases = store.bases(key)
    begun = beginning(store, [base for base in bases if not base.of_change], spec, kind, history, last)
    state, _ = kind.own.split(begun.kept)
    found_by = given(store, bases, spec, kind, history)
    company = Company(spec, history, state, begun.seq, last, found_by, store.corrections(key, last))
    pages = with_checkpoints(store, key, spec, kind, last, begun, company.places)
    found = verify(company, pages, progress, Before(store, key, spec, kind, history, begun))
    if spec.window is not None and found.first_difference is None:
        wrong = fault_of(spec.window, store.arrived(key, last))
        if wrong is not None:
            found = found._replace(first_difference=wrong.number, note=wrong.note)
    if kind.several is not None and found.first_difference is None:
        events = chain.from_iterable(event_pages(store, key, 0, last))
        found = with_whole(found, kind.several.whole(history.roster.labels_at), events)
    return found._replace(base=begun.seq or None)


def with_whole(found: Verification, whole: Whole, events: Iterable[Event]) -> Verification:
    """Return what a log was found to be, with the first of its decisions that is not whole where each is several."""
    for event in events:
        if event.kind in DECISIONS and (note := whole.fault(event)) is not None:
            return found._replace(first_difference=event.number, note=note)
    return found


def verify(
    company: Company,
    pages: Iterable[Part | Checkpoint | Pause],
    progress: Callable[[int], None] = lambda events: None,
    before: Before | None = None,
) -> Verification:
    """Replay the pages of a log through its policies; stop at the first decision that differs or is not on record.

    Where the log is folded from a base, the `company` begins with its state, and what lies `before` is not made again.

    Where an arm joined, the problem from there on stands between two pages, and so does what a person said of the
    world, and who decides where policies changed. Decisions that someone else made are learned from, and not made
    again. Where states are set they are folded beside the log, which is read once. Snapshots that stand between pages
    (`with_checkpoints`) are compared with what the log folds to.
    """
    ledger = _Ledger()
    events = decisions = 0
    bad: str | None = None
    if before is not None:
        for columns in before.pages():
            if (fault := ledger.fault(columns)) is not None:
                return Verification(0, 0, fault.number, snapshot.digest(company.state), fault.note)
        bad = before.fault()
    for part in pages:
        if isinstance(part, Checkpoint):
            bad = bad or part.fault(company.state)
            continue
        if isinstance(part, Pause):
            company.pass_by(part.seq)
            continue
        if not isinstance(part, Columns):
            company.change(part)
            continue
        columns = part
        if (fault := ledger.fault(columns)) is not None:
            return Verification(events, decisions, fault.number, snapshot.digest(company.state), fault.note)
        row = company.replay(columns)
        if row >= 0:
            return Verification(
                events + row,
                decisions + int((columns.kind[:row] == DECIDE).sum()),
                int(columns.number[row]),
                snapshot.digest(company.state),
            )
        events += len(columns.kind)
        decisions += int((columns.kind == DECIDE).sum())
        progress(len(columns.kind))
    return Verification(events, decisions, None, snapshot.digest(company.state), bad_snapshot=bad)


class _Fault(NamedTuple):
    number: int
    note: str


class _Ledger:
    """Every decision once, in order; at most one reward for each, which repeats its action and propensity.

    Of a decision this keeps 17 bytes, whatever it is: of a move or a vector a hash, which differs for others but once
    in 2^64 times.
    """

    def __init__(self) -> None:
        self._known = 0  # decisions
        self._action = np.zeros(0, np.int64)  # of these arrays the first so many are in use
        self._propensity = np.zeros(0)
        self._learned = np.zeros(0, np.bool_)

    def fault(self, columns: Columns) -> _Fault | None:
        """Enter a page of the log; return the first thing that is wrong with it."""
        decided, learned = columns.kind != LEARN, columns.kind == LEARN
        first = self._known
        number = columns.number[decided]
        wrong = np.flatnonzero(number != np.arange(first, first + len(number)))
        if len(wrong):
            return _Fault(first + int(wrong[0]), f"decision {first + int(wrong[0])} is missing, or not in its place")
        self._enter(_readable(columns.action[decided]), columns.propensity[decided])
        number = columns.number[learned]
        if len(unknown := number[number >= self._known]):
            return _Fault(int(unknown[0]), f"decision {unknown[0]} has a reward, but is missing")
        once, places = np.unique(number, return_index=True)
        twice = np.append(number[np.setdiff1d(np.arange(len(number)), places)], once[self._learned[once]])
        if len(twice):
            return _Fault(int(twice.min()), f"decision {twice.min()} has two rewards")
        self._learned[number] = True
        action, propensity = _readable(columns.action[learned]), columns.propensity[learned]
        same = (action == self._action[number]) & (
            (propensity == self._propensity[number]) | (np.isnan(propensity) & np.isnan(self._propensity[number]))
        )
        if not same.all():
            other = int(number[~same][0])
            return _Fault(other, f"the reward of decision {other} repeats another action or propensity")
        return None

    def _enter(self, action: Array, propensity: Array) -> None:
        """Append decisions; room is doubled where it ends, as copying all with every page would take n^2."""
        first, self._known = self._known, self._known + len(action)
        if self._known > len(self._action):
            more = max(self._known, 2 * len(self._action)) - len(self._action)
            self._action = np.append(self._action, np.zeros(more, np.int64))
            self._propensity = np.append(self._propensity, np.zeros(more))
            self._learned = np.append(self._learned, np.zeros(more, np.bool_))
        self._action[first : self._known] = action
        self._propensity[first : self._known] = propensity


def _readable(actions: Array) -> Array:
    """Return what tells n actions apart, int64[n]: arms by their number, others by a hash of their bytes."""
    if actions.ndim == 1:
        return actions
    return np.fromiter((hash(row.tobytes()) for row in actions), np.int64, len(actions))
