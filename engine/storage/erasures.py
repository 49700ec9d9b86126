"""What is erased in SQL: decisions whose rows say nothing of anybody any more, but count as before.

They are named first, in one transaction, and then blanked a little at a time: what was not done when a process ended is
found again. Their names stay, by number, as a blank row looks like one of which nobody ever said anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from ..vocabulary import DECISIONS, LEARN
from . import schema
from .connections import Connections
from .statements import in_lists, marks
from .tables import BASE, ERASED, EVENT, EXPERIMENT, SNAPSHOT, SNAPSHOT_PART
from .windows import said_of_windows

NAMED_MAX = 512  # numbers of one statement that writes
BLANKS = ("context", "available", "detail", "sent", "decision_id", "reward_id", "body_hash", "actions", "vector")
NOTHING = dict.fromkeys((*BLANKS, "unit_id"))
# What windows say of a reward, that it came late or why it was learned, tells nothing of anybody, and is counted.
_KEPT_DETAIL = said_of_windows(EVENT.c)
IS_ERASED = "SELECT 1 FROM erased WHERE erased.experiment = event.experiment AND erased.number = event.number"
IS_BLANK = f"{IS_ERASED} AND erased.blank"


class Counted(NamedTuple):
    """What is erased, in numbers."""

    decisions: int
    events: int  # the decisions, and their rewards, early ones twice
    open: int  # decisions without a reward, which get none any more


class Erasures(Connections):
    """The erasures of a database."""

    def erase(self, experiment: int, numbers: Sequence[int]) -> None:
        """Name decisions that are to be blanked, by their numbers, none twice, in one transaction.

        Nothing may be learned of them any more. Numbers of EARLY events that their rewards came as are named with them.
        The same again changes nothing. 3 us a decision.
        """
        with self._transaction(experiment) as connection:
            cursor = connection.connection.cursor()  # the driver's own: SQLAlchemy's way takes ten times as long
            for some in in_lists(numbers, NAMED_MAX):
                rows = ",".join(["(?, ?, FALSE)"] * len(some))
                sql = f"INSERT INTO erased (experiment, number, blank) VALUES {rows} ON CONFLICT DO NOTHING"
                cursor.execute(self._in_dialect(sql), [value for number in some for value in (experiment, number)])
            cursor.close()

    def counted(self, experiment: int, numbers: Sequence[int]) -> Counted:
        """Count decisions of which nothing is learned any more, and their rewards, by their numbers, none twice."""
        found: Counter[int] = Counter()
        for some in in_lists(numbers):
            within = f"experiment = ? AND number IN ({marks(len(some))})"
            sql = f"SELECT kind, count(*) FROM event WHERE {within} GROUP BY kind"
            found.update(dict(map(tuple, self._read(sql, (experiment, *some)))))
        decisions = sum(found[kind] for kind in DECISIONS)
        return Counted(decisions, found.total(), decisions - found[LEARN])

    def blank(self, experiment: int, events: int) -> bool:
        """Blank about so many events of decisions that are erased; return whether more are left.

        In the end snapshots go that are older than the base. SQLite writes zeros over what was there; the -wal file is
        another matter: `empty_wal`. PostgreSQL overwrites at its next vacuum.
        """
        left = (ERASED.c.experiment == experiment) & ~ERASED.c.blank
        with self._transaction(experiment) as connection:
            some = connection.scalars(
                sa.select(ERASED.c.number).where(left).order_by(ERASED.c.number).limit(min(events, NAMED_MAX))
            ).all()
            if not some:
                base = sa.select(sa.func.max(BASE.c.seq)).where(BASE.c.experiment == experiment).scalar_subquery()
                for table in (SNAPSHOT, SNAPSHOT_PART):
                    older = (table.c.experiment == experiment) & (table.c.seq < base)
                    connection.execute(sa.delete(table).where(older))
                return False
            some = next(in_lists(some, NAMED_MAX))
            rows = (EVENT.c.experiment == experiment) & EVENT.c.number.in_(some)
            connection.execute(sa.update(EVENT).where(rows).values(NOTHING | {"detail": _KEPT_DETAIL}))
            done = (ERASED.c.experiment == experiment) & ERASED.c.number.in_(some)
            connection.execute(sa.update(ERASED).where(done).values(blank=True))
        return True

    def erased(self, experiment: int) -> int:
        """Return how many decisions of an experiment are erased."""
        if self.revision < schema.UNITS:
            return 0
        rows = self._read("SELECT count(*) FROM erased WHERE experiment = ? AND number >= 0", (experiment,))
        found: int = rows[0][0]
        return found

    def erased_events(self, experiment: int, after: int, until: int) -> int:
        """Return how many events after one seq, up to another, are of decisions that are erased."""
        if self.revision < schema.UNITS:
            return 0
        sql = (
            "SELECT count(*) FROM erased JOIN event ON event.experiment = erased.experiment "
            "AND event.number = erased.number WHERE erased.experiment = ? AND event.seq + 0 > ? AND event.seq + 0 <= ?"
        )
        found: int = self._read(sql, (experiment, after, until))[0][0]
        return found

    def erased_between(self, experiment: int, after: int, until: int) -> list[int]:
        """Return the numbers of the decisions that are erased and have an event after one seq, up to another."""
        if self.revision < schema.UNITS:
            return []
        sql = (
            "SELECT number FROM erased WHERE experiment = ? AND EXISTS (SELECT 1 FROM event "
            "WHERE event.experiment = erased.experiment AND event.number = erased.number "
            "AND event.seq + 0 > ? AND event.seq + 0 <= ?) ORDER BY number"
        )
        return [number for (number,) in self._read(sql, (experiment, after, until))]

    def blank_seqs(self, experiment: int) -> list[int]:
        """Return the seqs of the events that are blank, in order."""
        if self.revision < schema.UNITS:
            return []
        sql = f"SELECT seq FROM event WHERE experiment = ? AND EXISTS ({IS_BLANK}) ORDER BY seq"
        return [seq for (seq,) in self._read(sql, (experiment,))]

    def with_erasures(self) -> list[int]:
        """Return the keys of the experiments that have archives, and of which decisions are erased."""
        some = sa.exists().where(ERASED.c.experiment == BASE.c.experiment)
        query = sa.select(BASE.c.experiment).where(BASE.c.archive.is_not(None), some).distinct()
        there = sa.select(EXPERIMENT.c.key).where(EXPERIMENT.c.deleted_at.is_(None))
        return sorted(row.experiment for row in self._read_core(query.where(BASE.c.experiment.in_(there))))

    def unblanked(self) -> dict[int, list[int]]:
        """Return the numbers of the decisions that are erased and not blank yet, by the keys of their experiments."""
        query = sa.select(ERASED.c.experiment, ERASED.c.number).where(~ERASED.c.blank).order_by(ERASED.c.number)
        found: dict[int, list[int]] = {}
        for row in self._read_core(query):
            found.setdefault(row.experiment, []).append(row.number)
        return found
