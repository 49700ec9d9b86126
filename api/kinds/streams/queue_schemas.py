"""The arms of a stream as they are told: those that are held, those that left, and the one to stay with."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

Reason = Literal["dropped", "replaced", "over"]

Limits = Annotated[list[float], msgspec.Meta(min_length=2, max_length=2)]  # low, high


class Evicted(msgspec.Struct, frozen=True):
    """An arm that left for good, and what it had earned.

    It was dropped on arrival, replaced in its slot by a newer one, or all was over: there is a commit to another.
    """

    id: str
    reason: Reason
    pulls: int
    mean: float | None  # null where it was never pulled


class Moved(msgspec.Struct, frozen=True):
    """What the log says of a move in words: the arm that is pulled, or was read, and those that left before."""

    arm_id: str | None  # null where the end of the stream was read
    evicted: list[Evicted]
    pulls: int | UnsetType = UNSET  # that are asked for, where fewer are left than the policy would make


class Held(msgspec.Struct, frozen=True):
    """An arm that is held."""

    arm_id: str
    place: int  # a slot, or the place of the arm that arrived, which is behind the last slot
    pulls: int
    mean: float | None


class Recommended(msgspec.Struct, frozen=True):
    """The arm to stay with: its pulls and mean since it was read, and how sure the mean is."""

    arm_id: str
    pulls: int
    mean: float | None  # null where it was never pulled
    interval: Limits | None  # of the mean, 95 %, for all arms seen at all times; null without a reward_range
    arms_seen: int
    pulls_made: int
    committed: bool
    evicted: list[Evicted] | UnsetType = UNSET  # by the commit; what is recommended only names none
