"""The bodies that the service reads and writes. Everything is strict: no unknown field, no text for a number."""

from __future__ import annotations

from typing import Any

import msgspec


class Problem(msgspec.Struct):
    """An error: RFC 9457 problem+json with a stable `code`."""

    title: str
    status: int
    detail: str
    code: str


class Decide(msgspec.Struct, forbid_unknown_fields=True):
    """What a client sends for a decision; `{}` is enough."""

    context: list[float] | None = None
    eligible_actions: list[str] | None = None
    excluded_actions: list[str] | None = None
    decision_id: str | None = None


class Decided(msgspec.Struct):
    """A decision: the arm to play, and the probability with which it was chosen (null if unknown)."""

    decision_id: str
    action_id: str
    propensity: float | None
    policy: str
    model_version: int


class Reward(msgspec.Struct, forbid_unknown_fields=True):
    """What came of a decision; up is better."""

    value: float
    reward_id: str | None = None


class Rewarded(msgspec.Struct):
    """accepted, or duplicate where the same reward was on record already."""

    status: str


class BatchReward(msgspec.Struct, forbid_unknown_fields=True):
    """A reward in a batch names its decision."""

    decision_id: str
    value: float
    reward_id: str | None = None


class Decisions(msgspec.Struct, forbid_unknown_fields=True):
    """Many decisions at once: one answer each, in order; a bad one fails alone."""

    decisions: list[msgspec.Raw]


class DecidedBatch(msgspec.Struct):
    """The answers to a batch of decisions, in order."""

    decisions: list[Any]  # Decided or Problem


class RewardedBatch(msgspec.Struct):
    """The answers to a batch of rewards, in order."""

    rewards: list[Any]  # Rewarded or Problem


class Rewards(msgspec.Struct, forbid_unknown_fields=True):
    """Many rewards at once: one status each, in order; a bad one fails alone."""

    rewards: list[msgspec.Raw]


class Experiment(msgspec.Struct):
    """An experiment and its counters."""

    experiment_id: str
    problem: dict[str, Any]
    policy: dict[str, Any]
    arms: list[dict[str, Any]]
    seed: int | str
    created_at: str
    archived: bool
    decisions: int
    rewards: int
    pending: int
    seq: int
    digest: str | None = None


class Experiments(msgspec.Struct):
    """A page of the list; `next` is the `after` of the next one."""

    experiments: list[Experiment]
    next: str | None


class NewExperiment(msgspec.Struct, forbid_unknown_fields=True):
    """A new experiment: arms are enough; the default policy is thompson_beta."""

    arms: list[dict[str, Any]]
    experiment_id: str | None = None
    problem: dict[str, Any] = {}
    policy: dict[str, Any] = {}
    seed: int | str = 0


class StoryReward(msgspec.Struct):
    """The reward in the story of a decision."""

    value: float
    reward_id: str | None
    seq: int
    time: str


class DecisionStory(msgspec.Struct):
    """Everything on record about one decision."""

    decision_id: str
    number: int
    seq: int
    action_id: str
    propensity: float | None
    policy: str
    model_version: int
    context: list[float] | None
    eligible_actions: list[str] | None
    sent: Any
    time: str
    reward: StoryReward | None


class Health(msgspec.Struct):
    """How the service is."""

    status: str


LATER = {
    "decision": {"actions", "unit_id", "defer_activation", "explain"},
    "reward": {"observed_at", "detail", "pulls"},
}
"""Fields that docs/http.md names but that are not built: they are refused, never ignored."""
