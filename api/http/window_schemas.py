"""What is answered of decisions that have windows."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType


class Activate(msgspec.Struct, forbid_unknown_fields=True):
    """What was shown: what was decided, or another action, and the probability with which that was chosen, if known."""

    action_id: str | None = None
    propensity: float | None = None


class Activated(msgspec.Struct):
    """activated, or duplicate where it was activated before."""

    status: Literal["activated", "duplicate"]


class OutcomeRecord(msgspec.Struct):
    """A reward that came, in the record of a decision that has a window."""

    value: float
    reward_id: str | None
    seq: int
    time: str
    late: bool
    cost: float | UnsetType = UNSET
    next_state: int | str | dict[str, int] | UnsetType = UNSET
    ended: bool | UnsetType = UNSET


class ActivationRecord(msgspec.Struct):
    """What became of a decision that was deferred, in its record."""

    status: Literal["deferred", "activated", "never_shown", "replaced"]
    seq: int
    time: str
    shown: str | UnsetType = UNSET  # the id of the decision for what was shown in its place
