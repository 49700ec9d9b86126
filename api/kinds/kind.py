"""A kind of decision is one object: all that the service, HTTP and Python ask of arms, lists, vectors and others.

`Kind` is a frozen object of functions; each kind has a folder here that makes one, and `table.py` lists them. What the
functions work on is `Work`, an experiment at work: the service's `Live`, which has a log, and the engines of Python,
which may have one. A new kind is a new folder and a line in that table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import msgspec
import numpy as np

from ...engine import loop
from ...engine.actions import pack_detail
from ...engine.choices import Choice
from ...engine.contexts import context_at, n_actions, unpack_contexts
from ...engine.errors import Conflict, OnearmError
from ...engine.features import unit_of
from ...engine.kernel import Entry
from ...engine.problem import ANY_REWARD
from ...engine.storage.records import Event
from ...engine.vocabulary import (
    NOBODY,
    Action,
    ActionKind,
    Array,
    Certificate,
    Columns,
    Decision,
    Feedback,
    Instance,
    Key,
    Problem,
)
from ..experiment.compiling import Kernels
from ..experiment.definition import Arms, Declared, Definition
from ..experiment.report_schemas import Report
from ..experiment.sums import Tally
from ..experiment.undo import Undo
from ..http.schemas import Decide, Example
from .form import Form
from .gym import GymKind
from .sample import Sample

if TYPE_CHECKING:
    from ..service.history import History, Part, Roster
    from ..service.records import Record

NO_DETAIL = np.zeros(0)
# Fields of `Decide`, of which each kind reads some.
DECIDED_BY = (
    "context",
    "state",
    "begins",
    "actions",
    "eligible_actions",
    "excluded_actions",
    "slots",
    "explain",
    "rank",
    "hint",
)

Body = TypeVar("Body")


class Request(NamedTuple):
    """What a decision is asked for, as the kernels read it."""

    context: Any
    available: Array  # bool[k], over the actions of the call or all arms
    labels: Sequence[str] | None = None  # ids of the actions, where they came with the call
    names: list[list[str]] | None = None  # of the features of each action, where an explanation is asked for
    ranked: bool = False  # whether the probabilities of all actions are asked for
    reasons: str | None = None  # that explanation, JSON
    unit: np.uint64 = NOBODY  # whom the decision is for
    time: int = 0  # when it is made, in microseconds since 1970 UTC as it is on record
    parts: Sequence[Any] = ()  # where it is several decisions, what each is asked for, as its kind reads it
    made: tuple[Made, ...] = ()  # those of these that were made
    decision_id: str | None = None  # the client's, there


class Asked(NamedTuple):
    """What a decision was asked for, and by what name it is on record whom it is for."""

    request: Request
    unit_id: str | None = None
    sent: str | None = None  # what was asked, JSON for people, where the log has it in no other way


class Made(NamedTuple):
    """One of several decisions that are one for a client."""

    decision: Decision
    reasons: str | None  # an explanation, JSON


class Encoded(NamedTuple):
    """A decision as columns of the log."""

    action: int | None = None
    vector: bytes | None = None
    detail: str | None = None  # JSON


class Move(NamedTuple):
    """One of several decisions that are made together; those before the last are answered by the service itself."""

    request: Request
    decision: Decision
    encoded: Encoded
    feedback: Feedback | None = None  # None for the last one, which a client answers
    sent: str | None = None  # what is on record of it, for people
    decision_id: str | None = None  # by which the log finds it


class ChangeHandler(NamedTuple):
    """A change of an experiment at work that a client may ask for."""

    make: Callable[[Work, Any, Record | None], tuple[Any, Any]]  # (work, what is said, what was sought) ->
    # the change, None where it is made already, and the answer, None where that is the experiment
    seeks: Callable[[Work, Any], str | None] = lambda work, said: None  # the decision that must be looked up before
    waits: bool = False  # until no other thread reads the state
    is_new: Callable[[Work, Any], bool] = lambda work, said: True  # raises where the change is refused


class Reader(NamedTuple):
    """How a body is read that says what came of a decision: alone, and in a batch, where it names its decision."""

    one: msgspec.json.Decoder[Any]
    batch: msgspec.json.Decoder[Any]
    what: str


def _plain_sample(work: Work, value: float) -> Sample:
    """Return the bodies of a kind whose decisions ask for nothing, and whose rewards are a number."""
    return Sample({}, {"value": value})


def _none(*given: Any) -> None:
    """Return nothing."""


@dataclass(frozen=True)
class Own:
    """What a kind keeps beside the policy's state, in `Work.own`: a fold of the log as well. By default nothing."""

    begin: Callable[[Definition, Any, History], Any] = _none  # (spec, what a snapshot holds, changes of the log)
    fold: Callable[[Any, Columns], None] = _none  # enters a page of the log
    end: Callable[[Any, History, Callable[[int], Event | None], int], None] = _none  # once all is folded; with what
    # finds a decision by its number, and the next number
    fresh: Callable[[Problem], Any] = _none  # what a snapshot holds of it before any event
    part: Callable[[Any], Any] = _none  # what a snapshot holds of it as it is
    join: Callable[[Any, Any], Any] = lambda state, part: state  # a snapshot, of the policy's state and of that
    split: Callable[[Any], tuple[Any, Any]] = lambda kept: (kept, None)  # the other way


