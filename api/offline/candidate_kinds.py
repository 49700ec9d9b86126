"""What a candidate can be: what made the log, a policy, one action, columns of a table, or a function of Python."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ...engine.errors import InvalidInput
from ...engine.replay.matching import Contender, Even, Learning
from ...engine.replay.own_laws import OwnLaw
from ...engine.replay.targets import Fixed, Logged, Target
from ...engine.storage.arrow import format_module
from ...engine.storage.numerals import natural_in
from ...engine.storage.rows import Beside, Rows
from ...engine.vocabulary import NO_CONTEXT, Policy, Problem
from ...policies import catalog
from .judging import ReadBeside
from .own import Function, law_of

LOGGED, UNIFORM = "logged", "uniform"  # what made the log; the policy that takes every action alike
COLUMNS = {"column": "Chance", "columns": "Chances", "frequency": "Positions", "table": "Keyed"}  # classes by the word


@dataclass(frozen=True)
class Beginning:
    """A log before its first row, or a part of one, as a candidate finds it there."""

    rows: Rows
    problem: Problem  # with the range of rewards that was stated, where one was
    n_rows: int
    learn: Learning = "matched"
    seed: int = 0
    part: int = 0
    read: ReadBeside | None = None  # the columns that the candidate asked for


@dataclass(frozen=True)
class Candidate(ABC):
    """Whose value is asked for."""

    label: str  # as people see it; no two of a run are the same

    is_log: ClassVar[bool] = False  # it is what made the log
    is_policy: ClassVar[bool] = False  # it is that, or a policy: what can fill a list too
    reads_columns: ClassVar[bool] = False  # of a table, beside its decisions
    travels: ClassVar[bool] = True  # a worker somewhere else can be handed it

    @property
    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """Return {"name", "params"}, as JSON."""

    @property
    @abstractmethod
    def word(self) -> str:
        """Return how a person names it on the command line, whatever its label."""

    @abstractmethod
    def target(self, log: Beginning) -> Target:
        """Return it at the beginning of a log; raises `InvalidInput` where the two do not fit."""

    def stays(self, learn: Learning) -> bool:
        """Whether it is at the end of a log what it is at the beginning, so that parts of a log can be judged alone."""
        return True

    @property
    def reads_contexts(self) -> bool:
        """Whether it may look at contexts."""
        return False

    @property
    def needs_contexts(self) -> bool:
        """Whether it is nothing without a context."""
        return False

    @property
    def needs_numbers(self) -> bool:
        """Whether it reads named features as columns of numbers."""
        return False

    @property
    def looks_for_changes(self) -> bool:
        """Whether it looks for changes of the world."""
        return False

    @property
    def reward_range(self) -> tuple[float, float] | None:
        """Return the range of rewards that it is made for; None for any."""
        return None

    @property
    def beside(self) -> Beside | None:
        """Return what reads its columns of a table; None where it has none."""
        return None


@dataclass(frozen=True)
class LoggedCandidate(Candidate):
    """What made the log."""

    label: str = LOGGED

    is_log: ClassVar[bool] = True
    is_policy: ClassVar[bool] = True

    @property
    def spec(self) -> dict[str, Any]:
        """Return its name."""
        return {"name": LOGGED, "params": {}}

    @property
    def word(self) -> str:
        """Return its name."""
        return LOGGED

    def target(self, log: Beginning) -> Target:
        """Return what was logged."""
        return Logged()


@dataclass(frozen=True)
class PolicyCandidate(Candidate):
    """A policy, which learns as it goes through the log. Pickled it is its spec: kernels are made where they run."""

    policy: Policy

    is_policy: ClassVar[bool] = True

    def __reduce__(self) -> Any:
        """Return what makes it again."""
        return _of_spec, (self.label, self.policy.spec)

    @property
    def spec(self) -> dict[str, Any]:
        """Return the policy's."""
        return self.policy.spec

    @property
    def word(self) -> str:
        """Return the policy with its params."""
        return as_word(self.policy.spec)

    @property
    def reads_contexts(self) -> bool:
        """Whether it may look at contexts."""
        return not self.policy.even

    @property
    def needs_contexts(self) -> bool:
        """Whether it decides by the context."""
        return self.reads_contexts and self.policy.contexts != NO_CONTEXT

    @property
    def needs_numbers(self) -> bool:
        """Whether it reads named features as columns of numbers."""
        return "named" not in self.policy.contexts

    @property
    def looks_for_changes(self) -> bool:
        """Whether the policy looks for changes of the world."""
        return self.policy.found is not None

    @property
    def reward_range(self) -> tuple[float, float] | None:
        """Return the range of rewards that the policy is made for; None for any."""
        return self.policy.reward_range

    def target(self, log: Beginning) -> Target:
        """Return the policy, which has learned nothing yet."""
        kind = Even if self.policy.even else Contender
        return kind(self.policy, log.problem, log.n_rows, learn=log.learn, seed=log.seed, part=log.part)

    def stays(self, learn: Learning) -> bool:
        """Whether it learns nothing."""
        return self.policy.even or learn == "nothing"


