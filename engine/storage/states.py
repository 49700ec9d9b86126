"""States in SQL: snapshots, which are a cache of the fold, and bases, from which logs are folded.

Both are a row, and before it the bytes of the state in parts; a part SUMS holds what reports tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from . import schema
from .connections import Connections
from .ladder import thinned
from .records import NOTE, SUMS, Base, Event, Snapshot, SnapshotPart
from .tables import BASE, BASE_PART, EXPERIMENT, SNAPSHOT, SNAPSHOT_PART

EVENTS_OF_PART = 500  # that take about as long as a part of 1 to 2 MiB
PARTS = {SNAPSHOT: SNAPSHOT_PART, BASE: BASE_PART}
_BASELESS = ~sa.exists().where((BASE.c.experiment == BASE_PART.c.experiment) & (BASE.c.seq == BASE_PART.c.seq))


class States(Connections):
    """The states of a database."""

    def newest_snapshots(self, experiment: int) -> list[Snapshot]:
        """Return the snapshots that are kept, newest first."""
        fields = ", ".join(Snapshot._fields)
        sql = f"SELECT {fields} FROM snapshot WHERE experiment = ? ORDER BY seq DESC"
        return list(map(Snapshot._make, self._read(sql, (experiment,))))

    def snapshot_parts(self, experiment: int, seq: int) -> Iterator[bytes]:
        """Yield the bytes of a snapshot part by part, each when it is asked for."""
        return self._parts("snapshot_part", experiment, seq)

    def snapshot_sums(self, experiment: int, seq: int) -> bytes | None:
        """Return what a snapshot holds of sums; None where an earlier version wrote it."""
        return self._sums("snapshot_part", experiment, seq)

    def bases(self, experiment: int) -> list[Base]:
        """Return the bases of an experiment, oldest first: the log is folded from the last one."""
        if self.revision < schema.BASES:
            return []
        known = self.revision >= schema.POLICIES
        fields = ", ".join(Base._fields if known else Base._fields[:-1])
        sql = f"SELECT {fields} FROM base WHERE experiment = ? ORDER BY seq"
        return list(map(Base._make, self._read(sql, (experiment,))))

    def base_seq(self, experiment: int) -> int:
        """Return the seq of the newest base, 0 without one."""
        if self.revision < schema.BASES:
            return 0
        rows = self._read("SELECT max(seq) FROM base WHERE experiment = ?", (experiment,))
        return rows[0][0] or 0

    def slim_seq(self, experiment: int) -> int:
        """Return the seq of the newest base before which events are slim, or will be, 0 without one."""
        return max((base.seq for base in self.bases(experiment) if not base.whole), default=0)

    def base_parts(self, experiment: int, seq: int) -> Iterator[bytes]:
        """Yield the bytes of a base part by part, each when it is asked for."""
        return self._parts("base_part", experiment, seq)

    def base_sums(self, experiment: int, seq: int) -> bytes | None:
        """Return what a base holds of sums."""
        return self._sums("base_part", experiment, seq)

    def put_base_parts(self, parts: Sequence[SnapshotPart]) -> None:
        """Write some parts of a base, before its row; part 0 replaces what an attempt before left at its seq."""
        with self._transaction(*{part.experiment for part in parts}) as connection:
            for part in parts:
                if part.part == 0:
                    assert connection.scalar(sa.select(BASE.c.seq).where(_same(BASE, part))) is None, "a base is truth"
                    connection.execute(sa.delete(BASE_PART).where(_same(BASE_PART, part), BASE_PART.c.part != NOTE))
                connection.execute(sa.insert(BASE_PART).values(part._asdict()))

    def note_archive(self, experiment: int, seq: int, name: str) -> None:
        """Keep the name of an archive before it is written: where its base never comes, `noted_archives` has it."""
        note = SnapshotPart(experiment, seq, NOTE, name.encode())
        with self._transaction(experiment) as connection:
            connection.execute(sa.delete(BASE_PART).where(_same(BASE_PART, note), BASE_PART.c.part == NOTE))
            connection.execute(sa.insert(BASE_PART).values(note._asdict()))

    def noted_archives(self) -> list[str]:
        """Return the names of archives that belong to no base: somebody ended before it was whole."""
        query = sa.select(BASE_PART.c.state).where(BASE_PART.c.part == NOTE, _BASELESS)
        return [bytes(row.state).decode() for row in self._read_core(query)]

    def put_base(self, base: Base) -> bool:
        """Write a base whose parts are written: from now on the log is folded from it. It replaces that of a change.

        Returns whether it was: of an experiment that was deleted meanwhile nothing is.
        """
        mine = sa.select(EXPERIMENT.c.key).where(EXPERIMENT.c.key == base.experiment, EXPERIMENT.c.deleted_at.is_(None))
        with self._transaction(base.experiment) as connection:
            if connection.scalar(mine) is None:
                return False
            note = (BASE_PART.c.experiment == base.experiment) & (BASE_PART.c.part == NOTE)
            connection.execute(sa.delete(BASE_PART).where(note))
            of_change = (BASE.c.experiment == base.experiment) & (BASE.c.seq == base.seq) & BASE.c.of_change
            connection.execute(sa.delete(BASE).where(of_change))
            connection.execute(sa.insert(BASE).values(base._asdict()))
        return True

    def put_archive(self, base: Base) -> None:
        """Note that the archive of a base was written again."""
        mine = (BASE.c.experiment == base.experiment) & (BASE.c.seq == base.seq)
        with self._transaction(base.experiment) as connection:
            values = {"archive_sha256": base.archive_sha256, "archive_bytes": base.archive_bytes}
            connection.execute(sa.update(BASE).where(mine).values(values))

    def sweep_bases(self) -> None:
        """Take away parts that belong to no base: somebody ended before it was whole. While none is being made."""
        with self._transaction() as connection:
            connection.execute(sa.delete(BASE_PART).where(_BASELESS))

    def sweep_base(self, experiment: int, seq: int) -> None:
        """Take away the parts of one that did not become whole."""
        with self._transaction(experiment) as connection:
            one = (BASE_PART.c.experiment == experiment) & (BASE_PART.c.seq == seq)
            connection.execute(sa.delete(BASE_PART).where(one, _BASELESS))

    def unslimmed(self) -> list[Base]:
        """Return the bases before which not all that could be is slim, those of an experiment in their order."""
        query = sa.select(BASE).where(BASE.c.slim < BASE.c.seq).order_by(BASE.c.experiment, BASE.c.seq)
        return [Base._make(row) for row in self._read_core(query)]

    def changed(self) -> list[int]:
        """Return the keys of the experiments that have bases of changes."""
        query = sa.select(BASE.c.experiment).where(BASE.c.of_change).distinct().order_by(BASE.c.experiment)
        return [row.experiment for row in self._read_core(query)]

    def prune(self, experiment: int, events: int) -> bool:
        """Take away some parts of the oldest base that nobody begins with any more, in the end its row.

        So many as take about as long as `events` of other chores, one at least; returns whether more is left.
        """
        left = unneeded(self.bases(experiment))
        if not left:
            return False
        with self._transaction(experiment) as connection:
            some = max(1, events // EVENTS_OF_PART)
            mine = (BASE_PART.c.experiment == experiment) & (BASE_PART.c.seq == left[0])
            query = sa.select(BASE_PART.c.part).where(mine).order_by(BASE_PART.c.part.desc()).limit(some)
            parts = connection.scalars(query).all()
            connection.execute(sa.delete(BASE_PART).where(mine, BASE_PART.c.part.in_(parts)))
            if is_done := len(parts) < some:
                row = (BASE.c.experiment == experiment) & (BASE.c.seq == left[0]) & BASE.c.of_change
                connection.execute(sa.delete(BASE).where(row))
        return len(left) > 1 or not is_done

    def seq_before(self, experiment: int, time: int, last: int) -> int:
        """Return the seq of the last event before a time, in microseconds, of the first `last`; 0 where there is none.

        Times ascend as long as nobody sets the clock back; there it is one of the places where they pass this one.
        """
        low, high = 0, last
        while low < high:
            middle = (low + high + 1) // 2
            if self.time_of(experiment, middle) < time:
                low = middle
            else:
                high = middle - 1
        return low

    def time_of(self, experiment: int, seq: int) -> int:
        """Return the time of an event, in microseconds; 0 where there is none."""
        rows = self._read("SELECT time FROM event WHERE experiment = ? AND seq = ?", (experiment, seq))
        return rows[0][0] if rows else 0

    def _parts(self, table: str, experiment: int, seq: int) -> Iterator[bytes]:
        sql = f"SELECT state FROM {table} WHERE experiment = ? AND seq = ? AND part = ?"
        for part in count():
            rows = self._read(sql, (experiment, seq, part))
            if not rows:
                return
            yield rows[0][0]

    def _sums(self, table: str, experiment: int, seq: int) -> bytes | None:
        sql = f"SELECT state FROM {table} WHERE experiment = ? AND seq = ? AND part = ?"
        rows = self._read(sql, (experiment, seq, SUMS))
        return rows[0][0] if rows else None


def unneeded(bases: Iterable[Base]) -> list[int]:
    """Return the seqs of the bases, of those of an experiment in their order, that nobody begins with any more.

    They are of changes before a plain base behind which every fold begins, and not in its archive, which is folded
    alone. One that an erasure made is no such base: what lies before it is part of the next archive.
    """
    found: list[int] = []
    before: list[int] = []
    for base in bases:
        if base.of_change:
            before.append(base.seq)
        elif not base.whole:
            found += before if base.archive is None else ()
            before = []
    return found


def touched_by(
    events: Sequence[Event],
    archived: Sequence[tuple[int, int | None]],
    parts: Sequence[SnapshotPart],
    snapshots: Sequence[Snapshot],
    bases: Sequence[Base],
) -> set[int]:
    """Return the keys of the experiments of which something is written."""
    touched = {key for key, _ in archived}
    touched.update(event.experiment for event in events)
    touched.update(part.experiment for part in parts)
    touched.update(snapshot.experiment for snapshot in snapshots)
    return touched.union(base.experiment for base in bases)


def slimmed(event: Event) -> Event:
    """Return a decision as `Store.slim` leaves it."""
    detail = None if event.decision_id is None else event.detail
    return event._replace(context=None, available=None, sent=None, detail=detail)


def put_snapshot_part(connection: Connection, part: SnapshotPart) -> None:
    """Write a part of a snapshot; the first one replaces what there is at its seq."""
    if part.part == 0:
        for table in (SNAPSHOT, SNAPSHOT_PART):
            connection.execute(sa.delete(table).where(_same(table, part)))
    connection.execute(sa.insert(SNAPSHOT_PART).values(part._asdict()))


def put_snapshot(connection: Connection, snapshot: Snapshot) -> None:
    """Write a snapshot whose parts are written; thin older ones out, and delete parts that belong to none.

    None stays from before the newest base that no change came with: no fold begins there.
    """
    connection.execute(sa.insert(SNAPSHOT).values(snapshot._asdict()))
    floor = sa.select(sa.func.max(BASE.c.seq)).where(BASE.c.experiment == snapshot.experiment, ~BASE.c.of_change)
    since = connection.scalar(floor) or 0
    mine = (SNAPSHOT.c.experiment == snapshot.experiment) & (SNAPSHOT.c.seq >= since)
    kept = thinned(connection.scalars(sa.select(SNAPSHOT.c.seq).where(mine).order_by(SNAPSHOT.c.seq)).all())
    for table in (SNAPSHOT, SNAPSHOT_PART):
        old = (table.c.experiment == snapshot.experiment) & table.c.seq.not_in(kept)
        connection.execute(sa.delete(table).where(old))


def _same(table: sa.Table, part: SnapshotPart) -> sa.ColumnElement[bool]:
    """Say that a row is of the state that a part belongs to."""
    return (table.c.experiment == part.experiment) & (table.c.seq == part.seq)