NOTHING = Own()


class Work:
    """An experiment at work as its kind sees it: what it is, and what it has learned so far."""

    spec: Definition
    problem: Problem  # with the arms that joined
    roster: Roster
    state: Any  # of the policy
    own: Any  # what its kind keeps beside the policy's state
    number: int  # of the next decision
    rewards: int = 0
    archived: bool = False
    explainer: Entry | None = None  # compiled where it is asked for
    tell_law: Callable[..., None] = staticmethod(loop.tell_law.python)  # the same
    unusable: OnearmError | None = None  # what everything is refused with

    def take_up(self, spec: Definition, kernels: Kernels) -> None:
        """Know the policy and its compiled kernels."""
        self._params, self._run = spec.policy.params, spec.run
        self._select, self._update = kernels.select, kernels.update
        self._recommend, self._certify = kernels.recommend, kernels.certify

    @property
    def limits(self) -> tuple[float, float]:
        """Between what rewards must lie: as declared, else as all must."""
        return self.problem.reward_range or ANY_REWARD

    @property
    def compiled(self) -> bool:
        """Whether what decides and learns is compiled; until then it runs as Python, with the same bits."""
        return self._select.compiled and self._update.compiled

    def asked(self, request: Request) -> Instance:
        """Return what a request asks, as the next decision."""
        return Instance(self.number, request.context, request.available, request.unit, request.time)

    def choose(self, request: Request) -> Decision:
        """Let the policy decide; a vector or a move is in its working space, and to be copied."""
        return self._select.call(self._params, self.state, self.asked(request), Key(self._run, self.number))

    def learn_from(self, instance: Instance, decision: Decision, feedback: Feedback) -> None:
        """Change the state by the feedback on a decision."""
        arguments = self._params, self.state, instance, decision, feedback, Key(self._run, instance.t)
        if self._update.compiled:
            self._update.call(*arguments)
        else:
            self._learn_as_python(arguments)

    def _learn_as_python(self, arguments: tuple[Any, ...]) -> None:
        """Learn on the first tier; where Python raises what compiled code does not, begin again with that."""
        before = Undo(self.state)
        try:
            self._update.call(*arguments)
        except Exception:
            before.undo()
            self._update.finish()
            self._update.call(*arguments)

    def recommended(self) -> int:
        """Return what the policy would commit to now: a place or a hypothesis, -1 where there is nothing."""
        assert self._recommend is not None
        return int(self._recommend(self._params, self.state, Key(self._run, self.number)))

    def proof(self) -> Certificate:
        """Return what the policy proves of what it learned; NaN where it proves nothing."""
        self.check_usable()
        assert self._certify is not None
        return Certificate(*map(float, self._certify(self._params, self.state)))

    def policy_name(self, decided: Event) -> str:
        """Return the name of the policy that made a decision."""
        return self.spec.policy.name

    def check_usable(self) -> None:
        """Raise what everything is refused with, where something is."""
        if self.unusable is not None:
            raise self.unusable

    def check_room(self, problem: Problem) -> None:
        """Refuse a problem with more arms where there is no room for its state; in Python there always is."""

    def check_open(self) -> None:
        """Refuse decisions, rewards and changes where the experiment takes none."""
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
        k = there = int(n_actions([event.context], self.problem)[0])
        if self.roster.joined and self.problem.layout == "dense":
            there = int(self.roster.sizes(np.array([event.number]))[0])
        mask = np.arange(k) < there
        if event.available is not None:
            mask[:there] = np.unpackbits(np.frombuffer(event.available, np.uint8), count=there)
        return mask

    def saw(self, event: Event) -> Instance:
        """Return what the policy saw of a DECIDE event."""
        assert event.number is not None
        seen = self.context(event), self.mask(event)
        return Instance(event.number, *seen, unit_of(event.unit_id), event.time)

    def labels(self, event: Event) -> Sequence[str]:
        """Return the ids of the actions of a DECIDE event, by position."""
        return self.roster.labels_at(event)

    def eligible(self, event: Event) -> list[str] | None:
        """Return the ids of the actions that a DECIDE event left to choose from; None where these are all."""
        if event.available is None:
            return None
        return [label for label, free in zip(self.labels(event), self.mask(event), strict=False) if free]


