"""What is decided: one of several arms, by itself or for a list, a move in a stream, a vector, or a query of a task.

A problem has one of these five, `Problem.choice`: a sum to match on, whose members answer to the names of `_Choice`.
All that a log, a check or a loop must know of an action is asked here, so that a new choice is a class of this file.

>>> from onearm.engine.domain import ball
>>> choice = Vectors(ball(3), "example")
>>> choice.kind, choice.shape, choice.detail_length
('vector', (3,), 4)
>>> choice_of(**choice.words) == choice
True
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np

from .domain import Domain
from .errors import InvalidInput, as_seen
from .states.numbered import CELLS_MAX as CELLS_MAX
from .states.numbered import are_states, check_states, check_states_said
from .task import Task

ActionKind = Literal["arm", "move", "vector", "query"]
FeedbackKind = Literal["reward", "gradient", "losses", "two_rewards", "example", "answer", "cost", "transition"]
VECTOR_FEEDBACKS: tuple[FeedbackKind, ...] = get_args(FeedbackKind)[:-3]  # of decisions that are vectors
ARM_FEEDBACKS: tuple[FeedbackKind, ...] = ("reward", "cost")  # where no state moves
Array = np.ndarray[Any, Any]
_INT, _FLOAT = np.dtype(np.int64), np.dtype(np.float64)


ARMS_MAX = 1_000_000
SLOTS_MAX = 64
LIST_MAX = 50  # slots of a list
STREAM_MAX = 2**53  # arms of a stream
PULLS_MAX = 2**53  # of one move: whole numbers up to here are exact as floats
REWARD_MAX = 1e100  # sums and squares of such rewards stay finite; one infinity would spoil a state for good
PULL, READ = 0, 1


class Single(NamedTuple):
    """How actions behave that are one trial each and possible where the mask says so: a type for compiled loops."""


class Moves(NamedTuple):
    """How moves behave, of which some are impossible and one may be many trials: a type for compiled loops."""


class _Choice:
    """What every choice answers to; what most of them have in common is said here."""

    kind: ClassVar[Any]  # ActionKind
    in_words: ClassVar[str]
    dtype: ClassVar[np.dtype[Any]] = _INT  # of an action
    rules: ClassVar[Single | Moves] = Single()
    trials_power: ClassVar[int] = 53  # a horizon is at most 2 to this

    @property
    def why_no_matching(self) -> str | None:
        """Return why no other policy can be judged on a log of it; None where it can."""
        return None

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of an action."""
        return ()

    @property
    def dimension(self) -> int:
        """Return how many numbers a vector has that is decided."""
        return 0

    @property
    def detail_length(self) -> int:
        """Return how many numbers a feedback holds beside its reward."""
        return 0

    def check(self, context_shape: tuple[int, ...], nonzeros: int | None) -> None:
        """Refuse numbers out of their range, and contexts that these decisions cannot have."""
        raise NotImplementedError

    def are_actions(self, actions: Array, k: int) -> Array:
        """Return which of n actions are actions at all, bool[n], where a mask has k places."""
        return np.asarray((actions >= 0) & (actions < k))

    def are_available(self, actions: Array, available: Array) -> Array:
        """Return which of n actions, which are actions, the masks bool[n, k] leave, bool[n]."""
        return np.asarray(available[np.arange(len(actions)), actions])

    def are_contexts(self, contexts: Any) -> Array:
        """Return which of n contexts of finite numbers can be ones, bool[n]; bool[1], True, where all can."""
        return np.ones(1, np.bool_)

    def are_details(self, details: Array) -> Array:
        """Return which of n details, float64[n, m], can be feedback, bool[n]: those of numbers up to 1e100 in size."""
        return np.asarray((np.abs(details) <= REWARD_MAX).all(axis=1))

    @property
    def header(self) -> dict[str, Any]:
        """Return what the header of an export says of it beside `n_arms`, as JSON."""
        return {}

    @classmethod
    def words_of(cls, header: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of a problem that such a header says; none where it is of another choice."""
        return {}


@dataclass(frozen=True)
class Arms(_Choice):
    """What is decided is one of arms that are all there; it earns a reward, and may tell what it has cost.

    Where there are `states`, it moves one of them, and tells which one came next.
    """

    n_arms: int
    feedback: FeedbackKind = "reward"
    states: int | None = None
    kind: ClassVar[ActionKind] = "arm"
    in_words: ClassVar[str] = "arms that are all there"

    @property
    def why_no_matching(self) -> str | None:
        """Return why another policy cannot be judged by the rows that it agrees with: states move."""
        if self.states is None:
            return None
        return (
            "the log is of decisions that move a state: another policy would have met other states, so rows that it "
            "agrees with say nothing of what it earns; fit the model with `onearm plan`"
        )

    @property
    def n_choices(self) -> int:
        """Return the length of a mask."""
        return self.n_arms

    @property
    def detail_length(self) -> int:
        """Return 1, the cost or the next state, where that is told."""
        return 0 if self.feedback == "reward" else 1

    @property
    def words(self) -> dict[str, Any]:
        """Return the fields of a problem of this choice."""
        return {"n_arms": self.n_arms, "feedback": self.feedback, "states": self.states}

    def are_details(self, details: Array) -> Array:
        """Return which details are costs from 0 to 1e100, or next states; or NaN where one was not told."""
        if self.states is not None:
            return np.asarray(np.isnan(details[:, 0]) | are_states(details[:, 0], self.states + 1))
        return np.asarray((np.isnan(details) | ((details >= 0.0) & (details <= REWARD_MAX))).all(axis=1))

    @property
    def header(self) -> dict[str, Any]:
        """Return what is revealed beside the reward, where that is something, and how many states there are."""
        revealed = {} if self.feedback == "reward" else {"feedback": self.feedback}
        return revealed if self.states is None else {**revealed, "states": self.states}

    @classmethod
    def words_of(cls, header: dict[str, Any]) -> dict[str, Any]:
        """Return what is revealed beside the reward, and the states."""
        if header.get("states") is not None:
            return {"feedback": "transition", "states": header["states"]}
        return {"feedback": "cost"} if header.get("feedback") == "cost" else {}

    def are_contexts(self, contexts: Any) -> Array:
        """Return which of n contexts, float64[n, 2], are a state and whether a unit begins in it, if there are any.

        Where contexts are not read, float64[n, 0], all are good.
        """
        if self.states is None or contexts.shape[1] == 0:
            return super().are_contexts(contexts)
        begins = contexts[:, 1]
        return np.asarray(are_states(contexts[:, 0], self.states) & ((begins == 0.0) | (begins == 1.0)))

    def check(self, context_shape: tuple[int, ...], nonzeros: int | None) -> None:
        """Refuse no arms or more than a million, and contexts that are neither of the instance nor of each arm."""
        if not 1 <= self.n_arms <= ARMS_MAX:
            raise InvalidInput("bad_arms", f"there are {self.n_arms} arms: a problem has 1 to {ARMS_MAX}")
        if self.states is not None:
            check_states(self.states, self.n_arms, context_shape, nonzeros)
        shape = list(context_shape)
        if len(shape) not in (1, 2):
            raise InvalidInput(
                "bad_context", f"the contexts have the shape {shape}: it must be (d,), or (arms, numbers of each)"
            )
        if len(shape) == 1 and nonzeros is not None:
            raise InvalidInput(
                "bad_context",
                f"the contexts have the shape {shape}, and named features have a row for each arm: make it "
                f"({self.n_arms}, slots), or leave nonzeros out",
            )
        if len(shape) == 2 and shape[0] != self.n_arms:
            raise InvalidInput(
                "bad_context", f"the contexts have {shape[0]} rows for {self.n_arms} arms: they must be as many"
            )


@dataclass(frozen=True)
class Lists(Arms):
    """What is decided is one of the arms that are left, for a slot of a list: of each slot holds what holds of arms."""

    list_slots: int = 1  # of a list, at most

    why_no_matching: ClassVar[str | None] = (
        "the log is of lists, and what a slot earns depends on what stands above it: lists are evaluated whole, by "
        "`onearm evaluate --method cascade`"
    )

    @property
    def words(self) -> dict[str, Any]:
        """Return the fields of a problem of this choice."""
        return super().words | {"list_slots": self.list_slots}

    @property
    def header(self) -> dict[str, Any]:
        """Return how many slots a list may have."""
        return {**super().header, "list_slots": self.list_slots}

    @classmethod
    def words_of(cls, header: dict[str, Any]) -> dict[str, Any]:
        """Return the slots."""
        return {} if header.get("list_slots") is None else {"list_slots": header["list_slots"]}

    def check(self, context_shape: tuple[int, ...], nonzeros: int | None) -> None:
        """Refuse no slots or more than fifty, and what arms refuse."""
        super().check(context_shape, nonzeros)
        if not 1 <= self.list_slots <= LIST_MAX:
            raise InvalidInput("bad_slots", f"lists have {self.list_slots} slots: they have 1 to {LIST_MAX}")


@dataclass(frozen=True)
class ArmStream(_Choice):
    """What is decided is a move in a stream of arms, which come once: pull one that is kept, or read the next."""

    n_arms: int  # 0 where it is unknown
    slots: int
    kind: ClassVar[ActionKind] = "move"
    in_words: ClassVar[str] = "arms that stream past"
    rules: ClassVar[Single | Moves] = Moves()
    trials_power: ClassVar[int] = 62
    why_no_matching: ClassVar[str | None] = (
        "the log is of arms that stream past, where each move changes which are possible later: what another policy "
        "would have met is not in it"
    )

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of a move: what, slot, pulls."""
        return (3,)

    @property
    def detail_length(self) -> int:
        """Return 2: pulls that were done, and the arm that was read."""
        return 2

    @property
    def n_choices(self) -> int:
        """Return the length of a mask: the slots, the place of the arm that arrived, and reading."""
        return self.slots + 2

    @property
    def words(self) -> dict[str, Any]:
        """Return the fields of a problem of this choice."""
        return {"n_arms": self.n_arms, "slots": self.slots}

    def check(self, context_shape: tuple[int, ...], nonzeros: int | None) -> None:
        """Refuse more slots or arms than there may be, and contexts."""
        if not 1 <= self.slots <= SLOTS_MAX:
            raise InvalidInput("bad_slots", f"there are {self.slots} slots: a stream has 1 to {SLOTS_MAX}")
        if not 0 <= self.n_arms <= STREAM_MAX:
            raise InvalidInput("bad_arms", f"the stream has {self.n_arms} arms: 1 to 2^53, or 0 where that is unknown")
        _check_no_context("arms that stream", context_shape, nonzeros)

    def are_actions(self, actions: Array, k: int) -> Array:
        """Return which moves pull a place at least once, or read into one, bool[n]."""
        return self._places(actions, k) >= 0

    def are_available(self, actions: Array, available: Array) -> Array:
        """Return which moves can be made: the place that they pull holds an arm, or another can be read."""
        return np.asarray(available[np.arange(len(actions)), self._places(actions, available.shape[1])])

    def are_details(self, details: Array) -> Array:
        """Return which details are a number of pulls and the number of an arm, or -1."""
        good = (details == np.floor(details)) & (details >= (0.0, -1.0)) & (details <= PULLS_MAX)
        return np.asarray(good.all(axis=1))

    @property
    def header(self) -> dict[str, Any]:
        """Return the slots."""
        return {"slots": self.slots}

    @classmethod
    def words_of(cls, header: dict[str, Any]) -> dict[str, Any]:
        """Return the slots."""
        return {} if header.get("slots") is None else {"slots": header["slots"]}

    @staticmethod
    def _places(moves: Array, k: int) -> Array:
        """Return the place of a mask of k that each move needs, int64[n]; -1 for what is no move."""
        what, slot, pulls = moves.T
        there = (slot >= 0) & (slot < k - 1)
        return np.where(there & (what == READ), k - 1, np.where(there & (what == PULL) & (pulls >= 1), slot, -1))


@dataclass(frozen=True)
class Vectors(_Choice):
    """What is decided is a vector in a domain, or two of them, one behind the other."""

    domain: Domain
    feedback: FeedbackKind = "reward"
    kind: ClassVar[ActionKind] = "vector"
    in_words: ClassVar[str] = "vectors in a domain"
    dtype: ClassVar[np.dtype[Any]] = _FLOAT
    n_choices: ClassVar[int] = 1
    why_no_matching: ClassVar[str | None] = (
        "the log is of vectors: another policy decides another point, of whose reward it says nothing; an export in "
        "which all losses are known is what `onearm replay FILE --policy NAME` plays policies through"
    )

    @property
    def n_points(self) -> int:
        """Return how many points of the domain a decision is."""
        return 2 if self.feedback == "two_rewards" else 1

    @property
    def dimension(self) -> int:
        """Return how many numbers a decision has."""
        return self.n_points * self.domain.dimension

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of an action."""
        return (self.dimension,)

    @property
    def detail_length(self) -> int:
        """Return how many numbers a feedback holds beside its reward."""
        if self.feedback in ("reward", "two_rewards"):
            return 0 if self.feedback == "reward" else 2
        return self.domain.dimension + (1 if self.feedback == "example" else 0)

    @property
    def words(self) -> dict[str, Any]:
        """Return the fields of a problem of this choice."""
        return {"n_arms": 0, "domain": self.domain, "feedback": self.feedback}

    def check(self, context_shape: tuple[int, ...], nonzeros: int | None) -> None:
        """Refuse a domain of one point, and contexts that are not a list of numbers."""
        if self.domain.diameter == 0.0:  # or too small for its square
            raise InvalidInput("bad_domain", "the domain is a single point: there is nothing to decide")
        if nonzeros is not None or len(context_shape) == 2:
            raise InvalidInput(
                "bad_context", "contexts of decisions that are vectors are lists of numbers, or left out"
            )

    def are_actions(self, actions: Array, k: int) -> Array:
        """Return which vectors are finite; whether they lie in the domain is asked of `limits`."""
        return np.asarray(np.isfinite(actions).all(axis=1))

    def are_available(self, actions: Array, available: Array) -> Array:
        """Return True for those whose mask is."""
        return np.asarray(available[:, 0])

    @property
    def header(self) -> dict[str, Any]:
        """Return the domain, and what is revealed."""
        return {"domain": self.domain.to_json(), "feedback": self.feedback}

    @classmethod
    def words_of(cls, header: dict[str, Any]) -> dict[str, Any]:
        """Return the domain, and what is revealed."""
        if "domain" not in header:
            return {}
        return {"domain": Domain.from_json(header["domain"]), "feedback": header["feedback"]}


@dataclass(frozen=True)
class Queries(_Choice):
    """What is decided is the next query of a task; in the end a hypothesis is recommended."""

    task: Task
    kind: ClassVar[ActionKind] = "query"
    in_words: ClassVar[str] = "queries within a budget"
    why_no_matching: ClassVar[str | None] = (
        "the log is of queries, which earn nothing: what counts is what is recommended in the end"
    )

    @property
    def detail_length(self) -> int:
        """Return 1: the answer."""
        return 1

    @property
    def n_choices(self) -> int:
        """Return the length of a mask."""
        return self.task.n_queries

    @property
    def words(self) -> dict[str, Any]:
        """Return the fields of a problem of this choice."""
        return {"n_arms": self.task.n_queries, "feedback": "answer", "task": self.task}

    def check(self, context_shape: tuple[int, ...], nonzeros: int | None) -> None:
        """Refuse contexts."""
        _check_no_context("queries", context_shape, nonzeros)

    def are_details(self, details: Array) -> Array:
        """Return which details are answers of the task."""
        return self.task.possible(details[:, 0])

    @property
    def header(self) -> dict[str, Any]:
        """Return the task."""
        return {"task": self.task.to_json()}

    @classmethod
    def words_of(cls, header: dict[str, Any]) -> dict[str, Any]:
        """Return the task."""
        return {"task": Task.from_json(header["task"]), "feedback": "answer"} if "task" in header else {}


def _check_no_context(who: str, context_shape: tuple[int, ...], nonzeros: int | None) -> None:
    if context_shape != (0,) or nonzeros is not None:
        raise InvalidInput(
            "bad_context", f"{who} come without contexts: leave the context out, or take arms that are all there"
        )


Choice = Arms | Lists | ArmStream | Vectors | Queries
CHOICES: tuple[type[Choice], ...] = get_args(Choice)
IN_WORDS: dict[ActionKind, str] = {choice.kind: choice.in_words for choice in CHOICES}


def choice_of(
    n_arms: int,
    slots: int | None = None,
    domain: Domain | None = None,
    feedback: FeedbackKind = "reward",
    task: Task | None = None,
    states: int | None = None,
    list_slots: int | None = None,
) -> Choice:
    """Return the choice that the words of a problem make; raise `InvalidInput` where they contradict each other."""
    if list_slots is not None:
        if (slots, domain, feedback, task, states) != (None, None, "reward", None, None):
            raise InvalidInput(
                "bad_problem",
                "lists are filled with arms that reveal a reward: leave out list_slots, or what else is said",
            )
        return Lists(n_arms, list_slots=list_slots)
    given = [name for name, word in (("slots", slots), ("a domain", domain), ("a task", task)) if word is not None]
    if len(given) > 1:
        raise InvalidInput(
            "bad_problem",
            f"the problem has {' and '.join(given)}: what is decided is a move in a stream of arms, a vector of a "
            "domain or a query of a task; leave out all but one of slots, domain and task",
        )
    if states is not None or feedback == "transition":
        check_states_said(states, feedback, given)
        return Arms(n_arms, feedback, states)
    if domain is not None:
        return _vectors_of(n_arms, domain, feedback)
    if task is not None:
        return _queries_of(n_arms, feedback, task)
    if feedback not in (ARM_FEEDBACKS if slots is None else ("reward",)):
        missing = "there is no task" if feedback == "answer" else "no vector is decided"
        reveal = "arms reveal their reward, and what they cost" if slots is None else "arms that stream reveal no more"
        raise InvalidInput(
            "bad_feedback",
            f"the feedback is {as_seen(feedback)}, and {missing}: {reveal}; give the problem a "
            f"{'task' if feedback == 'answer' else 'domain'}, or leave the feedback out",
        )
    return Arms(n_arms, feedback) if slots is None else ArmStream(n_arms, slots)


def _vectors_of(n_arms: int, domain: Domain, feedback: FeedbackKind) -> Vectors:
    if n_arms:
        raise InvalidInput(
            "bad_arms", f"a vector is decided, and there are {n_arms} arms: leave either the domain or them out"
        )
    if feedback not in VECTOR_FEEDBACKS:
        raise InvalidInput(
            "bad_feedback",
            f"the feedback is {as_seen(feedback)}: of vectors it must be one of {', '.join(VECTOR_FEEDBACKS)}",
        )
    return Vectors(domain, feedback)


def _queries_of(n_arms: int, feedback: FeedbackKind, task: Task) -> Queries:
    if n_arms != task.n_queries or feedback != "answer":
        raise InvalidInput(
            "bad_task",
            f"there are a task of {task.n_queries} queries and {n_arms} arms, with the feedback {feedback!r}: each "
            "query is an arm, and reveals its 'answer'; make the problem with `query_problem`",
        )
    return Queries(task)
