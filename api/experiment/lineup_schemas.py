"""The parts that policies of an experiment play, and what goes with a part."""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["live", "apprentice", "canary", "control", "shadow"]

LearnFrom = Literal["reward", "agreement"]


class Guard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a policy that is tried is promoted, or retired, by itself: once its confidence sequence says so."""

    against: Literal["live", "control"] = "live"
    promote_above: float | None = 0.0  # the difference in value per decision; None: never
    demote_below: float | None = 0.0
    alpha: float = 0.05  # how often it may move at all where there is no difference


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a policy was that brings along what it knew there."""

    experiment: str
    seq: int | None = None  # after this event; None, as it is asked for: after the last one
    policy: int | None = None  # its number there; None, as it is asked for: of the live one
