"""The log in SQL: experiments, events, snapshots and artefacts, in SQLite (the embedded default) or PostgreSQL.

The log is append-only and there is one writer: `Store.open` takes a lock that only one process can hold,
`append` writes everything of a batch in one transaction, and an answer may leave once it returns. Snapshots
are derived data. Hot statements are plain SQL over many rows, built once for each length (`statements.py`):
`executemany` gives up the GIL at every row.

>>> import tempfile
>>> folder = tempfile.TemporaryDirectory()
>>> store = Store.open(f"sqlite:///{folder.name}/run.db")
>>> hello = store.add_experiment("hello", "{}", b"", "{}", 0)
>>> store.append([Event(hello.key, 1, DECIDE, number=0, action=2, propensity=0.5, time=7)])
>>> store.last(hello.key)
(1, 1)
>>> store.close()
>>> folder.cleanup()
"""

from __future__ import annotations

import dataclasses
import functools
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from ..errors import Conflict, Damaged
from ..vocabulary import BESIDE, CHANGE, CORRECTED, DECIDE, DECISIONS, EXTERNAL, LEARN, Array, Columns, Problem
from . import schema
from .buckets import Buckets
from .erasures import IS_BLANK, IS_ERASED, Erasures
from .event_columns import Seen, columns_of
from .outbox import Places
from .records import Base, Counts, Event, Experiment, Snapshot, SnapshotPart, StoredArtefact
from .statements import in_lists, in_runs, marks
from .states import PARTS, States, put_snapshot, put_snapshot_part, touched_by
from .tables import ARTEFACT, BASE, BUCKET, COUNTED, ERASED, EVENT, EXPERIMENT
from .windows import Windows

SEQ_MAX = 2**63 - 1  # no log reaches it
PAGE = 5_000  # events of one SELECT
PAGE_FIRST = 100  # events of the first page where a context may be large
PAGE_BYTES = 1 << 25  # of the contexts of a page


