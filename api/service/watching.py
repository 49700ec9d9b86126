"""What those are worth who decide, or could: shadows learn what was logged, and rewards are counted for each.

The committed log is read a page at a time, in a thread of its own and with pauses: deciding hardly notices, and it is
said how far that is. After a start the log is read again from where the first of the policies began, and tells the
same: a decision counts by the parts that were played when it was made, whenever its reward comes.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...engine import loop, snapshot
from ...engine.columns import take
from ...engine.estimate.reward_model import RewardModel, at_action
from ...engine.protocol import marks
from ...engine.replay.folding import run_rows
from ...engine.storage.store import Store
from ...engine.storage.windows import Learned
from ...engine.vocabulary import DECIDE, EXTERNAL, LEARN, Array, Columns, Judged, Policy, Problem, Turn
from ..experiment.definition import run_of_policy
from ..experiment.lineup import WATCHING, Member, in_part, leader, policy_of, shares_of, states_of
from ..experiment.spec import Spec
from ..kinds.kind import Kind
from .bases import beginning
from .evidence import Earned, Evidence
from .history import History, Recast, changed
from .modelled import Modelled, model_of
from .paths import Reset
from .worths import Worth, Worths, worth

PAGE = 2000  # events
MICROSECONDS = 1e6  # of a second
NOTHING_PREDICTED = np.zeros((0, 0))


class Likely(NamedTuple):
    """What a shadow makes of a decision."""

    target: float  # how likely it would have taken its action
    propensity: float  # how likely that was
    predicted: float = math.nan  # by the model: the reward of it
    expected: float = math.nan  # and that of the shadow's

    @property
    def has_model(self) -> bool:
        """Whether the model says something."""
        return not math.isnan(self.predicted + self.expected)


MODEL = ("predicted", "expected")
UNLIKELY = Likely(math.nan, 1.0)  # what is not known


class Decided(NamedTuple):
    """Decisions of which something was learned."""

    rows: list[Learned]
    who: Array  # int64[n], the number of the policy that made each
    cast: Array  # int64[n], the part of the log in which it was made, a place in `History.casts`


def _control(members: Sequence[Member]) -> int | None:
    control = in_part(members, "control")
    return None if control is None else control.policy


COMPARED: dict[str, Callable[[Sequence[Member]], int | None]] = {
    "live": lambda members: leader(members).policy,
    "control": _control,
}


class Shadow:
    """A policy that learns what was logged and decides nothing."""

    def __init__(self, created: Spec, member: Member, problem: Problem, state: Any = None) -> None:
        self.policy: Policy = policy_of(created, member)
        self.run = run_of_policy(created, member.policy)
        self.state = self.policy.init(self.policy.params, problem) if state is None else state

    def learn(self, page: Columns, predicted: Array) -> dict[int, Likely]:
        """Learn a page, whose rewards are `predicted` for each arm, float64[n, k]; with no columns they are not."""
        n, modelled = len(page.kind), predicted.shape[1] > 0
        found = Judged(np.zeros(n, np.int64), np.full(n, math.nan), np.full(n if modelled else 0, math.nan))
        arguments = self.policy.params, self.state, self.run, page
        run_rows(loop.fold.entry(*arguments, predicted, found), *arguments, predicted, found)
        known = np.flatnonzero(np.isfinite(found.target))
        nothing = np.full(len(known), math.nan)
        columns = (
            found.target[known],
            page.propensity[known],
            at_action(predicted[known], page.action[known]) if modelled else nothing,
            found.expected[known] if modelled else nothing,
        )
        likely = map(Likely, *(column.tolist() for column in columns))
        return dict(zip(page.number[known].tolist(), likely, strict=True))

    def change(self, part: Problem | Turn) -> None:
        """Go on where an arm joined, or a person said something that it can take up."""
        if isinstance(part, Problem) or self.policy.turn is not None:
            self.state = changed(self.policy, self.state, part)


class Start(NamedTuple):
    """Where a shadow begins to read."""

    member: Member
    seq: int
    state: Any = None  # what it knows there; None: nothing
    is_late: bool = False  # it joined earlier, and what it learned until there cannot be learned again


class Watch:
    """What is known of the policies of one experiment, after the event `seq`. One thread at a time uses it."""

    def __init__(
        self, key: int, created: Spec, kind: Kind, members: Sequence[Member], starts: list[Start], base: int
    ) -> None:
        self._key, self._created, self._kind = key, created, kind
        self.starts = starts  # of shadows, until they are there
        self.seq = self._first = max(base, min(member.begun for member in members))
        self.shadows: dict[int, Shadow] = {}
        self.earned: dict[int, Earned] = {}  # by all who play a part, or will and have begun to learn
        self.evidence: dict[int, Evidence] = {}  # of those who play a part
        self._casts: list[tuple[int, tuple[Member, ...]]] = []  # of what is read
        self.one = asyncio.Lock()  # of two that read one would be in vain
        self.members: tuple[Member, ...] = ()  # after that event
        # Where rewards are learned at once they are counted when windows are closed:
        self._waits = created.window is not None and created.window.learns_at_once
        self.counted = self.seq  # so far
        self._likely: dict[int, dict[int, Likely]] = {}  # what shadows say of decisions that are not yet
        self._begun = False
        # Of shadows that begin behind a compaction, and know nothing of before: its seq.
        self.lost = {start.member.policy: start.seq for start in starts if start.is_late}
        self._model: RewardModel | None = None
        self._worths, self._told = Worths(), 0.0  # of decisions up to that time, in seconds since 1970 UTC

    @property
    def way(self) -> list[Worth]:
        """Return what policies were worth at moments of the log, up to what was read."""
        moments = self._worths.moments
        is_later = bool(moments) and self._told > moments[-1].time
        return [*moments, *([worth(self._told, self._earned_by_members)] if is_later else [])]

    @property
    def _earned_by_members(self) -> dict[int, Earned]:
        return {number: self.earned[number] for number in self.evidence}

    @property
    def state_bytes(self) -> int:
        """How much memory the shadows take."""
        return sum(snapshot.size(shadow.state) for shadow in self.shadows.values())

    def lacks(self, members: Sequence[Member]) -> bool:
        """Tell whether there is a shadow among these that began where this has read already."""
        there = {*self.shadows, *(start.member.policy for start in self.starts)}
        return any(one.role in WATCHING and one.policy not in there and one.begun <= self.seq for one in members)

    def read(self, store: Store, until: int) -> None:
        """Read one page of the log, up to a seq at most."""
        coming = [start.seq for start in self.starts if start.seq > self.seq]
        last = max(self.seq, min([self.seq + PAGE, until, *coming]))
        changes = [change for change in store.changes(self._key) if change.seq <= last]
        history = History(self._created, changes, self._kind.change_types)
        self._casts = history.casts
        if not self._begun:
            self._begun = True
            self._model = model_of(history.problem(self.seq), self._created.intake.per_call)
            self._recast(history.members(self.seq), self.seq, history)
        self._take_up(history)
        rows = [] if self._waits else store.learned(self._key, self.seq, last)
        parts = list(self._parts(store, history, last))  # before anything is learned: the database may fail
        likely: dict[int, dict[int, Likely]] = self._likely if self._waits else {}
        for part in parts:
            if isinstance(part, Recast):
                self._recast(part.members, part.seq, history)
            elif isinstance(part, Columns):
                learned, predicted = self._predicted(part)
                decides = {member.policy for member in self.members if member.role not in WATCHING}
                for number, shadow in self.shadows.items():
                    told = shadow.learn(part, predicted)
                    if number not in decides:  # else it is folded here to be a shadow later
                        likely.setdefault(number, {}).update(told)
                if self._model is not None:
                    self._model.add(learned)
            elif not isinstance(part, Reset):  # what those who decide know is no concern of a shadow
                if isinstance(part, Problem):
                    self._model = model_of(part, self._created.intake.per_call)  # it knows no further arms
                for shadow in self.shadows.values():
                    shadow.change(part)
        self._count(rows, likely)
        self.seq = last
        self._take_up(history)

    def _predicted(self, page: Columns) -> tuple[Columns, Array]:
        """Return what is learned in a page, and what the model expects of each arm in its rows, float64[n, k]."""
        learned = np.flatnonzero(page.kind == LEARN)
        rows = take(page, learned)
        if self._model is None or not self.shadows:
            return rows, NOTHING_PREDICTED
        predicted = np.zeros((len(page.kind), page.available.shape[1]))
        predicted[learned] = self._model.predict(rows)
        if (limits := self._created.problem.reward_range) is not None:
            predicted = np.clip(predicted, *limits)
        return rows, predicted

    def count_closed(self, store: Store, closed: int) -> None:
        """Count what was learned at once of decisions whose windows began up to a seq, in that order: they are closed.

        All that was learned of them is read.
        """
        rows = store.settled(self._key, self.counted, closed) if closed > self.counted else []
        self._count(rows, self._likely)
        for known in self._likely.values():
            for row in rows:
                known.pop(row.number, None)
        self.counted = max(self.counted, closed)

    @property
    def is_behind(self) -> bool:
        """Whether there is a shadow that begins here, and is not taken up yet."""
        return any(start.seq <= self.seq for start in self.starts)

    def _take_up(self, history: History) -> None:
        """Take up the shadows that begin here."""
        for start in [start for start in self.starts if start.seq <= self.seq]:
            self.starts.remove(start)
            number = start.member.policy
            there = (member for member in history.members(start.seq) if member.policy == number)
            member = next(there, start.member)  # in the part that it had then
            self.shadows[number] = Shadow(self._created, member, history.problem(self.seq), start.state)
            if number not in self.earned:
                self.earned[number] = self._earned_from(member.begun, member, None)

    def _parts(self, store: Store, history: History, last: int) -> Iterable[Any]:
        """Yield what shadows learn, and changes of policies; without shadows these alone."""
        recasts = history.recasts(self.seq, last)
        coming = any(member.role in WATCHING for recast in recasts for member in recast.members)
        if not self.shadows and not coming:
            return recasts
        learned_only = not coming and not any(marks(shadow.policy.params) for shadow in self.shadows.values())
        return history.pages(store, self._key, self.seq, last, learned_only=learned_only)

    def _recast(self, members: Sequence[Member], seq: int, history: History) -> None:
        """Go on with other parts; who has another part, or another share, is compared with others anew."""
        shares = shares_of(members)
        bound = max((1.0 / share for share in shares.values() if share), default=1.0)
        limits = self._created.problem.reward_range
        now = {member.policy: member for member in members}
        retired = {member.policy for member in self.members}.difference(now)
        decides = {number for number, member in now.items() if member.role not in WATCHING}
        for number in retired | decides:
            self.shadows.pop(number, None)
        for number in retired:
            self.earned.pop(number, None)
            self._likely.pop(number, None)
        taught = {member.policy for member in self.members if member.role == "apprentice"}
        evidence: dict[int, Evidence] = {}
        for number, member in now.items():
            is_shadow = member.role in WATCHING
            if is_shadow and member.begun == seq and number not in self.shadows:
                self.shadows[number] = _new(self._created, member, history, seq)
            elif number in self.shadows:
                self.shadows[number].policy = policy_of(self._created, member)  # in another part it learns otherwise
            weight_max = None if is_shadow else bound
            if (earned := self.earned.get(number)) is None:
                self.earned[number] = self._earned_from(member.begun, member, weight_max)
            elif (member.role == "apprentice") != (number in taught):  # of others' decisions it says another thing
                self.earned[number] = self._earned_from(seq, member, weight_max)
            else:
                earned.allow(weight_max)
            known = self.evidence.get(number)
            if known is None or known.since != member.since:
                known = Evidence(member.since, limits, weight_max)
            if member.role == "shadow" and self._model is not None:
                limit = self._weight_max(members)
                if known.modelled is None or known.modelled.bound != limit:
                    known.modelled = Modelled(max(seq, member.since), limits, limit)
            evidence[number] = known
        self.evidence, self.members = evidence, tuple(members)

    def _earned_from(self, since: int, member: Member, weight_max: float | None) -> Earned:
        """Return what counts decisions after a seq for a policy, of those that are read."""
        is_apprentice = member.role == "apprentice"  # nobody knows how likely what others did was: no interval
        limits = None if is_apprentice else self._created.problem.reward_range
        return Earned(max(since, self._first), limits, weight_max)

    def _weight_max(self, members: Sequence[Member]) -> float | None:
        """Return the largest weight that a decision can have for a shadow or for whom it is compared with."""
        least = policy_of(self._created, leader(members)).probability_min
        shares = shares_of(members)
        if not least or leader(members).role == "apprentice":
            return None
        return max(1.0 / (least * shares[leader(members).policy]), *(1.0 / share for share in shares.values() if share))

    def _count(self, rows: list[Learned], likely: dict[int, dict[int, Likely]]) -> None:
        """Count rewards for each policy: for an apprentice those of decisions that others made, else those of ours."""
        if not rows:
            return
        apprentices = {member.policy for member in self.members if member.role == "apprentice"}
        ours, given = (self._decided([row for row in rows if row.kind == kind]) for kind in (DECIDE, EXTERNAL))
        others = {whom: self._weights(ours, find) for whom, find in COMPARED.items()}
        for number, earned in self.earned.items():
            known = likely.get(number, {})
            if number in apprentices:
                agreed = [known.get(row.number, UNLIKELY).target for row in given.rows]
                earned.add(given.rows, np.array(agreed))
                continue
            told = [known.get(row.number, UNLIKELY) for row in ours.rows]
            own = self._weights(ours, lambda members, number=number: number)  # type: ignore[misc]
            own = np.where(np.isnan(own), [one.target / one.propensity for one in told], own)
            earned.add(ours.rows, own)
            if (evidence := self.evidence.get(number)) is not None:
                _compare(evidence, ours.rows, own, others, told)
        self._told = max(self._told, max(row.time for row in rows) / MICROSECONDS)
        self._worths.add(self._told, self._earned_by_members)

    def _decided(self, rows: list[Learned]) -> Decided:
        """Return decisions with the parts in which they were made."""
        seqs = np.array([row.seq for row in rows], np.int64)
        cast = np.searchsorted([at for at, _ in self._casts], seqs) - 1
        return Decided(rows, np.array([row.policy or 0 for row in rows], np.int64), cast)

    def _weights(self, decided: Decided, find: Callable[[Sequence[Member]], int | None]) -> Array:
        """Return what decisions count for who is found among those who decide, float64[n]; NaN where nobody is.

        That is 1 over the share of that one where it decided, and 0 where others did.
        """
        weight = np.full(len(decided.rows), math.nan)
        for place in np.unique(decided.cast).tolist():
            members = self._casts[place][1]
            number = find(members)
            share = 0.0 if number is None else shares_of(members).get(number, 0.0)
            if share:
                here = decided.cast == place
                weight[here] = np.where(decided.who[here] == number, 1.0 / share, 0.0)
        return weight


def _compare(
    evidence: Evidence, rows: list[Learned], weight: Array, others: dict[str, Array], told: Sequence[Likely]
) -> None:
    """Add those of n decisions that count for a policy beside others; `told` is what it makes of each as a shadow."""
    kept = evidence.kept(rows, weight)
    reward = np.array([rows[row].reward for row in kept.tolist()])
    evidence.add(reward, weight[kept], {whom: other[kept] for whom, other in others.items()})
    if (modelled := evidence.modelled) is not None:
        some = [row for row in kept.tolist() if rows[row].seq > modelled.since and told[row].has_model]
        reward = np.array([rows[row].reward for row in some])
        predicted, expected = (np.array([getattr(told[row], name) for row in some]) for name in MODEL)
        against = {whom: other[some] for whom, other in others.items()}
        modelled.add(reward, weight[some], predicted, expected, against)


def _new(created: Spec, member: Member, history: History, seq: int) -> Shadow:
    """Return a shadow that joins with the change at a seq."""
    problem = history.problem(seq)
    return Shadow(created, member, problem, history.first_state(policy_of(created, member), member.policy, problem))


def starts_of(store: Store, key: int, created: Spec, kind: Kind, members: Sequence[Member]) -> tuple[list[Start], int]:
    """Return where members of an experiment begin to be read as shadows, and where its log is from.

    One may be a shadow several times, between which it decides. After it decided it begins with the newest base that
    has its state; else where it began. What lies before a compaction cannot be learned any more: who is a shadow now
    and would have to begins behind it, with nothing. For a worker thread.
    """
    history, bases = History(created, store.changes(key), kind.change_types), store.bases(key)
    slim = max((base.seq for base in bases if not base.whole), default=0)
    found: list[Start] = []
    for member in members:
        began = _began_to_watch(history, member)
        for at in began:
            start = Start(member, member.begun)
            if member.origin is not None:
                start = start._replace(state=_new(created, member, history, member.begun).state)
            for base in reversed([base for base in bases if slim <= base.seq <= at]):
                if member.policy in (spec := history.spec(base.seq)).numbers:
                    state, _ = kind.own.split(beginning(store, bases, created, kind, history, base.seq).kept)
                    start = Start(member, base.seq, states_of(spec, state)[member.policy])
                    break
            if start.seq >= slim:
                found.append(start)
            elif member.role in WATCHING and at == began[-1]:
                found.append(Start(member, slim, is_late=True))
    return found, slim


def _began_to_watch(history: History, member: Member) -> list[int]:
    """Return the seqs of the changes with which a policy became one that decides nothing."""
    found, watched = list[int](), False
    for at, members in history.casts:
        watches = any(one.policy == member.policy and one.role in WATCHING for one in members)
        if watches and not watched:
            found.append(at)
        watched = watches
    return found
