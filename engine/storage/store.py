"""The log in SQL: experiments, events, snapshots and artefacts, in SQLite (the embedded default) or PostgreSQL.

The log is append-only and there is one writer: `Store.open` takes a lock that only one process can hold,
`append` writes everything of a batch in one transaction, and an answer may leave once it returns. Snapshots
are derived data. Hot statements are plain SQL over many rows, built once for each number of rows:
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

import fcntl
import functools
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import quote

import numpy as np
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from ..actions import possible_details, unpack_actions, unpack_details
from ..contexts import n_actions, take_contexts, unpack_contexts
from ..errors import Conflict, Damaged, InvalidInput, OnearmError, Unavailable
from ..vocabulary import CHANGE, DECIDE, LEARN, Array, Columns, Problem

ROWS_MAX = 200  # rows of one INSERT
KEYS_MAX = 5_000  # numbers or ids of one SELECT
PAGE_FIRST = 100  # events of the first page where a context may be large
PAGE_BYTES = 1 << 25  # of the contexts of a page
SNAPSHOTS_KEPT = 2
BUSY_SECONDS = 30
LOCK_SECONDS = 1
ADVISORY_LOCK = 0x6F6E6561726D  # "onearm"
VERSION_TABLE = "onearm_schema"
MIGRATIONS = Path(__file__).resolve().parent / "migrations"

METADATA = sa.MetaData()
EXPERIMENT = sa.Table(
    "experiment",
    METADATA,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("body_hash", sa.LargeBinary, nullable=False),
    sa.Column("versions", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("archived_at", sa.BigInteger),
)
EVENT = sa.Table(
    "event",
    METADATA,
    sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("number", sa.BigInteger),
    sa.Column("action", sa.BigInteger),
    sa.Column("propensity", sa.Double),
    sa.Column("reward", sa.Double),
    sa.Column("context", sa.LargeBinary),
    sa.Column("available", sa.LargeBinary),
    sa.Column("detail", sa.Text),
    sa.Column("sent", sa.Text),
    sa.Column("decision_id", sa.Text),
    sa.Column("reward_id", sa.Text),
    sa.Column("body_hash", sa.LargeBinary),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("actions", sa.Text),
    sa.Column("vector", sa.LargeBinary),
    sa.UniqueConstraint("experiment", "decision_id", name="event_decision_id"),
    sa.UniqueConstraint("experiment", "number", "reward_id", name="event_number_reward_id"),
)
SNAPSHOT = sa.Table(
    "snapshot",
    METADATA,
    sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("decisions", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("versions", sa.Text, nullable=False),
)
SNAPSHOT_PART = sa.Table(
    "snapshot_part",
    METADATA,
    sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True),
    sa.Column("state", sa.LargeBinary, nullable=False),
)
ARTEFACT = sa.Table(
    "artefact",
    METADATA,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("arrays", sa.LargeBinary, nullable=False),
    sa.Column("description", sa.LargeBinary, nullable=False),
)


class Experiment(NamedTuple):
    """A row of table experiment: an immutable spec."""

    key: int  # the foreign key of event and snapshot
    id: str  # the public id, unique
    spec: str  # JSON: policy, problem, arms, seed
    body_hash: bytes  # sha256 of the creating request's body
    versions: str  # JSON: onearm, policy, numba, numpy, platform
    created_at: int  # microseconds since 1970 UTC
    archived_at: int | None = None  # microseconds since 1970 UTC


class Event(NamedTuple):
    """A row of table event. The fields are the columns, in their order."""

    experiment: int
    seq: int  # from 1 per experiment, without gaps
    kind: int  # DECIDE, LEARN, CHANGE or GIVEN; what is said of DECIDE holds for GIVEN
    number: int | None = None  # of the decision, from 0 without gaps; None on CHANGE
    action: int | None = None  # an arm; on LEARN repeated from the decision
    propensity: float | None = None  # on LEARN repeated from the decision; NaN is stored as NULL
    reward: float | None = None  # LEARN only
    context: bytes | None = None  # as `engine/contexts.py` packs it; DECIDE only, None where the problem has none
    available: bytes | None = None  # numpy.packbits of the mask; DECIDE only, None where all arms are
    detail: str | None = None  # JSON; on CHANGE what changed, on DECIDE the explanation asked for, on LEARN a list
    sent: str | None = None  # the client's JSON, for people
    decision_id: str | None = None  # the client's; DECIDE only, None where the server made it
    reward_id: str | None = None  # LEARN only: the client's, or ''
    body_hash: bytes | None = None  # sha256 of the request's body
    time: int = 0  # microseconds since 1970 UTC
    actions: str | None = None  # JSON, the ids of the actions by position; DECIDE only, None where arms are fixed
    vector: bytes | None = None  # an action that is no arm, as `engine/actions.py` packs it; DECIDE only


class Snapshot(NamedTuple):
    """A row of table snapshot: a state at a seq, whose parts are all there. Derived from the log."""

    experiment: int
    seq: int  # the last event that the state has learned
    decisions: int  # the number of the next decision
    digest: str  # sha256 of the bytes of all parts, in hex
    versions: str  # JSON


class SnapshotPart(NamedTuple):
    """A row of table snapshot_part: some of the bytes of a state, written before the row of its snapshot."""

    experiment: int
    seq: int
    part: int  # from 0 without gaps
    state: bytes


class StoredArtefact(NamedTuple):
    """A row of table artefact: what an experiment decides with, so that its log needs no file beside it."""

    sha256: str  # in hex, of the whole: engine/trained/artefact.py
    name: str
    arrays: bytes  # .npz
    description: bytes  # JSON


class Counts(NamedTuple):
    """How much an experiment's log holds."""

    seq: int  # of the last event, 0 if there is none
    decisions: int
    rewards: int


