"""What is decided: one of several arms, a move in a stream of them, a vector of a domain, or a query of a task.

A problem has one of these four, `Problem.choice`: a sum to match on, whose members answer to the same names. Here is
the shape of what they decide and learn; `actions` does with it what is done to actions, and `problem.check_problem`
refuses numbers out of their range.

>>> from onearm.engine.domain import ball
>>> choice = Vectors(ball(3), "example")
>>> choice.kind, choice.shape, choice.detail_length
('vector', (3,), 4)
>>> choice_of(**choice.words) == choice
True
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from .domain import Domain
from .errors import InvalidInput
from .task import Task

ActionKind = Literal["arm", "move", "vector", "query"]
FeedbackKind = Literal["reward", "gradient", "losses", "two_rewards", "example", "answer"]
VECTOR_FEEDBACKS = get_args(FeedbackKind)[:-1]  # of decisions that are vectors
_INT, _FLOAT = np.dtype(np.int64), np.dtype(np.float64)


@dataclass(frozen=True)
class Arms:
    """What is decided is one of arms that are all there; it earns a reward."""

    n_arms: int
    kind: ClassVar[ActionKind] = "arm"
    in_words: ClassVar[str] = "arms that are all there"
    shape: ClassVar[tuple[int, ...]] = ()  # of an action
    dtype: ClassVar[np.dtype[Any]] = _INT  # of an action
    dimension: ClassVar[int] = 0  # how many numbers a vector has that is decided
    detail_length: ClassVar[int] = 0  # how many numbers a feedback holds beside its reward

    @property
    def n_choices(self) -> int:
        """Return the length of a mask."""
        return self.n_arms

    @property
    def words(self) -> dict[str, Any]:
        """Return the fields of a problem of this choice."""
        return {"n_arms": self.n_arms}


@dataclass(frozen=True)
class ArmStream:
    """What is decided is a move in a stream of arms, which come once: pull one that is kept, or read the next."""

    n_arms: int  # 0 where it is unknown
    slots: int
    kind: ClassVar[ActionKind] = "move"
    in_words: ClassVar[str] = "arms that stream past"
    shape: ClassVar[tuple[int, ...]] = (3,)
    dtype: ClassVar[np.dtype[Any]] = _INT
    dimension: ClassVar[int] = 0
    detail_length: ClassVar[int] = 2

    @property
    def n_choices(self) -> int:
        """Return the length of a mask: the slots, the place of the arm that arrived, and reading."""
        return self.slots + 2

    @property
    def words(self) -> dict[str, Any]:
        """Return the fields of a problem of this choice."""
        return {"n_arms": self.n_arms, "slots": self.slots}


@dataclass(frozen=True)
class Vectors:
    """What is decided is a vector in a domain, or two of them, one behind the other."""

    domain: Domain
    feedback: FeedbackKind = "reward"
    kind: ClassVar[ActionKind] = "vector"
    in_words: ClassVar[str] = "vectors in a domain"
    dtype: ClassVar[np.dtype[Any]] = _FLOAT
    n_choices: ClassVar[int] = 1

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


@dataclass(frozen=True)
class Queries:
    """What is decided is the next query of a task; in the end a hypothesis is recommended."""

    task: Task
    kind: ClassVar[ActionKind] = "query"
    in_words: ClassVar[str] = "queries within a budget"
    shape: ClassVar[tuple[int, ...]] = ()
    dtype: ClassVar[np.dtype[Any]] = _INT
    dimension: ClassVar[int] = 0
    detail_length: ClassVar[int] = 1

    @property
    def n_choices(self) -> int:
        """Return the length of a mask."""
        return self.task.n_queries

    @property
    def words(self) -> dict[str, Any]:
        """Return the fields of a problem of this choice."""
        return {"n_arms": self.task.n_queries, "feedback": "answer", "task": self.task}


Choice = Arms | ArmStream | Vectors | Queries
IN_WORDS: dict[ActionKind, str] = {choice.kind: choice.in_words for choice in get_args(Choice)}


def choice_of(
    n_arms: int,
    slots: int | None = None,
    domain: Domain | None = None,
    feedback: FeedbackKind = "reward",
    task: Task | None = None,
) -> Choice:
    """Return the choice that the words of a problem make; raise `InvalidInput` where they contradict each other."""
    given = [name for name, word in (("slots", slots), ("a domain", domain), ("a task", task)) if word is not None]
    if len(given) > 1:
        raise InvalidInput(
            "bad_problem",
            f"the problem has {' and '.join(given)}: what is decided is a move in a stream of arms, a vector of a "
            "domain or a query of a task; leave out all but one of slots, domain and task",
        )
    if domain is not None:
        return _vectors_of(n_arms, domain, feedback)
    if task is not None:
        return _queries_of(n_arms, feedback, task)
    if feedback != "reward":
        missing = "there is no task" if feedback == "answer" else "no vector is decided"
        raise InvalidInput(
            "bad_feedback",
            f"the feedback is {feedback!r}, and {missing}: arms reveal their reward alone; give the problem a "
            f"{'task' if feedback == 'answer' else 'domain'}, or leave the feedback out",
        )
    return Arms(n_arms) if slots is None else ArmStream(n_arms, slots)


def _vectors_of(n_arms: int, domain: Domain, feedback: FeedbackKind) -> Vectors:
    if n_arms:
        raise InvalidInput(
            "bad_arms", f"a vector is decided, and there are {n_arms} arms: leave either the domain or them out"
        )
    if feedback not in VECTOR_FEEDBACKS:
        raise InvalidInput(
            "bad_feedback", f"the feedback is {feedback!r}: of vectors it must be one of {', '.join(VECTOR_FEEDBACKS)}"
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
