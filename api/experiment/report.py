"""What an experiment came to, from its log in one pass: means with intervals; of vectors regret and certificate.

Memory: a page of the log, some numbers for each arm, and of vectors k d numbers for k segments.
What is told of an arm is told of the decisions that took it. These were not drawn at random, so its mean leans a little
towards the luck that it was chosen for; and what another policy would have earned is not estimated here. Of a query the
answers are told: how often it was asked, and what they were on average.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from ...engine import loop
from ...engine.errors import InvalidInput
from ...engine.estimate.interval import Z95
from ...engine.vectors.hindsight import LinearLosses
from ...engine.vocabulary import LEARN, Array, Certificate, Columns, Problem
from .compiling import compile_certificate
from .spec import Spec
from .unknown import or_null

REGRET = {  # by what is revealed: what the regret is against
    "losses": "best fixed point",
    "gradient": "best fixed point, by the linear losses of the gradients: convex losses have at most this regret",
}


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


class Report(Mean, omit_defaults=True):
    """What an experiment came to up to a seq. Of fixed arms each is told of, of vectors regret and certificate.

    Of queries each is told of; there is no reward then, and `rewards` counts the answers.
    """

    experiment_id: str
    seq: int
    decisions: int
    arms: list[ArmReport] | UnsetType = UNSET
    queries: list[QueryReport] | UnsetType = UNSET
    certificate: float | UnsetType | None = UNSET  # the regret is at most this; null where nothing is proven
    certificate_supposes: str | UnsetType = UNSET  # of the losses, for that to hold, beyond that they are convex
    variation: float | UnsetType | None = UNSET  # the sum of |gradient - hint|^2
    regret: float | UnsetType | None = UNSET  # null where the feedback says nothing of other points
    regret_kind: str | UnsetType | None = UNSET  # against what
    segments: int | UnsetType = UNSET
    regret_by_segment: float | UnsetType | None = UNSET  # against the best fixed point of each segment


class Rewards:
    """Rewards as they come: their mean, and how they spread. Source: Welford's recurrence; nothing cancels."""

    __slots__ = ("_mean", "_square", "count")

    def __init__(self) -> None:
        self.count = 0
        self._mean = 0.0
        self._square = 0.0  # the sum of squared distances from the mean

    def add(self, reward: float) -> None:
        """Add one."""
        self.count += 1
        off = reward - self._mean
        self._mean += off / self.count
        self._square += off * (reward - self._mean)

    def mean(self) -> Mean:
        """Return their mean."""
        n = self.count
        stderr = math.sqrt(self._square / (n - 1) / n) if n > 1 else 0.0
        if stderr == 0.0:
            return Mean(n, self._mean if n else None, None, None)
        return Mean(n, self._mean, stderr, [self._mean - Z95 * stderr, self._mean + Z95 * stderr])


class VectorTally:
    """What decisions that are vectors came to, as their feedback comes."""

    def __init__(self, problem: Problem, *, segments: int = 1, rounds: int = 0) -> None:
        assert problem.domain is not None
        self.problem = problem
        self.segments = segments
        self.rewards = Rewards()
        self._losses = LinearLosses(problem.domain, segments=segments, rounds=rounds)

    def add(self, points: Array, rewards: Array, details: Array) -> None:
        """Add what n points revealed: float64[n, d], float64[n] and float64[n, m]."""
        for reward in rewards.tolist():
            self.rewards.add(reward)
        if self.problem.feedback in REGRET:
            self._losses.add(points, 0.0 - details)

    def report(self, spec: Spec, seq: int, decisions: int, proof: Certificate) -> Report:
        """Return the report beside what the policy proves."""
        kind = REGRET.get(self.problem.feedback)
        report = _report(spec.id, seq, decisions, self.rewards.mean())
        report.certificate, report.variation = map(or_null, map(float, proof))
        report.certificate_supposes = spec.policy.supposes or UNSET
        report.regret_kind = kind
        report.regret = self._losses.regret if kind else None
        if self.segments > 1:
            report.segments = self.segments
            report.regret_by_segment = self._losses.regret_by_segment if kind else None
        return report


