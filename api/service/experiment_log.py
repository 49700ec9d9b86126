"""The log of one experiment of a database, to be evaluated or converted. A running service is not disturbed.

Where it was compacted it begins at its base: what was decided before, and learned by then, is slim, and not part of it.
Decisions from before whose rewards came later come first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ...engine.errors import Conflict, NotFound
from ...engine.storage import database
from ...engine.storage.events import Events
from ...engine.storage.joined_form import Extent, JoinedRow, Joining
from ...engine.storage.records import Base, Event, Experiment
from ...engine.storage.rows import Rows, Wanted
from ...engine.storage.store import Store
from ...engine.vocabulary import CORRECTED, LEARN, Problem
from ..experiment.spec import Spec
from ..kinds.table import kind_of
from .artefacts import keep_all
from .history import History
from .segments import name_segments


@dataclass(frozen=True)
class ExperimentLog:
    """The log of an experiment, as long as its database is open."""

    store: Store
    key: int
    problem: Problem  # with all arms that there are in the end
    spec: dict[str, Any]
    history: History
    size: int  # the seq of the last event that is part of it
    bases: tuple[Base, ...] = ()

    @property
    def begins(self) -> int:
        """The seq of the base that it begins with, 0 without one."""
        return self.bases[-1].seq if self.bases else 0

    @property
    def note(self) -> str | None:
        """What a reader must know of its beginning, where that is a base."""
        if not self.bases:
            return None
        return f"the log was compacted and begins after event {self.begins}; {_whereabouts(self.bases)}"

    def rows(self, wanted: Wanted, progress: Callable[[int], None] = lambda count: None) -> Rows:
        """Read the rewarded decisions; they outlive the database. `progress` is told how many events were read.

        Where features have names, a segment is the value of one of a decision's context.
        """
        roster = self.history.roster
        sizes = roster.sizes if roster.joined else None
        named = wanted.segment if self.problem.layout == "named" else None
        asked = wanted if named is None else replace(wanted, segment=None)
        about = self.store, self.key, self.problem, asked, sizes, self.begins, self.size, progress
        found = database.read_rows(*about)
        found.labels = list(roster.labels) if len(roster.labels) == found.problem.n_arms else []
        if named is not None:
            name_segments(found, self.pages(), named)
        self._check()
        if self.note is not None:
            found.notes.append(self.note)
        return found

    def events(self, progress: Callable[[int], None] = lambda count: None) -> Events:
        """Read all events; `progress` is told how many were read."""
        return database.read_events(self.store, self.key, self.problem, self.spec, self._checked, progress, self.begins)

    def pages(self, after: int | None = None) -> Iterator[list[Event]]:
        """Read the events after a seq, or all, in pages as an export is written in.

        Raises `Conflict` ("compacted") where what lies after that seq is slim.
        """
        if after is None:
            yield from self._masked(database.carried_pages(self.store, self.key, self.begins, self.size))
            after = self.begins
        self.check_after(after)
        yield from self._masked(database.event_pages(self.store, self.key, after, self.size))

    @property
    def extent(self) -> Extent:
        """Which of its events an export holds."""
        return Extent(self.begins, self.size, self.store.erased_events(self.key, self.begins, self.size))

    def joined_pages(self, extent: Extent) -> Iterator[list[JoinedRow]]:
        """Read all events, in pages of rows as an export in the joined form is written in, under a header of `extent`.

        Raises `Conflict` ("erased") in the end where decisions were erased since, so that some pages lack them and the
        header does not say it.
        """
        joining = Joining(self._learned)
        for page in self.pages():
            yield joining.rows(page)
        if self.extent != extent:
            raise Conflict("erased", "decisions were erased while the log was read: read it again from its beginning")

    def _learned(self, numbers: Sequence[int]) -> list[Event]:
        """Return what was learned of decisions, and corrections of it, as far as the log holds that."""
        found = self.store.find(self.key, numbers)
        return [event for event in found if event.kind in (LEARN, CORRECTED) and self.begins < event.seq <= self.size]

    def check_after(self, after: int) -> None:
        """Refuse to read on from a seq before the base."""
        if after < self.begins:
            raise Conflict(
                "compacted",
                f"the log begins after event {self.begins}, and after is {after}: {_whereabouts(self.bases)}; read on "
                f"with after={self.begins}",
            )

    def _masked(self, pages: Iterable[list[Event]]) -> Iterator[list[Event]]:
        for page in pages:
            yield self._checked(page)

    def _checked(self, page: list[Event]) -> list[Event]:
        """Return events with masks over all arms, once it is sure that none was slim when they were read."""
        self._check()
        return self.history.masked(page)

    def _check(self) -> None:
        if self.store.slim_seq(self.key) > self.begins:
            raise Conflict("compacted", "the log was compacted while it was read: read it again from its beginning")


def log_of(store: Store, row: Experiment, until: int | None = None) -> ExperimentLog:
    """Return the log of an experiment up to a seq, or to what is its last event now."""
    bases = tuple(base for base in store.bases(row.key) if not base.whole)
    last, _ = store.last(row.key)
    size = last if until is None else min(until, last)
    spec = Spec.from_stored(json.loads(row.spec))
    changes = [event for event in store.changes(row.key) if event.seq <= size]
    history = History(spec, changes, kind_of(spec.problem).change_types)
    header = spec.to_json() | {"seed": str(spec.seed)}
    return ExperimentLog(store, row.key, history.problem(size), header, history, size, bases)


@contextmanager
def opened_log(url: str, experiment: str | None) -> Iterator[ExperimentLog]:
    """Open the log of an experiment of a database; its name may be left out where it is the only one."""
    store = Store.open(url, write=False)
    try:
        keep_all(store)
        rows = {row.id: row for row in store.experiments()}
        if experiment is None and len(rows) == 1:
            experiment = next(iter(rows))
        if experiment not in rows:
            asked = "no experiment is named" if experiment is None else f"there is no experiment {experiment!r}"
            raise NotFound("unknown_experiment", f"{asked}: there are {', '.join(rows) or 'none'}")
        yield log_of(store, rows[experiment])
    finally:
        store.close()


def _whereabouts(bases: Iterable[Base]) -> str:
    """Say where what lies before the last of some bases is."""
    first, kept = 1, []
    for base in bases:
        where = "in no archive" if base.archive is None else f"in the archive {base.archive}"
        kept.append(f"events {first} to {base.seq} are {where}")
        first = base.seq + 1
    return ", ".join(kept)
