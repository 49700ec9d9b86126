"""The bodies of a stream of arms."""

from __future__ import annotations

from typing import Literal

import msgspec

from .queue_schemas import Evicted, Held


class StreamDecision(msgspec.Struct):
    """A decision where arms come once: which arm to pull and how often, and which arms left for good before it."""

    decision_id: str
    number: int
    move: Literal["pull"]
    arm_id: str
    pulls: int  # at the most: fewer may be rewarded
    evicted: list[Evicted]
    propensity: float | None
    policy: str
    model_version: int


class Stream(msgspec.Struct):
    """How far a stream of arms is."""

    slots: int  # arms that can be stored, beside the one that arrived
    held: list[Held]
    peak_held: int  # the one that arrived included
    waiting: int  # arms that were offered and not read yet
    arms_seen: int  # arms that were read
    pulls_made: int  # those that were rewarded
    pulls_left: int | None  # null where the problem has no horizon
    closed: bool  # no more arms are offered
    over: bool  # the policy knows that there are no more
    committed: str | None  # the arm that alone is pulled


class Offered(msgspec.Struct):
    """An arm of a stream waits to be read; its number is its place in the order of all offers, from 0."""

    arm_id: str
    number: int
