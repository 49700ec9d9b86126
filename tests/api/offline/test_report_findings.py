"""What the report shows of an evaluation: the method, the comparison with the log, intervals at every look."""

from __future__ import annotations

import numpy as np
import pytest
from support.reported import CANDIDATES, N, evaluation, hostile_rows

from onearm.api.offline.candidate_kinds import ActionCandidate, Candidate, LoggedCandidate
from onearm.api.offline.report.curves import moments
from onearm.api.offline.report.findings import PANELS, UNFITTED, find
from onearm.engine.estimate import confidence_sequence, match_sequence
from onearm.engine.storage.rows import Page

BEST, WORST, LOGGED = ActionCandidate("action:1", 1), ActionCandidate("action:3", 3), LoggedCandidate()


@pytest.mark.parametrize(
    ("candidates", "sign"),
    [([BEST, WORST, LOGGED], 1), ([WORST], -1), ([ActionCandidate("action:2", 2), WORST], 0), ([LOGGED], 0)],
)
def test_the_best_candidate_is_better_than_the_log_or_worse_beyond_doubt_or_neither(
    candidates: list[Candidate], sign: int
) -> None:
    found = find(evaluation(hostile_rows(), candidates, intervals=("normal",), methods=("ips",), level=0.99))
    assert found.against_log == sign
    assert [row.is_log for row in found.rows] == [row.label == "logged" for row in found.rows]


def test_match_is_bounded_by_matched_rewards_and_others_by_weighted_ones() -> None:
    found = evaluation(hostile_rows(), [BEST, WORST], methods=("match",), intervals=("normal",), level=0.9)
    log, at = found.log, moments(N)
    for row, action in zip(find(found).rows, (1, 3), strict=True):
        expected = match_sequence(log.reward, log.action == action, (0.0, 1.0), 0.9, at)
        assert row.sequence is not None
        assert [column.tolist() for column in row.sequence[2:]] == [column.tolist() for column in expected[2:]]


def test_without_a_model_of_the_past_rewards_are_weighted_and_a_note_says_so() -> None:
    found = evaluation(hostile_rows(), [BEST, WORST], methods=("dr", "match"), intervals=("normal",))
    shown = find(found)
    assert (shown.method, shown.sequence_note) == ("dr", UNFITTED)
    log = found.log
    target = (log.action == 1).astype(float)
    expected = confidence_sequence(log.reward, log.propensity, target, (0.0, 1.0), 0.95, moments(N))
    assert shown.rows[0].sequence is not None
    assert shown.rows[0].sequence.low.tolist() == expected.low.tolist()


def test_where_no_interval_holds_at_every_look_the_reason_is_told() -> None:
    rows = hostile_rows()
    finish = rows.finish

    def doubled(page: Page) -> Page:
        whole = finish(page)
        return whole._replace(columns=whole.columns._replace(reward=2.0 * whole.columns.reward))

    rows.finish = doubled
    shown = find(evaluation(rows, [BEST, WORST], methods=("ips",), intervals=("normal",)))
    assert [row.sequence for row in shown.rows] == [None, None]
    assert shown.sequence_note is not None
    assert shown.sequence_note.startswith("the rewards reach from 0 to 2, beyond [0, 1]")


def test_a_method_that_some_candidates_lack_is_not_the_reports() -> None:
    found = evaluation(hostile_rows(), CANDIDATES, methods=("match", "ips"), intervals=("normal",))
    del found.terms[CANDIDATES[0].label, "ips"]
    found.ranking.clear()
    assert find(found).method == "match"
    del found.terms[CANDIDATES[1].label, "match"]
    del found.terms[CANDIDATES[2].label, "match"]
    shown = find(found)
    assert shown.method == "ips"
    assert [label for label, _ in shown.refused] == [CANDIDATES[0].label]


def test_intervals_at_every_look_are_of_the_candidates_that_are_drawn() -> None:
    many = [ActionCandidate(f"candidate {i}", i % 4) for i in range(PANELS + 2)]
    shown = find(evaluation(hostile_rows(), many, methods=("match",), intervals=("normal",)))
    assert [row.sequence is None for row in shown.rows] == [False] * PANELS + [True] * 2
    assert np.isclose(shown.shares.sum(axis=1), 1.0).all()


@pytest.mark.parametrize("segments", [True, False], ids=["segments", "parts"])
def test_no_interval_of_the_report_lies_beyond_the_range_that_was_stated(segments: bool) -> None:
    """Without the statement each sort of interval does."""
    ends = {}
    for limits in (None, (0.0, 1.0)):
        asked = evaluation(
            hostile_rows(segments=segments),
            [BEST, WORST],
            methods=("ips",),
            intervals=("normal",),
            level=0.999999,
            reward_range=limits,
        )
        shown = find(asked)
        ends[limits] = {
            "estimates": [end for each in asked.estimates for end in (each.low, each.high)],
            "segments": [end for each in asked.segments for end in (each.low, each.high)],
            "cells": [end for part in shown.segments for cell in part.cells for end in (cell.low, cell.high)],
            "together": [end for row in shown.rows for end in (row.low, row.high)],
            "curves": [end for row in shown.rows for end in (*row.curve.low, *row.curve.high)],
        }
    for name, free in ends[None].items():
        if free:
            assert np.nanmin(free) < 0.0, name
            assert np.nanmin(ends[0.0, 1.0][name]) == 0.0 and np.nanmax(ends[0.0, 1.0][name]) <= 1.0, name
