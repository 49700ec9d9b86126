"""The Python door: decide and learn in one line each, in memory or with a log in a database.

>>> import onearm
>>> engine = onearm.open(policy="ucb1", arms=["a", "b"])
>>> decision = engine.decide()
>>> (decision.action_id, decision.propensity)
('a', 1.0)
>>> engine.learn(decision, reward=1.0)
>>> engine.decide().action_id
'b'
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from onearm.api.spec import Spec
from onearm.engine import loop, snapshot
from onearm.engine.errors import Conflict, InvalidInput, NotFound
from onearm.engine.problem import check_context, check_reward
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key
from onearm.policies import catalog


class Choice(NamedTuple):
    """A decision as a person wants it: the arm's id, its number, the propensity, and the decision's number."""

    number: int
    action_id: str
    action: int
    propensity: float


def open(
    policy: str | dict[str, Any] = "thompson_beta",
    arms: Sequence[str] | int = 2,
    *,
    context_length: int = 0,
    seed: int = 0,
    horizon: int | None = None,
) -> Engine:
    """Return an engine in memory: `decide()` asks, `learn(decision, reward)` tells.

    `policy` is a name, name:{json params}, or {"name": ..., "params": {...}}; `arms` their ids, or how many.
    For a log on disk run the service (`onearm serve`): its decisions are the same, bit for bit, at the same seed.
    """
    if not isinstance(policy, (str, dict)):
        raise InvalidInput("bad_spec", f"policy is {policy!r}: it must be a name or a spec")
    spec = policy if isinstance(policy, dict) else catalog.parse(policy).spec
    labels = _labels(arms)
    body: dict[str, Any] = {
        "experiment_id": "python",
        "policy": spec,
        "arms": [{"id": label} for label in labels],
        "seed": str(seed),
        "problem": {"context": {"kind": "dense", "length": context_length}} if context_length else {},
    }
    if horizon is not None:
        body["problem"]["horizon"] = horizon
    return Engine(Spec.from_json(body))


class Engine:
    """One policy at work in this process; not to be shared between threads."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.state = spec.policy.init(spec.policy.params, spec.problem)
        self.number = 0
        self._open: dict[int, tuple[Choice, Array, Array]] = {}
        self._all = np.ones(spec.problem.n_arms, np.bool_)
        self._run = spec.run
        key = Key(self._run, 0)
        instance = Instance(0, np.zeros(spec.problem.context_shape), self._all)
        self._select = loop.decide.compiled(spec.policy.params, self.state, instance, key)
        self._update = loop.learn.compiled(
            spec.policy.params, self.state, instance, Decision(0, 1.0), Feedback(0.0, np.zeros(0)), key
        )

    def decide(self, context: Any = None, eligible: Iterable[str] | None = None) -> Choice:
        """Choose an arm; `context` float64[d] where the problem has one, `eligible` the ids to choose from."""
        checked = check_context(self.spec.problem, context)
        available = self._all if eligible is None else self._mask(eligible)
        number = self.number
        action, propensity = self._select(
            self.spec.policy.params, self.state, Instance(number, checked, available), Key(self._run, number)
        )
        self.number += 1
        choice = Choice(number, self.spec.labels[action], int(action), float(propensity))
        self._open[number] = (choice, checked, available)
        return choice

    def learn(self, decision: Choice | int, reward: float) -> None:
        """Learn the reward of a decision (or of its number); up is better. Each decision takes one."""
        value = check_reward(reward.item() if isinstance(reward, np.generic) else reward)
        number = decision.number if isinstance(decision, Choice) else decision
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
            raise InvalidInput(
                "bad_decision", f"the decision is {decision!r}: give what decide() returned, or its number"
            )
        number = int(number)
        if number not in self._open:
            if 0 <= number < self.number:
                raise Conflict("reward_exists", f"decision {number} already has feedback: feedback is accepted once")
            raise NotFound("unknown_decision", f"there is no decision {number}: decide first")
        if isinstance(decision, Choice) and decision != self._open[number][0]:
            raise Conflict("other_engine", f"decision {number} is another one here: it comes from another engine")
        choice, context, available = self._open.pop(number)
        self._update(
            self.spec.policy.params,
            self.state,
            Instance(number, context, available),
            Decision(choice.action, choice.propensity),
            Feedback(value, np.zeros(0)),
            Key(self._run, number),
        )

    def digest(self) -> str:
        """Return the digest of the state."""
        return snapshot.digest(self.state)

    def _mask(self, eligible: Iterable[str]) -> Array:
        mask = np.zeros(self.spec.problem.n_arms, np.bool_)
        if isinstance(eligible, str):
            raise InvalidInput("bad_eligible", f"eligible is {eligible!r}: it must be a list of ids")
        for label in eligible:
            if label not in self.spec.arm_numbers:
                raise InvalidInput(
                    "unknown_action",
                    f"there is no arm {label!r}: the arms are {', '.join(self.spec.labels[:20])}",
                )
            mask[self.spec.arm_numbers[label]] = True
        if not mask.any():
            raise InvalidInput("no_arm_available", "no arm is eligible: at least one must be")
        return mask


def _labels(arms: Any) -> list[str]:
    if isinstance(arms, (int, np.integer)) and not isinstance(arms, bool):
        return [str(arm) for arm in range(arms)]
    if isinstance(arms, (str, bytes)) or not isinstance(arms, Iterable):
        raise InvalidInput("bad_arms", f"arms is {arms!r}: it must be a list of ids, or how many there are")
    return list(arms)
