"""The bodies about the policies of one experiment."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from ..experiment.lineup_schemas import Guard, LearnFrom, Origin, Role
from ..service.estimates import Estimate

Former = Literal["shadow", "control", "retired"]


class JoiningPolicy(msgspec.Struct, forbid_unknown_fields=True):
    """A policy that joins, by its name or its spec, and the part that it plays."""

    policy: Any
    role: Role = "shadow"
    share: float | None = None  # of the decisions, where it is a canary or the control
    start: Literal["empty", "log"] | Origin = "empty"  # log: a shadow learns what was decided before it as well
    guard: Guard | None = None
    learn_from: LearnFrom = "reward"  # agreement: an apprentice learns whether it would have done what was done


class Part(msgspec.Struct, forbid_unknown_fields=True):
    """Another part, or another share."""

    role: Role
    share: float | None = None
    guard: Guard | UnsetType | None = UNSET  # null takes one off
    learn_from: LearnFrom = "reward"  # as of a policy that joins


class Promotion(msgspec.Struct, forbid_unknown_fields=True):
    """What whoever was live does from then on."""

    former: Former = "shadow"
    share: float | None = None  # of the former one, where it becomes the control


class Difference(msgspec.Struct):
    """How much more a policy is worth per decision than another one; the interval holds at every moment at once."""

    against: Literal["live", "control"]
    value: float | None
    low: float | None
    high: float | None
    doubly_robust: Estimate | UnsetType = UNSET  # of a shadow: the same, by a model of the rewards and what was seen


class Displaced(msgspec.Struct):
    """Who had a part that one alone plays, before it was given away, and what it does since."""

    policy: int
    role: Role | Literal["retired"]


class PolicyStatus(msgspec.Struct):
    """A policy of an experiment, and what is known of its worth.

    Its value is told by all that it has learned; `differences` and `doubly_robust` by what was decided since it got its
    part, or since shares changed.
    """

    experiment_id: str
    policy: int  # its number
    name: str
    spec: dict[str, Any]
    role: Role
    share: float  # of the decisions
    since: int  # the seq of the event with which it got its part
    decisions: int  # that tell its value
    value: Estimate
    differences: list[Difference]
    units: int = 0  # of these decisions, those for a unit: the first one of each counts
    doubly_robust: Estimate | UnsetType = UNSET  # of a shadow: its value, by a model of the rewards and what was seen
    agreement: float | UnsetType | None = UNSET  # of an apprentice: how likely it would have done what was done
    learn_from: LearnFrom | UnsetType = UNSET  # of an apprentice
    origin: Origin | UnsetType = UNSET  # where it learned before it joined
    effective_decisions: float | UnsetType | None = UNSET  # of one: so many of its own would tell as much
    guard: Guard | UnsetType = UNSET
    displaced: Displaced | UnsetType = UNSET  # by what was asked for
    learned_since: int | UnsetType = UNSET  # of a shadow that lost what was before a compaction


class RetiredPolicy(msgspec.Struct):
    """A policy that plays no part any more."""

    experiment_id: str
    policy: int
    name: str


class Lineup(msgspec.Struct):
    """The policies that play a part; those that did are retired. Their worth is told by the log up to `read`."""

    experiment_id: str
    policies: list[PolicyStatus]
    retired: list[int]
    seq: int  # of the last event
    read: int
    lag: int  # events that are still to be read
    until: int | UnsetType = UNSET  # the seq up to which windows that began are closed: decisions up to there tell
    open: int | UnsetType = UNSET  # decisions whose windows are: nothing is told by them yet
