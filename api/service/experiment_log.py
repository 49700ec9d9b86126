"""The log of one experiment of a database, to be evaluated or converted. A running service is not disturbed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...engine.errors import NotFound
from ...engine.storage import database
from ...engine.storage.events import Events
from ...engine.storage.rows import Rows, Wanted
from ...engine.storage.store import Store
from ...engine.storage.tables import Event, Experiment
from ...engine.vocabulary import Problem
from ..experiment.spec import Spec
from ..kinds.table import kind_of
from .artefacts import keep_all
from .history import History


@dataclass(frozen=True)
class ExperimentLog:
    """The log of an experiment, as long as its database is open."""

    store: Store
    key: int
    problem: Problem  # with all arms that there are in the end
    spec: dict[str, Any]
    history: History
    size: int  # the seq of the last event that is part of it

    def rows(self, wanted: Wanted) -> Rows:
        """Read the rewarded decisions; they outlive the database."""
        roster = self.history.roster
        sizes = roster.sizes if roster.joined else None
        return database.read_rows(self.store, self.key, self.problem, wanted, sizes)

    def events(self, progress: Callable[[int], None] = lambda count: None) -> Events:
        """Read all events; `progress` is told how many were read."""
        return database.read_events(self.store, self.key, self.problem, self.spec, self.history.masked, progress)

    def pages(self, after: int = 0) -> Iterator[list[Event]]:
        """Read the events after a seq, in pages as an export is written in."""
        return map(self.history.masked, database.event_pages(self.store, self.key, after, self.size))


def log_of(store: Store, row: Experiment, until: int | None = None) -> ExperimentLog:
    """Return the log of an experiment up to a seq, or to what is its last event now."""
    last, _ = store.last(row.key)
    size = last if until is None else min(until, last)
    spec = Spec.from_stored(json.loads(row.spec))
    changes = [event for event in store.changes(row.key) if event.seq <= size]
    history = History(spec, changes, kind_of(spec.problem).change_types)
    header = spec.to_json() | {"seed": str(spec.seed)}
    return ExperimentLog(store, row.key, history.problem(size), header, history, size)


@contextmanager
def opened(url: str, experiment: str | None) -> Iterator[ExperimentLog]:
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
