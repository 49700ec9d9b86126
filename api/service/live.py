"""One live experiment: recover, decide, learn, change, snapshot. The only mutable object behind the service.

What differs between kinds of decisions it asks its own (`kinds/kind.py`). All methods but `recover` and `recovery`
belong to the event loop's thread. A decision or a reward changes the state at once and is queued for the log; whoever
asked gets the answer after the commit. Where a commit fails, the state is ahead of the log: it is thrown away and
folded again.
"""

from __future__ import annotations

import asyncio
import logging
import math
from bisect import bisect_right
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any, ParamSpec, TypeVar

from ...engine import loop, snapshot
from ...engine.errors import InvalidInput, OnearmError
from ...engine.features import unit_of
from ...engine.kernel import Entry
from ...engine.protocol import explains, marks
from ...engine.storage.records import Base, Event, Experiment
from ...engine.storage.store import Store
from ...engine.vocabulary import CHANGE, DECIDE, EXTERNAL, Action, Decision, Feedback, Problem
from ..experiment.compiling import Kernels, compile_explain, compile_law
from ..experiment.explanation import EXPLAINING
from ..experiment.lineup import Member, first_member, leader, policy_of
from ..experiment.report import ENOUGH, warnings_of
from ..experiment.spec import Spec
from ..kinds.kind import ChangeHandler, Encoded, Kind, Request, Work, known
from . import arriving
from .clocks import Clocks
from .entered import Place, Sent, corrected_event, decision_event, reward_event
from .folded import Recovered, Say, finished, fold_log, warn
from .history import Archived, Change, Restored, Roster, detail_of, packed_mask
from .keeping import Keeping
from .pools import Pools
from .reading import Reading
from .records import Budget, Record, Records
from .refusals import being_erased, no_stream, recovering, refolding
from .room import Room
from .several import filled, moved
from .since import Since
from .turns import Turns
from .windows import Windows
from .writer import Writer

log = logging.getLogger("onearm")
COPY_BYTES = 4_000_000  # a larger state is not copied: all others would wait, and it would take as much memory again
Made = TypeVar("Made")
P = ParamSpec("P")


