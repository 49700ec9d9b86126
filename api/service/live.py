"""One live experiment: recover, decide, learn, snapshot. The only mutable object behind the service.

All methods but `recover` belong to the event loop's thread. A decision or a reward changes the state at once and is
queued for the log; whoever asked gets the answer after the commit. Where a commit fails, the state is ahead of the log:
it is thrown away and folded again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ...engine import loop, snapshot
from ...engine.actions import pack_action
from ...engine.contexts import context_at, n_actions, pack_context, unpack_contexts
from ...engine.errors import Conflict, Damaged, InvalidInput, NotFound, OnearmError, Unavailable
from ...engine.growth import grown
from ...engine.problem import check_problem
from ...engine.protocol import explains, marks
from ...engine.storage.store import Event, Experiment, Snapshot, Store
from ...engine.vectors.constants import constants_of
from ...engine.vocabulary import (
    CHANGE,
    DECIDE,
    GIVEN,
    LEARN,
    Action,
    Array,
    Constant,
    Decision,
    Feedback,
    Instance,
    Key,
    Problem,
)
from ..experiment.compiling import compile_explain, compile_kernels
from ..experiment.explanation import explain
from ..experiment.spec import Spec, check_arm
from ..kinds.streams.arm_queue import Line
from .history import (
    Archived,
    ArmAdded,
    ArmRetired,
    Change,
    History,
    Roster,
    detail_of,
    labels_of,
    problem_of,
)
from .writer import Picture, Writer

log = logging.getLogger("onearm")

STORY_BYTES = 600  # what one decision costs in the cache besides its context and its client's JSON
CACHE_BYTES = 64_000_000
EVENT_BYTES = 200  # what one event costs in the log besides its context, its point and its detail
SNAPSHOT_BYTES = 4_000_000  # bytes of log after which a snapshot is due, at the least
COPY_BYTES = 64_000_000  # larger states are not copied: memory for a second one might not be there
_NO_DETAIL = np.zeros(0)


class Asked(NamedTuple):
    """What a client asks a decision for."""

    context: Any  # as the kernels read it
    available: Array  # bool[k], over the actions of the call or all arms
    labels: Sequence[str] | None  # ids of the actions, where they came with the call
    decision_id: str | None = None
    sent: str | None = None
    body_hash: bytes | None = None
    names: list[list[str]] | None = None  # of the features of each action, where an explanation is asked for


class Story:
    """One decision and its reward, with the futures of what is not committed yet."""

    __slots__ = ("decided", "event", "reward", "rewarded")

    def __init__(self, event: Event, decided: asyncio.Future[None] | None = None) -> None:
        self.event = event
        self.decided = decided
        self.reward: Event | None = None
        self.rewarded: asyncio.Future[None] | None = None

    @property
    def in_flight(self) -> bool:
        """Whether something of it is not committed yet."""
        return any(future is not None and not future.done() for future in (self.decided, self.rewarded))

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory."""
        event = self.event
        return STORY_BYTES + sum(
            len(part or "") for part in (event.context, event.sent, event.actions, event.detail, event.vector)
        )


class Recovered(NamedTuple):
    """What the log folds to."""

    state: Any
    seq: int
    number: int  # of the next decision
    rewards: int
    history: History
    line: Line | None = None  # where arms come once