def learn_json(feedback: Feedback) -> str | None:
    """Return the detail of a feedback as the log keeps it, None without any."""
    return pack_detail(feedback.detail.tolist()) if len(feedback.detail) else None


ANY_JSON: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


class Whole(Protocol):
    """Whether the decisions of a log are whole: several each, as they were made."""

    def fault(self, event: Event) -> str | None:
        """Take the next decision; return what is wrong with it, and what to do."""

    def end(self) -> str | None:
        """Return what is wrong with the end of the log, where it is in the middle of several."""


@dataclass(frozen=True)
class Several:
    """What is asked of a kind whose decision, for a client, is several: one after another, in one transaction."""

    part: Callable[[Work, Request], Request | None]  # the next one, given those that are `made`; None once all are
    numbers: Callable[[Event], Sequence[int]]  # of all that a DECIDE event is one of; by the last one clients find them
    shares: Callable[[Work, Event, Any], Sequence[tuple[int, Feedback]]]  # what a body says of which, by number; of the
    # event of the last one, and a body as it was read
    goes_with: Callable[[Event, Event], bool]  # whether two DECIDE events are of one; numbers of one that was broken
    # off in the middle belong to another by now
    whole: Callable[[Callable[[Event], Sequence[str]]], Whole]  # looks at a log; given the ids of the actions that a
    # decision could choose from