class Live(Work):
    """An experiment at work."""

    spec: Spec

    def __init__(
        self,
        row: Experiment,
        spec: Spec,
        kind: Kind,
        store: Store,
        writer: Writer[Live],
        pools: Pools,
        budget: Budget,
        room: Room,
        clocks: Clocks,
        refold: Callable[[Live], None],
    ) -> None:
        self.row = row
        self.created = spec  # as it began: `spec` has the policy that decides now
        self.spec = spec
        self.kind = kind
        self.problem = spec.problem
        self.members: tuple[Member, ...] = (first_member(spec),)  # who plays a part
        self.divides = False  # whether a policy divides by propensities
        self.is_apprentice = False  # whether whoever asks decides, and the policy learns from that
        self.named = {0: spec.policy.name}  # the names of all policies that ever did
        self.decide_waits = kind.decide_waits or marks(spec.policy.params)
        self.roster = Roster(spec.arms)
        self.archived = row.archived_at is not None
        self.unusable: OnearmError | None = recovering()
        self.seq = self.number = self.rewards = 0
        self.queued = 0  # the last seq that is on its way to the log
        self.kept_at = 0  # the seq of the snapshot that it was recovered from
        self.base = 0  # the seq up to which its log is slim: of what was learned by then contexts and the like are gone
        self.state = self.own = None
        self.tally = kind.tally(spec, spec.problem)
        self.corrections: list[int] = []  # the seqs of all corrections, in order
        self.corrected_to: dict[int, int] = {}  # up to which seq the policy of a number knows them
        self.set_at = 0  # the seq of the last change since the start that set the state
        self.floor = 0  # the seq of the newest base but of changes: what was learned by then is not folded again
        self.deciders: dict[int, tuple[int, ...]] = {0: (0,)}  # who decides behind changes of policies, by their seqs
        self.since: Since | None = None  # what came of the last change, as it was last asked for
        self.records = Records(store, row.key, pools.lookups, budget)
        self.erasing: set[int] = set()  # numbers of decisions that are being erased: nothing is told or learned of them
        self._store = store
        self._writer = writer
        self._pools = pools
        self._room = room
        self._clocks = clocks
        self.set_back = partial(refold, self)  # gives up the state, which is ahead of the log, which is folded again
        self.versions = spec.versions_json()
        self.reading = Reading()
        self.windows = None if spec.window is None else Windows(spec.window, clocks, self.erasing)
        self._changing: asyncio.Future[None] | None = None  # the last change
        self._last: asyncio.Future[None] | None = None  # what was queued last
        self.turns = Turns(pools.steps)
        self.keeping = Keeping(self, writer, pools, room)

    # -- recovery ------------------------------------------------------------------------------------------------------

    def recover(self) -> Recovered:
        """Take all steps of a recovery. Runs in a worker thread."""
        return finished(self.recovery())

    def recovery(self, say: Say = warn) -> Generator[None, None, Recovered]:
        """Fold the log, a page a step, and in the last one take the kernels. Steps run in worker threads, in turn."""
        found = yield from fold_log(self.row, self.created, self.kind, self._store, say=say)
        return found._replace(kernels=self.kind.kernels(found.spec))

    def open(self, recovered: Recovered) -> None:
        """Take up work with what was recovered."""
        self.state, self.own, self.tally = recovered.state, recovered.own, recovered.tally
        self.seq = self.queued = recovered.seq
        self.number, self.rewards = recovered.number, recovered.rewards
        self.kept_at = recovered.kept_at
        self.base, self.floor = max(self.base, recovered.base), max(self.floor, recovered.floor)  # or a compaction's
        self.corrections = recovered.corrections
        if self.windows is not None:
            self.windows.open(recovered.left, recovered.passed, self.seq, recovered.time, recovered.early)
        history = recovered.history
        self.named = history.named
        kernels = recovered.kernels or self.kind.kernels(recovered.spec)
        self.decide_with(recovered.spec, kernels, history.members(self.seq))
        self.deciders = history.deciders
        self.corrected_to = {number: history.paths.corrected_to(number, self.seq) for number in history.named}
        self.roster, self.archived, self.problem = history.roster, history.archived, history.problem(self.seq)
        self._changing = self._last = None
        self.records.clear()
        self._room.take(self.row.id, self.state_bytes)
        self.unusable = None
        self.keeping.open()

    def go_on_with(self, seq: int, state: Any, corrected_to: Mapping[int, int]) -> None:
        """Take another state from the next event on, a change with this seq; who decides with it is told next.

        `corrected_to` says up to which seq policies know corrections in it, where that is another one than before.
        """
        self.seq = self.set_at = seq
        self.state = state
        self.corrected_to |= corrected_to

    def decide_with(self, spec: Spec, kernels: Kernels, members: tuple[Member, ...]) -> None:
        """Let the policy of a spec decide, whose state is there, as these members are said to."""
        self.spec, self.members = spec, members
        self.is_apprentice = leader(members).role == "apprentice"
        self.divides = any(policy_of(self.created, member).divides for member in members)
        self.named = {member.policy: str(member.spec["name"]) for member in members} | self.named
        self.versions = spec.versions_json()
        self.decide_waits = self.kind.decide_waits or marks(spec.policy.params)
        self.since = self.explainer = None
        self.tell_law = loop.tell_law.python
        self.take_up(spec, kernels)
        if self.kind.moves is None:  # a move takes microseconds as Python too, and needs no turn
            self.turns.take_up(kernels.select, kernels.update)
        if self.windows is not None:
            self.windows.fold = None

    def stop(self, why: OnearmError) -> None:
        """Refuse everything from now on with this error, and give up the state: there is no room for two large ones."""
        self.unusable = why
        self.state = None
        self._room.take(self.row.id, 0)

    @property
    def decider(self) -> int:
        """The number of the policy that made the last decision."""
        numbers = self.spec.numbers
        return numbers[0] if len(numbers) == 1 else numbers[int(self.state.scratch_who[0])]

    def policy_name(self, decided: Event) -> str:
        """Return the name of the policy that made a decision."""
        return self.named[decided.policy or 0]

    @property
    def uncorrected(self) -> int:
        """How many corrections not all of the policies that decide know."""
        known = min(self.corrected_to.get(number, 0) for number in self.spec.deciding)
        return len(self.corrections) - bisect_right(self.corrections, known)

    @property
    def is_at_work(self) -> bool:
        """Whether it takes decisions and rewards."""
        return self.unusable is None and not self.archived

    def now(self) -> int:
        """Return the time in microseconds since 1970 UTC; where decisions have windows it never goes back."""
        return self._clocks.wall() if self.windows is None else self.windows.now()

    async def step(self, entry: Entry, run: Callable[P, Made], *given: P.args, **named: P.kwargs) -> Made:
        """Run a kernel; where the log is folded again meanwhile, nothing comes of it."""
        state = self.state
        made = await self.turns.step(entry, run, *given, **named)
        if self.state is not state:
            raise self.unusable or refolding()
        return made

    # -- the two transitions -------------------------------------------------------------------------------------------

    async def decide(self, request: Request, sent: Sent, now: int) -> Record:
        """Decide, and return the decision, which is queued for the log.

        Where deciding changes the state the caller waited until it was unlocked. Nothing is awaited before it is
        queued, but for a slow step: the caller has the turn.
        """
        try:
            record = await self._decide(request, sent, now)
        finally:
            if self.kind.moves is not None:  # moves before one that failed are on record before anybody hears of it
                await self._changed()
        return record

    async def _decide(self, request: Request, sent: Sent, now: int) -> Record:
        self.check_open()
        kind = self.kind
        assert not (self.decide_waits and self.reading.locked), "the state changes while another thread reads it"
        if kind.gate is not None:
            kind.gate(self)
        unit = unit_of(sent.unit_id)
        if kind.moves is not None:
            record = moved(self, kind.moves(self, unit, now), sent, now)
        else:
            request = request._replace(unit=unit, time=now)
            if kind.several is not None:
                own = partial(kind.several.part, self), partial(kind.encode, self)
                record = await filled(self, *own, request, sent, now)
            else:
                record = self._enter(DECIDE, *await self.chosen(request), sent, now)
        self.keeping.snapshot_if_due()
        return record

    async def chosen(self, request: Request) -> tuple[Request, Decision]:
        """Let the policy decide; return the request with the reasons that it asks for, and the decision."""
        request = self.kind.explain(self, request)  # before deciding, which may change the state
        decision = await self.step(self._select, self.choose, request)
        self.kind.check(self, decision, request.available)
        return request, decision

    def log_external(self, request: Request, decision: Decision, sent: Sent, now: int) -> Record:
        """Take over a decision that someone else made, to be learned from at once; it takes a number as any other."""
        self.check_open()
        return self._enter(EXTERNAL, request, decision, sent, now)

    def _enter(self, what: int, request: Request, decision: Decision, sent: Sent, now: int) -> Record:
        """Queue a decision, and remember it."""
        encoded = self.kind.encode(self, request, decision)
        event = self.made(what, request, decision, encoded, sent, now)
        more = [] if self.windows is None else arriving.beside(self, event, sent, now)
        record = Record(event, self.queue(event, *more))
        for one in more:
            record.add(one)
        self.records.remember(record)
        return record

    def made(self, what: int, request: Request, decision: Decision, encoded: Encoded, sent: Sent, now: int) -> Event:
        """Return the event of a decision, the next of the log."""
        number, roster = self.number, self.roster
        self.number += 1
        self.seq += 1
        propensity = known(decision.propensity)
        self.tally.decide(encoded.action, propensity)
        place = Place(self.row.key, self.seq, now)
        mask = roster.packed if request.available is roster.active else packed_mask(request.available)
        event = decision_event(what, place, number, propensity, request, mask, encoded, sent, self.problem)
        return event if what == EXTERNAL or not (by := self.decider) else event._replace(policy=by)

    async def prepare_explanations(self) -> None:
        """Compile what explains, in another thread; raises `InvalidInput` where the policy cannot."""
        self.check_usable()
        if not explains(self.spec.policy.params):
            raise InvalidInput(
                "no_explanation",
                f"the policy cannot say why it decides: leave explain out, or take {EXPLAINING}",
            )
        if self.explainer is None:
            spec = self.spec
            made = await self._pools.creations.run(compile_explain, spec)
            if self.spec is spec:
                self.explainer = made
            else:  # another policy decides by now
                await self.prepare_explanations()

    async def prepare_rankings(self) -> None:
        """Have at hand what tells the probabilities of all actions."""
        self.check_usable()
        if self.tell_law is loop.tell_law.python:
            spec = self.spec
            made = await self._pools.creations.run(compile_law, spec)
            if self.spec is spec:  # else another policy decides by now: its law is told as Python
                self.tell_law = made

    async def learn(self, record: Record, action: Action, feedback: Feedback, reward_id: str, now: int) -> None:
        """Learn what came of a decision and queue the event; the caller checked it and waited for the lock."""
        self.check_open()
        decided = record.event
        assert record.reward is None
        if self.kind.learned is not None:
            self.kind.learned(self, decided, action, feedback)
        record.learning = True  # it must stay in memory: read again it would be another one, without this reward
        try:
            await self.teach(decided, action, feedback)
            record.reward = self.entered(decided, action, feedback, reward_id, now)
        finally:
            record.learning = False
        record.rewarded = self.queue(record.reward)
        self.keeping.snapshot_if_due()

    async def teach(self, decided: Event, action: Action, feedback: Feedback) -> None:
        """Change the state by what came of a decision; that must be `entered` and queued before anything else."""
        await self.step(self._update, self.apply, decided, action, feedback)

    def correct(self, record: Record, reward: float | None, now: int) -> None:
        """Put on record that what was learned of a decision is another reward, or none; the state is set later."""
        self.check_open()
        record.rewarded = self.queue(self.corrected(record, reward, now))

    def corrected(self, record: Record, reward: float | None, now: int) -> Event:
        """Return the event of a correction, the next of the log."""
        decided = record.event
        self.seq += 1
        if self.windows is None or not self.windows.withholds(record):
            self.tally.correct(decided.action, record.value, reward)
        event = corrected_event(decided, Place(self.row.key, self.seq, now), reward)
        record.corrections += (event,)
        self.corrections.append(event.seq)
        return event

    def apply(self, decided: Event, action: Action, feedback: Feedback) -> None:
        """Change the state by the feedback on a decision."""
        assert not self.reading.locked, "the state changes while another thread reads it"
        propensity = math.nan if decided.propensity is None else decided.propensity
        self.learn_from(self.saw(decided), Decision(action, propensity), feedback)

    def entered(
        self,
        decided: Event,
        action: Action,
        feedback: Feedback,
        reward_id: str | None,
        now: int,
        closing: str | None = None,
    ) -> Event:
        """Return the event of a reward, the next of the log; `closing` is its detail where a window closes with it."""
        self.seq += 1
        self.rewards += 1
        self.tally.learn(action, feedback)
        if self.rewards == ENOUGH and self.kind.has_rewards:
            for warning in warnings_of(self.tally.all, self.spec):
                log.warning("experiment %r: %s", self.row.id, warning)
        place = Place(self.row.key, self.seq, now)
        detail = self.kind.detail_json(feedback) if closing is None else closing
        return reward_event(decided, place, feedback, detail, reward_id)

    # -- changes -------------------------------------------------------------------------------------------------------

    async def archive(self, now: int) -> None:
        """Close the experiment: its log stays readable. Once it is closed this changes nothing."""
        self.check_usable()
        if not self.archived:
            self._change(Archived(), now)
            self.archived = True
        await self._changed()
        self.keeping.rest()

    async def restore(self, now: int) -> None:
        """Open an archived experiment again, with the state that it ended with. Once it is open this changes nothing.

        Raises `Conflict` ("no_room") where there is no room for the state.
        """
        async with self.keeping.awake():
            self.check_usable()
            if self.archived:
                self._change(Restored(), now)
                self.archived = False
                if self.windows is not None:
                    self.windows.hold(self.seq)
            await self._changed()

    async def change(self, name: str, said: Any, now: int) -> tuple[Any, bool]:
        """Make a change of the kind; return its answer, and whether it is new. The same again changes nothing."""
        asked = self.kind.changes.get(name)
        if asked is None:
            raise no_stream(self.spec)
        if asked.waits:
            await self.reading.unlocked()
        async with self.keeping.awake():
            return await self._make(asked, said, now)

    def would_change(self, name: str, said: Any) -> bool:
        """Tell whether a change of the kind would be a new one; raises where it cannot be made."""
        asked = self.kind.changes.get(name)
        return asked is not None and asked.is_new(self, said)

    async def _make(self, asked: ChangeHandler, said: Any, now: int) -> tuple[Any, bool]:
        self.check_usable()
        sought = asked.seeks(self, said)
        record = None if sought is None else await self.find(sought)
        if self.is_large and self.turns.exclusive:  # a larger state is made
            change, answer = await self._pools.creations.run(asked.make, self, said, record)
        else:
            change, answer = asked.make(self, said, record)
        if change is not None:
            self._change(change, now)
        await self._changed()
        return answer, change is not None

    def _change(self, change: Change, now: int) -> None:
        self.seq += 1
        self.roster = self.roster.after(change)
        self.tally = self.tally.grown(self.problem.n_arms)
        self._room.take(self.row.id, self.state_bytes)
        self.queue_change(Event(self.row.key, self.seq, CHANGE, detail=detail_of(change), time=now))

    def check_open(self) -> None:
        """Refuse decisions and rewards where the experiment takes none, or the database takes no more of them."""
        super().check_open()
        self._writer.check()

    async def committed(self) -> int:
        """Wait until all that is queued now is committed, and return its last seq; raises `Unavailable` on failure."""
        last = self.queued  # in the turn of another, who waits for a step, `seq` is ahead of it
        if self._last is not None:
            await asyncio.shield(self._last)
        return last

    async def _changed(self) -> None:
        """Wait until the last change is committed, and with it all before it."""
        if self._changing is not None:
            await asyncio.shield(self._changing)

    def check_room(self, problem: Problem) -> None:
        """Refuse a problem with more arms where the state would be too large for it; states grow with their number."""
        size = self.state_bytes * problem.n_arms // max(1, self.problem.n_arms)
        self._room.check(self.row.id, size)

    # -- what it takes, and what it queues -----------------------------------------------------------------------------

    @property
    def is_large(self) -> bool:
        """Whether the state takes long to copy."""
        return self.state_bytes > COPY_BYTES

    @property
    def state_bytes(self) -> int:
        """How much memory the state takes, working space included."""
        return 0 if self.state is None else snapshot.size(self.state)

    def queue(self, *events: Event, base: Base | None = None) -> asyncio.Future[None]:
        """Queue events, and a base that comes with them, that are written together or not at all."""
        self.queued = events[-1].seq
        future = self._last = self._writer.append(self, *events, base=base)
        self.keeping.count(events)
        return future

    def queue_change(self, *events: Event) -> asyncio.Future[None]:
        """Queue events for which whoever changes or decides something waits next."""
        self._changing = future = self.queue(*events)
        return future

    def is_slim(self, record: Record) -> bool:
        """Whether of a decision what only a fold reads is gone, or will be soon: it was learned before the base."""
        return self.kind.slims and record.reward is not None and record.reward.seq <= self.base

    # -- what was decided before ---------------------------------------------------------------------------------------

    async def find(self, name: int | str) -> Record | None:
        """Return the decision of a number or of a client's id; None where there is none.

        The newest are in memory; others are read from the log. Whoever asks for the same decision gets the same object,
        or two rewards of it would both be the first. Raises `Unavailable` ("erasing") while it is being erased.
        """
        self.check_usable()
        if (record := self.records.known(name)) is not None:
            return record
        if isinstance(name, int) and not 0 <= name < self.number:
            return None
        record = await self.records.read(name)
        self.check_usable()
        if record is not None and record.event.number in self.erasing:
            raise being_erased()
        return self.records.known(name) or (self.records.remember(record) if record is not None else None)