class Store:
    """A database of experiments and their events. One writer; readers in any thread or process.

    `append` and `add_experiment` share one connection, which on PostgreSQL also holds the
    lock: a writer that lost its connection lost its lock with it, and cannot write until it holds both again.
    Every method raises `Unavailable` where the database does not answer, and may be called again after that.
    """

    def __init__(self, url: URL, *, write: bool) -> None:
        self.url = url
        self.name = url.render_as_string(hide_password=True)
        self._sqlite = url.get_backend_name() == "sqlite"
        self._write = write
        self._reader = _engine(url, write=False)
        self._opener = _engine(url, write=True, poolclass=NullPool)  # so that closing really ends the session
        self._writer: Connection | None = None
        self._writing = threading.Lock()
        self._lock_file: IO[str] | None = None
        self._insert = functools.cache(self._insert_sql)

    @classmethod
    def open(cls, url: str, *, write: bool = True) -> Store:
        """Open a database, `sqlite:///FILE` or `postgresql://USER@HOST/NAME`.

        With `write` the file and the tables are made or migrated as need be, and the database is locked until
        `close` or the end of the process; a second writer is refused with `Unavailable`. Without, nothing is
        changed, and a writer may be at work meanwhile.
        """
        store = cls(_parse(url), write=write)
        try:
            if write:
                store._open_to_write()
            else:
                store._open_to_read()
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close all connections and give up the lock."""
        self._reader.dispose()  # first: the last connection of SQLite moves the log into the file, if it may write
        with self._writing:
            self._drop_writer()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    # Writing

    def append(
        self,
        events: Sequence[Event],
        archived: Sequence[tuple[int, int | None]] = (),
        parts: Sequence[SnapshotPart] = (),
        snapshots: Sequence[Snapshot] = (),
    ) -> None:
        """Write everything in one transaction, or nothing.

        `archived` holds pairs of (experiment, time in microseconds), `parts` some parts of snapshots, `snapshots` those
        that become whole with this. Of an experiment's snapshots the newest two stay. Raises `Unavailable`
        ("commit_failed") on any error; what the log holds must then be read from it, as a lost connection may hide a
        commit that succeeded.
        """
        with self._transaction() as connection:
            cursor = connection.connection.cursor()  # the driver's own: SQLAlchemy's way costs 20 us a statement
            for start in range(0, len(events), ROWS_MAX):
                page = events[start : start + ROWS_MAX]
                rows = [e if e.propensity == e.propensity else e._replace(propensity=None) for e in page]
                cursor.execute(self._insert(len(rows)), tuple(chain.from_iterable(rows)))
            cursor.close()
            for key, at in archived:
                connection.execute(sa.update(EXPERIMENT).where(EXPERIMENT.c.key == key).values(archived_at=at))
            for part in parts:
                _put_part(connection, part)
            for snapshot in snapshots:
                _put_snapshot(connection, snapshot)

    def add_experiment(
        self,
        id: str,
        spec: str,
        body_hash: bytes,
        versions: str,
        created_at: int,
        artefacts: Sequence[StoredArtefact] = (),
    ) -> Experiment:
        """Write a new experiment and return it with its key; a taken id raises `Conflict`.

        The `artefacts` that it decides with are written with it, where they are not there yet.
        """
        values = {
            "id": id,
            "spec": spec,
            "body_hash": body_hash,
            "versions": versions,
            "created_at": created_at,
        }
        with self._transaction() as connection:
            taken = connection.scalar(sa.select(EXPERIMENT.c.key).where(EXPERIMENT.c.id == id))
            if taken is not None:
                raise Conflict("experiment_exists", f"there is an experiment {id!r} already: choose another id")
            for artefact in artefacts:
                _put_artefact(connection, artefact)
            key = connection.execute(sa.insert(EXPERIMENT).values(values)).inserted_primary_key
            assert key is not None
        return Experiment(key[0], id, spec, body_hash, versions, created_at)

    # Reading

    def experiments(self) -> list[Experiment]:
        """Return all experiments, in the order of their creation."""
        rows = self._read_core(sa.select(EXPERIMENT).order_by(EXPERIMENT.c.key))
        return [Experiment._make(row) for row in rows]

    def artefacts(self) -> list[StoredArtefact]:
        """Return what experiments decide with, by digest."""
        rows = self._read_core(sa.select(ARTEFACT).order_by(ARTEFACT.c.sha256))
        return [StoredArtefact._make(row) for row in rows]

    def read_events(self, experiment: int, after: int, limit: int = 5000) -> list[Event]:
        """Return the first `limit` events whose seq is greater than `after`, in order."""
        sql = f"SELECT {_ALL} FROM event WHERE experiment = ? AND seq > ? ORDER BY seq LIMIT ?"
        return list(map(Event._make, self._read(sql, (experiment, after, limit))))

    def find(self, experiment: int, numbers: Sequence[int], decision_ids: Sequence[str] = ()) -> list[Event]:
        """Return the DECIDE and GIVEN rows asked for, by number or by the client's id, and all their LEARN rows.

        In the order of seq; what does not exist is not in the answer.
        """
        wanted = set(numbers)
        for ids in _parts(list(dict.fromkeys(decision_ids))):
            sql = f"SELECT number FROM event WHERE experiment = ? AND decision_id IN ({_marks(len(ids))})"
            wanted.update(number for (number,) in self._read(sql, (experiment, *ids)))
        events: list[Event] = []
        for some in _parts(sorted(wanted)):
            sql = f"SELECT {_ALL} FROM event WHERE experiment = ? AND number IN ({_marks(len(some))})"
            events += map(Event._make, self._read(sql, (experiment, *some)))
        return sorted(events, key=lambda event: event.seq)

    def newest_snapshots(self, experiment: int) -> list[Snapshot]:
        """Return the snapshots that are kept, newest first."""
        mine = sa.select(SNAPSHOT).where(SNAPSHOT.c.experiment == experiment)
        return [Snapshot._make(row) for row in self._read_core(mine.order_by(SNAPSHOT.c.seq.desc()))]

    def snapshot_parts(self, experiment: int, seq: int) -> Iterator[bytes]:
        """Yield the bytes of a snapshot part by part, each when it is asked for."""
        sql = "SELECT state FROM snapshot_part WHERE experiment = ? AND seq = ? AND part = ?"
        for part in count():
            rows = self._read(sql, (experiment, seq, part))
            if not rows:
                return
            yield rows[0][0]

    def last(self, experiment: int) -> tuple[int, int]:
        """Return the seq of the last event (0 if there is none) and the number of the next decision."""
        seq = "SELECT seq FROM event WHERE experiment = ? ORDER BY seq DESC LIMIT 1"
        number = "SELECT max(number) FROM event WHERE experiment = ?"
        last_seq, last_number = self._read(f"SELECT ({seq}), ({number})", (experiment, experiment))[0]
        return last_seq or 0, 0 if last_number is None else last_number + 1

    def changes(self, experiment: int) -> list[Event]:
        """Return the CHANGE events, in order."""
        sql = f"SELECT {_ALL} FROM event WHERE experiment = ? AND number IS NULL ORDER BY seq"
        return list(map(Event._make, self._read(sql, (experiment,))))

    def unknown_propensities(self, experiment: int) -> int:
        """Return how many decisions have no propensity; this reads the whole log."""
        sql = f"SELECT count(*) FROM event WHERE experiment = ? AND kind = {DECIDE} AND propensity IS NULL"
        count: int = self._read(sql, (experiment,))[0][0]
        return count

    def counts(self, experiment: int) -> Counts:
        """Return how many events, decisions and rewards there are, from the ends of two indexes."""
        # CHANGE rows alone have no number. They are counted first: one more meanwhile must not be taken off.
        changes = self._read("SELECT count(*) FROM event WHERE experiment = ? AND number IS NULL", (experiment,))
        seq, decisions = self.last(experiment)
        return Counts(seq, decisions, seq - decisions - changes[0][0])

    def columns(
        self,
        experiment: int,
        problem: Problem,
        after: int = 0,
        page: int = 5000,
        learned_only: bool = False,
        until: int = 2**63 - 1,
        sizes: Callable[[Array], Array] | None = None,
    ) -> Iterator[tuple[Columns, int, int]]:
        """Yield the events after seq `after`, up to `until`, as Columns: pages, each with its first and last seq.

        LEARN rows repeat the action, propensity, context and mask of their decision; decisions older than a
        page are fetched in one query a page. CHANGE rows count for the seq and are not in the columns, nor
        are DECIDE and GIVEN rows with `learned_only`. Action sets of fewer actions than the page's largest are padded.
        `sizes` gives the number of arms at decisions of some numbers, where arms were added. Pages are shorter than
        `page` where contexts are large. Raises `Damaged` where rows do not fit the problem or an event is missing.
        """
        sql = (
            "SELECT seq, kind, number, action, propensity, reward, context, available, detail, vector FROM event "
            "WHERE experiment = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
        )
        limit = min(page, PAGE_FIRST) if problem.context_kind != "dense" else min(page, _fitting(problem))
        while rows := self._read(sql, (experiment, after, until, limit)):
            if rows[-1][0] - after != len(rows):
                raise Damaged(
                    "missing_events",
                    f"the log of experiment {experiment} in {self.name} lacks events between seq {after} and "
                    f"{rows[-1][0]}: restore the database from a backup",
                )
            first, after = rows[0][0], rows[-1][0]
            if events := [row for row in rows if row[1] != CHANGE]:
                yield self._as_columns(experiment, problem, events, learned_only, sizes), first, after
            if len(rows) < limit:
                return
            largest = max(sum(len(part or b"") for part in (row[6], row[8], row[9])) for row in rows)
            limit = min(page, max(1, PAGE_BYTES // (largest + 1)), 2 * limit)

    def _as_columns(
        self,
        experiment: int,
        problem: Problem,
        rows: list[Any],
        learned_only: bool,
        sizes: Callable[[Array], Array] | None,
    ) -> Columns:
        """Turn rows of an event's numbers, (seq, kind ... available, detail, vector), into Columns."""
        _, kinds, numbers, actions, propensities, rewards, contexts, masks, details, vectors = zip(*rows, strict=True)
        kind = np.array(kinds, np.int8)
        number = np.array(numbers, np.int64)
        decided, learned = np.flatnonzero(kind != LEARN), np.flatnonzero(kind == LEARN)
        # A LEARN row finds its decision among this page's, whose numbers ascend, or behind them, in `older`.
        known, sought = number[decided], number[learned]
        place = np.searchsorted(known, sought)
        missed = known[np.minimum(place, len(known) - 1)] != sought if len(known) else np.ones(len(sought), bool)
        older = np.unique(sought[missed])
        place[missed] = len(known) + np.searchsorted(older, sought[missed])
        old_contexts, old_masks, old_vectors = self._older(experiment, older) if len(older) else ((), (), ())
        packed = [*(contexts[i] for i in decided), *old_contexts]
        context = unpack_contexts(packed, problem)
        numbers_decided = np.concatenate([known, older])
        there = sizes(numbers_decided) if sizes and problem.context_kind == "dense" else n_actions(packed, problem)
        mask = _masks([*(masks[i] for i in decided), *old_masks], there, problem)
        source = np.empty(len(rows), np.int64)
        source[decided] = np.arange(len(decided))
        source[learned] = place
        if problem.is_numbered:
            action = unpack_actions(vectors, actions, problem)
        else:
            action = unpack_actions([*(vectors[i] for i in decided), *old_vectors], (), problem)[source]
        keep = learned if learned_only else slice(None)
        return Columns(
            kind[keep],
            number[keep],
            action[keep],
            np.array(propensities, np.float64)[keep],
            np.array(rewards, np.float64)[keep],
            _details(details, learned, problem)[keep],
            take_contexts(context, source[keep]),
            mask if len(mask) == 1 else mask[source[keep]],
        )

    def _older(self, experiment: int, numbers: Array) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        """Return the contexts, masks and vectors of decisions, as bytes; `numbers` ascend."""
        rows: list[Any] = []
        for some in _parts(numbers.tolist()):
            sql = (
                f"SELECT number, context, available, vector FROM event WHERE experiment = ? AND kind <> {LEARN} "
                f"AND number IN ({_marks(len(some))}) ORDER BY number"
            )
            rows += self._read(sql, (experiment, *some))
        found, contexts, masks, vectors = zip(*rows, strict=True) if rows else ((), (), (), ())
        if len(rows) < len(numbers):
            lost = min(set(numbers.tolist()) - set(found))
            raise Damaged(
                "missing_decision",
                f"the log of experiment {experiment} in {self.name} has a reward of decision {lost}, but not "
                "the decision: restore the database from a backup",
            )
        return contexts, masks, vectors

    # Statements and connections

    def _insert_sql(self, n_rows: int) -> str:
        row = f"({_marks(len(Event._fields))})"
        return self._in_dialect(f"INSERT INTO event ({_ALL}) VALUES {','.join([row] * n_rows)}")

    def _in_dialect(self, sql: str) -> str:
        """Return a statement with its places for values, ?, written as this driver wants them."""
        if self._sqlite:
            return sql
        number = count(1)
        return re.sub(r"\?", lambda place: f"${next(number)}", sql)

    def _read(self, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
        """Return plain tuples of the driver, without SQLAlchemy's rows around them."""
        with self._reading() as connection:
            result = connection.exec_driver_sql(self._in_dialect(sql), parameters)
            assert result.cursor is not None
            rows = list(result.cursor.fetchall())
            result.close()
            return rows

    def _read_core(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self._reading() as connection:
            return connection.execute(query).all()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._reader.connect() as connection:
                yield connection
        except (SQLAlchemyError, self._reader.dialect.loaded_dbapi.Error) as error:
            raise Unavailable("read_failed", f"{self.name} could not be read ({_reason(error)}): try again") from error

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Give the writer's connection in a transaction: committed at the end, rolled back on any error."""
        assert self._write, "this store is open for reading only"
        with self._writing:
            try:
                if self._writer is None:
                    self._writer = self._connect_writer()
                with self._writer.begin():
                    yield self._writer
            except OnearmError:
                raise
            except Exception as error:  # the drivers also raise OverflowError, UnicodeError ...
                if not self._is_sound(error):
                    self._drop_writer()
                raise Unavailable(
                    "commit_failed",
                    f"nothing was written to {self.name}, as the transaction failed ({_reason(error)}): "
                    "see that the disk has room and the database answers, then try again",
                ) from error

    def _is_sound(self, error: Exception) -> bool:
        """Tell whether the writer's connection can be used after this error."""
        if self._writer is None or self._writer.invalidated or self._writer.in_transaction():
            return False
        return self._sqlite or not isinstance(error, OperationalError)

    def _connect_writer(self) -> Connection:
        """Open the writer's connection; on PostgreSQL take the lock, which lives as long as the session."""
        connection = self._opener.connect()
        if self._sqlite:
            return connection
        patience = time.monotonic() + LOCK_SECONDS  # a server notices a killed client a moment later
        while not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({ADVISORY_LOCK})").scalar():
            if time.monotonic() > patience:
                connection.close()
                raise self._in_use("another process")
            time.sleep(0.05)
        connection.commit()
        return connection

    def _drop_writer(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            try:
                writer.close()
            except SQLAlchemyError:
                writer.invalidate()

    def _open_to_write(self) -> None:
        if self._sqlite:
            self._lock_sqlite_file()
        try:
            self._writer = self._connect_writer()
            known = self._revision(self._writer)
            tables = set(sa.inspect(self._writer).get_table_names())
            if known is None and (taken := tables & set(METADATA.tables)):
                raise InvalidInput(
                    "foreign_database",
                    f"{self.name} has a table {min(taken)!r} not made by onearm: name another database",
                )
            self._writer.rollback()
            with self._writer.begin():
                migrate(self._writer)
        except (SQLAlchemyError, self._opener.dialect.loaded_dbapi.Error) as error:
            raise self._cannot_open(error) from error

    def _open_to_read(self) -> None:
        if self._sqlite and not Path(self.url.database or "").is_file():
            raise InvalidInput("no_database", f"there is no file {self.url.database}: name a database that exists")
        try:
            with self._reader.connect() as connection:
                known = self._revision(connection)
        except (SQLAlchemyError, self._reader.dialect.loaded_dbapi.Error) as error:
            raise self._cannot_open(error) from error
        if known != _scripts().get_current_head():
            seen = "has no tables of onearm" if known is None else f"has the older schema {known!r}"
            raise InvalidInput("older_schema", f"{self.name} {seen}: open it once with `onearm serve`")

    def _revision(self, connection: Connection) -> str | None:
        """Return the schema's revision, None without one; raise where this version does not know it."""
        options = {"version_table": VERSION_TABLE}
        known = MigrationContext.configure(connection, opts=options).get_current_revision()
        if known is not None and known not in {script.revision for script in _scripts().walk_revisions()}:
            raise InvalidInput(
                "newer_schema",
                f"{self.name} has the schema {known!r}, which this version of onearm does not know (it knows "
                f"up to {_scripts().get_current_head()!r}): use the version of onearm that wrote it",
            )
        return known

    def _lock_sqlite_file(self) -> None:
        """Take the lock that the kernel gives back when this process ends, however it ends."""
        path = Path(self.url.database or "").resolve()
        if not path.parent.exists():
            raise InvalidInput("no_folder", f"there is no folder {path.parent}: make it, or name another")
        try:
            if path.is_dir():
                raise InvalidInput("is_folder", f"{path} is a folder: name a file, such as {path / 'run.db'}")
            self._lock_file = Path(f"{path}.lock").open("a+")  # noqa: SIM115 - open as long as the store
        except OSError as error:
            raise InvalidInput(
                "not_writable",
                f"{path}.lock cannot be written ({error.strerror}): use a folder that you may write to",
            ) from error
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock_file.seek(0)
            raise self._in_use(f"process {self._lock_file.read() or 'unknown'}") from None
        self._lock_file.truncate(0)
        self._lock_file.write(str(os.getpid()))
        self._lock_file.flush()

    def _in_use(self, by: str) -> Unavailable:
        return Unavailable(
            "database_in_use",
            f"{self.name} is in use by {by}: there is one writer; stop that one or name another database",
        )

    def _cannot_open(self, error: Exception) -> OnearmError:
        if self._sqlite:
            return InvalidInput(
                "not_a_database",
                f"{self.name} cannot be used ({_reason(error)}): name an SQLite file that you may read "
                "and write, or one that does not exist yet",
            )
        return Unavailable(
            "database_unavailable",
            f"{self.name} does not answer ({_reason(error)}): see that the server runs and lets this user in",
        )


def migrate(connection: Connection) -> None:
    """Bring the tables to the newest schema, within the caller's transaction."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    command.upgrade(config, "head")


def _put_artefact(connection: Connection, artefact: StoredArtefact) -> None:
    """Write an artefact, unless it is there."""
    known = sa.select(ARTEFACT.c.sha256).where(ARTEFACT.c.sha256 == artefact.sha256)
    if connection.scalar(known) is None:
        connection.execute(sa.insert(ARTEFACT).values(artefact._asdict()))


def _put_part(connection: Connection, part: SnapshotPart) -> None:
    """Write a part; the first one replaces what there is at its seq."""
    if part.part == 0:
        for table in (SNAPSHOT, SNAPSHOT_PART):
            same = (table.c.experiment == part.experiment) & (table.c.seq == part.seq)
            connection.execute(sa.delete(table).where(same))
    connection.execute(sa.insert(SNAPSHOT_PART).values(part._asdict()))


def _put_snapshot(connection: Connection, snapshot: Snapshot) -> None:
    """Write a snapshot whose parts are written; delete older ones, and parts that belong to none."""
    connection.execute(sa.insert(SNAPSHOT).values(snapshot._asdict()))
    newest = sa.select(SNAPSHOT.c.seq).where(SNAPSHOT.c.experiment == snapshot.experiment)
    kept = connection.scalars(newest.order_by(SNAPSHOT.c.seq.desc()).limit(SNAPSHOTS_KEPT)).all()
    for table in (SNAPSHOT, SNAPSHOT_PART):
        old = (table.c.experiment == snapshot.experiment) & table.c.seq.not_in(kept)
        connection.execute(sa.delete(table).where(old))


def _marks(n: int) -> str:
    return ",".join("?" * n)


def _fitting(problem: Problem) -> int:
    """Return how many events of dense contexts make a page, at least 1."""
    numbers = problem.context_shape[0] + problem.dimension + problem.detail_length
    return max(1, PAGE_BYTES // (8 * numbers + 1))


def _details(texts: Sequence[str | None], learned: Array, problem: Problem) -> Array:
    """Return float64[n, m] of the details of LEARN rows, int64[l], as JSON; NaN in all others."""
    detail = np.full((len(texts), problem.detail_length), np.nan)
    detail[learned] = unpack_details([texts[row] for row in learned], problem)
    if not possible_details(detail[learned], problem).all():
        raise Damaged("bad_detail", f"the log holds a feedback whose detail is not that of a {problem.action_kind}")
    return detail


def _masks(blobs: list[bytes | None], there: Array, problem: Problem) -> Array:
    """Return bool[n, k] of n packed masks over `there`, int64[n], actions; bool[1, k] where all are in all of them."""
    k = problem.n_choices if problem.context_kind == "dense" else int(there.max(initial=1))
    if not any(blobs) and (there == k).all():
        return np.ones((1, k), np.bool_)
    mask = np.arange(k) < there[:, np.newaxis]
    for length in {len(blob) for blob in blobs if blob is not None}:
        rows = [row for row, blob in enumerate(blobs) if blob is not None and len(blob) == length]
        if ((there[rows] + 7) // 8 != length).any():
            raise Damaged("bad_mask", f"the log holds masks that are not of the problem's {k} arms")
        packed = np.frombuffer(b"".join(blobs[row] or b"" for row in rows), np.uint8).reshape(len(rows), length)
        bits = np.unpackbits(packed, axis=1).view(np.bool_)[:, :k]
        mask[rows] &= np.pad(bits, ((0, 0), (0, k - bits.shape[1])))
    return mask


def _parts(keys: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(keys), KEYS_MAX):
        yield keys[start : start + KEYS_MAX]


def _parse(text: str) -> URL:
    try:
        url = make_url(text)
        backend = url.get_backend_name()
        if backend in ("postgresql", "postgres"):
            url = url.set(drivername="postgresql+psycopg")
        elif backend != "sqlite":
            raise InvalidInput(
                "unknown_database",
                f"the database is of the kind {backend!r}: it must be sqlite or postgresql",
            )
    except (ArgumentError, NoSuchModuleError):
        raise InvalidInput(
            "bad_database_url",
            f"{text!r} names no database: write sqlite:///FILE or postgresql://USER@HOST/NAME",
        ) from None
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise InvalidInput("no_file", f"{text!r} names no file: a log must outlive its process; write sqlite:///FILE")
    return url


def _engine(url: URL, *, write: bool, **options: Any) -> Engine:
    if url.get_backend_name() != "sqlite":
        return _postgresql_engine(url, pool_pre_ping=not write, **options)
    return _sqlite_engine(url, write=write, **options)


def _postgresql_engine(url: URL, **options: Any) -> Engine:
    """Return an engine whose statements name their values as the server does, $1.

    The driver rewrites %s, anew for each long statement: 35 us of CPU a row of 15 columns, against 3 us.
    """
    try:
        engine = sa.create_engine(url, paramstyle="numeric_dollar", **options)
    except ModuleNotFoundError as error:
        raise InvalidInput(
            "no_driver", f"PostgreSQL needs the package {error.name}: pip install 'onearm[postgres]'"
        ) from None

    @sa.event.listens_for(engine, "do_connect")
    def prepare(dialect: Any, record: Any, arguments: Any, named: dict[str, Any]) -> None:
        named["cursor_factory"] = dialect.loaded_dbapi.RawCursor

    return engine


def _sqlite_engine(url: URL, *, write: bool, **options: Any) -> Engine:
    if not write:
        path = Path(url.database or "").resolve()
        url = url.set(database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **options)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # we begin, not the driver, which would leave DDL out of transactions
        if write:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.connection.cursor().execute("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


@functools.cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(MIGRATIONS))


def _reason(error: Exception) -> str:
    """Return the driver's own words, on one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


_ALL = ", ".join(Event._fields)
assert list(EVENT.c.keys()) == list(Event._fields)
assert list(EXPERIMENT.c.keys()) == list(Experiment._fields)
assert list(SNAPSHOT.c.keys()) == list(Snapshot._fields)
assert list(SNAPSHOT_PART.c.keys()) == list(SnapshotPart._fields)
assert list(ARTEFACT.c.keys()) == list(StoredArtefact._fields)
