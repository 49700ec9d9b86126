"""What changes in an experiment at work: arms come and go, it ends and is brought back. CHANGE events hold it as JSON.

    {"change": "arm_added", "arm": {"id": "d"}, "number": 120}    from decision 120 on
    {"change": "arm_retired", "arm_id": "a"}
    {"change": "arm_restored", "arm_id": "a"}             it may be chosen again
    {"change": "archived"}                                no more decisions or rewards from here on
    {"change": "restored"}                                and here they go on
    {"change": "world_changed", "number": 300}                    as a person said before decision 300; "model": 1 leads
    {"change": "change_taken_back", "number": 340}                the last change was none
    {"change": "policies_changed", "members": [...], ...}         who decides and learns from here on
    {"change": "state_set", "settings": [...], ...}       what those who decide know from here on: `paths.py`

Arms keep their numbers for good: a new one gets the next, a retired one is masked. An added arm enlarges the policy's
state, so whoever folds a log does it in *spells*, parts in which the problem stays as it is. So it does where a person
said something of the world, which the policy's state takes up there.

A kind of decisions may know more changes (`Kind.change_types`). These leave the problem as it is.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from ...engine import snapshot
from ...engine.changes.turning import turned
from ...engine.errors import Damaged
from ...engine.growth import grown
from ...engine.vocabulary import DECIDE, EXTERNAL, Array, Columns, Policy, Problem, Turn
from ..experiment.definition import Definition
from ..experiment.lineup import Member, PoliciesChanged, first_member, shares_of, with_members
from ..experiment.tags import tags_of
from .paths import Paths, Reset, StateSet

if TYPE_CHECKING:
    from ...engine.storage.records import Event
    from ...engine.storage.store import Store

ARCHIVED = '{"change": "archived"}'  # as it has always been written
RESTORED = '{"change": "restored"}'
ENDINGS = (ARCHIVED, RESTORED)  # of which the row of the experiment tells the last


class ArmAdded(msgspec.Struct, frozen=True, tag_field="change", tag="arm_added"):
    """An arm joined."""

    arm: dict[str, Any]
    number: int  # of the next decision


class ArmRetired(msgspec.Struct, frozen=True, tag_field="change", tag="arm_retired"):
    """An arm is not chosen any more."""

    arm_id: str


class ArmRestored(msgspec.Struct, frozen=True, tag_field="change", tag="arm_restored"):
    """An arm that was retired takes part again."""

    arm_id: str


class Archived(msgspec.Struct, frozen=True, tag_field="change", tag="archived"):
    """The experiment ended."""


class Restored(msgspec.Struct, frozen=True, tag_field="change", tag="restored"):
    """An experiment that had ended goes on."""


class WorldChanged(msgspec.Struct, frozen=True, tag_field="change", tag="world_changed", omit_defaults=True):
    """A person said that the world is another one now."""

    number: int  # of the next decision
    model: int | None = None  # the one that leads again; None for a new one


class ChangeTakenBack(msgspec.Struct, frozen=True, tag_field="change", tag="change_taken_back"):
    """A person said that the last change was none."""

    number: int  # of the next decision


Change = Any  # one of these, or of those that a kind knows
CHANGES = (
    ArmAdded,
    ArmRetired,
    ArmRestored,
    Archived,
    Restored,
    WorldChanged,
    ChangeTakenBack,
    PoliciesChanged,
    StateSet,
)


@functools.cache
def changes_decoder(kinds_own: tuple[type[msgspec.Struct], ...] = ()) -> msgspec.json.Decoder[Change]:
    """Return what reads the changes of a log: those of all experiments, and those of its kind."""
    return msgspec.json.Decoder(functools.reduce(operator.or_, (*CHANGES, *kinds_own)))


def change_of(event: Event, decoder: msgspec.json.Decoder[Change]) -> Change:
    """Return what a CHANGE event says."""
    try:
        return decoder.decode(event.detail or "")
    except msgspec.DecodeError as error:
        raise Damaged(
            "unknown_change", f"the change at seq {event.seq} cannot be read ({error}): it is of a newer onearm"
        ) from None


def detail_of(change: Change) -> str:
    """Return a change as the detail of its event."""
    if isinstance(change, Archived):
        return ARCHIVED
    return RESTORED if isinstance(change, Restored) else msgspec.json.encode(change).decode()


def archived_at(event: Event) -> int | None:
    """Return since when an experiment is archived after an event of ARCHIVED or RESTORED; None where it is not."""
    return event.time if event.detail == ARCHIVED else None


def turn_of(change: Change) -> Turn | None:
    """Return what a change says of the world, where it does."""
    if isinstance(change, WorldChanged):
        return Turn(change.number, True, change.model)
    return Turn(change.number, False) if isinstance(change, ChangeTakenBack) else None


def packed_mask(available: Array) -> bytes | None:
    """Return a mask as events hold it: packed bits, None where all are available."""
    return None if available.all() else np.packbits(available).tobytes()


@dataclasses.dataclass(frozen=True)
class Roster:
    """The arms of an experiment at one time, by number; those that are retired keep theirs."""

    arms: tuple[dict[str, Any], ...]
    retired: frozenset[str] = frozenset()
    joined: tuple[int, ...] = ()  # the number of the first decision that could take each added arm

    def __post_init__(self) -> None:
        labels = tuple(arm["id"] for arm in self.arms)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "numbers", {label: number for number, label in enumerate(labels)})
        object.__setattr__(self, "active", np.array([label not in self.retired for label in labels], np.bool_))
        object.__setattr__(self, "packed", packed_mask(self.active))

    labels: tuple[str, ...] = dataclasses.field(init=False)
    numbers: dict[str, int] = dataclasses.field(init=False)
    active: Array = dataclasses.field(init=False)  # bool[k], not retired
    packed: bytes | None = dataclasses.field(init=False)  # the same, as events hold it

    def after(self, change: Change) -> Roster:
        """Return the arms after a change."""
        if isinstance(change, ArmAdded):
            return Roster((*self.arms, change.arm), self.retired, (*self.joined, change.number))
        if isinstance(change, ArmRetired):
            return Roster(self.arms, self.retired | {change.arm_id}, self.joined)
        if isinstance(change, ArmRestored):
            return Roster(self.arms, self.retired - {change.arm_id}, self.joined)
        return self

    def labels_at(self, decided: Event) -> Sequence[str]:
        """Return the ids of the actions that a DECIDE event chose from, by position: the arms, or those of its call."""
        if decided.actions is None:
            return self.labels
        labels: list[str] = msgspec.json.decode(decided.actions)
        return labels

    def sizes(self, numbers: Array) -> Array:
        """Return how many arms there were at decisions of these numbers, int64[n]."""
        first = len(self.arms) - len(self.joined)
        return first + np.searchsorted(np.array(self.joined, np.int64), numbers, side="right")


class Recast(NamedTuple):
    """Other policies play the parts from an event on, or the same ones others."""

    seq: int
    spec: Definition  # of the experiment from there on
    members: tuple[Member, ...]


Part = Columns | Problem | Turn | Recast | Reset  # of a log that is folded


class Spell(NamedTuple):
    """Part of a log in which the problem stays as it is, and nobody says anything: after < seq <= until."""

    problem: Problem
    after: int
    until: int
    begins: Turn | Recast | Reset | None  # what it begins with, where that is not an arm that joins


def changed(policy: Policy, state: Any, part: Problem | Turn) -> Any:
    """Return the state that a policy goes on with where an arm joins, or where a person says something of the world."""
    if isinstance(part, Problem):
        return grown(policy, state, part)
    turned(policy, state, part)
    return state


class History:
    """What the changes of a log add up to."""

    def __init__(
        self, spec: Definition, events: Iterable[Event], kinds_own: tuple[type[msgspec.Struct], ...] = ()
    ) -> None:
        self.roster = Roster(spec.arms)
        self.archived = False
        self.changes: list[Change] = []
        self._spec = spec
        self._growths: list[tuple[int, int]] = []  # (seq, arms from there on)
        self._turns: dict[int, Turn] = {}  # by seq
        self._casts: dict[int, tuple[Member, ...]] = {}  # by seq
        self._recasts: dict[int, Recast] = {}  # of these, those that were asked for
        self.paths = Paths()
        self._brought: dict[int, bytes] = {}  # the states that policies joined with, by number
        decoder = changes_decoder(kinds_own)
        for event in events:
            change = change_of(event, decoder)
            self.changes.append(change)
            if isinstance(change, Archived | Restored):
                self.archived = isinstance(change, Archived)
            self.roster = self.roster.after(change)
            if isinstance(change, ArmAdded):
                self._growths.append((event.seq, len(self.roster.arms)))
            if (turn := turn_of(change)) is not None:
                self._turns[event.seq] = turn
            if isinstance(change, PoliciesChanged):
                for member in change.members:
                    if member.begun and member.policy not in self.named:
                        self.paths.born[member.policy] = event.seq
                self._casts[event.seq] = change.members
                if change.state is not None and change.policy is not None:
                    self._brought[change.policy] = change.state
            if isinstance(change, StateSet):
                self.paths.add(event.seq, change)

    def problem(self, seq: int) -> Problem:
        """Return the problem after the event of this seq."""
        n_arms = len(self._spec.arms)
        for grown_at, n_more in self._growths:
            if grown_at <= seq:
                n_arms = n_more
        return grown_problem(self._spec, self.roster.arms[:n_arms])

    def members(self, seq: int) -> tuple[Member, ...]:
        """Return the policies that play a part after the event of this seq."""
        return next(
            (self._casts[at] for at in sorted(self._casts, reverse=True) if at <= seq), (first_member(self._spec),)
        )

    @property
    def casts(self) -> list[tuple[int, tuple[Member, ...]]]:
        """The policies that play a part behind each change of them, by its seq, and behind 0."""
        return [(0, (first_member(self._spec),)), *sorted(self._casts.items())]

    @property
    def named(self) -> dict[int, str]:
        """The names of all policies that ever played a part, by number."""
        later = {member.policy: str(member.spec["name"]) for cast in self._casts.values() for member in cast}
        return {**later, 0: self._spec.policy.name}

    def member(self, number: int) -> tuple[Member, int]:
        """Return the policy of a number, and the seq behind which it began to learn: 0 for all of the log."""
        for members in self._casts.values():
            for member in members:
                if member.policy == number:
                    return member, self.paths.born.get(number, 0)
        return first_member(self._spec), 0

    def first_state(self, policy: Policy, number: int, problem: Problem) -> Any:
        """Return the state that the policy of a number joined with; `problem` is that of then."""
        fresh = policy.init(policy.params, problem)
        state = self._brought.get(number)
        return fresh if state is None else snapshot.unpack([state], like=fresh)

    @property
    def deciders(self) -> dict[int, tuple[int, ...]]:
        """The numbers of those who decide behind each change of policies, by its seq, and behind 0.

        They are those of `spec(seq).deciding`, without its policies being made.
        """
        return {0: (0,), **{at: tuple(shares_of(members)) for at, members in sorted(self._casts.items())}}

    def spec(self, seq: int) -> Definition:
        """Return the definition of the experiment after the event of this seq: who decides then is its policy."""
        at = max((at for at in self._casts if at <= seq), default=0)
        return self._spec if at == 0 else self._recast(at).spec

    def recasts(self, after: int, last: int) -> list[Recast]:
        """Return the changes of policies after one seq, up to the last."""
        return [self._recast(at) for at in sorted(self._casts) if after < at <= last]

    def _recast(self, at: int) -> Recast:
        if at not in self._recasts:
            members = self._casts[at]
            self._recasts[at] = Recast(at, with_members(self._spec, members), members)
        return self._recasts[at]

    def spells(self, after: int, last: int) -> Iterator[Spell]:
        """Yield the parts of a log after one seq, up to the last."""
        begun = sorted([*(seq for seq, _ in self._growths), *self._turns, *self._casts, *self.paths.resets])
        ends = [seq for seq in begun if after < seq <= last]
        for start, end in zip([after, *ends], [*ends, last], strict=True):
            begins = self._recast(start) if start in self._casts else self._turns.get(start)
            yield Spell(self.problem(start), start, end, self.paths.resets.get(start, begins))

    def masked(self, events: list[Event]) -> list[Event]:
        """Return events with masks over all arms that there are in the end: later ones are not available."""
        problem = grown_problem(self._spec, self.roster.arms)
        if not self.roster.joined or problem.layout != "dense":
            return events
        found = []
        for event in events:
            if event.kind in (DECIDE, EXTERNAL):
                there = int(self.roster.sizes(np.array([event.number]))[0])
                mask = np.arange(problem.n_arms) < there
                if event.available is not None:
                    mask[:there] = np.unpackbits(np.frombuffer(event.available, np.uint8), count=there)
                event = event._replace(available=packed_mask(mask))
            found.append(event)
        return found

    def pages(
        self, store: Store, key: int, after: int, last: int, *, learned_only: bool = False, bare: bool = False
    ) -> Iterator[Part]:
        """Yield a log after one seq as arrays, and between them what else changes the state.

        Where an arm joins that is the problem from there on, where a person said something of the world that, where
        policies changed who plays which part, and where states are set to what. A `bare` log has no contexts and masks,
        and may be slim.
        """
        for spell in self.spells(after, last):
            if spell.after > after:
                yield spell.begins or spell.problem
            for columns, _, _ in store.columns(
                key,
                spell.problem,
                spell.after,
                learned_only=learned_only,
                until=spell.until,
                sizes=self.roster.sizes if self.roster.joined else None,
                bare=bare,
            ):
                yield columns


def folds_from(member: Member, deciders: Mapping[int, Collection[int]], floor: int, seq: int) -> int:
    """Return behind which event a policy can be folded again that decides behind `seq`; the log is from `floor` on.

    `deciders` are those behind changes of policies, by seq. It is a later event than `floor` where the policy began to
    learn before and is not in the base: then it is where it first decided, which comes with its state.
    """
    if floor <= member.begun or member.policy in _deciding_at(floor, deciders):
        return floor
    return min((at for at, numbers in deciders.items() if at > floor and member.policy in numbers), default=seq)


def _deciding_at(seq: int, deciders: Mapping[int, Collection[int]]) -> Collection[int]:
    """Return who decides behind the event of a seq."""
    return deciders[max(at for at in deciders if at <= seq)]


def grown_problem(spec: Definition, arms: Sequence[dict[str, Any]]) -> Problem:
    """Return the problem of an experiment once it has these arms; where none joined it is as it was."""
    n_arms = len(arms)
    if n_arms == len(spec.arms):
        return spec.problem
    shape = spec.intake.problem(n_arms, None).context_shape  # features have a row for each arm
    return dataclasses.replace(spec.problem, n_arms=n_arms, context_shape=shape, tags=tags_of(arms))
