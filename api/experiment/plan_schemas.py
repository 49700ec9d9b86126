"""The plan that an experiment has learned of its states, as it is told."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

Said = int | str | dict[str, int]  # a state, as clients name it


class StatePlan(msgspec.Struct):
    """What is done in a state, by all that was learned so far."""

    state: Said
    action_id: str  # what the plan decides
    worth: float  # how much more is earned from here on than from the worst state that was met
    decisions: dict[str, int]  # how many were learned in this state, by action
    q: dict[str, float]  # the worth of each action that was learned here; the best one's is that of the state


class Plan(msgspec.Struct):
    """What the policy has learned of states; a state in which nothing was decided is not told."""

    gain: float | None  # reward of a decision in the long run, as the plan has it: it hopes for more where little is
    # known, the largest reward at most; null before the first plan
    plans: int  # that were made; of a policy that makes none, rewards that were learned
    learned_since: int  # rewards that were learned since the plan at hand was begun
    states: list[StatePlan]
    error: float | UnsetType = UNSET  # how much of what was learned speaks against the plan, where a policy counts that
    error_max: float | UnsetType = UNSET  # beyond which there is another plan; and where a pair is tried first
    states_left_out: int | UnsetType = UNSET  # in which less was decided, where there are many


class HeldPlan(msgspec.Struct):
    """The plan by which a decision was made."""

    gain: float | None
    worth: float  # of the state
    plans: int
    learned_since: int
    error: float | UnsetType = UNSET
    error_max: float | UnsetType = UNSET