class Live:
    """An experiment at work."""

    def __init__(
        self, row: Experiment, spec: Spec, store: Store, writer: Writer, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self.row = row
        self.spec = spec
        self.problem = spec.problem
        self.roster = Roster(spec.arms)
        self.archived = row.archived_at is not None
        self.unusable: OnearmError | None = Unavailable("recovering", "the experiment folds its log: try again soon")
        self.seq = self.number = self.rewards = 0
        self._store = store
        self._writer = writer
        self._run = spec.run
        self._params = spec.policy.params
        self._state: Any = None
        self._versions = json.dumps(spec.versions(), sort_keys=True)
        self._bytes_since_snapshot = 0
        self._stories: OrderedDict[int, Story] = OrderedDict()
        self._numbers: dict[str, int] = {}  # client id -> number, of cached stories
        self._cache_bytes = cache_bytes
        self._cached = 0
        self._wanted: dict[int | str, asyncio.Future[Story | None]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._folds = 0  # how often the log was folded
        self._readers = 0  # of the state as it is, in other threads
        self._unread = asyncio.Event()
        self._unread.set()
        self._changing: asyncio.Future[None] | None = None  # the last change
        self._explain: Callable[..., None] | None = None

    # -- recovery ------------------------------------------------------------------------------------------------------

    def recover(self) -> Recovered:
        """Fold the log from the newest good snapshot on, and compile the kernels. Runs in a worker thread."""
        policy = self.spec.policy
        history = History(self.spec, self._store.changes(self.row.key))
        counts = self._store.counts(self.row.key)
        state, after = self._newest_state(history, counts.seq)
        for page in history.pages(self._store, self.row.key, after, counts.seq, learned_only=not marks(self._params)):
            if isinstance(page, Problem):
                state = grown(policy, state, page)
            else:
                loop.fold(policy.params, state, self._run, page)
        self._select, self._update = compile_kernels(self.spec)
        return Recovered(state, counts.seq, counts.decisions, counts.rewards, history)

    def _newest_state(self, history: History, last: int) -> tuple[Any, int]:
        """Return the state of the newest good snapshot and its seq, or the state before any event."""
        for picture in self._store.newest_snapshots(self.row.key):
            try:
                if picture.versions != self._versions:
                    raise Damaged("other_version", f"it is of other versions: {picture.versions}")
                if picture.seq > last:
                    raise Damaged("ahead_of_log", f"the log ends at seq {last}")
                return self._state_of(picture, history.problem(picture.seq)), picture.seq
            except Damaged as error:
                log.warning(
                    "experiment %r: the snapshot at seq %d is skipped (%s); the log is folded instead",
                    self.spec.id,
                    picture.seq,
                    error,
                )
        return self._fresh(self.spec.problem), 0

    def _state_of(self, picture: Snapshot, problem: Problem) -> Any:
        parts = snapshot.checked(self._store.snapshot_parts(self.row.key, picture.seq), picture.digest)
        return snapshot.unpack(parts, like=self._fresh(problem))

    def _fresh(self, problem: Problem) -> Any:
        """Return what snapshots hold, as it is before any event."""
        return self.spec.policy.init(self._params, problem)

    @property
    def _kept(self) -> Any:
        """What snapshots hold, as it is."""
        return self._state

    def open(self, recovered: Recovered) -> None:
        """Take up work with what was recovered."""
        self._state, self.seq, self.number, self.rewards, history, _ = recovered
        self.roster, self.archived = history.roster, history.archived
        self.problem = history.problem(self.seq)
        self._folds += 1
        self._changing = None
        self._stories.clear()
        self._numbers.clear()
        self._cached = 0
        self._bytes_since_snapshot = 0
        self.unusable = None

    def stop(self, why: OnearmError) -> None:
        """Refuse everything from now on with this error, and give up the state: there is no room for two large ones."""
        self.unusable = why
        self._state = None

    async def digest(self) -> str:
        """Return the digest of the state as it is, computed in another thread; rewards wait meanwhile."""
        self.check_usable()
        self._hold()
        try:
            return await asyncio.to_thread(snapshot.digest, self._state)
        finally:
            self._release()

    async def still(self) -> None:
        """Wait until no other thread reads the state: rewards change it."""
        while self.held:
            await self._unread.wait()

    @property
    def held(self) -> bool:
        """Whether another thread reads the state."""
        return self._readers > 0

    def _hold(self) -> None:
        self._readers += 1
        self._unread.clear()

    def _release(self) -> None:
        self._readers -= 1
        if not self._readers:
            self._unread.set()

    # -- the two transitions -------------------------------------------------------------------------------------------

    def decide(self, asked: Asked, now: int) -> Story:
        """Decide on one instance and queue the event."""
        self._check_open()
        instance = Instance(self.number, asked.context, asked.available)
        decision = self._select(self._params, self._state, instance, Key(self._run, self.number))
        mask = asked.available
        assert 0 <= decision.action < len(mask) and mask[decision.action], "a policy chose an arm that is not available"
        detail = None
        if asked.names is not None:
            assert self._explain is not None, "explanations are compiled before"
            labels = asked.labels or self.roster.labels
            reasons = explain(self._explain, self._params, self._state, instance, labels, asked.names)
            detail = msgspec.json.encode(reasons).decode()
        story = self._enter(DECIDE, asked, decision, detail, now)
        self._snapshot_if_due()
        return story

    def give(self, asked: Asked, decision: Decision, now: int) -> Story:
        """Take over a decision that someone else made, to be learned from at once; it takes a number as any other."""
        self._check_open()
        return self._enter(GIVEN, asked, decision, None, now)

    def _enter(self, kind: int, asked: Asked, decision: Decision, detail: str | None, now: int) -> Story:
        vector = self.problem.action_kind == "vector"
        number = self.number
        self.number += 1
        self.seq += 1
        event = Event(
            experiment=self.row.key,
            seq=self.seq,
            kind=kind,
            number=number,
            action=None if vector else int(decision.action),  # with the JIT off these are NumPy's scalars
            propensity=None if math.isnan(decision.propensity) else float(decision.propensity),
            context=pack_context(asked.context, self.problem) or None,
            available=None if asked.available.all() else np.packbits(asked.available).tobytes(),
            detail=detail,
            sent=asked.sent,
            decision_id=asked.decision_id,
            body_hash=asked.body_hash,
            time=now,
            actions=None if asked.labels is None else msgspec.json.encode(asked.labels).decode(),
            vector=pack_action(decision.action) if vector else None,
        )
        story = Story(event, self._queue(event))
        self._remember(story)
        return story

    async def prepare_explanations(self) -> None:
        """Compile what explains, in another thread; raises `InvalidInput` where the policy cannot."""
        self.check_usable()
        if not explains(self._params):
            raise InvalidInput(
                "no_explanation",
                "the policy cannot say why it decides: leave explain out, or take one with a model of the rewards, or "
                "an index",
            )
        if self._explain is None:
            self._explain = await asyncio.to_thread(compile_explain, self.spec)

    def learn(self, story: Story, reward: float, reward_id: str, now: int) -> None:
        """Learn the reward of a decision and queue the event; the caller waited until the state was `still`."""
        self._check_open()
        decided = story.event
        assert story.reward is None and decided.action is not None
        self._apply(decided, decided.action, Feedback(reward, _NO_DETAIL))
        story.reward = self._learned(decided, reward, None, reward_id, now)
        story.rewarded = self._queue(story.reward)
        self._snapshot_if_due()

    def _apply(self, decided: Event, action: Action, feedback: Feedback) -> None:
        """Change the state by the feedback on a decision."""
        assert not self.held, "the state changes while another thread reads it"
        assert decided.number is not None
        propensity = math.nan if decided.propensity is None else decided.propensity
        self._update(
            self._params,
            self._state,
            Instance(decided.number, self.context(decided), self.mask(decided)),
            Decision(action, propensity),
            feedback,
            Key(self._run, decided.number),
        )

    def _learned(self, decided: Event, reward: float, detail: str | None, reward_id: str, now: int) -> Event:
        """Return the event of a reward, the next of the log."""
        self.seq += 1
        self.rewards += 1
        return decided._replace(
            seq=self.seq,
            kind=LEARN,
            reward=reward,
            context=None,
            available=None,
            detail=detail,
            sent=None,
            decision_id=None,
            reward_id=reward_id,
            body_hash=None,
            time=now,
            actions=None,
            vector=None,
        )

    # -- changes -------------------------------------------------------------------------------------------------------

    async def archive(self, now: int) -> None:
        """Close the experiment for good: its log stays readable. Once it is closed this changes nothing."""
        self.check_usable()
        if not self.archived:
            self._change(Archived(), now)
            self.archived = True
        await self._changed()

    async def add_arm(self, arm: dict[str, Any], now: int) -> bool:
        """Let an arm join; return whether it is new. The same arm again changes nothing."""
        self.check_usable()
        label = check_arm(arm)
        self._check_fixed_arms()
        if (known := self.roster.numbers.get(label)) is not None:
            if self.roster.arms[known] != arm:
                raise Conflict("arm_exists", f"there is an arm {label!r} with another description: take another id")
            await self._changed()
            return False
        self._check_open()
        if self.spec.intake.encoder is not None:
            self.spec.intake.read(None, [arm])  # raises where it has a field that is no feature
        problem = problem_of(self.spec, len(self.roster.arms) + 1)
        check_problem(problem)
        self._state = grown(self.spec.policy, self._state, problem)
        self.problem = problem
        self._change(ArmAdded(arm, self.number), now)
        await self._changed()
        return True

    async def retire_arm(self, label: str, now: int) -> None:
        """Never choose an arm again; once it is retired this changes nothing."""
        self.check_usable()
        self._check_fixed_arms()
        if label not in self.roster.numbers:
            raise NotFound(
                "unknown_arm", f"there is no arm {label!r}: the arms are {', '.join(self.roster.labels[:20])}"
            )
        if label not in self.roster.retired:
            self._check_open()
            if self.roster.active.sum() == 1:
                raise Conflict("last_arm", f"the arm {label!r} is the last one: add another one first, or archive")
            self._change(ArmRetired(label), now)
        await self._changed()

    def _change(self, change: Change, now: int) -> None:
        self.seq += 1
        self.roster = self.roster.after(change)
        self._changing = self._queue(Event(self.row.key, self.seq, CHANGE, detail=detail_of(change), time=now))

    async def _changed(self) -> None:
        """Wait until the last change is committed, and with it all before it."""
        if self._changing is not None:
            await asyncio.shield(self._changing)

    def _check_fixed_arms(self) -> None:
        if self.spec.intake.listed:
            raise InvalidInput(
                "actions_are_listed",
                f"the experiment {self.spec.id!r} has no arms: its actions come with each call; list them there",
            )

    # -- snapshots -----------------------------------------------------------------------------------------------------

    def snapshot(self) -> None:
        """Have the writer pack and store the state: a copy of it, or a large one itself while rewards wait."""
        if self.unusable is not None or self.held or not self._bytes_since_snapshot:
            return
        self._bytes_since_snapshot = 0
        about = (self.row.key, self.seq, self.number, self._versions)
        if self.state_bytes > COPY_BYTES:
            self._hold()
            self._writer.keep(Picture(*about, self._kept, self._release))
        else:
            self._writer.keep(Picture(*about, _copied(self._kept)))

    def _snapshot_if_due(self) -> None:
        if self._bytes_since_snapshot > SNAPSHOT_BYTES and self._bytes_since_snapshot > 4 * self.state_bytes:
            self.snapshot()

    @property
    def state_bytes(self) -> int:
        """How much memory the state takes, working space included."""
        return _size(self._state)

    @property
    def repairs(self) -> int | None:
        """How often the policy's models broke down numerically and were rebuilt; None where they do not count it."""
        counts = list(_fields_named("repairs", self._state))
        return sum(int(count.sum()) for count in counts) if counts else None

    @property
    def constants(self) -> dict[str, Constant]:
        """What the policy's steps depend on; empty where it does not tell."""
        self.check_usable()
        return constants_of(self.spec.policy, self._state)

    def _queue(self, *events: Event) -> asyncio.Future[None]:
        """Queue events that are written together or not at all."""
        future = self._writer.append(self, *events)
        self._bytes_since_snapshot += sum(
            EVENT_BYTES + len(event.context or b"") + len(event.vector or b"") + len(event.detail or "")
            for event in events
        )
        return future

    def check_usable(self) -> None:
        """Raise what everything is refused with, where something is."""
        if self.unusable is not None:
            raise self.unusable

    def _check_open(self) -> None:
        self.check_usable()
        if self.archived:
            raise Conflict(
                "archived",
                f"the experiment {self.spec.id!r} is archived: it takes no more decisions or rewards",
            )

    def context(self, event: Event) -> Any:
        """Return the context of a DECIDE event as the kernels saw it."""
        return context_at(unpack_contexts([event.context], self.problem), 0)

    def mask(self, event: Event) -> Array:
        """Return the availability mask of a DECIDE event; arms that joined later are not available."""
        k = int(n_actions([event.context], self.problem)[0])
        there = k
        if self.problem.context_kind == "dense":
            there = int(self.roster.sizes(np.array([event.number]))[0])
        mask = np.arange(k) < there
        if event.available is not None:
            mask[:there] = np.unpackbits(np.frombuffer(event.available, np.uint8), count=there)
        return mask

    def labels(self, event: Event) -> Sequence[str]:
        """Return the ids of the actions of a DECIDE event, by position."""
        return self.roster.labels if event.actions is None else labels_of(event.actions)

    # -- what was decided before ---------------------------------------------------------------------------------------

    async def find(self, name: int | str) -> Story | None:
        """Return the decision of a number or of a client's id; None where there is none.

        The newest are in memory; others are read from the log, all that are asked for meanwhile in one query.
        Whoever asks for the same decision gets the same object, or two rewards of it would both be the first.
        """
        self.check_usable()
        if (story := self._known(name)) is not None:
            return story
        if isinstance(name, int) and not 0 <= name < self.number:
            return None
        if (wanted := self._wanted.get(name)) is None:
            wanted = self._wanted[name] = asyncio.get_running_loop().create_future()
            if self._reading is None:
                self._reading = asyncio.get_running_loop().create_task(self._read())
        story = await asyncio.shield(wanted)
        self.check_usable()
        return self._known(name) or (self._remember(story) if story is not None else None)

    def _known(self, name: int | str) -> Story | None:
        number = self._numbers.get(name) if isinstance(name, str) else name
        return None if number is None else self._stories.get(number)

    async def _read(self) -> None:
        """Read what is wanted, until nothing is.

        Nothing leaves the cache while a query runs: what is committed meanwhile is not in its answer, so it must be
        found in memory. What left the cache before was committed before, and is in the answer.
        """
        while self._wanted:
            self._evict()
            wanted = dict(self._wanted)
            folds = self._folds
            numbers = [name for name in wanted if isinstance(name, int)]
            ids = [name for name in wanted if isinstance(name, str)]
            try:
                stories = _stories(await asyncio.to_thread(self._store.find, self.row.key, numbers, ids))
            except Exception as error:
                for name, future in wanted.items():
                    del self._wanted[name]
                    future.set_exception(error)
                    future.exception()  # retrieved: a client that left must not leave a warning
                continue
            if folds != self._folds:  # the cache was emptied meanwhile
                continue
            for name, future in wanted.items():
                del self._wanted[name]
                future.set_result(self._known(name) or stories.get(name))
        self._reading = None
        self._evict()

    def _remember(self, story: Story) -> Story:
        """Keep a story in the cache; room is made before, so that this one stays at least until the next."""
        if self._reading is None:
            self._evict()
        number = story.event.number
        assert number is not None
        self._stories[number] = story
        self._cached += story.size
        if story.event.decision_id is not None:
            self._numbers[story.event.decision_id] = number
        return story

    def _evict(self) -> None:
        """Let the oldest stories leave the cache where it is too large, but none that is in flight."""
        while self._cached > self._cache_bytes:
            oldest = next(iter(self._stories.values()))
            if oldest.in_flight:
                break
            assert oldest.event.number is not None
            del self._stories[oldest.event.number]
            if oldest.event.decision_id is not None:
                del self._numbers[oldest.event.decision_id]
            self._cached -= oldest.size


def missing(experiment_id: str, decision_id: str) -> NotFound:
    """Return the error for a decision that is not in the log."""
    return NotFound(
        "unknown_decision",
        f"the experiment {experiment_id!r} has no decision {decision_id!r}: decide first, or check the id",
    )


def _stories(events: list[Event]) -> dict[int | str, Story]:
    """Put the events of the log together, by number and by client's id."""
    stories: dict[int | str, Story] = {}
    for event in sorted(events, key=lambda event: event.kind == LEARN):
        assert event.number is not None
        if event.kind != LEARN:
            story = stories[event.number] = Story(event)
            if event.decision_id is not None:
                stories[event.decision_id] = story
        else:
            stories[event.number].reward = event
    return stories


def _copied(state: Any) -> Any:
    return type(state)(*(_copied(value) if isinstance(value, tuple) else value.copy() for value in state))


def _size(state: Any) -> int:
    return sum(_size(value) if isinstance(value, tuple) else value.nbytes for value in state)


def _fields_named(name: str, state: Any) -> Iterator[Array]:
    for field, value in zip(state._fields, state, strict=True):
        if isinstance(value, tuple):
            yield from _fields_named(name, value)
        elif field == name:
            yield value