class Store(States, Erasures, Buckets, Windows, Places):
    """A database of experiments and their events. One writer; readers in any thread or process.

    Every method raises `Unavailable` where the database does not answer, and may be called again after that.
    """

    def __init__(self, url: URL, *, write: bool) -> None:
        super().__init__(url, write=write)
        self._insert = functools.cache(self._insert_sql)

    @functools.cached_property
    def _all(self) -> str:
        """The columns of an event; what an older database has no column for is NULL."""
        since = {"unit_id": schema.UNITS, "policy": schema.POLICIES}
        have = [field if self.revision >= since.get(field, schema.LOG) else "NULL" for field in Event._fields]
        return ", ".join(have)

    @property
    def _whose(self) -> str:
        """The columns that say whom a decision is for, and when it was made."""
        return "unit_id, time" if self.revision >= schema.UNITS else "NULL, time"

    @property
    def _told(self) -> str:
        """What leaves out events that are erased, blank yet or not."""
        return f" AND NOT EXISTS ({IS_ERASED})" if self.revision >= schema.UNITS else ""

    # Writing

    def append(
        self,
        events: Sequence[Event],
        archived: Sequence[tuple[int, int | None]] = (),
        parts: Sequence[SnapshotPart] = (),
        snapshots: Sequence[Snapshot] = (),
        bases: Sequence[Base] = (),
    ) -> None:
        """Write everything in one transaction, or nothing.

        `archived` holds pairs of (experiment, time in microseconds), `parts` some parts of snapshots, `snapshots` those
        that become whole with this, `bases` those of changes among the events, whose parts are written. An
        experiment's snapshots are thinned out. Raises `Unavailable` ("commit_failed") on any error; what the log holds
        must then be read from it, as a lost connection may hide a commit that succeeded.
        """
        touched = () if self._fence is None else touched_by(events, archived, parts, snapshots, bases)
        with self._transaction(*touched) as connection:
            self._put_events(connection, events)
            for key, at in archived:
                connection.execute(sa.update(EXPERIMENT).where(EXPERIMENT.c.key == key).values(archived_at=at))
            for part in parts:
                put_snapshot_part(connection, part)
            for snapshot in snapshots:
                put_snapshot(connection, snapshot)
            for base in bases:
                connection.execute(sa.insert(BASE).values(base._asdict()))

    def add_experiment(
        self,
        id: str,
        spec: str,
        body_hash: bytes,
        versions: str,
        created_at: int,
        artefacts: Sequence[StoredArtefact] = (),
        archived_at: int | None = None,
        reserved: int | None = None,
    ) -> Experiment:
        """Write a new experiment and return it with its key; a taken id raises `Conflict`.

        The `artefacts` that it decides with are written with it, where they are not there yet. One that begins with a
        log has it already, under a `reserved` key.
        """
        said = Experiment(0, id, spec, body_hash, versions, created_at, archived_at)
        with self._transaction() as connection:
            if self._fence is not None:
                self._fence.check_new(connection, id)
            taken = connection.scalar(sa.select(EXPERIMENT.c.key).where(EXPERIMENT.c.id == id))
            if taken is not None:
                raise Conflict("experiment_exists", f"there is an experiment {id!r} already: choose another id")
            for artefact in artefacts:
                _put_artefact(connection, artefact)
            if reserved is None:
                return said._replace(key=_put_experiment(connection, said, None))
            values = {**said._asdict(), "key": reserved, "deleted_at": None}
            connection.execute(sa.update(EXPERIMENT).where(EXPERIMENT.c.key == reserved).values(values))
        return said._replace(key=reserved)

    def reserve(self, at: int) -> int:
        """Return a key for an experiment whose log is written before it, part by part, at a time in microseconds.

        Until then it is in no list, and counts as one that was deleted: where nothing comes of it, `purge` takes its
        log away.
        """
        nobody = Experiment(0, f"\n{secrets.token_hex(8)}", "", b"", "", at)  # no id has a line break
        with self._transaction() as connection:
            return _put_experiment(connection, nobody, at)

    def _put_events(self, connection: Connection, events: Sequence[Event]) -> None:
        cursor = connection.connection.cursor()  # the driver's own: SQLAlchemy's way costs 20 us a statement
        for page in in_runs(events):
            rows = [e if e.propensity == e.propensity else e._replace(propensity=None) for e in page]
            cursor.execute(self._insert(len(rows)), tuple(chain.from_iterable(rows)))
        cursor.close()

    def bury(self, experiment: int, at: int) -> None:
        """Delete an experiment: its row stays, with its id and the time (microseconds), and with blanks for the rest.

        Its log is in no list any more, and `purge` takes it away.
        """
        blank = {"spec": "", "versions": "", "body_hash": b"", "archived_at": None}
        with self._transaction(experiment) as connection:
            mine = EXPERIMENT.c.key == experiment
            connection.execute(sa.update(EXPERIMENT).where(mine).values(deleted_at=at, **blank))

    def purge(self, experiment: int, events: int) -> bool:
        """Take away so many events of a deleted experiment, or a part of a state; return whether more may be left.

        Nothing is taken from one that is there: a commit that was lost sight of may have brought it.
        SQLite overwrites what was there, and uses the space again; the file does not shrink. The -wal file is another
        matter: `empty_wal`. PostgreSQL overwrites at its next vacuum.
        """
        with self._transaction(experiment) as connection:
            row = EXPERIMENT.c.key == experiment
            if connection.scalar(sa.select(EXPERIMENT.c.deleted_at).where(row)) is None:
                return False
            first = connection.scalar(sa.select(sa.func.min(EVENT.c.seq)).where(EVENT.c.experiment == experiment))
            if first is not None:
                some = (EVENT.c.experiment == experiment) & (EVENT.c.seq < first + events)
                connection.execute(sa.delete(EVENT).where(some))
                return True
            for table in (ERASED, BUCKET, COUNTED):
                connection.execute(sa.delete(table).where(table.c.experiment == experiment))
            for whole, parts in PARTS.items():
                connection.execute(sa.delete(whole).where(whole.c.experiment == experiment))
                of_it = parts.c.experiment == experiment
                part = connection.execute(sa.select(parts.c.seq, parts.c.part).where(of_it).limit(1)).one_or_none()
                if part is not None:
                    one = of_it & (parts.c.seq == part.seq) & (parts.c.part == part.part)
                    connection.execute(sa.delete(parts).where(one))
                    return True
            return False

    def slim(self, experiment: int, seq: int, events: int) -> bool:
        """Make decisions slim that were learned before a base, among so many events; return whether more are left.

        What a retry, a count or a look-up needs stays (`states.slimmed`). Events are written anew, behind all others:
        SQLite appends to full pages, and gives back those that became empty; rows that shrink where they are would
        leave holes that nothing fills. A base that is gone has nothing left.
        """
        base = (BASE.c.experiment == experiment) & (BASE.c.seq == seq)
        event, learned = EVENT.c, EVENT.alias().c
        of_it = (learned.experiment == experiment) & (learned.kind == LEARN)
        with self._transaction(experiment) as connection:
            done = connection.scalar(sa.select(BASE.c.slim).where(base))
            if done is None or done >= seq:
                return False
            until = min(seq, done + events)
            by_then = learned.seq + 0 <= seq  # a sum, here and below: SQLite would look among all events up to that one
            closed = event.kind.in_(DECISIONS) & sa.exists().where(of_it, learned.number == event.number, by_then)
            some = (event.experiment == experiment) & (event.seq > done) & (event.seq <= until)
            blanks = _blanks(closed)
            columns = (blanks[column.name].label(column.name) if column.name in blanks else column for column in event)
            rows = [Event._make(row) for row in connection.execute(sa.select(*columns).where(some).order_by(event.seq))]
            connection.execute(sa.delete(EVENT).where(some))
            self._put_events(connection, rows)
            numbers = sa.select(learned.number).where(of_it, learned.seq > done, learned.seq <= until)
            earlier = (event.experiment == experiment) & event.kind.in_(DECISIONS) & event.number.in_(numbers)
            carried = sa.update(EVENT).where(earlier, event.seq + 0 <= done).values(_blanks(sa.true()))
            connection.execute(carried)
            connection.execute(sa.update(BASE).where(base).values(slim=until))
        return until < seq

    def _insert_sql(self, n_rows: int) -> str:
        row = f"({marks(len(Event._fields))})"
        return self._in_dialect(f"INSERT INTO event ({', '.join(Event._fields)}) VALUES {','.join([row] * n_rows)}")

    # Reading

    def experiments(self) -> list[Experiment]:
        """Return all experiments but deleted ones, in the order of their creation."""
        query = sa.select(*EXPERIMENT.c[Experiment._fields]).order_by(EXPERIMENT.c.key)
        if self.revision >= schema.DELETIONS:
            query = query.where(EXPERIMENT.c.deleted_at.is_(None))
        return [Experiment._make(row) for row in self._read_core(query)]

    def buried(self) -> list[str]:
        """Return the ids of deleted experiments."""
        query = sa.select(EXPERIMENT.c.id).where(EXPERIMENT.c.deleted_at.is_not(None))
        return [row.id for row in self._read_core(query)]

    def unpurged(self) -> list[int]:
        """Return the keys of deleted experiments of which something is left to be taken away."""
        tables = (EVENT, ERASED, BUCKET, *PARTS, *PARTS.values())
        left = [sa.exists().where(table.c.experiment == EXPERIMENT.c.key) for table in tables]
        query = sa.select(EXPERIMENT.c.key).where(EXPERIMENT.c.deleted_at.is_not(None), sa.or_(*left))
        return [row.key for row in self._read_core(query)]

    def artefacts(self) -> list[StoredArtefact]:
        """Return what experiments decide with, by digest."""
        rows = self._read_core(sa.select(ARTEFACT).order_by(ARTEFACT.c.sha256))
        return [StoredArtefact._make(row) for row in rows]

    def read_events(self, experiment: int, after: int, limit: int = PAGE) -> list[Event]:
        """Return the first `limit` events whose seq is greater than `after`, in order."""
        sql = f"SELECT {self._all} FROM event WHERE experiment = ? AND seq > ? ORDER BY seq LIMIT ?"
        return list(map(Event._make, self._read(sql, (experiment, after, limit))))

    def told_events(self, experiment: int, after: int, until: int, limit: int) -> list[Event]:
        """Return the first `limit` events after one seq, up to another, that are not erased, in order."""
        sql = (
            f"SELECT {self._all} FROM event WHERE experiment = ? AND seq > ? AND seq <= ?{self._told} "
            "ORDER BY seq LIMIT ?"
        )
        return list(map(Event._make, self._read(sql, (experiment, after, until, limit))))

    def carried(self, experiment: int, after: int, until: int, place: int, limit: int) -> list[Event]:
        """Return the first decisions behind `place`, up to a seq, that were learned after it, up to another, in order.

        Whoever reads a log from that seq on needs them.
        """
        sql = (
            f"SELECT {self._all} FROM event WHERE experiment = ? AND seq > ? AND seq <= ?{self._told} "
            f"AND kind IN ({DECIDE}, {EXTERNAL}) AND number IN "
            f"(SELECT number FROM event WHERE experiment = ? AND seq > ? AND seq <= ? AND kind = {LEARN}) "
            "ORDER BY seq LIMIT ?"
        )
        return list(map(Event._make, self._read(sql, (experiment, place, after, experiment, after, until, limit))))

    def find(self, experiment: int, numbers: Sequence[int], decision_ids: Sequence[str] = ()) -> list[Event]:
        """Return the DECIDE and EXTERNAL rows asked for, by number or by the client's id, and all their LEARN,
        OUTCOME and CORRECTED rows.

        In the order of seq; what does not exist, or is blank, is not in the answer.
        """
        wanted = set(numbers)
        for ids in in_lists(list(dict.fromkeys(decision_ids))):
            sql = f"SELECT number FROM event WHERE experiment = ? AND decision_id IN ({marks(len(ids))})"
            wanted.update(number for (number,) in self._read(sql, (experiment, *ids)))
        events: list[Event] = []
        for some in in_lists(sorted(wanted)):
            sql = f"SELECT {self._all} FROM event WHERE experiment = ? AND number IN ({marks(len(some))})"
            sql += f" AND NOT EXISTS ({IS_BLANK})" if self.revision >= schema.UNITS else ""
            events += map(Event._make, self._read(sql, (experiment, *some)))
        return sorted(events, key=lambda event: event.seq)

    def of_unit(self, experiment: int, unit_id: str, after: int, limit: int) -> list[int]:
        """Return the numbers of the first `limit` decisions for a unit that are greater than `after`, in order."""
        if self.revision < schema.UNITS:
            return []
        sql = "SELECT number FROM event WHERE experiment = ? AND unit_id = ? AND number > ? ORDER BY number LIMIT ?"
        return [number for (number,) in self._read(sql, (experiment, unit_id, after, limit))]

    def last(self, experiment: int) -> tuple[int, int]:
        """Return the seq of the last event (0 if there is none) and the number of the next decision."""
        seq = "SELECT seq FROM event WHERE experiment = ? ORDER BY seq DESC LIMIT 1"
        number = "SELECT max(number) FROM event WHERE experiment = ?"
        last_seq, last_number = self._read(f"SELECT ({seq}), ({number})", (experiment, experiment))[0]
        return last_seq or 0, max(-1 if last_number is None else last_number, -1) + 1  # EARLY ones are below 0

    def changes(self, experiment: int) -> list[Event]:
        """Return the CHANGE events, in order."""
        # Found by their number, and sorted here: with an order by seq SQLite would walk through all events for it.
        sql = f"SELECT {self._all} FROM event WHERE experiment = ? AND number IS NULL"
        return sorted(map(Event._make, self._read(sql, (experiment,))), key=lambda event: event.seq)

    def decided(self, experiment: int, after: int, until: int) -> list[tuple[int | None, int, int]]:
        """Return, of decisions after one seq and up to another: action, how many took it, how many have no propensity.

        Decisions without a number of an action are under None. Reads all events between.
        """
        if after >= until:
            return []
        sql = (
            "SELECT action, count(*), count(*) - count(propensity) FROM event "
            f"WHERE experiment = ? AND seq > ? AND seq <= ? AND kind IN ({DECIDE}, {EXTERNAL}) GROUP BY action"
        )
        return self._read(sql, (experiment, after, until))

    def first_seq(self, experiment: int, number: int) -> int:
        """Return the seq of a decision; 0 where there is none."""
        seq = self._read("SELECT min(seq) FROM event WHERE experiment = ? AND number = ?", (experiment, number))
        return seq[0][0] or 0

    def since(self, experiment: int, number: int, after: int, until: int) -> Iterator[tuple[int, float | None]]:
        """Yield kind and reward of the decisions from a number on and what was learned of them, between two seqs."""
        sql = (
            "SELECT seq, kind, reward FROM event WHERE experiment = ? AND number >= ? AND seq > ? AND seq <= ? "
            f"AND kind IN ({DECIDE}, {LEARN}, {EXTERNAL}) ORDER BY seq LIMIT ?"
        )
        while rows := self._read(sql, (experiment, number, after, until, PAGE)):
            yield from ((kind, reward) for _, kind, reward in rows)
            after = rows[-1][0]
            if len(rows) < PAGE:
                return

    def course(self, experiment: int, number: int, until: int) -> list[tuple[int, int, int, int | None, float | None]]:
        """Return seq, kind, number, action and reward of the decisions from a number on, and of what came of them.

        In the order of seq, up to one; what is erased is left out, and an action may be none, as a reward may.
        """
        sql = (
            "SELECT seq, kind, number, action, reward FROM event WHERE experiment = ? AND number >= ? AND seq + 0 <= ? "
            f"AND kind IN ({DECIDE}, {EXTERNAL}, {LEARN}, {CORRECTED}){self._told}"
        )
        return sorted(self._read(sql, (experiment, number, until)))  # here: SQLite would walk through all events

    def counts(self, experiment: int, changes: int | None = None) -> Counts:
        """Return how many events, decisions and rewards there are, from the ends of two indexes.

        `changes` is how many of these there are, where that was read before.
        """
        if changes is None:  # CHANGE rows alone have no number; first, as one more meanwhile must not be taken off
            count = "SELECT count(*) FROM event WHERE experiment = ? AND number IS NULL"
            changes = self._read(count, (experiment,))[0][0]
        seq, decisions = self.last(experiment)
        beside = changes + self.n_beside(experiment, seq)
        return Counts(seq, decisions, seq - decisions - beside)

    def counts_at(self, experiment: int, seq: int) -> Counts:
        """Return how many events, decisions and rewards there are up to a seq, of a log that is at least as long."""
        # Changes are found by their index; with a bound of seq SQLite would read all events up to it.
        changes = self._read("SELECT seq FROM event WHERE experiment = ? AND number IS NULL", (experiment,))
        last = (
            f"SELECT number FROM event WHERE experiment = ? AND seq <= ? AND kind IN ({DECIDE}, {EXTERNAL}) "
            "ORDER BY seq DESC LIMIT 1"
        )
        numbers = self._read(last, (experiment, seq))
        decisions = numbers[0][0] + 1 if numbers else 0
        beside = sum(at <= seq for (at,) in changes) + self.n_beside(experiment, seq)
        return Counts(seq, decisions, seq - decisions - beside)

    def columns(
        self,
        experiment: int,
        problem: Problem,
        after: int = 0,
        page: int = PAGE,
        learned_only: bool = False,
        until: int = SEQ_MAX,
        sizes: Callable[[Array], Array] | None = None,
        bare: bool = False,
    ) -> Iterator[tuple[Columns, int, int]]:
        """Yield the events after seq `after`, up to `until`, as Columns: pages, each with its first and last seq.

        LEARN rows repeat the action, propensity, context and mask of their decision; decisions older than a
        page are fetched in one query a page. Blank rows and those of kinds that are BESIDE count for the seq and are in
        no columns, nor are decisions with `learned_only`. Action sets of fewer actions than the page's largest are
        padded. `sizes` gives the number of arms at decisions of some numbers, where arms were added. Pages are shorter
        than `page` where contexts are large. A `bare` log has no contexts and no masks, as those of slim events are
        gone: every action is available; its blank rows are in the columns, with an action and a detail that are others.
        Raises `Damaged` where rows do not fit the problem or an event is missing, as where the log ends before `until`.
        """
        if after >= until:  # as with most experiments when a service starts again: all is in their snapshots
            return
        if bare:
            problem, sizes = dataclasses.replace(problem, context_shape=(0,), nonzeros=None), None
        seen = "NULL, NULL" if bare else "context, available"
        whose = "NULL, 0" if bare else self._whose
        told = ("COALESCE(detail, ?)", _any_detail(problem)) if bare else ("detail",)
        kind = "kind"
        if not bare and self.erased(experiment):
            kind = f"CASE WHEN EXISTS ({IS_BLANK}) THEN {CHANGE} ELSE kind END"
        sql = (
            f"SELECT seq, {kind}, number, action, propensity, reward, {seen}, {told[0]}, vector, {whose} "
            "FROM event WHERE experiment = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
        )
        limit = min(page, PAGE_FIRST) if problem.layout != "dense" else min(page, _fitting(problem))
        while rows := self._read(sql, (*told[1:], experiment, after, until, limit)):
            if rows[-1][0] - after != len(rows):
                raise Damaged(
                    "missing_events",
                    f"the log of experiment {experiment} in {self.name} lacks events between seq {after} and "
                    f"{rows[-1][0]}: restore the database from a backup",
                )
            first, after = rows[0][0], rows[-1][0]
            if events := [row for row in rows if row[1] not in BESIDE]:
                older = functools.partial(self._older, experiment, f"{seen}, vector, {whose}")
                yield columns_of(events, older, problem, learned_only, sizes), first, after
            if len(rows) < limit:
                break
            largest = max(sum(len(part or b"") for part in (row[6], row[8], row[9])) for row in rows)
            limit = min(page, max(1, PAGE_BYTES // (largest + 1)), 2 * limit)
        if after < until < SEQ_MAX:
            raise Damaged(
                "missing_events",
                f"the log of experiment {experiment} in {self.name} ends by seq {after}, and was to be read up to seq "
                f"{until}: where that was committed once, restore the database from a backup",
            )

    def _older(self, experiment: int, seen: str, numbers: Array) -> Seen:
        """Return what decisions saw; `numbers` ascend."""
        rows: list[Any] = []
        for some in in_lists(numbers.tolist()):
            sql = (
                f"SELECT number, {seen} FROM event WHERE experiment = ? AND kind IN ({DECIDE}, {EXTERNAL}) "
                f"AND number IN ({marks(len(some))}) ORDER BY number"
            )
            rows += self._read(sql, (experiment, *some))
        found, *fields = zip(*rows, strict=True) if rows else ((),)
        if len(rows) < len(numbers):
            lost = min(set(numbers.tolist()) - set(found))
            raise Damaged(
                "missing_decision",
                f"the log of experiment {experiment} in {self.name} has a reward of decision {lost}, but not "
                "the decision: restore the database from a backup",
            )
        return Seen(*fields)


def _blanks(closed: sa.ColumnElement[bool]) -> dict[str, sa.ColumnElement[Any]]:
    """Return what is written over columns of decisions that are `closed`, as `states.slimmed` does."""
    event = EVENT.c
    blank = {name: sa.case((closed, sa.null()), else_=event[name]) for name in ("context", "available", "sent")}
    unnamed = closed & event.decision_id.is_(None)
    return blank | {"detail": sa.case((unnamed, sa.null()), else_=event.detail)}


def _any_detail(problem: Problem) -> str | None:
    """Return a detail that feedback may have, whatever the kind; None where it has none."""
    return json.dumps([1.0] * problem.detail_length) if problem.detail_length else None


def _put_experiment(connection: Connection, row: Experiment, deleted_at: int | None) -> int:
    """Write a row of table experiment and return the key that it gets."""
    values = {**row._asdict(), "deleted_at": deleted_at}
    del values["key"]
    key = connection.execute(sa.insert(EXPERIMENT).values(values)).inserted_primary_key
    assert key is not None
    made: int = key[0]
    return made


def _put_artefact(connection: Connection, artefact: StoredArtefact) -> None:
    """Write an artefact, unless it is there."""
    known = sa.select(ARTEFACT.c.sha256).where(ARTEFACT.c.sha256 == artefact.sha256)
    if connection.scalar(known) is None:
        connection.execute(sa.insert(ARTEFACT).values(artefact._asdict()))


def _fitting(problem: Problem) -> int:
    """Return how many events of dense contexts make a page, at least 1."""
    numbers = problem.context_shape[0] + problem.dimension + problem.detail_length
    return max(1, PAGE_BYTES // (8 * numbers + 1))