@dataclass(frozen=True)
class ActionCandidate(Candidate):
    """One action, whatever comes."""

    action: str | int  # the number of the action, from 0; of a text its label, or else its number

    @property
    def spec(self) -> dict[str, Any]:
        """Return the action."""
        text = str(self.action)
        number = natural_in(text)
        return {"name": "action", "params": {"action": text if number is None else number}}

    @property
    def word(self) -> str:
        """Return the action."""
        return f"action:{self.action}"

    def target(self, log: Beginning) -> Target:
        """Return the action of the log. Raises `InvalidInput` where it has none of it."""
        text, labels, n_arms = str(self.action), log.rows.labels, log.problem.n_arms
        if self.action in labels:
            return Fixed(labels.index(text), n_arms)
        if (number := natural_in(text)) is not None:
            return Fixed(number, n_arms)
        known = f"it has {', '.join(labels)[:300]}" if labels else f"say action:0 to action:{n_arms - 1}"
        raise InvalidInput("bad_target", f"the log has no action {text!r}: {known}")


@dataclass(frozen=True)
class ColumnsCandidate(Candidate):
    """Probabilities that stand in columns of the log, or in a table beside it."""

    kind: str  # a word of `COLUMNS`
    what: str  # a column, a pattern of columns, a file

    reads_columns: ClassVar[bool] = True
    travels: ClassVar[bool] = False

    @property
    def spec(self) -> dict[str, Any]:
        """Return what it is of."""
        return {"name": self.kind, "params": {"of": self.what}}

    @property
    def word(self) -> str:
        """Return what it is of."""
        return f"{self.kind}:{self.what}"

    @property
    def beside(self) -> Beside:
        """Return what reads its columns."""
        module = format_module("own_columns", f"the target {self.word}")
        made: Beside = getattr(module, COLUMNS[self.kind])(Path(self.what) if self.kind == "table" else self.what)
        return made

    def target(self, log: Beginning) -> Target:
        """Return what the columns say."""
        assert log.read is not None, "columns that were not read"
        made: Target = log.read.beside.target(log.read.names(log.rows), log.read.start(log.rows), log.rows, log.seed)
        return made

    def stays(self, learn: Learning) -> bool:
        """No: shares are those of the whole log, and which of its actions a table may name is known of that alone."""
        return False


@dataclass(frozen=True)
class FunctionCandidate(Candidate):
    """A function that returns the probability of every action, for a batch of decisions."""

    name: str  # what Python calls it
    function: Function

    travels: ClassVar[bool] = False

    @property
    def spec(self) -> dict[str, Any]:
        """Return its name."""
        return {"name": "function", "params": {"of": self.name}}

    @property
    def word(self) -> str:
        """Return its name."""
        return self.name

    @property
    def reads_contexts(self) -> bool:
        """Yes, for all that is known."""
        return True

    @property
    def needs_numbers(self) -> bool:
        """Yes: it is handed columns."""
        return True

    def target(self, log: Beginning) -> Target:
        """Return what the function says."""
        return OwnLaw(self.label, law_of(self.label, self.function, log.rows), log.seed)

    def stays(self, learn: Learning) -> bool:
        """No: decisions have the numbers that they have in the whole log."""
        return False


def of_policy(policy: Policy) -> PolicyCandidate:
    """Return a policy as a candidate, with the params by which it differs from what it is without any."""
    return PolicyCandidate(catalog.label(policy.spec), policy)


def of_function(function: Function, name: str) -> FunctionCandidate:
    """Return a function of a batch as a candidate."""
    return FunctionCandidate(name, name, function)


def as_word(spec: Mapping[str, Any]) -> str:
    """Return a spec as people name a policy.

    >>> as_word({"name": "ucb1", "params": {"alpha": 2.0}}), as_word({"name": "uniform", "params": {}})
    ('ucb1:{"alpha":2.0}', 'uniform')
    """
    params = json.dumps(spec["params"], separators=(",", ":"))
    return f"{spec['name']}:{params}" if spec["params"] else str(spec["name"])


def _of_spec(label: str, spec: dict[str, Any]) -> PolicyCandidate:
    return PolicyCandidate(label, catalog.from_spec(spec))
