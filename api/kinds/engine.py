"""A policy at work in this process: what the engines of all kinds share. `onearm.open` makes one."""

from __future__ import annotations

from typing import Generic, TypeVar

from ...engine import snapshot
from ...engine.vectors.constants import constants_of
from ...engine.vocabulary import Constant, Decision, Feedback, Instance
from ..experiment.spec import Spec
from ..service.history import History, Roster
from .kind import Kind, Request, Work
from .pending import Pending

Made = TypeVar("Made")  # a decision as a person wants it; it has a `number`


class PolicyEngine(Work, Generic[Made]):
    """One policy at work, and its decisions that wait for feedback; not to be shared between threads."""

    spec: Spec

    def __init__(self, spec: Spec, kind: Kind, made: type[Made]) -> None:
        self.spec = spec
        self.problem = spec.problem
        self.roster = Roster(spec.arms)
        self.state = spec.policy.init(spec.policy.params, spec.problem)
        self.own = kind.own.begin(spec, kind.own.fresh(spec.problem), History(spec, ()))
        self.number = 0
        self._check = kind.check
        self._pending = Pending(made)
        self.take_up(spec, kind.kernels(spec))

    @property
    def constants(self) -> dict[str, Constant]:
        """What the policy's steps depend on, as given or as estimated so far: `engine/vectors/constants.py`.

        Empty where the policy does not tell.
        """
        return constants_of(self.spec.policy, self.state)

    def digest(self) -> str:
        """Return the digest of the state."""
        return snapshot.digest(self.state)

    def _decide(self, request: Request) -> tuple[Instance, Decision]:
        """Make the next decision; one that cannot be is not made."""
        instance = Instance(self.number, request.context, request.available)
        decision = self.choose(request.context, request.available)
        self._check(self, decision, request.available)
        self.number += 1
        return instance, decision

    def _learn(self, instance: Instance, decision: Decision, feedback: Feedback) -> None:
        """Learn what came of a decision, which then waits no more."""
        self.learn_from(instance, decision, feedback)
        self._pending.drop(instance.t)
        self.rewards += 1
