"""The journal of an engine: what writes its decisions and rewards to the log of an experiment, in the caller's thread.

It has no event loop, and no thread that it hands events to: whoever decides and learns in one thread has nobody to wait
for but the disk, and to hand each event over takes longer than to write it. What it shares with the service is what
makes the log what it is: events are made by `service/entered.py`, a batch is one transaction of the `Store`, the state
is what `service/folded.py` folds, and snapshots are the writer's. Where a commit fails, or a step is broken off, the
state may be ahead of the log: it is thrown away and folded again before anything else is done.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from weakref import WeakSet

from ...engine.errors import NotFound, OnearmError, Unavailable, as_seen
from ...engine.snapshot import size
from ...engine.storage.records import Event, Experiment
from ...engine.vocabulary import CHANGE, DECIDE, DECISIONS, EXTERNAL, Columns, Decision, Feedback, Problem
from ..experiment.ids import own_number
from ..experiment.spec import Spec
from ..experiment.weights import Shown, on_record
from ..kinds.decided import Decided, Made
from ..kinds.kind import Asked, Kind, Request, Work, known
from ..service.clocks import microseconds
from ..service.entered import Place, Sent, decision_event, learned_event
from ..service.folded import Recovered, finished, fold_log
from ..service.history import detail_of, packed_mask
from ..service.keeping import EVENT_BYTES, SNAPSHOT_BYTES
from ..service.writer import PendingSnapshot
from .commits import Commits
from .owners import Share
from .pending import LoggedPending

log = logging.getLogger("onearm")
NOTHING_MORE = (None, None, None)  # what nearly all rewards, and decisions without contexts, have beside their numbers


class Failed(NamedTuple):
    """A commit that failed."""

    events: int
    error: OnearmError
    is_told: bool = False  # whether whoever decides has heard of it

    def told(self, more: int) -> OnearmError:
        """Return what is raised; so many `more` events came behind it."""
        lost = self.events + more
        if lost <= 1:
            return self.error
        said = f"the last {lost} decisions and rewards are not on record, and not learned: {self.error}"
        return Unavailable(self.error.code, said)


class Journal:
    """The log of one experiment in a database that is locked for this process. One thread at a time calls it."""

    tally: Any  # a `Tally`: what decisions came to so far

    def __init__(self, share: Share, row: Experiment, created: Spec, kind: Kind, commits: Commits) -> None:
        self.store = share.store
        self.share = share
        self.row = row
        self.created = created
        self.kind = kind
        self.seq = 0  # of the last event, committed or not
        self.torn = False  # whether a step has begun, and is not on record yet
        self._commits = commits
        self._policy: int | None = None  # the number of the one that decides, where that is not the first
        self._tail: list[Event] = []  # what is not committed; where a commit is broken off it may be
        self._bytes = 0  # of log, since the last snapshot
        self._failed: Failed | None = None  # the last commit: nothing behind it may be written, as the log has a gap
        self.calls = threading.RLock()  # held for each call of the engine: `threads.py`
        JOURNALS.add(self)
        self._adding = threading.Lock()  # held while the tail changes
        self._committing = threading.Lock()  # held while it is committed
        self._process = os.getpid()
        self._over = threading.Event()
        if commits.seconds is not None:
            threading.Thread(target=self._commit_now_and_then, name="onearm-journal", daemon=True).start()

    # -- before ----------------------------------------------------------------------------------------------------

    def recover(self) -> Recovered:
        """Commit what is not yet, or forget it behind a commit that failed; fold the log, and go on behind it.

        It is `torn` until whoever asks has taken up all that is returned.
        """
        self.torn = True
        with self._committing, self._adding:
            self._tell()  # a commit may have failed since the check
            last = None if self._failed is not None else self.store.last(self.row.key)[0]
            self._tail = [] if last is None else [event for event in self._tail if event.seq > last]
            self._failed = None
        self.flush()
        found = finished(fold_log(self.row, self.created, self.kind, self.store))
        self.seq, self.tally = found.seq, found.tally
        self._policy = found.spec.numbers[0] or None
        self._bytes = (found.seq - found.kept_at) * EVENT_BYTES
        return found

    def pending(
        self, made: type[Made], problem: Problem, remade: Callable[[Event], Made], remember: Any
    ) -> LoggedPending[Made]:
        """Return the decisions that wait for feedback, with what is on record of them."""
        return LoggedPending(made, problem, self, remade, remember)

    def shown(self) -> Iterator[Shown]:
        """Yield what was shown of the newest decisions, those that are written down."""
        self.flush()
        return on_record(self.store, self.row.key, self.seq)

    def check(self) -> None:
        """Raise `Unavailable` where nothing more can be written, or where a commit in the background failed.

        Nothing is locked for it: in a process that was forked locks may stay as they were at that moment.
        """
        if os.getpid() != self._process:
            raise Unavailable(
                "other_process",
                f"the engine of {self.row.id!r} was opened before this process was forked: open it after that",
            )
        if self._over.is_set():
            raise Unavailable("closed", f"the engine of {self.row.id!r} is closed: open it again")
        self._tell()

    @property
    def is_closed(self) -> bool:
        """Whether the database was given up, or is that of the process from which this one was forked."""
        return self._over.is_set() or os.getpid() != self._process

    @property
    def is_sound(self) -> bool:
        """Whether the state is what is on record, or waits to be."""
        return not self.torn and self._failed is None

    def now(self) -> int:
        """Return the time in microseconds since 1970 UTC."""
        return microseconds()

    def begin(self, work: Work, request: Request) -> Request:
        """Take note that a decision is about to be made; return the request with what is said of it beforehand."""
        request = self.kind.explain(work, request)
        self.torn = True
        return request

    # -- what goes to the log --------------------------------------------------------------------------------------

    def decided(self, work: Work, asked: Asked, decision: Decision) -> None:
        """Write a decision, the next one."""
        self.write([self.numbered(work, asked, decision)])

    def numbered(self, work: Work, asked: Asked, decision: Decision) -> Event:
        """Return the event of a decision, the next one, for `write`."""
        event = self._decision(DECIDE, work, asked, decision, work.number)
        work.number += 1
        return event

    def write(self, events: Iterable[Event]) -> None:
        """Write decisions that are one for whoever asked, in one transaction."""
        self._append(*events)

    def decided_many(self, work: Work, asked: Iterable[Asked], rows: Columns) -> None:
        """Write n decisions that were made together, in one transaction."""
        events = []
        for row, one in enumerate(asked):
            decision = Decision(rows.action[row], float(rows.propensity[row]))
            events.append(self._decision(DECIDE, work, one, decision, int(rows.number[row])))
        work.number += len(events)
        self._append(*events)

    def given(self, work: Work, asked: Iterable[Asked], rows: Columns) -> None:
        """Write n decisions of somebody else that were learned from, each with its reward."""
        events = []
        for row, one in enumerate(asked):
            decision = Decision(rows.action[row], float(rows.propensity[row]))
            events.append(self._decision(EXTERNAL, work, one, decision, work.number))
            events.append(self._reward(rows, row, work.number))
            work.number += 1
        self._append(*events)

    def learned(self, *several: tuple[Decided, Feedback]) -> None:
        """Write what came of decisions, in one transaction."""
        events = []
        for made, feedback in several:
            detail = self.kind.detail_json(feedback)
            told = made.number, made.logged, known(made.propensity), self._place(microseconds())
            self.tally.learn(made.chosen, feedback)
            events.append(learned_event(*told, float(feedback.reward), detail, ""))
        self._append(*events)

    def learned_many(self, rows: Columns) -> None:
        """Write what came of n decisions, in one transaction."""
        self._append(*(self._reward(rows, row, int(rows.number[row])) for row in range(len(rows.kind))))

    def changed(self, change: Any) -> None:
        """Write a change, and commit it."""
        place = self._place(microseconds())
        self._append(Event(place.experiment, place.seq, CHANGE, detail=detail_of(change), time=place.time))
        self.flush()

    def _decision(self, what: int, work: Work, asked: Asked, decision: Decision, number: int) -> Event:
        request, roster = asked.request, work.roster
        encoded = self.kind.encode(work, request, decision)
        propensity = known(decision.propensity)
        self.tally.decide(encoded.action, propensity)
        mask = roster.packed if request.available is roster.active else packed_mask(request.available)
        sent = Sent(text=asked.sent, unit_id=asked.unit_id)
        event = decision_event(
            what, self._place(request.time), number, propensity, request, mask, encoded, sent, work.problem
        )
        return event if self._policy is None or what == EXTERNAL else event._replace(policy=self._policy)

    def _reward(self, rows: Columns, row: int, number: int) -> Event:
        """Return the event of what came of a decision of numbered actions."""
        action, feedback = int(rows.action[row]), Feedback(float(rows.reward[row]), rows.detail[row])
        self.tally.learn(action, feedback)
        detail = self.kind.detail_json(feedback)
        place = self._place(microseconds())
        return learned_event(number, action, known(float(rows.propensity[row])), place, feedback.reward, detail, "")

    def _place(self, at: int) -> Place:
        """Return where the next event stands."""
        self.seq += 1
        return Place(self.row.key, self.seq, at)

    def _append(self, *events: Event) -> None:
        """Put events behind those that wait, and commit all where it is time; what was done is on record then."""
        with self._adding:
            self._tail += events
        for event in events:
            more = (event.context, event.vector, event.detail)
            self._bytes += EVENT_BYTES if more == NOTHING_MORE else EVENT_BYTES + sum(len(one or b"") for one in more)
        self.torn = False
        if len(self._tail) >= self._commits.events:
            self.flush()

    def decision(self, decision_id: str) -> Event:
        """Return the event of a decision by its id: the client's, or ~ and its number. Raises `NotFound`."""
        self.flush()
        number = own_number(decision_id)
        asked: tuple[list[int], list[str]] = ([], [decision_id]) if number is None else ([number], [])
        found = (one for one in self.store.find(self.row.key, *asked) if one.kind in DECISIONS)
        event = next(found, None)
        if event is None:
            raise NotFound("unknown_decision", f"there is no decision {as_seen(decision_id)}: decide first")
        return event

    # -- commits ---------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Commit what is not yet. Where that fails it is lost, which is said, and the log is folded again."""
        with self._committing:
            self._commit([])
            self._tell()

    def _tell(self) -> None:
        """Raise, once, where a commit failed, in the background too."""
        failed = self._failed
        if failed is not None and not failed.is_told:
            self._failed = failed._replace(is_told=True)
            raise failed.told(len(self._tail) - failed.events)

    def keep_if_due(self, work: Work) -> None:
        """Keep a snapshot where the log has become long enough since the last one."""
        if self._bytes > SNAPSHOT_BYTES and self._bytes > 4 * size(work.state):
            self.keep(work)

    def keep(self, work: Work) -> None:
        """Commit what is not yet, and keep a snapshot of the state, where anything came since the last one."""
        if not self._bytes:
            self.flush()
            return
        own = self.kind.own
        kept = own.join(work.state, own.part(work.own))
        pending = PendingSnapshot(self.row.key, self.seq, work.number, work.spec.versions_json(), kept, self.tally.sums)
        with self._committing:
            while pending.whole is None and self._failed is None:
                self._commit([pending])
            self._tell()
        self._bytes = 0

    def _commit(self, kept: Sequence[PendingSnapshot]) -> Failed | None:
        """Write what waits, and the next parts of snapshots, in one transaction; the lock is held.

        Return how that failed, which nobody has been told yet. Behind a commit that failed nothing is written.
        """
        with self._adding:
            batch = list(self._tail)
        if self._failed is not None or not (batch or kept):
            return None
        try:
            parts = [part for one in kept for part in one.take()]
            whole = [one.whole for one in kept if one.whole is not None]
            self.store.append(batch, parts=parts, snapshots=whole)
            with self._adding:
                del self._tail[: len(batch)]
        except OnearmError as error:
            self._failed = Failed(len(batch), error)
        except BaseException:  # somebody broke it off, and it may be on record or not
            self.torn = True
            raise
        return self._failed

    def _commit_now_and_then(self) -> None:
        """Commit what waits, again and again, until it is over. Runs in a thread of its own.

        Whatever a commit fails with, whoever decides next is told.
        """
        while not self._over.wait(self._commits.seconds):
            with self._committing:
                try:
                    failed = self._commit([])
                except Exception as error:
                    log.error("experiment %r: a commit broke off", self.row.id, exc_info=error)
                    said = f"a commit broke off ({type(error).__name__}: {error}): see the log, and try again"
                    failed = self._failed = Failed(len(self._tail), Unavailable("commit_failed", said))
            if failed is not None:
                log.error("experiment %r: %s", self.row.id, failed.told(0))

    # -- the end ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Commit what is not yet, and give the database up; again it does nothing."""
        if self.is_closed:
            return
        self._over.set()
        try:
            self.flush()
        finally:
            self.share.give_up()

    def close_unheld(self) -> None:
        """Close where memory is cleared up: in any thread, also in one that another waits for, which has the lock."""
        lock = self.share.owner.lock
        if not lock.acquire(blocking=False):
            threading.Thread(target=self.close, name="onearm-end").start()
            return
        try:
            self.close()
        finally:
            lock.release()


JOURNALS: WeakSet[Journal] = WeakSet()


def _unlock_calls() -> None:
    """In a process that was forked: let no call wait for a thread of the other one, which would not come back."""
    for journal in JOURNALS:
        journal.calls = threading.RLock()


os.register_at_fork(after_in_child=_unlock_calls)
