"""Stored snapshots beside the log that they were made of: each must hold what that folds to, and what it adds up to."""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...engine import snapshot
from ...engine.columns import take
from ...engine.errors import Damaged
from ...engine.storage.records import Base, Snapshot
from ...engine.storage.store import Store
from ...engine.vocabulary import LEARN, Columns
from ..experiment.spec import Spec
from ..experiment.sums import Tally, packed
from ..kinds.kind import Kind
from .bases import Beginning, beginning
from .folded import counted, event_of
from .history import History, Part


class Checkpoint:
    """A snapshot in its place in the log: what it holds beside the policy's state is folded up to there."""

    def __init__(
        self, store: Store, bases: Sequence[Base], stored: Snapshot | Base, spec: Spec, kind: Kind, history: History
    ) -> None:
        self.stored = stored
        self._store, self._kind, self._history = store, kind, history
        _, part = kind.own.split(beginning(store, bases, spec, kind, history, stored.seq).kept)
        self._own = kind.own.begin(spec, part, history)
        self._sums: Any = None

    def fold(self, page: Columns) -> None:
        """Enter a page of the log."""
        self._kind.own.fold(self._own, take(page, np.flatnonzero(page.kind == LEARN)))

    def end(self, tally: Tally) -> None:
        """Take what the log adds up to, once it has come to this place."""
        decided_at = functools.partial(event_of, self._store, self.stored.experiment)
        self._kind.own.end(self._own, self._history, decided_at, self.stored.decisions)
        self._sums = tally.copied().sums

    def fault(self, state: Any) -> str | None:
        """Return what is wrong with the snapshot beside the state that the log folds to, where something is."""
        stored, own = self.stored, self._kind.own
        name, remedy, sums_of = "snapshot", "delete it", self._store.snapshot_sums
        if isinstance(stored, Base):
            name, remedy, sums_of = "base of the change", "restore a backup", self._store.base_sums
        if stored.digest != snapshot.digest(own.join(state, own.part(self._own))):
            return f"the {name} at seq {stored.seq} is of another state than its log folds to: {remedy}"
        if sums_of(stored.experiment, stored.seq) not in (None, packed(self._sums)):
            return f"the {name} at seq {stored.seq} has other sums than its log adds up to: {remedy}"
        return None


class Pause(NamedTuple):
    """A place in a log where whoever folds it pauses: what is known there may be set later."""

    seq: int


class Before:
    """What lies before the base that a log is folded from. It is slim: no decision of it can be made again.

    But each is there once and has one reward at most, and what they add up to is what the base says: unless some are
    blank, and so are the details that are to be added up.
    """

    def __init__(self, store: Store, key: int, spec: Spec, kind: Kind, history: History, begun: Beginning) -> None:
        self._log, self._history, self._begun = (store, key), history, begun
        self._tally = kind.tally(spec, spec.problem)

    def pages(self) -> Iterator[Columns]:
        """Yield its events, without contexts and masks."""
        for page in self._history.pages(*self._log, 0, self._begun.seq, bare=True):
            self._tally = counted(self._tally, page)
            if isinstance(page, Columns):
                yield page

    def fault(self) -> str | None:
        """Return what is wrong with the base beside these events, once all were read, where something is."""
        store, key = self._log
        begun = self._begun
        if store.erased(key) and self._history.problem(begun.seq).detail_length:
            return None
        self._tally.count_log(store, key, 0, begun.seq)
        if packed(self._tally.sums) != packed(begun.tally.sums):
            return f"the base at seq {begun.seq} has other sums than its log adds up to: restore a backup"
        return None


def with_checkpoints(
    store: Store, key: int, spec: Spec, kind: Kind, last: int, begun: Beginning, places: Sequence[int] = ()
) -> Iterator[Part | Checkpoint | Pause]:
    """Yield a log from its beginning up to a seq in pages, and between them the snapshots in their places.

    So are the bases of changes, and some `places`. Snapshots of other versions, which nobody reads, are left
    out, and so are those whose bytes are not whole. Those of earlier versions have no sums.
    """
    changes, bases = store.changes(key), store.bases(key)
    history = History(spec, changes, kind.change_types)
    kept: list[Snapshot | Base] = [one for one in store.newest_snapshots(key) if begun.seq <= one.seq <= last]
    kept = [one for one in kept if one.versions == history.spec(one.seq).versions_json() and _is_whole(store, one)]
    kept += [base for base in bases if base.of_change and begun.seq < base.seq <= last]
    checkpoints = []
    for stored in sorted(kept, key=lambda stored: stored.seq):
        before = [change for change in changes if change.seq <= stored.seq]
        checkpoints.append(Checkpoint(store, bases, stored, spec, kind, History(spec, before, kind.change_types)))
    tally, after = begun.tally.copied(), begun.seq
    for i, until in enumerate([*(one.stored.seq for one in checkpoints), last]):
        between = places[bisect_right(places, after) : bisect_left(places, until)]
        for place in [*between, until]:
            for page in history.pages(store, key, after, place):
                tally = counted(tally, page)
                if isinstance(page, Columns):
                    for checkpoint in checkpoints[i:]:
                        checkpoint.fold(page)
                yield page
            tally.count_log(store, key, after, place)
            after = place
            yield Pause(place)
        for checkpoint in checkpoints[i : i + 1]:
            checkpoint.end(tally)
            yield checkpoint


def _is_whole(store: Store, stored: Snapshot | Base) -> bool:
    """Tell whether the bytes of a snapshot have their digests; recovery skips it where they do not."""
    parts = store.snapshot_parts(stored.experiment, stored.seq)
    try:
        for _ in snapshot.checked(parts, stored.digest):
            pass
    except Damaged:
        return False
    return True
