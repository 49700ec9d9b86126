"""The bodies of decisions that choose an arm."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from ...experiment.explanation_schemas import Ranked, Reasons
from ...experiment.plan_schemas import HeldPlan
from ...http.schemas import BatchReward, Id, Reward


class ArmDecision(msgspec.Struct):
    """A decision: what to do, and the probability with which it was chosen (null if unknown); why, where asked for."""

    decision_id: str
    action_id: str
    propensity: float | None
    policy: str  # the one that decided
    model_version: int
    given: bool | UnsetType = UNSET  # whoever asked decided, as the policy is an apprentice
    agrees: bool | UnsetType = UNSET  # whether the policy did what `baseline_action` says
    policy_number: int | UnsetType = UNSET  # which of several policies that is, where it is not the first
    sticky: bool | UnsetType = UNSET  # its unit got what it was given before, with the propensity of that draw
    constraints_applied: list[str] | UnsetType = UNSET  # those that moved its probabilities, where there are any
    relaxed: list[str] | UnsetType = UNSET  # those that it could not meet, and that gave way
    ranking: list[Ranked] | UnsetType = UNSET
    explanation: list[Reasons] | UnsetType = UNSET
    model: int | UnsetType = UNSET  # beside an explanation: which one leads, where the policy looks for changes
    plan: HeldPlan | UnsetType = UNSET  # beside an explanation, where decisions move a state
    notes: list[str] | UnsetType = UNSET  # beside an explanation: what the way that the policy decides costs


class ArmReward(Reward, forbid_unknown_fields=True):
    """What came of a decision, and where it led; and which action was really shown, where that is another one."""

    action_id: str | None = None
    propensity: float | None = None  # with which it was chosen, if that is known
    next_state: int | str | dict[str, int] | None = None  # where it led, where there are states
    ended: bool = False  # its unit has ended: no state came next


class BatchArmReward(BatchReward, forbid_unknown_fields=True):
    """The same in a batch, where it names its decision."""

    action_id: str | None = None
    propensity: float | None = None
    next_state: int | str | dict[str, int] | None = None
    ended: bool = False


class Baseline(msgspec.Struct):
    """What somebody's own rule would have done, as it was sent with a decision."""

    baseline_action: str | None = None


class Action(msgspec.Struct):
    """An action of one call: its id and its features, as numbers or as further fields (strings, numbers, objects)."""

    id: Id
    features: list[float] | None = None


class RowAction(msgspec.Struct, forbid_unknown_fields=True):
    """An action whose features are numbers."""

    id: str
    features: list[float] | None = None
