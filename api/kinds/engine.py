"""A policy at work in this process: what the engines of all kinds share. `onearm.open` makes one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar
from weakref import finalize

import numpy as np

from ...engine import loop, snapshot
from ...engine.actions import empty_actions
from ...engine.changes.worlds import changes_of
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import Entry, Loop
from ...engine.replay.folding import NOT_JUDGED, run_rows
from ...engine.storage.records import Event
from ...engine.vectors.constants import constants_of
from ...engine.vocabulary import DECIDE, LEARN, Array, Change, Columns, Constant, Decision, Feedback, Instance
from ...policies import catalog
from .. import saving
from ..experiment.report_schemas import Report
from ..experiment.spec import Spec
from ..http.curve_schemas import Curve
from ..http.schemas import DecisionRecord
from ..service.history import History, Roster
from .decided import Decided, DecidedMany, locked
from .kind import Asked, Kind, Request, Work
from .pending import REMEMBERED, Found, Pending
from .table import kind_of

if TYPE_CHECKING:
    from ..durable.journal import Journal

TIME_MAX = 2**62  # microseconds
NO_UNITS = np.zeros(1, np.uint64)  # of decisions that are for nobody
Made = TypeVar("Made", bound=Decided)
Many = TypeVar("Many", bound=DecidedMany)


class NoSums(NamedTuple):
    """What most kinds count beside their state: nothing."""


class PolicyEngine(Work, Generic[Made]):
    """One policy at work, and its decisions that wait for feedback.

    With a journal all that it decides and learns is on record, it begins with what is, and threads may share it:
    `onearm/api/durable/threads.py`. `close` it in the end, or use it in a `with` statement. Without one it is for one
    thread, and there is nothing to close.
    """

    spec: Spec

    def __init__(
        self,
        spec: Spec,
        kind: Kind,
        made: type[Made],
        remember: int = REMEMBERED,
        journal: Journal | None = None,
    ) -> None:
        self.spec = spec
        self._kind, self._made, self._remember = kind, made, remember
        self._check = kind.check
        self._journal = journal
        if journal is None:
            self._begin()
        else:
            self._recover(journal)
            finalize(self, journal.close_unheld)  # whoever forgets to close it loses nothing but a snapshot

    def _begin(self) -> None:
        """Know nothing yet."""
        spec, own = self.spec, self._kind.own
        self.problem = spec.problem
        self.roster = Roster(spec.arms)
        self.state = spec.policy.init(spec.policy.params, spec.problem)
        self.own = own.begin(spec, own.fresh(spec.problem), History(spec, ()))
        self.number = 0
        self._many: dict[Loop, Entry] = {}  # of the loops over many decisions
        self._pending = Pending(self._made, spec.problem, self._remember)
        self._compile(self._kind)

    def _recover(self, journal: Journal) -> None:
        """Know what is on record."""
        found = journal.recover()
        self.spec, self.problem, self.roster = found.spec, found.history.problem(found.seq), found.history.roster
        self.archived = found.history.archived
        self.state, self.own = found.state, found.own
        self.number, self.rewards = found.number, found.rewards
        self._many = {}
        self._pending = journal.pending(self._made, self.problem, self._remade, self._remember)
        self._compile(self._kind)
        journal.torn = False

    def _remade(self, event: Event) -> Made:
        """Return the decision of an event of the log, whose feedback may come."""
        raise NotImplementedError

    def _carried(self, event: Event) -> dict[str, Any]:
        """Return what the decision of an event carries."""
        _, context, available, unit, time = self.saw(event)
        carried = {"_context": context, "_available": available, "_unit": np.uint64(unit), "_time": int(time)}
        return carried | {"_engine": self._pending.engine}

    def _get_ready(self, journal: Journal) -> None:
        """See to it that the next step can be made, and put on record; raise where it cannot."""
        journal.check()
        if not journal.is_sound:
            self._recover(journal)
        self.check_open()
        journal.keep_if_due(self)

    def _when(self, time: int | None) -> int:
        """Return when a decision is made, in microseconds: as it is given, else now where there is a log, else 0."""
        if time is None:
            return 0 if self._journal is None else self._journal.now()
        if not isinstance(time, Real) or not abs(time) < TIME_MAX:
            raise InvalidInput(
                "bad_time", f"time is {as_seen(time)}: it must be microseconds since 1970 UTC; leave it out for now"
            )
        return int(time)

    def report(self) -> Report:
        """Return what the decisions came to so far, as GET .../report of the service; it takes a log."""
        return self._told("a report", lambda there: there.report())

    def curve(self, by: str = "day", before: str | None = None, limit: int | None = None) -> Curve:
        """Return what was decided in each "hour" or "day" and what came of it, as the service does; it takes a log."""
        return self._told("a curve", lambda there: there.curve(by, before, limit))

    def record(self, decision: Any) -> DecisionRecord:
        """Return all that is on record of a decision, or of that of a number or an id; it takes a log."""
        named = f"~{decision}" if isinstance(decision, int) else getattr(decision, "decision_id", decision)
        return self._told("a record", lambda there: there.record(named))

    def _told(self, what: str, tell: Callable[[Any], Any]) -> Any:
        """Return what a service would tell of the log."""
        from ..durable.hosted import told_of

        if self._journal is None:
            raise InvalidInput("no_log", f"{what} is made of a log, and all is in memory: name a database")
        self._get_ready(self._journal)
        return told_of(self._journal, tell)

    def flush(self) -> None:
        """Commit what is not yet; where all is in memory there is nothing to do."""
        if self._journal is not None:
            self._get_ready(self._journal)
            self._journal.flush()

    def close(self) -> None:
        """Commit what is not yet, keep a snapshot, and give the database up; again it does nothing."""
        journal = self._journal
        if journal is None or journal.is_closed:
            return
        try:
            journal.check()
            if journal.is_sound:
                journal.keep(self)
        finally:
            journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def constants(self) -> dict[str, Constant]:
        """What the policy's steps depend on, as given or as estimated so far: `engine/vectors/constants.py`.

        Empty where the policy does not tell.
        """
        return constants_of(self.spec.policy, self.state)

    @property
    def changes(self) -> list[Change]:
        """The changes of the world that the policy found, and those that it was told of, the oldest first.

        Empty where it does not look for them.
        """
        return changes_of(self.spec.policy, self.state)

    def digest(self) -> str:
        """Return the digest of the state."""
        return snapshot.digest(self.state)

    def save(self) -> bytes:
        """Return all that an engine in memory has learned as bytes, for `load`.

        Decisions that wait for feedback are not among it. One with a log goes on from that: it is refused.
        """
        if self._journal is not None:
            raise InvalidInput("has_log", "the engine has a log, which is all of it: open its database again")
        own = self._kind.own
        state = snapshot.pack(own.join(self.state, own.part(self.own)))
        head = {
            "spec": self.spec.to_json(),
            "remember": self._remember,
            "number": self.number,
            "rewards": self.rewards,
            "state": len(state),
        }
        return saving.pack("engine", head, state + snapshot.pack(self._sums()))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Return an engine as it was saved: it goes on bit for bit, in any process.

        Raises `Damaged` for bytes that are not all as they were written. Their digest is no signature: load bytes that
        you trust. Feedback of decisions that were made before it was saved is refused.
        """
        head, body = saving.unpack("engine", data)
        spec = Spec.from_stored(saving.checked_table("spec", head.get("spec")))
        make: Any = cls  # a kind's engine takes no kind
        loaded: Self = make(spec, saving.checked_whole("remember", head.get("remember")))
        if kind_of(spec.problem) is not loaded._kind:
            raise saving.unsaved("the kind of problem", kind_of(spec.problem).name)
        length = saving.checked_whole("state", head.get("state"), high=len(body))
        kept = loaded._kind.own.join(loaded.state, loaded._kind.own.fresh(spec.problem))
        snapshot.unpack([body[:length]], kept)
        snapshot.unpack([body[length:]], loaded._sums())
        part = loaded._kind.own.split(kept)[1]
        loaded.own = loaded._kind.own.begin(spec, part, History(spec, ()))
        loaded.number = saving.checked_whole("number", head.get("number"))
        loaded.rewards = saving.checked_whole("rewards", head.get("rewards"))
        loaded._pending.saved(loaded.number)
        return loaded

    def __reduce__(self) -> tuple[Callable[[bytes], Self], tuple[bytes]]:
        """Say that copies and pickles are made of what `save` returns."""
        return type(self).load, (self.save(),)

    def __repr__(self) -> str:
        policy = catalog.label(self.spec.policy.spec)
        return f"{type(self).__name__}(policy={policy!r}, decisions={self.number:,}, rewards={self.rewards:,})"

    def _sums(self) -> Any:
        """Return what a kind counts beside all that, as arrays."""
        return NoSums()

    def _compile(self, kind: Kind) -> None:
        """Take up the kernels."""
        self.take_up(self.spec, kind.kernels(self.spec))

    def _decide(self, request: Request) -> tuple[Instance, Decision]:
        """Make the next decision; one that cannot be is not made."""
        journal = self._journal
        if journal is not None:
            request = journal.begin(self, request._replace(time=journal.now()))
        instance = self.asked(request)
        decision = self.choose(request)
        self._check(self, decision, request.available)
        if journal is None:
            self.number += 1
        else:
            journal.decided(self, Asked(request), decision)
        return instance, decision

    def _learn(self, *several: tuple[Made, Feedback]) -> None:
        """Learn what came of decisions, which then wait no more; all of it is on record together."""
        journal = self._journal
        if journal is not None:
            journal.torn = True
        for decision, feedback in several:
            self.learn_from(decision.instance, Decision(decision.chosen, decision.propensity), feedback)
        if journal is not None:
            journal.learned(*several)
        for decision, _ in several:
            self._pending.drop(decision)
        self.rewards += len(several)

    def _decide_many(self, contexts: Any, available: Array, n: int, unit: Array = NO_UNITS, time: int = 0) -> Columns:
        """Make n decisions on the state as it is, from contexts of n rows and masks bool[n, k], or bool[1, k] for all.

        `unit` are those whom they are for, uint64[n], or uint64[1] for all; they are made at one `time`.

        They are made for good once `_hold_many` is called.
        """
        rows = Columns(
            kind=np.full(n, DECIDE, np.int8),
            number=self.number + np.arange(n),
            action=empty_actions(n, self.problem),
            propensity=np.full(n, np.nan),
            reward=np.full(n, np.nan),
            detail=np.full((n, self.problem.detail_length), np.nan),
            context=contexts,
            available=available,
            unit=unit,
            time=np.array([time]),
        )
        if self._journal is not None:
            self._journal.torn = True
        self._run_many(loop.decide_all, rows)
        return rows

    def _hold_many(
        self, kind: type[Many], rows: Columns, chosen: Array, asked: Iterable[Asked] = (), **more: Any
    ) -> Many:
        """Take up the decisions of n rows, and return them as people hold them: `chosen` is what they see of them.

        `asked` is what each was asked for, where there is a journal.
        """
        n = len(rows.kind)
        carried = {"_columns": rows, "_waiting": np.ones(n, np.bool_), "_rows": np.arange(n), **more}
        public = map(locked, (rows.number, chosen, rows.propensity))
        batch = kind(*public, _engine=self._pending.engine, **carried)
        if self._journal is None:
            self.number += n
        else:
            self._journal.decided_many(self, asked, rows)
        self._pending.hold_many(batch, self.number)
        return batch

    def _learn_many(self, found: Found[Made], rewards: Array, details: Array) -> None:
        """Learn rewards float64[n] and details float64[n, m] of n decisions, in their order."""
        kind = np.full(len(rewards), LEARN, np.int8)
        rows = found.columns._replace(kind=kind, reward=rewards, detail=details)
        if self._journal is not None:
            self._journal.torn = True
        self._run_many(loop.fold, rows, *NOT_JUDGED)
        if self._journal is not None:
            self._journal.learned_many(rows)
        self._pending.drop_many(found)
        self.rewards += len(rewards)

    def _run_many(self, entry: Loop, rows: Columns, *further: Any) -> None:
        """Run a loop over rows."""
        arguments = self.spec.policy.params, self.state, self.spec.run, rows, *further
        if entry not in self._many:
            self._many[entry] = entry.entry(*arguments)
        run_rows(self._many[entry], *arguments)
