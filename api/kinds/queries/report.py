"""What an experiment came to that asks queries: how often each was asked, and what was answered on average."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ....engine.errors import InvalidInput
from ....engine.vocabulary import LEARN, Columns
from ...experiment.definition import Definition
from ...experiment.report import Mean, QueryReport, Report, Rewards, began
from ...service.history import Part


def report(
    spec: Definition, pages: Iterable[Part], query_ids: Sequence[str], seq: int, rounds: int, segments: int
) -> Report:
    """Return the report of a log up to `seq`, from its pages (`History.pages`)."""
    if segments != 1:
        raise InvalidInput("no_segments", f"{spec.id!r} asks queries: segments are for regret against points")
    each, asked = [Rewards() for _ in query_ids], np.zeros(len(query_ids), np.int64)
    for page in pages:
        assert isinstance(page, Columns), "queries do not join"
        learned = page.kind == LEARN
        asked += np.bincount(page.action[~learned], minlength=len(query_ids))
        for query, answer in zip(page.action[learned].tolist(), page.detail[learned, 0].tolist(), strict=True):
            each[query].add(answer)
    summaries = [answers.mean() for answers in each]
    found = began(spec.id, seq, int(asked.sum()), Mean(sum(one.rewards for one in summaries), None, None, None))
    found.queries = [
        QueryReport(label, int(times), mean.rewards, mean.reward_mean, mean.reward_stderr, mean.interval)
        for label, times, mean in zip(query_ids, asked, summaries, strict=True)
    ]
    return found
