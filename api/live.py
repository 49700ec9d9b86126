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
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba.core.errors import NumbaError

from onearm.api.spec import Spec
from onearm.api.writer import ARCHIVED, Picture, Writer
from onearm.engine import loop, snapshot
from onearm.engine.errors import Conflict, Damaged, InvalidInput, NotFound, OnearmError, Unavailable
from onearm.engine.storage.sql import Event, Experiment, Store
from onearm.engine.vocabulary import CHANGE, DECIDE, LEARN, Array, Decision, Feedback, Instance, Key

log = logging.getLogger("onearm")

STORY_BYTES = 600  # what one decision costs in the cache besides its context and its client's JSON
CACHE_BYTES = 64_000_000
EVENT_BYTES = 200  # what one event costs in the log besides its context
SNAPSHOT_BYTES = 4_000_000  # bytes of log after which a snapshot is due, at the least
NO_DETAIL = np.zeros(0)


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
        return STORY_BYTES + len(self.event.context or b"") + len(self.event.sent or "")


class Recovered(NamedTuple):
    """What the log folds to."""

    state: Any
    seq: int
    number: int  # of the next decision
    rewards: int
    archived: bool


class Live:
    """An experiment at work."""

    def __init__(
        self, row: Experiment, spec: Spec, store: Store, writer: Writer, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self.row = row
        self.spec = spec
        self.problem = spec.problem
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
        self._all = np.ones(self.problem.n_arms, np.bool_)
        self._stories: OrderedDict[int, Story] = OrderedDict()
        self._numbers: dict[str, int] = {}  # client id -> number, of cached stories
        self._cache_bytes = cache_bytes
        self._cached = 0
        self._wanted: dict[int | str, asyncio.Future[Story | None]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._folds = 0  # how often the log was folded
        self._archiving: asyncio.Future[None] | None = None

    # -- recovery ------------------------------------------------------------------------------------------------------

    def recover(self) -> Recovered:
        """Fold the log from the newest good snapshot on, and compile the kernels. Runs in a worker thread."""
        policy = self.spec.policy
        state = policy.init(policy.params, self.problem)
        counts = self._store.counts(self.row.key)
        after = 0
        for picture in self._store.newest_snapshots(self.row.key):
            try:
                if picture.versions != self._versions:
                    raise Damaged("other_version", f"it is of other versions: {picture.versions}")
                if snapshot.digest_of(picture.state) != picture.digest:
                    raise Damaged("bad_digest", "its bytes do not have the digest on record")
                if picture.seq > counts.seq:
                    raise Damaged("ahead_of_log", f"the log ends at seq {counts.seq}")
                state = snapshot.unpack(picture.state, like=policy.init(policy.params, self.problem))
                after = picture.seq
                break
            except Damaged as error:
                log.warning(
                    "experiment %r: the snapshot at seq %d is skipped (%s); the log is folded instead",
                    self.spec.id,
                    picture.seq,
                    error,
                )
        for columns, _, _ in self._store.columns(self.row.key, self.problem, after, learned_only=True):
            loop.fold(policy.params, state, self._run, columns, NO_DETAIL)
        self._select, self._update = compile_kernels(self.spec)
        archived = any(row.archived_at is not None for row in self._store.experiments() if row.key == self.row.key)
        return Recovered(state, counts.seq, counts.decisions, counts.rewards, archived)

    def open(self, recovered: Recovered) -> None:
        """Take up work with what was recovered."""
        self._state, self.seq, self.number, self.rewards, self.archived = recovered
        self._folds += 1
        self._archiving = None
        self._stories.clear()
        self._numbers.clear()
        self._cached = 0
        self._bytes_since_snapshot = 0
        self.unusable = None

    def stop(self, why: OnearmError) -> None:
        """Refuse everything from now on with this error."""
        self.unusable = why

    def digest(self) -> str:
        """Return the digest of the state as it is."""
        self._check_usable()
        return snapshot.digest(self._state)

    # -- the two transitions -------------------------------------------------------------------------------------------

    def decide(
        self,
        context: Array,
        available: Array | None,
        decision_id: str | None,
        sent: str | None,
        body_hash: bytes | None,
        now: int,
    ) -> Story:
        """Decide on one instance and queue the event."""
        self._check_open()
        number = self.number
        mask = self._all if available is None else available
        decision = self._select(self._params, self._state, Instance(number, context, mask), Key(self._run, number))
        assert 0 <= decision.action < len(mask) and mask[decision.action], "a policy chose an arm that is not available"
        self.number += 1
        self.seq += 1
        event = Event(
            experiment=self.row.key,
            seq=self.seq,
            kind=DECIDE,
            number=number,
            action=int(decision.action),  # with the JIT off these are NumPy's scalars
            propensity=None if math.isnan(decision.propensity) else float(decision.propensity),
            context=context.tobytes() if context.size else None,
            available=None if available is None else np.packbits(available).tobytes(),
            sent=sent,
            decision_id=decision_id,
            body_hash=body_hash,
            time=now,
        )
        story = Story(event, self._queue(event))
        self._remember(story)
        return story

    def learn(self, story: Story, reward: float, reward_id: str, now: int) -> None:
        """Learn the reward of a decision and queue the event."""
        self._check_open()
        decided = story.event
        assert story.reward is None and decided.number is not None and decided.action is not None
        propensity = math.nan if decided.propensity is None else decided.propensity
        self._update(
            self._params,
            self._state,
            Instance(decided.number, self.context(decided), self.mask(decided)),
            Decision(decided.action, propensity),
            Feedback(reward, NO_DETAIL),
            Key(self._run, decided.number),
        )
        self.seq += 1
        self.rewards += 1
        event = decided._replace(
            seq=self.seq,
            kind=LEARN,
            reward=reward,
            context=None,
            available=None,
            sent=None,
            decision_id=None,
            reward_id=reward_id,
            body_hash=None,
            time=now,
        )
        story.reward = event
        story.rewarded = self._queue(event)

    async def archive(self, now: int) -> None:
        """Close the experiment for good: its log stays readable. Once it is closed this changes nothing."""
        self._check_usable()
        if not self.archived:
            self.seq += 1
            self.archived = True
            self._archiving = self._queue(Event(self.row.key, self.seq, CHANGE, detail=ARCHIVED, time=now))
        if self._archiving is not None:
            await asyncio.shield(self._archiving)

    def snapshot(self) -> None:
        """Queue a copy of the state, to be packed and stored by the writer."""
        if self.unusable is None and self._bytes_since_snapshot:
            self._bytes_since_snapshot = 0
            self._writer.keep(Picture(self.row.key, self.seq, self.number, self._versions, _copied(self._state)))

    def _queue(self, event: Event) -> asyncio.Future[None]:
        future = self._writer.append(self, event)
        self._bytes_since_snapshot += EVENT_BYTES + len(event.context or b"")
        if self._bytes_since_snapshot > max(SNAPSHOT_BYTES, 4 * _size(self._state)):
            self.snapshot()
        return future

    def _check_usable(self) -> None:
        if self.unusable is not None:
            raise self.unusable

    def _check_open(self) -> None:
        self._check_usable()
        if self.archived:
            raise Conflict(
                "archived",
                f"the experiment {self.spec.id!r} is archived: it takes no more decisions or rewards",
            )

    def context(self, event: Event) -> Array:
        """Return the context of a DECIDE event as the kernels saw it."""
        if event.context is None:
            return np.zeros(self.problem.context_shape)
        return np.frombuffer(event.context, "<f8").reshape(self.problem.context_shape).copy()

    def mask(self, event: Event) -> Array:
        """Return the availability mask of a DECIDE event."""
        if event.available is None:
            return self._all
        bits = np.unpackbits(np.frombuffer(event.available, np.uint8), count=self.problem.n_arms)
        return bits.astype(np.bool_)

    # -- what was decided before ---------------------------------------------------------------------------------------

    async def find(self, name: int | str) -> Story | None:
        """Return the decision of a number or of a client's id; None where there is none.

        The newest are in memory; others are read from the log, all that are asked for meanwhile in one query.
        Whoever asks for the same decision gets the same object, or two rewards of it would both be the first.
        """
        self._check_usable()
        if (story := self._known(name)) is not None:
            return story
        if isinstance(name, int) and not 0 <= name < self.number:
            return None
        if (wanted := self._wanted.get(name)) is None:
            wanted = self._wanted[name] = asyncio.get_running_loop().create_future()
            if self._reading is None:
                self._reading = asyncio.get_running_loop().create_task(self._read())
        story = await asyncio.shield(wanted)
        self._check_usable()
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


def compile_kernels(spec: Spec) -> tuple[Callable[..., Decision], Callable[..., None]]:
    """Return the compiled `decide` and `learn` of a spec; with these, one decision costs about 2 us."""
    params, problem = spec.policy.params, spec.problem
    state = spec.policy.init(params, problem)
    instance = Instance(0, np.zeros(problem.context_shape), np.ones(problem.n_arms, np.bool_))
    key = Key(spec.run, 0)
    try:
        return (
            loop.decide.compiled(params, state, instance, key),
            loop.learn.compiled(params, state, instance, Decision(0, 1.0), Feedback(0.0, NO_DETAIL), key),
        )
    except NumbaError as error:
        raise InvalidInput(
            "cannot_compile", f"the kernels of policy {spec.policy.name!r} do not compile: {error}; mend its file"
        ) from error


def _stories(events: list[Event]) -> dict[int | str, Story]:
    """Put the events of the log together, by number and by client's id."""
    stories: dict[int | str, Story] = {}
    for event in sorted(events, key=lambda event: event.kind):
        assert event.number is not None
        if event.kind == DECIDE:
            story = stories[event.number] = Story(event)
            if event.decision_id is not None:
                stories[event.decision_id] = story
        elif event.kind == LEARN:
            stories[event.number].reward = event
    return stories


def _copied(state: Any) -> Any:
    return type(state)(*(_copied(value) if isinstance(value, tuple) else value.copy() for value in state))


def _size(state: Any) -> int:
    return sum(_size(value) if isinstance(value, tuple) else value.nbytes for value in state)
