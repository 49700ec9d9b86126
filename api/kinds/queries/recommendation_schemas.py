"""What a policy recommends that asked queries, as it is told."""

from __future__ import annotations

import msgspec


class LevelLoss(msgspec.Struct, frozen=True):
    """What a policy loses at the most, in expectation, on instances up to a difficulty."""

    level: float
    loss: float


class RecommendedHypothesis(msgspec.Struct, frozen=True):
    """What a policy recommends, by its id and its number; what that rests on, and what is guaranteed of it."""

    hypothesis_id: str
    hypothesis: int
    answered: int  # queries whose answers are learned
    pending: int  # queries that were asked and wait
    budget: int
    final: bool  # all answers of the budget are in
    committed: bool
    warning: str | None  # why the worst case does not hold here
    worst_case: list[LevelLoss] | None  # null where none was measured for this policy
    measured: str | None  # how the worst case was found
    artefact: str | None
    play: str | None