def report_of(
    spec: Spec, pages: Iterable[Columns | Problem], arm_ids: Sequence[str], *, seq: int, rounds: int, segments: int = 1
) -> Report:
    """Return the report of a log up to `seq`, which has `rounds` rewards, from its pages (`History.pages`).

    Raises `InvalidInput` where arms come once: they are not there to be told of.
    """
    if spec.problem.action_kind == "move":
        raise InvalidInput(
            "no_report",
            f"the arms of {spec.id!r} come once: there is no report of them; read .../recommendation",
        )
    if spec.problem.action_kind == "vector":
        return _of_vectors(spec, pages, seq, VectorTally(spec.problem, segments=segments, rounds=rounds))
    if segments != 1:
        decides = "asks queries" if spec.problem.action_kind == "query" else "decides arms"
        raise InvalidInput("no_segments", f"{spec.id!r} {decides}: segments are for regret against points")
    if spec.problem.action_kind == "query":
        return _of_queries(spec, pages, arm_ids, seq)
    return _of_arms(spec, pages, arm_ids, seq)


def _of_arms(spec: Spec, pages: Iterable[Columns | Problem], arm_ids: Sequence[str], seq: int) -> Report:
    every, each = Rewards(), [Rewards() for _ in arm_ids]
    decided = np.zeros(len(arm_ids), np.int64)
    decisions = 0
    for page in pages:
        if isinstance(page, Problem):  # an arm joined; its number is the next
            continue
        learned = page.kind == LEARN
        decisions += int((~learned).sum())
        if not spec.intake.listed:
            decided += np.bincount(page.action[~learned], minlength=len(arm_ids))
        for arm, reward in zip(page.action[learned].tolist(), page.reward[learned].tolist(), strict=True):
            every.add(reward)
            if each:
                each[arm].add(reward)
    report = _report(spec.id, seq, decisions, every.mean())
    if not spec.intake.listed:
        report.arms = [
            ArmReport(**msgspec.structs.asdict(rewards.mean()), arm_id=label, decisions=int(number))
            for label, rewards, number in zip(arm_ids, each, decided, strict=True)
        ]
    return report


def _of_queries(spec: Spec, pages: Iterable[Columns | Problem], query_ids: Sequence[str], seq: int) -> Report:
    each, asked = [Rewards() for _ in query_ids], np.zeros(len(query_ids), np.int64)
    for page in pages:
        assert isinstance(page, Columns), "queries do not join"
        learned = page.kind == LEARN
        asked += np.bincount(page.action[~learned], minlength=len(query_ids))
        for query, answer in zip(page.action[learned].tolist(), page.detail[learned, 0].tolist(), strict=True):
            each[query].add(answer)
    told = [answers.mean() for answers in each]
    report = _report(spec.id, seq, int(asked.sum()), Mean(sum(one.rewards for one in told), None, None, None))
    report.queries = [
        QueryReport(label, int(times), mean.rewards, mean.reward_mean, mean.reward_stderr, mean.interval)
        for label, times, mean in zip(query_ids, asked, told, strict=True)
    ]
    return report


def _of_vectors(spec: Spec, pages: Iterable[Columns | Problem], seq: int, tally: VectorTally) -> Report:
    """Fold the log as recovery does, so that the certificate is of the rounds that are told of."""
    policy, state, decisions = spec.policy, spec.policy.init(spec.policy.params, spec.problem), 0
    for page in pages:
        assert isinstance(page, Columns), "a domain does not grow"
        learned = page.kind == LEARN
        tally.add(page.action[learned], page.reward[learned], page.detail[learned])
        loop.fold(policy.params, state, spec.run, page)
        decisions += int((~learned).sum())
    return tally.report(spec, seq, decisions, compile_certificate(spec)(policy.params, state))


def _report(experiment_id: str, seq: int, decisions: int, mean: Mean) -> Report:
    return Report(**msgspec.structs.asdict(mean), experiment_id=experiment_id, seq=seq, decisions=decisions)
