"""A policy in the middle of a run, whatever it decides on: what comes, what is decided, feedback in time or late."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from onearm.engine import loop, protocol, snapshot
from onearm.engine.columns import empty
from onearm.engine.contexts import put_context
from onearm.engine.draws import POLICY, run_key
from onearm.engine.kernel import KERNELS
from onearm.engine.problem import fitted
from onearm.engine.protocol import certifies, marks, probability, select
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import DECIDE, LEARN, Array, Columns, Decision, Feedback, Instance, Key, Policy, Problem

RUN = run_key(20, 0, POLICY)


class World(Protocol):
    """What a policy meets: instances, and what is revealed of decisions."""

    def over(self, t: int) -> bool:
        """Tell whether nothing is decided any more at time t."""

    def instance(self, t: int) -> Instance:
        """Return what comes at time t."""

    def feedback(self, instance: Instance, decision: Decision) -> Feedback:
        """Return what a decision reveals."""


@dataclass
class Course:
    """A policy, its state, and a world."""

    policy: Policy
    problem: Problem
    world: World
    steps: int  # that tests make
    patience: int = 0  # so many decisions may wait for their feedback; 0: it comes at once, and always
    t: int = 0
    waiting: list[tuple[Instance, Decision]] = field(default_factory=list)
    events: list[tuple[int, Instance, Decision, Feedback | None]] = field(default_factory=list)
    state: Any = None

    def __post_init__(self) -> None:
        if self.state is None:
            self.policy = fitted(self.policy, self.problem)
            self.state = self.fresh()

    def fresh(self) -> Any:
        """Return a state that has learned nothing."""
        return self.policy.init(self.policy.params, self.problem)

    def instances(self, n: int) -> Iterator[Instance]:
        """Yield the next n instances, fewer where the world is over."""
        for _ in range(n):
            if self.world.over(self.t):
                return
            self.t += 1
            yield self.world.instance(self.t - 1)

    def run(self, n: int) -> Iterator[Instance]:
        """Yield the next n instances; after each decide and learn what is due: late, shuffled, every seventh never."""
        for instance in self.instances(n):
            yield instance
            decision = self.decide(instance)
            self.events.append((DECIDE, instance, decision, None))
            if not self.patience or instance.t % 7 != 3:
                self.waiting.append((instance, decision))
            due = np.random.default_rng([7, instance.t])
            while len(self.waiting) > instance.t % (self.patience + 1):
                self._hear(*self.waiting.pop(int(due.integers(len(self.waiting)))))

    def play(self, n: int) -> Course:
        """Decide n times, and learn each time at once; return the course."""
        for instance in self.instances(n):
            decision = self.decide(instance)
            self.learn(instance, decision)
        return self

    def decide(self, instance: Instance) -> Decision:
        """Decide; the action is a copy, for policies use theirs again."""
        action, propensity = loop.decide(self.policy.params, self.state, instance, Key(RUN, instance.t))
        return Decision(copy.copy(action), float(propensity))

    def look(self, instance: Instance) -> list[Any]:
        """Return what would be decided, and all else that can be asked."""
        params, key = self.policy.params, Key(RUN, instance.t)
        decision = select(params, self.state, instance, key)
        said = [copy.copy(decision.action), float(decision.propensity)]
        if not marks(params):
            said += self.decide(instance)
        if self.problem.action_kind in ("arm", "query"):
            said.append(self.law(instance))
        if recommends(params):
            said.append(loop.recommendation(params, self.state, key))
        return [*said, *loop.certificate(params, self.state)] if certifies(params) else said

    def law(self, instance: Instance) -> Array:
        """Return the probability of every arm or query."""
        choices = range(self.problem.n_arms)
        return np.array([probability(self.policy.params, self.state, instance, i) for i in choices])

    def learn(self, instance: Instance, decision: Decision, feedback: Feedback | None = None) -> Feedback:
        """Learn what a decision reveals, or what is given; return it."""
        told = self.world.feedback(instance, decision) if feedback is None else feedback
        loop.learn(self.policy.params, self.state, instance, decision, told, Key(RUN, instance.t))
        return told

    def recommended(self, t: int) -> int:
        """Return what would be recommended at time t."""
        return int(loop.recommendation(self.policy.params, self.state, Key(RUN, t)))

    def restored(self) -> Course:
        """Return a course that goes on from a snapshot of this one."""
        state = snapshot.unpack(snapshot.parts(self.state), like=self.fresh())
        waiting, events = list(self.waiting), list(self.events)
        return replace(self, world=copy.deepcopy(self.world), waiting=waiting, events=events, state=state)

    def digest(self) -> str:
        return snapshot.digest(self.state)

    def log(self) -> Columns:
        """Return what was decided and learned in `run`."""
        log = empty(len(self.events), self.problem, masked=True)
        for row, (kind, instance, decision, feedback) in enumerate(self.events):
            log.kind[row], log.number[row], log.available[row] = kind, instance.t, instance.available
            log.action[row], log.propensity[row] = decision
            put_context(log.context, row, instance.context)
            if feedback is not None:
                log.reward[row], log.detail[row] = feedback
        return log

    def _hear(self, instance: Instance, decision: Decision) -> None:
        self.events.append((LEARN, instance, decision, self.learn(instance, decision)))


class Kind(NamedTuple):
    """A kind of decision: what the facts that hold for all of them are tried on."""

    courses: dict[str, Callable[[], Course]]  # every policy in every sort of problem that it takes, at its beginning
    simulations: dict[str, Callable[[], Simulation]]
    problem: Problem  # one of this kind, for policies of the others to refuse
    digests: (
        Callable[[str], Iterator[str]] | None
    )  # of a policy's courses; None where golden.json is all that holds them


def recommends(params: Any) -> bool:
    """Tell whether a policy ends in an answer: something that it commits to."""
    return KERNELS[type(params)]["recommend"] is not protocol._no_recommendation
