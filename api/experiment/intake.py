"""What a client sends, as what the kernels read: the context of a problem, and the actions of a call.

The arms of an experiment are fixed (`arms` at its creation), or it has *per-call actions* ("listed" on the wire): each
call brings a set of its own, with ids and features. Contexts and features are lists of numbers, or JSON objects
(`context_intake.py`). Where decisions move a state, its name is all that is read (`state_intake.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...engine.errors import InvalidInput, as_seen
from ...engine.features import Encoder
from ...engine.kernel import Entry
from ...engine.vocabulary import Array, Features, Learned, Policy, Problem
from .ids import ID_LENGTH_MAX, is_id
from .plan_schemas import Plan

ACTIONS = 1_000  # that a call may list, where the problem does not say

Named = dict[str, Any]


class Intake(ABC):
    """How contexts and actions arrive, as the `problem` of a spec declares it. What stands here is true of most."""

    length: int = 0  # numbers of a dense context
    encoder: Encoder | None = None  # of contexts that are objects
    per_call: bool = False
    actions_max: int = ACTIONS

    @property
    def is_plain(self) -> bool:
        """Whether there are arms, and what a client shows of a decision is a list of numbers, or nothing."""
        return False

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return the fields of a problem that say so."""

    @abstractmethod
    def problem(self, n_arms: int, horizon: int | None) -> Problem:
        """Return the shape of the task; per-call actions are arms by their position in the call."""

    @abstractmethod
    def shown(self, context: Any, state: Any, begins: bool) -> Any:
        """Return what a client shows of a decision, for `read`: its context, or the state and whether a unit begins."""

    @abstractmethod
    def shown_many(self, contexts: Any, states: Any, begins: Any) -> Any:
        """Return what `shown` does of n decisions; contexts as they come."""

    def told_shown(self, context: Any) -> dict[str, Any]:
        """Return the fields of a record that say what was shown in place of a context, as clients say it."""
        return {}

    @abstractmethod
    def read(self, context: Any, actions: Sequence[Named]) -> Any:
        """Return the context of one decision, over the actions of the call or all arms: objects with their `id`.

        `context` is as `shown` returns it.
        """

    def read_sent(self, context: Any, actions: bytes) -> Any:
        """Return what `read` does of actions that are JSON, or None: then they are to be decoded, and read."""
        return None

    def entries(self) -> Sequence[Entry]:
        """Return the compiled entries that reading calls."""
        return ()

    @abstractmethod
    def names(self, context: Any, actions: Sequence[Named]) -> list[list[str]]:
        """Return for each action the names of its features, in the order in which `attribute` writes its parts."""

    @abstractmethod
    def beside(self, problem: Problem, cost: Any, next_state: Any, ended: bool) -> Array:
        """Return what a client tells beside a reward, float64[m]: what the decision has cost, or what came next."""

    @abstractmethod
    def beside_many(self, problem: Problem, n: int, costs: Any, next_states: Any, ended: Any) -> Array:
        """Return what `beside` does of n rewards, float64[n, m]."""

    @abstractmethod
    def told_beside(self, detail: Sequence[Any]) -> dict[str, Any]:
        """Return what was told beside a reward, m numbers, as clients say it."""

    def sample(self) -> dict[str, Any]:
        """Return the fields of a decision that are needed, as an example of them."""
        return {}

    def sample_beside(self) -> dict[str, Any]:
        """Return what must be told beside a reward, as an example of it."""
        return {}

    def plan(self, labels: Sequence[str], learned: Learned) -> Plan | None:
        """Return what was learned of states by their names and the actions'; None where there are no states."""
        return None


def hints(policy: Any) -> bool:
    """Tell whether the spec of a policy, or of one that it wraps, says that a context is a forecast."""
    params = policy.get("params") if isinstance(policy, dict) else None
    return isinstance(params, dict) and (params.get("hint") == "context" or hints(params.get("policy")))


def reads_hint(policy: Policy) -> bool:
    """Tell whether a policy reads a forecast as its context."""
    return hints(policy.spec)


def values(context: Any, action: int) -> Array:
    """Return the values of an action's features, in the order of `Intake.names`."""
    if isinstance(context, Features):
        shared, own = (slice(*context.start[[row, row + 1]]) for row in (0, action + 1))
        return np.concatenate([context.value[shared], context.value[own]])
    array: Array = context[action] if context.ndim == 2 else context
    return array


def check_labels(labels: Sequence[Any], most: int) -> Sequence[str]:
    """Return the ids of a call's actions: from one up to `most`, all different."""
    if not labels:
        raise InvalidInput("no_actions", "the set of actions is empty: at least one is needed")
    if len(labels) > most:
        raise InvalidInput(
            "too_many_actions", f"the call lists {len(labels)} actions: problem.actions.max is {most}; send fewer"
        )
    for label in labels:
        if not isinstance(label, str) or not is_id(label):
            raise InvalidInput(
                "bad_id",
                f"the id of an action is {as_seen(label)}: it must be a string of 1 to {ID_LENGTH_MAX} printable "
                "characters, not . or .. (nor a part of it between slashes), and not beginning with a tilde",
            )
    if len(set(labels)) < len(labels):
        twice = Counter(labels).most_common(1)[0][0]
        raise InvalidInput("duplicate_action", f"two actions have the id {twice!r}: ids of a call's actions are unique")
    return labels


def mask_of(
    numbers: dict[str, int], active: Array, eligible: Iterable[str] | None, excluded: Iterable[str] | None
) -> Array:
    """Return bool[k]: which of the `active` actions, bool[k], a call leaves to choose from, by their ids."""
    mask = active.copy() if eligible is None else np.zeros(len(active), np.bool_)
    for labels, value in ((eligible, True), (excluded, False)):
        for label in labels or ():
            if not isinstance(label, str) or label not in numbers:
                raise InvalidInput(
                    "unknown_action",
                    f"there is no action {as_seen(label)}: the actions are {', '.join(list(numbers)[:20])}",
                )
            mask[numbers[label]] = value
    mask &= active
    if not mask.any():
        raise InvalidInput("no_arm_available", "no action is left to choose from: at least one must be eligible")
    return mask


def check_propensity(propensity: float) -> float:
    """Return the probability with which someone else chose an action: policies may divide by it."""
    if isinstance(propensity, bool) or not isinstance(propensity, (int, float)) or not 0 < propensity <= 1:
        raise InvalidInput(
            "bad_propensity",
            f"the propensity is {as_seen(propensity)}: it must be in (0, 1], the probability with which the "
            "action was chosen",
        )
    return float(propensity)
