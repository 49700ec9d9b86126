"""Windows in SQL: rewards that came and are on record, decisions that wait to be shown, and windows that closed.

A closing is a LEARN event without a `reward_id`, whose `detail` says why, and so is what is learned at once, while its
window is open. The `detail` of an OUTCOME says whether it came late,
or of which EARLY event it is; that of an EARLY one for which decision it came, that of an ACTIVATION whether a decision
is deferred, was shown, or never was, which closes it, or which decision of somebody else was shown in its place.
What is told beside rewards, a cost or the next state, stands in the details of OUTCOME and LEARN events as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import sqlalchemy as sa

from ..actions import pack_detail
from ..vocabulary import ACTIVATION, CORRECTED, DECISIONS, EARLY, LEARN, OUTCOME, Array
from . import schema
from .correction_rows import Corrections
from .records import Event, Windowed
from .statements import in_lists, marks

CLOSED_BY_REWARD = '{"closed": "reward"}'
CLOSED_BY_DEFAULT = '{"closed": "default"}'
LEARNED_AT_ONCE = '{"closed": "at_once"}'  # when its first reward came: the window stays open
Closed = Literal["reward", "default", "at_once"]
CLOSINGS: dict[Closed, str] = {"reward": CLOSED_BY_REWARD, "default": CLOSED_BY_DEFAULT, "at_once": LEARNED_AT_ONCE}
_CLOSED = {said: why for why, said in CLOSINGS.items()}
LATE = '{"late": true}'
DEFERRED = '{"activation": "deferred"}'
DONE = '{"activation": "done"}'
LAPSED = '{"activation": "lapsed"}'
ACTIVATIONS = {"deferred": DEFERRED, "done": DONE, "lapsed": LAPSED}
SAID = (*CLOSINGS.values(), LATE, *ACTIVATIONS.values())
BESIDE = '"beside": '  # before what was told beside a reward, the last of a detail
TAKEN = '{"early": '  # so begins the detail of an OUTCOME that came before its decision
SHOWN = '{"shown": '  # so begins that of the ACTIVATION of a decision in whose place another one was shown
PAGE = 5_000  # events of one SELECT


class Begun(NamedTuple):
    """An event with which a window may begin: a decision, or its activation."""

    seq: int
    number: int  # of the decision
    time: int  # microseconds since 1970 UTC
    is_activation: bool


class OpenWindows(NamedTuple):
    """Which windows a log leaves open."""

    closed: int  # the seq up to which those that began are closed, or were
    activated: int  # how many of the others began with an activation, their decisions lying before that


class Valued(NamedTuple):
    """What was learned of a decision, as it is known now."""

    action: int
    reward: float | None  # None where it is retracted


class Learned(NamedTuple):
    """What was learned of a decision."""

    number: int
    reward: float  # as it was learned
    kind: int  # of the decision, as all below
    seq: int
    policy: int | None
    unit_id: str | None
    action: int
    time: int


class Windows(Corrections):
    """What a database knows of windows."""

    def windowed(self, experiment: int, after: int, until: int) -> Windowed:
        """Count what windows came to after one seq, up to another. Reads all events between."""
        sql = (
            "SELECT count(CASE WHEN kind = ? AND detail = ? THEN 1 END), "
            "count(CASE WHEN kind = ? AND detail LIKE ? THEN 1 END), "
            "count(CASE WHEN kind = ? THEN 1 END), "
            "count(CASE WHEN kind = ? AND detail LIKE ? THEN 1 END), "
            "count(CASE WHEN kind = ? AND detail = ? THEN 1 END), "
            "count(CASE WHEN kind = ? AND detail LIKE ? THEN 1 END) FROM event "
            f"WHERE experiment = ? AND seq > ? AND seq <= ? AND kind IN ({LEARN}, {OUTCOME}, {EARLY}, {ACTIVATION})"
        )
        late, taken = _begins(LATE), f"{TAKEN}%"
        said = (LEARN, CLOSED_BY_DEFAULT, OUTCOME, late, EARLY, OUTCOME, taken, ACTIVATION, LAPSED, ACTIVATION)
        return Windowed(*self._read(sql, (*said, f"{SHOWN}%", experiment, after, until))[0])

    def open_windows(self, experiment: int) -> OpenWindows:
        """Return which windows a log leaves open: they close in the order in which they began.

        Reads back from the end of the log to the last closing, and what came since that one began.
        """
        sql = (
            f"SELECT number FROM event WHERE experiment = ? AND ((kind = {LEARN} AND (detail LIKE ? OR detail = ?)) "
            f"OR (kind = {ACTIVATION} AND detail = ?)) ORDER BY seq DESC LIMIT 1"
        )
        rows = self._read(sql, (experiment, _begins(CLOSED_BY_REWARD), CLOSED_BY_DEFAULT, LAPSED))
        if not rows:
            return OpenWindows(0, 0)
        sql = (
            "SELECT max(seq) FROM event WHERE experiment = ? AND number = ? "
            f"AND (kind IN {DECISIONS} OR (kind = {ACTIVATION} AND detail = ?))"
        )
        return self._open_after(experiment, self._read(sql, (experiment, rows[0][0], DONE))[0][0] or 0)

    def open_windows_by_time(self, experiment: int, before: int, has_default: bool) -> OpenWindows:
        """Return the same by the time as well: of silence without a default nothing is on record, nor of erasures.

        Of the windows that began up to the seq `before` the time is over. Those are open still that come after the
        first decision of which nothing was learned that is to be, and that is not erased: with a default any, else one
        of which a reward came in time, or one that waits to be shown, of which it will be said that it never was.
        """
        left = self.open_windows(experiment)
        if before <= left.closed:
            return left
        unlearned = (
            f"b.seq > ? AND b.seq <= ? AND b.kind IN {DECISIONS} AND NOT EXISTS (SELECT 1 FROM event l "
            f"WHERE l.experiment = b.experiment AND l.number = b.number AND l.kind = {LEARN}) "
            "AND NOT EXISTS (SELECT 1 FROM erased x WHERE x.experiment = b.experiment AND x.number = b.number)"
        )
        where = experiment, left.closed, before
        if has_default:
            sql = f"SELECT b.seq FROM event b WHERE b.experiment = ? AND {unlearned} ORDER BY b.seq LIMIT 1"
            rows = self._read(sql, where)
            return self._open_after(experiment, rows[0][0] - 1 if rows else before)
        said_so = (
            "EXISTS (SELECT 1 FROM event a WHERE a.experiment = o.experiment AND a.number = o.number "
            f"AND a.kind = {ACTIVATION} AND a.detail"
        )
        sql = (
            "SELECT min(b.seq) FROM event o JOIN event b ON b.experiment = o.experiment AND b.number = o.number "
            f"WHERE o.experiment = ? AND o.kind >= {OUTCOME} AND o.seq > ? AND {unlearned} "
            f"AND ((o.kind = {OUTCOME} AND (o.detail IS NULL OR o.detail NOT LIKE ?) AND NOT {said_so} NOT IN (?, ?))) "
            f"OR (o.kind = {ACTIVATION} AND o.detail = ? AND NOT {said_so} <> ?)))"
        )
        said = _begins(LATE), DEFERRED, DONE, DEFERRED, DEFERRED
        first = self._read(sql, (experiment, left.closed, left.closed, before, *said))[0][0]
        return self._open_after(experiment, before if first is None else first - 1)

    def _open_after(self, experiment: int, closed: int) -> OpenWindows:
        """Return which windows are open after the one that began at a seq."""
        before = (
            f"SELECT number FROM event WHERE experiment = ? AND seq <= ? AND kind IN {DECISIONS} "
            "ORDER BY seq DESC LIMIT 1"
        )
        sql = (
            f"SELECT count(*) FROM event WHERE experiment = ? AND seq > ? AND kind >= {OUTCOME} "
            f"AND kind = {ACTIVATION} AND detail = ? AND number <= ({before})"
        )
        return OpenWindows(closed, self._read(sql, (experiment, closed, DONE, experiment, closed))[0][0])

    def waiting_rewards(self, experiment: int, closed: int) -> int:
        """Count the rewards that came in time after a seq, up to which windows are closed, and are not learned yet.

        Reads the OUTCOME events since then.
        """
        if self.revision < schema.OUTCOMES:
            return 0
        sql = (
            f"SELECT count(*) FROM event o WHERE o.experiment = ? AND o.seq > ? AND o.kind >= {OUTCOME} "
            f"AND o.kind = {OUTCOME} AND (o.detail IS NULL OR o.detail NOT LIKE ?) AND NOT EXISTS "
            f"(SELECT 1 FROM event l WHERE l.experiment = o.experiment AND l.number = o.number AND (l.kind = {LEARN} "
            f"OR (l.kind = {ACTIVATION} AND l.detail NOT IN (?, ?))))"
        )
        return int(self._read(sql, (experiment, closed, _begins(LATE), DEFERRED, DONE))[0][0])

    def learned_at_once(self, experiment: int, closed: int) -> list[int]:
        """Return the numbers of the decisions that were learned at once, and whose windows began after a seq."""
        sql = (
            f"SELECT l.number FROM event l WHERE l.experiment = ? AND l.seq > ? AND l.kind = {LEARN} "
            "AND l.detail LIKE ? AND EXISTS (SELECT 1 FROM event b "
            "WHERE b.experiment = l.experiment AND b.number = l.number "
            f"AND b.seq > ? AND (b.kind IN {DECISIONS} OR (b.kind = {ACTIVATION} AND b.detail = ?)))"
        )
        rows = self._read(sql, (experiment, closed, _begins(LEARNED_AT_ONCE), closed, DONE))
        return [number for (number,) in rows]

    def values_at_once(self, experiment: int, numbers: Sequence[int]) -> dict[int, Valued]:
        """Return what was learned at once of decisions of some numbers, as it is corrected, also where it is erased."""
        found: dict[int, Valued] = {}
        for some in in_lists(numbers):
            sql = (
                "SELECT number, kind, action, reward FROM event "
                f"WHERE experiment = ? AND number IN ({marks(len(some))}) "
                f"AND ((kind = {LEARN} AND detail LIKE ?) OR kind = {CORRECTED}) ORDER BY seq"
            )
            for number, kind, action, reward in self._read(sql, (experiment, *some, _begins(LEARNED_AT_ONCE))):
                if kind == LEARN:
                    found[number] = Valued(action, reward)
                elif number in found:
                    found[number] = found[number]._replace(reward=reward)
        return found

    def learned(self, experiment: int, after: int, until: int) -> list[Learned]:
        """Return what was learned between two seqs, in that order."""
        sql = (
            f"SELECT {self._of_learned} FROM event l JOIN event d ON d.experiment = l.experiment "
            f"AND d.number = l.number AND d.kind IN {DECISIONS} "
            f"WHERE l.experiment = ? AND l.kind = {LEARN} AND l.seq > ? AND l.seq <= ? ORDER BY l.seq"
        )
        return list(map(Learned._make, self._read(sql, (experiment, after, until))))

    def settled(self, experiment: int, after: int, until: int) -> list[Learned]:
        """Return what was learned of the decisions whose windows began after one seq, up to another, in that order.

        These windows are closed.
        """
        sql = (
            f"SELECT {self._of_learned} FROM event b JOIN event d ON d.experiment = b.experiment "
            f"AND d.number = b.number AND d.kind IN {DECISIONS} "
            f"JOIN event l ON l.experiment = b.experiment AND l.number = b.number AND l.kind = {LEARN} "
            "WHERE b.experiment = ? AND b.seq > ? AND b.seq <= ? "
            f"AND ((b.kind = {ACTIVATION} AND b.detail = ?) OR (b.kind IN {DECISIONS} AND NOT EXISTS ("
            "SELECT 1 FROM event a WHERE a.experiment = b.experiment AND a.number = b.number "
            f"AND a.kind = {ACTIVATION} AND a.detail = ?))) ORDER BY b.seq"
        )
        return list(map(Learned._make, self._read(sql, (experiment, after, until, DONE, DONE))))

    @property
    def _of_learned(self) -> str:
        """The columns of `Learned`, of a decision d and what was learned of it, l."""
        policy = "d.policy" if self.revision >= schema.POLICIES else "NULL"
        unit = "d.unit_id" if self.revision >= schema.UNITS else "NULL"
        return f"l.number, l.reward, d.kind, d.seq, {policy}, {unit}, l.action, d.time"

    def begun(self, experiment: int, after: int, limit: int) -> list[Begun]:
        """Return the first `limit` events after a seq with which windows may begin, in order."""
        sql = (
            "SELECT seq, number, time, kind FROM event WHERE experiment = ? AND seq > ? "
            f"AND (kind IN {DECISIONS} OR (kind = {ACTIVATION} AND detail = ?)) ORDER BY seq LIMIT ?"
        )
        rows = self._read(sql, (experiment, after, DONE, limit))
        return [Begun(seq, number, time, kind == ACTIVATION) for seq, number, time, kind in rows]

    def activated(self, experiment: int, numbers: Sequence[int]) -> set[int]:
        """Return which decisions were activated, of some numbers, also where they are erased."""
        found: set[int] = set()
        for some in in_lists(numbers):
            sql = (
                f"SELECT number FROM event WHERE experiment = ? AND number IN ({marks(len(some))}) "
                f"AND kind = {ACTIVATION} AND detail = ?"
            )
            found.update(number for (number,) in self._read(sql, (experiment, *some, DONE)))
        return found

    def arrived(self, experiment: int, until: int) -> Iterator[Event]:
        """Yield the events beside decisions and changes up to a seq, in order, with what windows need of them."""
        sql = (
            "SELECT seq, kind, number, reward, detail FROM event WHERE experiment = ? AND seq > ? AND seq <= ? "
            f"AND (kind = {LEARN} OR kind >= {OUTCOME}) ORDER BY seq LIMIT ?"
        )
        after = 0
        while rows := self._read(sql, (experiment, after, until, PAGE)):
            for seq, kind, number, reward, detail in rows:
                yield Event(experiment, seq, kind, number, reward=reward, detail=detail)
            after = rows[-1][0]

    def held(self, experiment: int, after: int) -> list[Event]:
        """Return the EARLY events after a seq whose decisions were never made, in order."""
        sql = (
            "SELECT seq, number, reward, reward_id, detail, time FROM event "
            f"WHERE experiment = ? AND seq > ? AND kind >= {OUTCOME} AND kind = {EARLY} AND detail IS NOT NULL "
            "ORDER BY seq"
        )
        found = [
            Event(experiment, seq, EARLY, number, reward=reward, detail=detail, reward_id=reward_id, time=time)
            for seq, number, reward, reward_id, detail, time in self._read(sql, (experiment, after))
        ]
        made: set[str] = set()
        for ids in in_lists(sorted({decision_of(event) for event in found})):
            sql = f"SELECT decision_id FROM event WHERE experiment = ? AND decision_id IN ({marks(len(ids))})"
            made.update(id for (id,) in self._read(sql, (experiment, *ids)))
        return [event for event in found if decision_of(event) not in made]

    def related(self, experiment: int, numbers: Sequence[int]) -> list[int]:
        """Return the numbers of what belongs to some decisions: EARLY events, and decisions shown in their place."""
        found: list[int] = []
        for some in in_lists(numbers):
            sql = (
                f"SELECT detail FROM event WHERE experiment = ? AND number IN ({marks(len(some))}) "
                f"AND ((kind = {OUTCOME} AND detail LIKE ?) OR (kind = {ACTIVATION} AND detail LIKE ?))"
            )
            rows = self._read(sql, (experiment, *some, f"{TAKEN}%", f"{SHOWN}%"))
            told = [json.loads(detail) for (detail,) in rows]
            found += [-one["early"] if "early" in one else one["shown"] for one in told]
            sql = (
                f"SELECT decision_id FROM event WHERE experiment = ? AND number IN ({marks(len(some))}) "
                "AND decision_id IS NOT NULL"
            )
            found += self.early_of(experiment, [name for (name,) in self._read(sql, (experiment, *some))])
        return list(dict.fromkeys(found))

    def early_of(self, experiment: int, decision_ids: Sequence[str]) -> list[int]:
        """Return the numbers of the EARLY events for decisions that clients call so, whether or not these were made.

        Reads all events from OUTCOME on.
        """
        found: list[int] = []
        for some in in_lists([early_detail(name) for name in decision_ids]):
            sql = (
                f"SELECT number FROM event WHERE experiment = ? AND kind >= {OUTCOME} AND kind = {EARLY} "
                f"AND detail IN ({marks(len(some))})"
            )
            found += [number for (number,) in self._read(sql, (experiment, *some))]
        return found

    def beside_seqs(self, experiment: int) -> Array:
        """Return the seqs of the events from OUTCOME on that no policy learns from, int64[n], in order."""
        if self.revision < schema.OUTCOMES:
            return np.zeros(0, np.int64)
        sql = f"SELECT seq FROM event WHERE experiment = ? AND kind >= {OUTCOME} ORDER BY seq"
        return np.array([seq for (seq,) in self._read(sql, (experiment,))], np.int64)

    def n_beside(self, experiment: int, until: int = 2**63 - 1) -> int:
        """Return how many of these there are up to a seq, from their index."""
        if self.revision < schema.OUTCOMES or until <= 0:
            return 0
        sql = f"SELECT count(*) FROM event WHERE experiment = ? AND kind >= {OUTCOME} AND seq <= ?"
        found: int = self._read(sql, (experiment, until))[0][0]
        return found


def early_detail(decision_id: str) -> str:
    """Return the detail of an EARLY event for a decision that a client will call so."""
    return json.dumps({"decision_id": decision_id})


def decision_of(early: Event) -> str:
    """Return how a client calls the decision that an EARLY event came for."""
    found: str = json.loads(early.detail or "{}")["decision_id"]
    return found


def with_beside(said: str | None, beside: Sequence[float]) -> str | None:
    """Return a detail that says something of a window, and what was told beside the reward; NaN where nothing was.

    >>> with_beside(LATE, [5.0]), with_beside(None, [5.0]), with_beside(None, [])
    ('{"late": true, "beside": [5.0]}', '{"beside": [5.0]}', None)
    """
    if (told := pack_detail(beside)) is None:
        return said
    return f"{'{' if said is None else f'{said[:-1]}, '}{BESIDE}{told}}}"


def said_in(detail: str | None) -> str | None:
    """Return what a detail says of a window, without what was told beside the reward.

    >>> said_in('{"late": true, "beside": [5.0]}') == LATE, said_in('{"beside": [5.0]}')
    (True, None)
    """
    if detail is None or BESIDE not in detail:
        return detail
    said = detail.partition(BESIDE)[0]
    return None if said == "{" else f"{said.removesuffix(', ')}}}"


def beside_in(detail: str | None) -> list[float] | None:
    """Return what was told beside a reward, None where nothing was.

    >>> beside_in('{"late": true, "beside": [5.0]}')
    [5.0]
    """
    told: list[float] | None = json.loads(detail).get("beside") if detail is not None and BESIDE in detail else None
    return told


def why_closed(learned: Event) -> Closed | None:
    """Return why a LEARN event was learned; None where no window was why."""
    return closing_in(learned.detail)


def closing_in(detail: str | None) -> Closed | None:
    """Return why a LEARN event with a detail was learned; None where no window was why."""
    return _CLOSED.get(said_in(detail) or "")


def is_late(outcome: Event) -> bool:
    """Tell whether a reward came too late."""
    return said_in(outcome.detail) == LATE


def taken_detail(early: int) -> str:
    """Return the detail of an OUTCOME that came as the EARLY event of a seq."""
    return f"{TAKEN}{early}}}"


def early_seq(outcome: Event) -> int | None:
    """Return the seq of the EARLY event that an OUTCOME came as; None where it came when its decision was there."""
    detail = outcome.detail or ""
    return json.loads(detail)["early"] if detail.startswith(TAKEN) else None


def shown_detail(number: int) -> str:
    """Return the detail of the ACTIVATION of a decision in whose place the one of this number was shown."""
    return f"{SHOWN}{number}}}"


def shown_number(activation: Event | None) -> int | None:
    """Return the number of the decision that was shown in the place of an ACTIVATION's; None where none was."""
    detail = "" if activation is None else activation.detail or ""
    return json.loads(detail)["shown"] if detail.startswith(SHOWN) else None


def said_of_windows(event: Any) -> sa.ColumnElement[str | None]:
    """Return what the detail of an event, given by its columns, says of a window; not what was told beside a reward."""
    detail, told = event.detail, [(event.detail.startswith(said[:-1]), said) for said in (*CLOSINGS.values(), LATE)]
    whole = detail.in_(SAID) | detail.startswith(TAKEN) | detail.startswith(SHOWN)
    return sa.case(
        (event.kind.not_in((LEARN, OUTCOME, ACTIVATION)), sa.null()), (whole, detail), *told, else_=sa.null()
    )


def _begins(said: str) -> str:
    """Return a pattern for details that say so, whatever is told beside the reward."""
    return f"{said[:-1]}%"
