"""What decisions that are vectors came to: the mean reward, the regret where it is known, what the policy proves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from msgspec import UNSET

from ....engine import snapshot
from ....engine.vectors.hindsight import LinearLosses, Losses, no_losses
from ....engine.vocabulary import LEARN, Action, Array, Certificate, Columns, Feedback, Problem
from ...experiment.definition import Definition
from ...experiment.report import began
from ...experiment.report_schemas import Report
from ...experiment.sums import Sums, Tally, fresh
from ...experiment.unknown import or_null
from ...service.history import Part
from .problem import domain_of

REGRET = {  # by what is revealed: what the regret is against
    "losses": "best fixed point",
    "gradient": "best fixed point, by the linear losses of the gradients: convex losses have at most this regret",
}


class VectorSums(NamedTuple):
    """What is counted of vectors."""

    rewards: Sums
    losses: Losses  # linear ones, where the feedback tells them


class VectorTally(Tally):
    """What decisions that are vectors came to, as their feedback comes; O(d) a reward."""

    def __init__(self, sums: VectorSums, problem: Problem) -> None:
        super().__init__(sums.rewards)
        self.sums = sums
        self.problem = problem
        self._losses = LinearLosses(domain_of(problem), total=sums.losses)

    def add(self, points: Array, rewards: Array, details: Array) -> None:
        """Add what n points revealed: float64[n, d], float64[n] and float64[n, m]."""
        self._enter_all(points, rewards)
        if self.problem.feedback in REGRET:
            self._losses.add(points, 0.0 - details)

    def learn(self, action: Action, feedback: Feedback) -> None:
        """Enter what a point revealed."""
        self.add(action[np.newaxis], np.array([feedback.reward]), feedback.detail[np.newaxis])

    def fold(self, columns: Columns) -> None:
        """Enter what points revealed, of a page of the log."""
        learned = columns.kind == LEARN
        self.add(columns.action[learned], columns.reward[learned], columns.detail[learned])

    def copied(self) -> Self:
        """Return sums that do not change any more."""
        return type(self)(snapshot.copied(self.sums), self.problem)

    def report(self, spec: Definition, seq: int, decisions: int, proof: Certificate) -> Report:
        """Return the report beside what the policy proves."""
        kind = REGRET.get(self.problem.feedback)
        report = began(spec.id, seq, decisions, self.all)
        report.certificate, report.variation = map(or_null, map(float, proof))
        report.certificate_supposes = spec.policy.supposes or UNSET
        report.regret_kind = kind
        report.regret = self._losses.regret if kind else None
        return report


def tally(spec: Definition, problem: Problem) -> VectorTally:
    """Return what is counted, before any event."""
    return VectorTally(VectorSums(fresh(0), no_losses(domain_of(problem).dimension)), problem)


def report(spec: Definition, tally: Any, arm_ids: Any, seq: int, decisions: int, proof: Certificate | None) -> Report:
    """Return the report of what was counted up to `seq`; O(d)."""
    assert proof is not None
    found: Report = tally.report(spec, seq, decisions, proof)
    return found


def regret_by_segment(spec: Definition, pages: Iterable[Part], rounds: int, segments: int) -> float | None:
    """Return the regret against the best fixed point of each segment of a log of so many rounds, from its pages.

    None where the feedback says nothing of other points. Memory: a page of the log, and k d numbers for k segments.
    """
    losses = LinearLosses(domain_of(spec.problem), segments=segments, rounds=rounds)
    if spec.problem.feedback not in REGRET:
        return None
    for page in pages:
        assert isinstance(page, Columns), "a domain does not grow"
        learned = page.kind == LEARN
        losses.add(page.action[learned], 0.0 - page.detail[learned])
    return losses.regret_by_segment
