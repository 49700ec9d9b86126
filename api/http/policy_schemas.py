"""Which policies there are, as it is told."""

from __future__ import annotations

import msgspec


class Param(msgspec.Struct):
    """A param of a policy. Numbers lie between `low` and `high`, null where there is no end."""

    name: str
    type: str | None  # in words, as "number or null"
    required: bool
    default: msgspec.Raw  # null where it is required
    low: float | None
    high: float | None
    low_open: bool  # whether the end itself is left out
    high_open: bool


class ListedPolicy(msgspec.Struct):
    """A policy: what it decides and learns from, null where its params say it, and where it is the default."""

    name: str
    params: list[Param]
    line: str
    decides: list[str] | None
    learns_from: list[str] | None
    default: str | None


class Policies(msgspec.Struct):
    """All policies, by name."""

    policies: list[ListedPolicy]
