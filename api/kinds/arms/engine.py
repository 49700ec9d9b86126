"""Arms from Python: decide and learn in one line each. `onearm.open` makes the engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ....engine import loop
from ....engine.errors import InvalidInput
from ....engine.problem import check_reward
from ....engine.protocol import explains
from ....engine.vocabulary import LEARN, Columns, Decision, Features, Feedback, Instance, Problem
from ...experiment.compiling import compile_explain
from ...experiment.explanation import explain
from ...experiment.intake import check_labels, check_propensity, mask_of
from ...experiment.spec import Spec
from ...log_files import read_log
from ..engine import PolicyEngine
from ..kind import NO_DETAIL, Request
from .kind import ARMS


class ArmDecision(NamedTuple):
    """A decision as a person wants it: the arm's id, its number, the propensity, and the decision's number."""

    number: int
    action_id: str
    action: int
    propensity: float


class Engine(PolicyEngine[ArmDecision]):
    """One policy at work in this process; not to be shared between threads."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec, ARMS, ArmDecision)

    def decide(
        self,
        context: Any = None,
        eligible: Iterable[str] | None = None,
        *,
        actions: Sequence[dict[str, Any]] | None = None,
    ) -> ArmDecision:
        """Choose an action.

        `context` float64[d] or a dict of named features, where the problem has one; `actions` what can be chosen, where
        it comes with the call: dicts with their "id" and "features", a list of numbers, or named features. `eligible`
        are the ids to choose from, of all.
        """
        labels, request = self._request(context, eligible, actions)
        instance, (action, propensity) = self._decide(request)
        choice = ArmDecision(instance.t, labels[action], int(action), float(propensity))
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
        labels, request = self._request(context, eligible, actions)
        instance = Instance(self.number, request.context, request.available)
        names = self.spec.intake.names(context, self.roster.arms if actions is None else actions)
        found = explain(compile_explain(self.spec), self.spec.policy.params, self.state, instance, labels, names)
        reasons: dict[str, Any] = msgspec.to_builtins(found)
        return reasons

    def learn(self, decision: ArmDecision | int, reward: float) -> None:
        """Learn the reward of a decision (or of its number); up is better. Each decision takes one."""
        value = check_reward(reward.item() if isinstance(reward, np.generic) else reward)
        choice, instance = self._pending.find(decision, self.number)
        self._learn(instance, Decision(choice.action, choice.propensity), Feedback(value, NO_DETAIL))

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

    def _request(
        self, context: Any, eligible: Iterable[str] | None, actions: Sequence[dict[str, Any]] | None
    ) -> tuple[Sequence[str], Request]:
        """Return the ids of what can be chosen, and what the kernels see."""
        if isinstance(eligible, str):
            raise InvalidInput("bad_eligible", f"eligible is {eligible!r}: it must be a list of ids")
        intake, roster = self.spec.intake, self.roster
        if intake.per_call != (actions is not None):
            rule = "list the actions of this call" if intake.per_call else "this engine has arms, so leave them out"
            raise InvalidInput("bad_actions", f"actions is {'missing' if actions is None else 'given'}: {rule}")
        labels: Sequence[str] = roster.labels
        numbers, active = roster.numbers, roster.active
        if actions is not None:
            labels = check_labels([action.get("id") for action in actions], intake.actions_max)
            numbers, active = {label: a for a, label in enumerate(labels)}, np.ones(len(labels), np.bool_)
        checked = intake.read(context, roster.arms if actions is None else actions)
        available = active if eligible is None else mask_of(numbers, active, eligible, None)
        return labels, Request(checked, available)


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
