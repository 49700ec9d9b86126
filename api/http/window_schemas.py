"""What is answered of decisions that have windows."""

from __future__ import annotations

from typing import Literal

import msgspec


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


class ActivationRecord(msgspec.Struct):
    """What became of a decision that was deferred, in its record."""

    status: Literal["deferred", "activated", "never_shown"]
    seq: int
    time: str
