"""The Python door: decide and learn in one line each, in memory or with a log in a database.

>>> import onearm
>>> engine = onearm.open(policy="ucb1", arms=["a", "b"])
>>> decision = engine.decide()
>>> (decision.action_id, decision.propensity)
('a', 1.0)
>>> engine.learn(decision, reward=1.0)
>>> engine.decide().action_id
'b'

Where a `domain` is given the decisions are vectors in it: `onearm/api/vector_door.py`. Where a `task` is given, queries
are asked within a budget: `onearm/api/query_door.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, overload

import msgspec
import numpy as np

from ..engine import loop, snapshot
from ..engine.domain import Domain
from ..engine.errors import InvalidInput
from ..engine.problem import check_reward
from ..engine.protocol import explains
from ..engine.task import Task
from ..engine.vectors.constants import constants_of
from ..engine.vocabulary import (
    LEARN,
    Columns,
    Constant,
    Decision,
    Features,
    Feedback,
    FeedbackKind,
    Instance,
    Key,
    Problem,
)
from ..policies import catalog
from .experiment.compiling import compile_explain, compile_kernels
from .experiment.explanation import explain
from .experiment.intake import check_labels, check_propensity, mask_of
from .experiment.spec import Spec
from .kinds.queries.engine import QueryEngine
from .kinds.queries.problem import numbered, task_fields
from .kinds.vectors.engine import VectorEngine
from .log_files import read_log
from .service.history import Roster
from .service.records import Pending

USUAL = "usual"  # the policy that stands for what is asked, where none is named
_NO_DETAIL = np.zeros(0)


class Choice(NamedTuple):
    """A decision as a person wants it: the arm's id, its number, the propensity, and the decision's number."""

    number: int
    action_id: str
    action: int
    propensity: float


@overload
def open(
    policy: str | dict[str, Any] = USUAL,
    arms: Sequence[str] | int = 2,
    *,
    context: int | dict[str, Any] = 0,
    actions: int | dict[str, Any] | None = None,
    seed: int = 0,
    horizon: int | None = None,
) -> Engine: ...


@overload
def open(
    policy: str | dict[str, Any] = USUAL,
    *,
    domain: Domain | dict[str, Any],
    feedback: FeedbackKind = "gradient",
    context: int | dict[str, Any] = 0,
    seed: int = 0,
    horizon: int | None = None,
) -> VectorEngine: ...


@overload
def open(
    policy: str | dict[str, Any] = USUAL,
    *,
    task: Task | dict[str, Any],
    seed: int = 0,
    horizon: int,
) -> QueryEngine: ...


def open(
    policy: str | dict[str, Any] = USUAL,
    arms: Sequence[str] | int | None = None,
    *,
    context: int | dict[str, Any] = 0,
    actions: int | dict[str, Any] | None = None,
    domain: Domain | dict[str, Any] | None = None,
    feedback: FeedbackKind | None = None,
    task: Task | dict[str, Any] | None = None,
    seed: int = 0,
    horizon: int | None = None,
) -> Engine | VectorEngine | QueryEngine:
    """Return an engine in memory: `decide()` asks, `learn(decision, reward)` tells.

    `policy` is a name, name:{json params}, or {"name": ..., "params": {...}}; the usual one follows from the problem,
    as over HTTP: thompson_beta, and with contexts fourier_ucb. `arms` are their ids, or how many: 2 if left out.
    Where `domain` is given, a `Domain` or as in docs/http.md, a decision is a vector in it, and `feedback` says what is
    revealed: "gradient" if left out.
    `context` is how many numbers each decision brings, or as in docs/http.md, like {"kind": "features"}. Where
    `actions` is given, each call lists its own and there are no arms: how many numbers each brings, or as in
    docs/http.md.
    Where a `task` is given, a `Task` or as in docs/http.md, `horizon` queries are asked: `ask()` and `tell()`.
    The usual policy is then mapo where an artefact of it is for the problem.
    For a log on disk run the service (`onearm serve`): its decisions are the same, bit for bit, at the same seed.
    """
    if not isinstance(policy, (str, dict)):
        raise InvalidInput("bad_spec", f"policy is {policy!r}: it must be a name or a spec")
    problem: dict[str, Any] = {}
    if context != 0:
        problem["context"] = context if isinstance(context, dict) else {"kind": "dense", "length": context}
    if actions is not None:
        listed = actions if isinstance(actions, dict) else {"length": actions}
        problem["actions"] = {"kind": "listed"} | listed
    if horizon is not None:
        problem["horizon"] = horizon
    body: dict[str, Any] = {"experiment_id": "python", "seed": str(seed), "problem": problem}
    if task is not None:
        _check_alone(arms=arms, context=context or None, actions=actions, domain=domain, feedback=feedback)
        if not isinstance(task, (Task, dict)):
            raise InvalidInput(
                "bad_task", f"task is {task!r}: take onearm.best_arm, thresholds or hypotheses, or a dict"
            )
        problem |= {"kind": "queries", **(task_fields(numbered(task)) if isinstance(task, Task) else task)}
    elif domain is None:
        if feedback is not None:
            raise InvalidInput("bad_spec", "feedback is given, but no domain: arms are learned from their rewards")
        body["arms"] = [{"id": label} for label in _labels(2 if arms is None else arms)] if actions is None else []
    else:
        if arms is not None:
            raise InvalidInput("bad_arms", "arms are given, and a domain: a decision is either; leave one of them out")
        problem |= {"kind": "vector", "domain": domain.to_json() if isinstance(domain, Domain) else domain}
        problem |= {} if feedback is None else {"feedback": feedback}
    if policy != USUAL:
        body["policy"] = policy if isinstance(policy, dict) else catalog.parse(policy).spec
    spec = Spec.from_json(body)
    if task is not None:
        return QueryEngine(spec)
    return Engine(spec) if domain is None else VectorEngine(spec)


class Engine:
    """One policy at work in this process; not to be shared between threads."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.roster = Roster(spec.arms)
        self.state = spec.policy.init(spec.policy.params, spec.problem)
        self.number = 0
        self._pending = Pending(Choice)
        self._run = spec.run
        self._select, self._update = compile_kernels(spec)

    def decide(
        self,
        context: Any = None,
        eligible: Iterable[str] | None = None,
        *,
        actions: Sequence[dict[str, Any]] | None = None,
    ) -> Choice:
        """Choose an action.

        `context` float64[d] or a dict of named features, where the problem has one; `actions` what can be chosen, where
        it comes with the call: dicts with their "id" and "features", a list of numbers, or named features. `eligible`
        are the ids to choose from, of all.
        """
        labels, instance = self._asked(context, eligible, actions)
        action, propensity = self._select(self.spec.policy.params, self.state, instance, Key(self._run, self.number))
        self.number += 1
        choice = Choice(instance.t, labels[action], int(action), float(propensity))
        self._pending.hold(choice, instance)
        return choice

    def explain(
        self,
        context: Any = None,
        eligible: Iterable[str] | None = None,
        *,
        actions: Sequence[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """Say why `decide` would decide as it would, and change nothing: a ranking of the actions, and its reasons."""
        if not explains(self.spec.policy.params):
            raise InvalidInput(
                "no_explanation",
                "the policy cannot say why it decides: take one with a model of the rewards, or an index",
            )
        labels, instance = self._asked(context, eligible, actions)
        names = self.spec.intake.names(context, self.roster.arms if actions is None else actions)
        found = explain(compile_explain(self.spec), self.spec.policy.params, self.state, instance, labels, names)
        reasons: dict[str, Any] = msgspec.to_builtins(found)
        return reasons

    def learn(self, decision: Choice | int, reward: float) -> None:
        """Learn the reward of a decision (or of its number); up is better. Each decision takes one."""
        value = check_reward(reward.item() if isinstance(reward, np.generic) else reward)
        choice, instance = self._pending.find(decision, self.number)
        self._update(
            self.spec.policy.params,
            self.state,
            instance,
            Decision(choice.action, choice.propensity),
            Feedback(value, _NO_DETAIL),
            Key(self._run, choice.number),
        )
        self._pending.drop(choice.number)

    def warm_start(self, log: str | Path | Columns) -> int:
        """Learn from the rewarded decisions of another policy, and return how many there were.

        `log` is a file that `onearm replay` reads, or columns of one row a decision, with its reward. Each takes a
        number, as any decision does. Nothing is learned where one of them does not fit this engine's problem.
        """
        rows = log if isinstance(log, Columns) else read_log(Path(log), None).table
        _check_fit(self.spec.problem, rows)
        for row, (propensity, reward) in enumerate(zip(rows.propensity.tolist(), rows.reward.tolist(), strict=True)):
            try:
                check_propensity(propensity)
                check_reward(reward)
            except InvalidInput as error:
                raise InvalidInput("bad_log", f"row {row} of the log: {error}") from None
        given = rows._replace(
            kind=np.full(len(rows.kind), LEARN, np.int8), number=self.number + np.arange(len(rows.kind))
        )
        loop.fold(self.spec.policy.params, self.state, self._run, given)
        self.number += len(rows.kind)
        return len(rows.kind)

    @property
    def constants(self) -> dict[str, Constant]:
        """What the policy's steps depend on, as given or as estimated so far; empty where it does not tell."""
        return constants_of(self.spec.policy, self.state)

    def digest(self) -> str:
        """Return the digest of the state."""
        return snapshot.digest(self.state)

    def _asked(
        self, context: Any, eligible: Iterable[str] | None, actions: Sequence[dict[str, Any]] | None
    ) -> tuple[Sequence[str], Instance]:
        """Return the ids of what can be chosen, and the instance that the kernels see."""
        if isinstance(eligible, str):
            raise InvalidInput("bad_eligible", f"eligible is {eligible!r}: it must be a list of ids")
        intake, roster = self.spec.intake, self.roster
        if intake.listed != (actions is not None):
            rule = "list the actions of this call" if intake.listed else "this engine has arms, so leave them out"
            raise InvalidInput("bad_actions", f"actions is {'missing' if actions is None else 'given'}: {rule}")
        labels: Sequence[str] = roster.labels
        numbers, active = roster.numbers, roster.active
        if actions is not None:
            labels = check_labels([action.get("id") for action in actions], intake.actions_max)
            numbers, active = {label: a for a, label in enumerate(labels)}, np.ones(len(labels), np.bool_)
        checked = intake.read(context, roster.arms if actions is None else actions)
        available = active if eligible is None else mask_of(numbers, active, eligible, None)
        return labels, Instance(self.number, checked, available)


def _check_fit(problem: Problem, rows: Columns) -> None:
    """Refuse a log of other arms, or of contexts of another kind or shape."""
    named, k = isinstance(rows.context, Features), rows.available.shape[1]
    kind = "named" if named else "actions" if rows.context.ndim == 3 else "dense"
    if kind != problem.context_kind:
        raise InvalidInput("bad_log", f"the log's contexts are {kind}: this engine reads {problem.context_kind} ones")
    if k > problem.n_arms or (kind == "dense" and k < problem.n_arms):
        raise InvalidInput("bad_log", f"the log has {k} arms: this engine has {problem.n_arms}")
    size = int(rows.context.index.max(initial=0)) + 1 if named else rows.context.shape[-1]
    if size > problem.context_shape[-1] or (not named and size < problem.context_shape[-1]):
        raise InvalidInput("bad_log", f"the log's contexts do not have the shape {list(problem.context_shape)}")


def _check_alone(**others: Any) -> None:
    """Refuse what says something else of the problem than its task does."""
    for name, value in others.items():
        if value is not None:
            raise InvalidInput("bad_spec", f"a task is given, and {name}: queries are asked; leave {name} out")


def _labels(arms: Any) -> list[str]:
    if isinstance(arms, (int, np.integer)) and not isinstance(arms, bool):
        return [str(arm) for arm in range(arms)]
    if isinstance(arms, (str, bytes)) or not isinstance(arms, Iterable):
        raise InvalidInput("bad_arms", f"arms is {arms!r}: it must be a list of ids, or how many there are")
    return list(arms)
