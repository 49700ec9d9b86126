"""What a policy recommends that asked queries within a budget, and what is known of such recommendations beforehand."""

from __future__ import annotations

from ....engine.errors import Conflict
from ...experiment.definition import Definition
from .recommendation_schemas import LevelLoss, RecommendedHypothesis

SOLVED = "solved exactly: no instance of its grid, up to this difficulty, makes it lose more"
SOUGHT = "the worst that an adversary found: the true worst case may be worse"


def recommended(
    spec: Definition, hypothesis: int, *, asked: int, answered: int, closed: int = 0
) -> RecommendedHypothesis:
    """Return how a recommendation is reported after so many queries and answers; `closed` queries were retired.

    Raises `Conflict` where the policy recommends nothing.
    """
    if not 0 <= hypothesis < len(spec.hypotheses):
        raise Conflict(
            "nothing_to_recommend",
            f"policy {spec.policy.name!r} recommends nothing after {answered} answers: go on, or take another policy",
        )
    budget = spec.problem.horizon
    assert budget is not None, "queries have a budget"
    known = spec.policy.guarantee
    return RecommendedHypothesis(
        hypothesis_id=spec.hypotheses[hypothesis],
        hypothesis=hypothesis,
        answered=answered,
        pending=asked - answered,
        budget=budget,
        final=answered == budget,
        committed=False,
        warning=_warning(answered, budget, closed),
        worst_case=None if known is None else [LevelLoss(level, loss) for level, loss in known.losses],
        measured=None if known is None else SOLVED if known.solved else SOUGHT,
        artefact=None if known is None else known.artefact,
        play=None if known is None else known.play,
    )


def _warning(answered: int, budget: int, closed: int) -> str | None:
    """Say what the worst case, which is of all queries and all answers, does not cover."""
    reasons = []
    if answered < budget:
        reasons.append(f"asked early: {answered} of {budget} answers are in, and what is promised holds after {budget}")
    if closed:
        reasons.append(f"{closed} queries were closed, and what is promised holds where all can be asked")
    return "; ".join(reasons) or None
