"""States that decisions move, as clients send them: the state of a decision, and the next one with its reward."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.errors import InvalidInput
from ...engine.problem import refuse_cost, state_problem
from ...engine.vocabulary import Array, Learned, Problem
from .context_intake import ContextIntake
from .intake import Intake, Named
from .plan import plan_of
from .plan_schemas import Plan
from .states import States


@dataclass(frozen=True)
class StateIntake(Intake):
    """A state in the place of a context; the arms are fixed."""

    states: States

    @classmethod
    def from_json(cls, context: Any, actions: Any, states: Any) -> StateIntake:
        """Check `problem.states`, with which comes no other context and no actions of each call."""
        if ContextIntake.from_json(context, actions) != ContextIntake():
            raise InvalidInput(
                "bad_states",
                "problem.states comes with a context or with actions of each call: where decisions move a state, "
                "that is all that is read, and the arms are fixed; leave the others out",
            )
        return cls(States.from_json(states))

    def to_json(self) -> dict[str, Any]:
        """Return the field `states` of a problem."""
        return {"states": self.states.to_json()}

    def problem(self, n_arms: int, horizon: int | None) -> Problem:
        """Return the shape of the task."""
        return dataclasses.replace(state_problem(self.states.count, n_arms, None), horizon=horizon)

    def shown(self, context: Any, state: Any, begins: bool) -> Any:
        """Return the state and whether a unit begins, float64[2]."""
        if context is not None:
            raise InvalidInput(
                "unexpected_context", "the decision has a context: where there are states, send `state` in its place"
            )
        return self.states.context(state, begins)

    def shown_many(self, contexts: Any, states: Any, begins: Any) -> list[Any]:
        """Return what is shown of n decisions, float64[2] each."""
        if contexts is not None or states is None:
            raise InvalidInput(
                "bad_state",
                "give `states`, a list of those in which the decisions are made, and no contexts, or neither",
            )
        begun = [False] * len(states) if begins is None else list(begins)
        if len(begun) != len(states):
            raise InvalidInput("bad_state", f"there are {len(begun)} begins for {len(states)} states: give each one")
        return [self.states.context(state, begin) for state, begin in zip(states, begun, strict=True)]

    def told_shown(self, context: Any) -> dict[str, Any]:
        """Return the state, and that a unit begins where one does."""
        number, begins = context
        begun = {"begins": True} if begins else {}
        return {"context": None, "state": self.states.label(int(number)), **begun}

    def read(self, context: Any, actions: Sequence[Named]) -> Any:
        """Return what was shown as it is."""
        return context

    def names(self, context: Any, actions: Sequence[Named]) -> list[list[str]]:
        """Return no names: a state has no features."""
        return [[]] * len(actions)

    def beside(self, problem: Problem, cost: Any, next_state: Any, ended: bool) -> Array:
        """Return what came next, float64[1]."""
        refuse_cost(problem, cost)
        return np.array([self.states.following(next_state, ended)])

    def beside_many(self, problem: Problem, n: int, costs: Any, next_states: Any, ended: Any) -> Array:
        """Return what came next, float64[n, 1]."""
        refuse_cost(problem, costs)
        following = [None] * n if next_states is None else list(next_states)
        ends = [False] * n if ended is None else list(ended)
        for name, given in (("next_states", following), ("ended", ends)):
            if len(given) != n:
                raise InvalidInput("bad_next_state", f"there are {len(given)} {name} for {n} rewards: give each one")
        found = [self.states.following(*told) for told in zip(following, ends, strict=True)]
        return np.array(found, np.float64).reshape(n, 1)

    def told_beside(self, detail: Sequence[Any]) -> dict[str, Any]:
        """Return what came next, where that was told."""
        return self.states.followed(detail[0]) if detail else {}

    def sample(self) -> dict[str, Any]:
        """Return the first state, in which a unit begins."""
        return {"state": self.states.label(0), "begins": True}

    def sample_beside(self) -> dict[str, Any]:
        """Return that the unit has ended."""
        return {"ended": True}

    def plan(self, labels: Sequence[str], learned: Learned) -> Plan | None:
        """Return what was learned of states by their names and the actions'."""
        return plan_of(self.states, labels, learned)
