"""Why a policy decided as it did, as it is told and kept."""

from __future__ import annotations

import msgspec

from .plan_schemas import HeldPlan


class Ranked(msgspec.Struct, omit_defaults=True):
    """An action that could be chosen; the policy's score of it, where it has one."""

    action_id: str
    probability: float | None
    score: float | None = None


class Contribution(msgspec.Struct, omit_defaults=True):
    """What one feature adds to a score; the intercept has no value."""

    name: str
    contribution: float
    value: float | None = None


class Reasons(msgspec.Struct):
    """An action's probability, its score, how unsure that is, and the features that moved it most."""

    action_id: str
    probability: float | None
    score: float | None
    width: float | None
    features: list[Contribution]


class Explanation(msgspec.Struct, omit_defaults=True):
    """What is said of a decision beside it, as where `explain` asks. The log keeps it as the detail of the decision."""

    ranking: list[Ranked] = []  # empty where nobody asked
    explanation: list[Reasons] = []
    model: int | None = None  # the one that leads, where the policy looks for changes of the world
    sticky: bool = False  # the unit got what it was given before
    constraints_applied: list[str] = []  # those that moved the probabilities of this decision
    relaxed: list[str] = []  # those that gave way, as this decision could not meet them
    plan: HeldPlan | None = None  # where decisions move a state, and the policy learns which
