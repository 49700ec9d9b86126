"""What an experiment came to, as it is told: means with intervals; of vectors regret and certificate."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from .plan_schemas import Plan
from .world_schemas import FoundChange


class Mean(msgspec.Struct):
    """A mean reward with its standard error and its 95 % normal interval; null where there is no spread to tell it."""

    rewards: int
    reward_mean: float | None
    reward_stderr: float | None
    interval: list[float] | None


class ArmReport(Mean):
    """What came of the decisions that took an arm."""

    arm_id: str
    decisions: int


class QueryReport(msgspec.Struct):
    """How often a query was asked, and its answers: their mean, its standard error and 95 % normal interval."""

    query_id: str
    asked: int
    answered: int
    answer_mean: float | None
    answer_stderr: float | None
    interval: list[float] | None


class SinceChange(Mean):
    """What came of the decisions since the last change of the world that was not taken back."""

    place: int  # the number of the first
    decisions: int


class Report(Mean, omit_defaults=True):
    """What an experiment came to up to a seq. It has a row for each fixed arm, and of vectors regret and certificate.

    It has a row for each query; there is no reward then, and `rewards` counts the answers.
    """

    experiment_id: str
    seq: int
    decisions: int
    warnings: list[str] | UnsetType = UNSET  # what is wrong with the rewards that come
    closed_by_default: int | UnsetType = UNSET  # decisions, where these have windows
    open: int | UnsetType = UNSET  # decisions whose windows are: they are among the decisions, and in no mean
    until: int | UnsetType = UNSET  # the seq up to which windows that began are closed: so far go the means
    late: int | UnsetType = UNSET  # rewards that came too late, and are on record
    early: int | UnsetType = UNSET  # rewards that wait for their decisions
    lapsed: int | UnsetType = UNSET  # rewards whose decisions were not made in time
    replaced: int | UnsetType = UNSET  # decisions in whose place others were shown, which count as well
    never_shown: int | UnsetType = UNSET  # decisions that were deferred, and not activated in time
    changes: list[FoundChange] | UnsetType = UNSET  # of the world, where the policy looks for them
    since_change: SinceChange | UnsetType = UNSET  # where there was one
    plan: Plan | UnsetType = UNSET  # where decisions move a state, and the policy learns which
    arms: list[ArmReport] | UnsetType = UNSET
    queries: list[QueryReport] | UnsetType = UNSET
    certificate: float | UnsetType | None = UNSET  # the regret is at most this; null where nothing is proven
    certificate_supposes: str | UnsetType = UNSET  # of the losses, for that to hold, beyond that they are convex
    variation: float | UnsetType | None = UNSET  # the sum of |gradient - hint|^2
    regret: float | UnsetType | None = UNSET  # null where the feedback says nothing of other points
    regret_kind: str | UnsetType | None = UNSET  # against what
    segments: int | UnsetType = UNSET
    regret_by_segment: float | UnsetType | None = UNSET  # against the best fixed point of each segment
