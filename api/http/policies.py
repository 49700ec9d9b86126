"""Which policies there are, as `onearm policies --json` lists them."""

from __future__ import annotations

import functools

import msgspec

from ..catalogue import listed_policies
from ..service.service import Service
from .endpoint import Answer, Call


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


async def list_policies(service: Service, call: Call) -> Answer:
    """List the policies that an experiment may have, with their params."""
    return Answer(200, await service.pools.creations.run(_encoded))


@functools.cache
def _encoded() -> bytes:
    """Return the list as it is sent: what there is, is there since the start."""
    return msgspec.json.encode({"policies": listed_policies()})
