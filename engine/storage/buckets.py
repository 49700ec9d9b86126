"""What was decided in each hour and day, and what came of it, in a table of its own: a curve of months reads no log.

It is derived from the log, by a part of that at a time, and says how far it is. A reward counts where its decision
does, so the mean of an hour is that of its decisions, and goes on changing as long as rewards come.

>>> from onearm.engine.vocabulary import DECIDE
>>> seen = Outcomes(*map(np.array, ([DECIDE, DECIDE, LEARN], [0, 1, 0], [0.0, 0.0, 0.5], [7, 8, 7])))
>>> hour = grouped(seen, 1, HOUR, arms=2)
>>> [(one.action, one.decisions, one.rewards, one.mean) for one in hour]
[(-1, 2, 1, 0.5), (0, 1, 1, 0.5), (1, 1, 0, 0.0)]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from ..vocabulary import BESIDE, CORRECTED, DECIDE, EXTERNAL, LEARN, Array
from .moments import Moments, together, without
from .records import Bucket
from .statements import in_lists, in_runs, marks
from .tables import COUNTED, EXPERIMENT
from .windows import Windows

HOUR, DAY = 3_600, 86_400  # seconds
SPANS = (HOUR, DAY)
ALL = -1  # the action of a bucket that counts all
PAGE = 5_000  # events that are counted at once
EVER = 2**63 - 1
_FIELDS = ", ".join(Bucket._fields)
_KEY = ", ".join(Bucket._fields[:4])
_NEW = ", ".join(f"{field} = excluded.{field}" for field in Bucket._fields[4:])


class Outcomes(NamedTuple):
    """Events, as far as buckets count them."""

    kind: Array  # int64[n]
    action: Array  # int64[n], ALL where a decision has none
    reward: Array  # float64[n], 0 where there is none
    time: Array  # int64[n] microseconds, of the decision


class Part(NamedTuple):
    """The buckets that a part of a log changes, as they are with it."""

    buckets: list[Bucket]
    after: int  # the seq of the last event that was counted before
    until: int  # and of the last one now


class Buckets(Windows):
    """The table of buckets in a database."""

    def counted_to(self, experiment: int) -> int:
        """Return the seq up to which the log is counted."""
        rows = self._read("SELECT seq FROM counted WHERE experiment = ?", (experiment,))
        return rows[0][0] if rows else 0

    def buckets(self, experiment: int, span: int, before: int, limit: int) -> list[Bucket]:
        """Return all rows of the last `limit` spans that begin before a time (microseconds), in their order."""
        some = (
            "SELECT begins FROM bucket WHERE experiment = ? AND span = ? AND action = ? AND begins < ? "
            "ORDER BY begins DESC LIMIT ?"
        )
        sql = (
            f"SELECT {_FIELDS} FROM bucket WHERE experiment = ? AND span = ? AND begins IN ({some}) "
            "ORDER BY begins, action"
        )
        return list(map(Bucket._make, self._read(sql, (experiment, span, experiment, span, ALL, before, limit))))

    def totals(self, experiment: int, span: int, since: int) -> list[Bucket]:
        """Return the rows that count all decisions, of spans that begin at a time (microseconds) or later."""
        sql = (
            f"SELECT {_FIELDS} FROM bucket WHERE experiment = ? AND span = ? AND action = ? AND begins >= ? "
            "ORDER BY begins"
        )
        return list(map(Bucket._make, self._read(sql, (experiment, span, ALL, since))))

    def next_part(self, experiment: int, arms: int, closed: int | None = None) -> Part:
        """Count the next part of a log, empty where all is counted; so many `arms` are told apart, 0 for none.

        Where rewards are learned at once windows are `closed` that began up to a seq: so far the log is counted, with
        what was learned of these, whenever that was.
        """
        after = self.counted_to(experiment)
        sql = (
            "SELECT one.seq, one.kind, one.action, one.reward, coalesce(its.time, one.time) FROM event AS one "
            f"LEFT JOIN event AS its ON one.kind IN ({LEARN}, {CORRECTED}) AND its.experiment = one.experiment "
            f"AND its.number = one.number AND its.kind IN ({DECIDE}, {EXTERNAL}) "
            "WHERE one.experiment = ? AND one.seq > ? AND one.seq <= ? ORDER BY one.seq LIMIT ?"
        )
        rows = self._read(sql, (experiment, after, EVER if closed is None else closed, PAGE))
        if not rows:
            return Part([], after, after)
        until = rows[-1][0]
        seen = [row[1:] for row in rows if row[1] not in BESIDE and (closed is None or row[1] != LEARN)]
        if closed is not None:
            settled = self.settled(experiment, after, until)
            seen += [(LEARN, one.action, one.reward, one.time) for one in settled]
        taken: list[Any] = []
        if any(row[1] == CORRECTED for row in rows):
            times = {row[0]: row[4] for row in rows}
            for one in self.corrections(experiment, until):
                if one.seq > after:
                    said = ((one.reward, seen), (one.was, taken))
                    for reward, where in said:
                        if reward is not None:
                            where.append((LEARN, one.action, reward, times[one.seq]))
        buckets = self._merged(experiment, _grouped(seen, experiment, arms), merged)
        known = {bucket[:4]: bucket for bucket in buckets}
        less = self._merged(experiment, _grouped(taken, experiment, arms), unmerged, known)
        return Part([*(known | {bucket[:4]: bucket for bucket in less}).values()], after, until)

    def put_part(self, experiment: int, part: Part) -> None:
        """Write what `next_part` returned: not where it is written, nor where the experiment was deleted since."""
        with self._transaction(experiment) as connection:
            there = sa.select(EXPERIMENT.c.key).where(EXPERIMENT.c.key == experiment, EXPERIMENT.c.deleted_at.is_(None))
            if connection.scalar(there) is None:
                return
            mine = COUNTED.c.experiment == experiment
            known = connection.scalar(sa.select(COUNTED.c.seq).where(mine))
            if (known or 0) != part.after:
                return
            cursor = connection.connection.cursor()  # the driver's own: 88 rows by SQLAlchemy took 48 ms
            for rows in in_runs(part.buckets):
                places = ",".join([f"({marks(len(Bucket._fields))})"] * len(rows))
                sql = f"INSERT INTO bucket ({_FIELDS}) VALUES {places} ON CONFLICT ({_KEY}) DO UPDATE SET {_NEW}"
                cursor.execute(self._in_dialect(sql), [value for row in rows for value in row])
            cursor.close()
            connection.execute(sa.delete(COUNTED).where(mine))
            connection.execute(sa.insert(COUNTED).values(experiment=experiment, seq=part.until))

    def _merged(
        self,
        experiment: int,
        new: list[Bucket],
        together: Callable[[Bucket, Bucket], Bucket],
        known: Mapping[tuple[int, int, int, int], Bucket] = MappingProxyType({}),
    ) -> list[Bucket]:
        """Return what is `known`, or else in the table, of new buckets together with these."""
        if not new:
            return []
        there: dict[tuple[int, int, int, int], Bucket] = {}
        for begins in in_lists(sorted({bucket.begins for bucket in new})):
            sql = f"SELECT {_FIELDS} FROM bucket WHERE experiment = ? AND begins IN ({marks(len(begins))})"
            there |= {bucket[:4]: bucket for bucket in map(Bucket._make, self._read(sql, (experiment, *begins)))}
        there |= known
        return [together(there[one[:4]], one) if one[:4] in there else one for one in new]


def grouped(outcomes: Outcomes, experiment: int, span: int, arms: int) -> list[Bucket]:
    """Return the buckets of some events, one for all of each span of time, and one for each arm below `arms`."""
    begins = outcomes.time // (span * 1_000_000) * (span * 1_000_000)
    found = _sums(outcomes, experiment, span, begins, np.full(len(begins), ALL))
    if arms:
        known = (outcomes.action >= 0) & (outcomes.action < arms)
        own = Outcomes(*(field[known] for field in outcomes))
        found += _sums(own, experiment, span, begins[known], own.action)
    return found


def merged(one: Bucket, two: Bucket) -> Bucket:
    """Return the bucket of the events of both."""
    return one._replace(decisions=one.decisions + two.decisions, **together(_moments(one), _moments(two))._asdict())


def unmerged(both: Bucket, two: Bucket) -> Bucket:
    """Return the bucket of the events of `both` without those of the second, which are rewards alone."""
    left = without(_moments(both), _moments(two))
    return both._replace(**left._replace(rewards=max(left.rewards, 0))._asdict())


def _moments(bucket: Bucket) -> Moments:
    return Moments(bucket.rewards, bucket.mean, bucket.square)


def _grouped(rows: Sequence[tuple[int, int | None, float | None, int]], experiment: int, arms: int) -> list[Bucket]:
    """Return the buckets of rows of kind, action, reward and the time of the decision."""
    if not rows:
        return []
    kind, action, reward, time = zip(*rows, strict=True)
    outcomes = Outcomes(
        np.array(kind, np.int64),
        np.array([ALL if one is None else one for one in action], np.int64),
        np.array([0.0 if one is None else one for one in reward]),
        np.array(time, np.int64),
    )
    return [bucket for span in SPANS for bucket in grouped(outcomes, experiment, span, arms)]


def _sums(outcomes: Outcomes, experiment: int, span: int, begins: Array, actions: Array) -> list[Bucket]:
    """Return a bucket for each pair of a time and an action."""
    pairs, which = np.unique(np.stack([begins, actions], axis=1), axis=0, return_inverse=True)
    which = which.reshape(-1)
    learned = outcomes.kind == LEARN
    rewards = np.bincount(which[learned], minlength=len(pairs))
    decisions = np.bincount(which[~learned], minlength=len(pairs))
    total = np.bincount(which[learned], outcomes.reward[learned], minlength=len(pairs))
    mean = np.divide(total, rewards, out=np.zeros(len(pairs)), where=rewards > 0)
    off = outcomes.reward[learned] - mean[which[learned]]
    square = np.bincount(which[learned], off * off, minlength=len(pairs))
    fields = (pairs[:, 0], pairs[:, 1], decisions, rewards, mean, square)
    return [Bucket(experiment, span, *row) for row in zip(*(field.tolist() for field in fields), strict=True)]