@dataclass(frozen=True)
class Kind:
    """What is asked of a kind of decision. Where a function may be left out, the default says what that means."""

    name: str  # as a problem names it: "arms", "lists", "arm_stream", "vector", "queries"
    choice: type[Choice]  # of its problems
    plural: str  # of what is decided
    does: str  # what an environment does that has such decisions

    # What an experiment is.
    read_problem: Callable[[dict[str, Any], Arms, Any], Declared]  # (JSON, arms, JSON of the policy); checks everything
    problem_json: Callable[[Definition], dict[str, Any]]  # what `read_problem` reads, but for name and horizon
    default_policy: Callable[[Problem], dict[str, Any]]  # JSON of the policy where none is named
    defaults: Mapping[str, str]  # the policies that this may be, and where, in words
    kernels: Callable[[Definition], Kernels]

    # A decision: what is asked, checked, logged and answered.
    fields: frozenset[str]  # of DECIDED_BY: those that it reads
    unread: str  # what is said where another one is sent; {name} and {id} are filled in
    request: Callable[[Work, Decide], Request]
    check: Callable[[Work, Decision, Array], None]  # what came out of a kernel, by the mask
    encode: Callable[[Work, Request, Decision], Encoded]
    action: Callable[[Work, Event], Action]  # of a DECIDE event, as the kernels read it
    answer: Callable[[Work, Event], msgspec.Struct]
    answered: type[msgspec.Struct]  # what `answer` returns
    record: Callable[[Work, Event], dict[str, Any]]  # what a `DecisionRecord` has of this kind alone

    # What came of it.
    reader: Reader
    read_feedback: Callable[[Work, Any], Any]  # the body of a reward, checked as far as that goes without its decision
    feedback_on: Callable[[Work, Event, Action, Any], Feedback]  # what was read, checked beside its decision
    reward_record: Callable[[Work, Event], dict[str, Any]]  # what a `RewardRecord` has of this kind: of a LEARN event
    reward_exists: Callable[[str, Event], str]  # what is said where a decision has another reward already

    # Reports.
    tally: Callable[[Definition, Problem], Tally]  # what is counted, before any event
    report: Callable[[Definition, Tally, Sequence[str], int, int, Certificate | None], Report]
    # (spec, what was counted, ids of arms, seq, decisions, what the policy proves)
    gym: GymKind  # as Gymnasium sees it
    forms: tuple[Form, ...]  # by which people create experiments

    regret_by_segment: Callable[[Definition, Iterable[Part], int, int], float | None] | None = None
    # (spec, pages of the log, rounds, segments)
    detail_json: Callable[[Feedback], str | None] = learn_json  # the detail as the log keeps it
    decided_detail: msgspec.json.Decoder[Any] = ANY_JSON  # reads that of a decision: imports are checked by it
    complete: Callable[[Any, Declared], Any] = lambda policy, declared: policy  # fills in params that are left out
    has_arms: bool = False  # which are part of the spec, and may join
    has_rewards: bool = False  # as clients know them, of which the spec may declare the range
    slims: bool = True  # what its events hold for the fold alone may go, once a base stands for it
    has_windows: bool = False  # in which the rewards of a decision may be waited for, and become one
    has_constraints: bool = False  # on the probabilities of its arms
    has_members: bool = False  # whether other policies may learn beside the one that decides, and take its place
    corrects: bool = False  # whether what was learned of a decision may be corrected, and states set back
    has_curve: bool = False  # whether each decision has one reward, whose mean says something
    decide_waits: bool = False  # until no other thread reads the state: deciding changes it
    explain: Callable[[Work, Request], Request] = lambda work, request: request  # adds reasons
    gate: Callable[[Work], None] | None = None  # refuses more decisions than there may be
    moves: Callable[[Work, np.uint64, int], Iterator[Move]] | None = None  # where a client's decision, for a unit and
    # at a time, may take several
    several: Several | None = None  # where it is several, of which each has a reward
    learned: Callable[[Work, Event, Action, Feedback], None] | None = None  # enters what is about to be learned into
    # what the kind keeps; refuses what cannot be learned any more
    external: Callable[[Work, Example], tuple[Request, Action]] | None = None  # a decision that someone else made
    no_examples: str = ""  # what is said where there are none; {id} is filled in

    own: Own = NOTHING  # what it keeps beside the policy's state

    # What may change, and what is shown.
    change_types: tuple[type[msgspec.Struct], ...] = ()  # of the log, beside those that `history.py` knows
    changes: Mapping[str, ChangeHandler] = field(default_factory=dict)  # by name: join, retire, close, commit
    recommend: Callable[[Work], Any] | None = None  # what a commit would commit to now, or has
    certificate: Callable[[Work], Certificate] | None = None
    sample: Callable[[Work, float], Sample] = _plain_sample  # what people may type to try it; given a reward
    describe: Callable[[Work], dict[str, Any]] = lambda work: {}  # what an `Experiment` has of this kind alone

    @property
    def action_kind(self) -> ActionKind:
        """What an action is."""
        return self.choice.kind

    @cached_property
    def refused(self) -> tuple[str, ...]:
        """The fields of a decision's body that it does not read."""
        return tuple(name for name in DECIDED_BY if name not in self.fields)


def known(propensity: float) -> float | None:
    """Return a propensity as the log keeps it: None where it is unknown; with the JIT off they are NumPy's scalars."""
    return None if math.isnan(propensity) else float(propensity)


def id_of(event: Event) -> str:
    """Return the id of a decision: the client's, or the service's (~ and its number)."""
    return event.decision_id or f"~{event.number}"


def part_of_a_list(event: Event, numbers: Sequence[int]) -> OnearmError:
    """Return what one of several decisions that were made together is refused with, in place of all of them."""
    return Conflict(
        "part_of_a_list",
        f"decision ~{event.number} is one of those that were made together as ~{numbers[-1]}: name that, or the id "
        "that you gave, and the slot",
    )
