"""The bodies of decisions that are vectors, and of what they reveal."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType


class VectorDecision(msgspec.Struct, omit_defaults=True):
    """A decision that is a vector: a point of the domain, or two. The propensity is 1 where no draw chose it."""

    decision_id: str
    propensity: float | None
    policy: str
    model_version: int
    point: list[float] | UnsetType = UNSET
    points: list[list[float]] | UnsetType = UNSET


class Pair(msgspec.Struct, forbid_unknown_fields=True):
    """An example of a loss of a . x and b that the policy knows."""

    a: list[float]
    b: float


class Revealed(msgspec.Struct, forbid_unknown_fields=True):
    """What a vector revealed, of the loss (down is better): its value, its gradient at the point, all its losses."""

    value: float | None = None
    values: list[float] | None = None  # of two points
    gradient: list[float] | None = None
    losses: list[float] | None = None
    example: Pair | None = None


class VectorReward(msgspec.Struct, forbid_unknown_fields=True):
    """What came of a vector. `value` (of two points `values`) is the reward, up is better; `detail` is of the loss."""

    value: float | None = None
    values: list[float] | None = None
    detail: Revealed = msgspec.field(default_factory=Revealed)
    reward_id: str | None = None


class BatchVectorReward(VectorReward, forbid_unknown_fields=True, kw_only=True):
    """What came of a vector, in a batch: it names its decision."""

    decision_id: str
