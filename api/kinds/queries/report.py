"""What an experiment came to that asks queries: how often each was asked, and what was answered on average."""

from __future__ import annotations

from collections.abc import Sequence

from ....engine.vocabulary import LEARN, Action, Certificate, Columns, Feedback, Problem
from ...experiment.definition import Definition
from ...experiment.report import began
from ...experiment.report_schemas import Mean, QueryReport, Report
from ...experiment.sums import Tally, fresh


class Answers(Tally):
    """Answers in place of rewards: a query earns none."""

    def learn(self, action: Action, feedback: Feedback) -> None:
        """Enter the answer to a query."""
        self.enter(int(action), float(feedback.detail[0]))

    def fold(self, columns: Columns) -> None:
        """Enter the answers in a page of the log."""
        learned = columns.kind == LEARN
        self._enter_all(columns.action[learned], columns.detail[learned, 0])


def tally(spec: Definition, problem: Problem) -> Answers:
    """Return what is counted, before any event."""
    return Answers(fresh(problem.n_choices))


def report(
    spec: Definition, tally: Tally, query_ids: Sequence[str], seq: int, decisions: int, proof: Certificate | None
) -> Report:
    """Return the report of what was counted up to `seq`; O(queries)."""
    found = began(spec.id, seq, decisions, Mean(tally.all.rewards, None, None, None))
    each = [(label, tally.decided(query), tally.mean(query)) for query, label in enumerate(query_ids)]
    found.queries = [
        QueryReport(label, asked, mean.rewards, mean.reward_mean, mean.reward_stderr, mean.interval)
        for label, asked, mean in each
    ]
    return found
