"""What decisions that are vectors came to: the mean reward, the regret where it is known, and what the policy proves.

Memory: a page of the log, and k d numbers for k segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import UNSET

from ....engine.replay.folding import fold
from ....engine.vectors.hindsight import LinearLosses
from ....engine.vocabulary import LEARN, Array, Certificate, Columns, Problem
from ...experiment.compiling import compile_certificate
from ...experiment.definition import Definition
from ...experiment.report import Report, Rewards, began
from ...experiment.unknown import or_null
from ...service.history import Part
from .problem import domain_of

REGRET = {  # by what is revealed: what the regret is against
    "losses": "best fixed point",
    "gradient": "best fixed point, by the linear losses of the gradients: convex losses have at most this regret",
}


class VectorTally:
    """What decisions that are vectors came to, as their feedback comes."""

    def __init__(self, problem: Problem, *, segments: int = 1, rounds: int = 0) -> None:
        self.problem = problem
        self.segments = segments
        self.rewards = Rewards()
        self._losses = LinearLosses(domain_of(problem), segments=segments, rounds=rounds)

    def add(self, points: Array, rewards: Array, details: Array) -> None:
        """Add what n points revealed: float64[n, d], float64[n] and float64[n, m]."""
        for reward in rewards.tolist():
            self.rewards.add(reward)
        if self.problem.feedback in REGRET:
            self._losses.add(points, 0.0 - details)

    def report(self, spec: Definition, seq: int, decisions: int, proof: Certificate) -> Report:
        """Return the report beside what the policy proves."""
        kind = REGRET.get(self.problem.feedback)
        report = began(spec.id, seq, decisions, self.rewards.mean())
        report.certificate, report.variation = map(or_null, map(float, proof))
        report.certificate_supposes = spec.policy.supposes or UNSET
        report.regret_kind = kind
        report.regret = self._losses.regret if kind else None
        if self.segments > 1:
            report.segments = self.segments
            report.regret_by_segment = self._losses.regret_by_segment if kind else None
        return report


def report(
    spec: Definition, pages: Iterable[Part], arm_ids: Sequence[str], seq: int, rounds: int, segments: int
) -> Report:
    """Return the report of a log up to `seq`, which has `rounds` rewards, from its pages (`History.pages`).

    The log is folded as recovery does, so that the certificate is of the rounds in the report.
    """
    tally = VectorTally(spec.problem, segments=segments, rounds=rounds)
    policy, state, decisions = spec.policy, spec.policy.init(spec.policy.params, spec.problem), 0
    for page in pages:
        assert isinstance(page, Columns), "a domain does not grow"
        learned = page.kind == LEARN
        tally.add(page.action[learned], page.reward[learned], page.detail[learned])
        fold(policy.params, state, spec.run, page)
        decisions += int((~learned).sum())
    return tally.report(spec, seq, decisions, compile_certificate(spec)(policy.params, state))
