"""Tasks of active learning, what is known of them, how hypotheses look, and how a query is chosen by an index."""

from __future__ import annotations

import json
import math
from itertools import product
from typing import Any

import numpy as np
import pytest

from onearm.engine.answers import BITS, NORMAL, SIGNS, draw_answer
from onearm.engine.draws import NATURE, RECOMMENDATION, normal, run_key, uniform
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_problem, query_problem
from onearm.engine.queries.evidence import Evidence, begin, best_of, budget_of, mean_of, score
from onearm.engine.queries.query_index import begin_task, choose, hopeful_means, largest, share, visits
from onearm.engine.task import AnswerKind, Task, best_arm, hypotheses, thresholds
from onearm.engine.vocabulary import Array, Key, Problem

RUN = run_key(3, 0, NATURE)
ROWS = [[1, 0, 1], [0, 1, 1], [0, 0, 0]]


def known(task: Task, *answers: list[float]) -> Evidence:
    """Return what is known after these answers to each query."""
    evidence = begin(query_problem(task, 10))
    for query, given in enumerate(answers):
        evidence.asked[query] = evidence.count[query] = len(given)
        evidence.total[query] = sum(given)
    return evidence


def scores(evidence: Evidence) -> list[float]:
    score(evidence)
    found: list[float] = evidence.scratch_score.tolist()
    return found


def test_the_tables_of_the_three_kinds() -> None:
    assert best_arm(3).table.tolist() == np.eye(3).tolist()
    assert thresholds(2).table.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert hypotheses(ROWS).table.tolist() == ROWS
    assert [t.n_hypotheses for t in (best_arm(3), thresholds(3), hypotheses(ROWS))] == [3, 4, 3]
    with pytest.raises(ValueError, match="read-only"):
        thresholds(2).table[0, 0] = 1.0


def test_losses_are_what_another_hypothesis_is_worth_more() -> None:
    means = np.array([[0.5, -0.25, 0.25], [1.0, 1.0, 0.0]])
    assert best_arm(3, loss="simple_regret").losses(means).tolist() == [[0.0, 0.75, 0.25], [0.0, 0.0, 1.0]]
    assert best_arm(3).losses(means).tolist() == [[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]]
    assert thresholds(3).losses(means[0]).tolist() == [0.5, 0.0, 0.25, 0.0]
    assert hypotheses(ROWS).losses(means[0]).tolist() == [0.0, 1.0, 1.0]


def test_simple_regret_of_thresholds_is_the_excess_number_of_errors() -> None:
    """A sign with the mean theta is 1 with the probability (1 + theta) / 2; errors are counted over all patterns."""
    means = np.array([0.5, -0.25, 0.25])
    errors = np.zeros(4)
    for signs in product((1, -1), repeat=3):
        chance = np.prod([(1 + s * m) / 2 for s, m in zip(signs, means, strict=True)])
        for cut in range(4):
            errors[cut] += chance * sum(s != (1 if i < cut else -1) for i, s in enumerate(signs))
    assert thresholds(3).losses(means) == pytest.approx(errors - errors.min(), abs=1e-12)


@pytest.mark.parametrize(
    "task", [best_arm(4, "bits"), thresholds(3, loss="identification"), hypotheses(ROWS, "normal")]
)
def test_a_task_is_rebuilt_from_its_json(task: Task) -> None:
    again = Task.from_json(json.loads(json.dumps(task.to_json())))
    assert again == task
    assert again.table.tolist() == task.table.tolist()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "must be an object"),
        ({"kind": "bandit"}, "arms, thresholds or hypotheses"),
        ({"kind": "arms", "queries": 0}, "0 queries"),
        ({"kind": "arms", "queries": 2.0}, "2.0 queries"),
        ({"kind": "arms", "queries": True}, "True queries"),
        ({"kind": "arms", "queries": 10_001}, "1 to 10000"),
        ({"kind": "arms", "queries": 2, "answers": "words"}, "answers is 'words'"),
        ({"kind": "arms", "queries": 2, "loss": "hinge"}, "loss is 'hinge'"),
        ({"kind": "arms", "queries": 2, "hypotheses": ROWS}, "has the field 'hypotheses'"),
        ({"kind": "thresholds", "queries": 2, "points": 2}, "has the field 'points'"),
        ({"kind": "hypotheses"}, "hypotheses"),
        ({"kind": "hypotheses", "hypotheses": ROWS, "queries": 2}, "2 queries, but hypotheses of 3 numbers"),
        ({"kind": "hypotheses", "hypotheses": [[0, 1]]}, "one hypothesis"),
        ({"kind": "hypotheses", "hypotheses": [[0, 1], [1, 0], [0, 1]]}, "hypotheses 0 and 2 are the same"),
        ({"kind": "hypotheses", "hypotheses": [[0, 1], [1]]}, "not a table"),
        ({"kind": "hypotheses", "hypotheses": [[0, 1], [1, 1e101]]}, "above 1e100"),
        ({"kind": "hypotheses", "hypotheses": "rows"}, "not a table"),
    ],
)
def test_what_is_no_task_is_refused(body: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Task.from_json(body)


@pytest.mark.parametrize(
    ("answers", "fine", "wrong"),
    [
        ("normal", (0, -2.5, 1e100), (1e101, math.nan, math.inf, "1", True, None)),
        ("signs", (-1, 1.0), (0, 0.5, -1.5, math.nan, False)),
        ("bits", (0, 1.0), (-1, 0.5, 2, True)),
    ],
)
def test_answers_outside_the_noise_model_are_refused(answers: AnswerKind, fine: Any, wrong: Any) -> None:
    task = best_arm(2, answers)
    assert [task.check_answer(answer) for answer in fine] == list(fine)
    for answer in wrong:
        with pytest.raises(InvalidInput, match="the answer is"):
            task.check_answer(answer)
    assert math.copysign(1.0, best_arm(2).check_answer(-0.0)) == 1.0


def test_a_problem_of_queries_is_whole_or_refused() -> None:
    check_problem(query_problem(best_arm(3), 5))
    for words in ({"n_arms": 4, "feedback": "answer"}, {"n_arms": 3}):
        with pytest.raises(InvalidInput, match="a task of 3 queries"):
            Problem(task=best_arm(3), **words)
    for problem in (Problem(3, (2,), feedback="answer", task=best_arm(3)), query_problem(best_arm(3), 0)):
        with pytest.raises(InvalidInput):
            check_problem(problem)
    with pytest.raises(InvalidInput, match="the problem has no task"):
        begin(Problem(3))
    with pytest.raises(InvalidInput, match="'halve' plans with the number of queries"):
        budget_of(query_problem(best_arm(3), None), "halve")
    assert budget_of(query_problem(best_arm(3), 7), "halve") == 7


def test_an_answer_has_its_mean() -> None:
    draws = 1000
    for kind, mean, spread in (
        (NORMAL, 0.25, 1.0),
        (SIGNS, 0.25, math.sqrt(1 - 1 / 16)),
        (BITS, 0.25, math.sqrt(3) / 4),
    ):
        found = [draw_answer(kind, mean, Key(RUN, t)) for t in range(draws)]
        assert abs(np.mean(found) - mean) <= 4 * spread / math.sqrt(draws)
        assert np.std(found) == pytest.approx(spread, rel=0.1)
    assert draw_answer(NORMAL, 0.0, Key(RUN, 7)) == normal(Key(RUN, 7), 0)
    assert {draw_answer(SIGNS, 1.0, Key(RUN, t)) for t in range(50)} == {1.0}
    assert {draw_answer(BITS, 0.0, Key(RUN, t)) for t in range(50)} == {0.0}


def test_arms_look_as_good_as_their_mean_answers() -> None:
    evidence = known(best_arm(3), [1.0, 2.0], [], [-0.5])
    assert scores(evidence) == [1.5, -math.inf, -0.5]
    assert [mean_of(evidence, i) for i in range(3)] == [1.5, -math.inf, -0.5]


@pytest.mark.parametrize("answers", ["signs", "bits"])
def test_a_cut_looks_the_better_the_fewer_answers_contradict_it(answers: AnswerKind) -> None:
    given = [[1, 1, -1], [1], [], [-1, -1]]
    low = 0 if answers == "bits" else -1
    evidence = known(thresholds(4, answers), *[[1.0 if a == 1 else low for a in some] for some in given])
    errors = [sum(a != (1 if i < cut else -1) for i, some in enumerate(given) for a in some) for cut in range(5)]
    found = scores(evidence)
    assert np.diff(found) == pytest.approx(-np.diff(errors) * (0.5 if answers == "bits" else 1.0))


def test_where_answers_are_normal_means_are_weighted_and_not_sums() -> None:
    task = hypotheses([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], "normal")
    assert scores(known(task, [1.0, 1.0, 1.0], [2.0])) == [1.0, 2.0, 1.5]
    assert scores(known(task, [1.0], [])) == [1.0, 0.0, 0.5]
    signs = hypotheses([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    assert scores(known(signs, [1.0, 1.0, 1.0], [1.0])) == [3.0, 1.0, 2.0]


def test_of_equal_scores_one_is_drawn_and_each_as_likely() -> None:
    draws, scored = 600, np.array([1.0, 3.0, -math.inf, 3.0, 3.0])
    counts = np.bincount([best_of(scored, Key(RUN, t)) for t in range(draws)], minlength=5)
    assert counts[[0, 2]].tolist() == [0, 0]
    assert (np.abs(counts[[1, 3, 4]] / draws - 1 / 3) <= 4 * math.sqrt(2 / 9 / draws)).all()
    assert best_of(scored, Key(RUN, 5)) == [1, 3, 4][int(3 * uniform(Key(RUN, 5), RECOMMENDATION))]
    assert {best_of(np.full(2, -math.inf), Key(RUN, t)) for t in range(30)} == {0, 1}


def test_a_visit_is_a_query_that_was_asked_or_an_answer_that_others_asked_for() -> None:
    evidence = known(best_arm(3), [1.0], [], [2.0, 2.0])
    evidence.asked[:] = [3, 1, 0]
    assert [visits(evidence, i) for i in range(3)] == [3, 1, 2]


def test_what_has_no_answer_is_hoped_to_be_as_good_as_the_best_that_is_open() -> None:
    means = np.zeros(4)
    evidence = known(best_arm(4), [-1.0, -2.0], [], [5.0], [])
    for available, expected in (([1, 1, 1, 1], [-1.5, 5.0, 5.0, 5.0]), ([1, 1, 0, 1], [-1.5, -1.5, 5.0, -1.5])):
        hopeful_means(evidence, np.array(available, np.bool_), means)
        assert means.tolist() == expected
    hopeful_means(known(best_arm(4)), np.ones(4, np.bool_), means)
    assert means.tolist() == [0.0] * 4


def test_the_open_query_of_the_largest_index_is_chosen_and_ties_are_shared() -> None:
    index, available = np.array([2.0, 7.0, 2.0, 1.0, 2.0]), np.array([True, False, True, True, True])
    assert largest(index, available) == (2.0, 3)
    assert [share(index, available, i) for i in range(5)] == [1 / 3, 0.0, 1 / 3, 0.0, 1 / 3]
    made = [choose(index, available, Key(RUN, t)) for t in range(600)]
    assert {decision.propensity for decision in made} == {1 / 3}
    counts = np.bincount([decision.action for decision in made], minlength=5)
    assert (np.abs(counts / 600 - [1 / 3, 0, 1 / 3, 0, 1 / 3]) <= 4 * math.sqrt(2 / 9 / 600)).all()
    assert counts[[1, 3]].tolist() == [0, 0]
    assert choose(np.full(3, -math.inf), np.array([False, True, False]), Key(RUN, 0)) == (1, 1.0)


def test_a_task_of_another_kind_is_refused_by_name() -> None:
    problem = query_problem(hypotheses(ROWS), 5)
    assert begin_task(problem, "mine", ("thresholds", "hypotheses")).count.tolist() == [0, 0, 0]
    with pytest.raises(InvalidInput, match="'mine' is for tasks of the kind arms, and this one is of the kind 'hypoth"):
        begin_task(problem, "mine")
    with pytest.raises(InvalidInput, match="the problem has no task"):
        begin_task(Problem(3), "mine")


def test_tables_of_evidence_are_copies() -> None:
    """A kernel's table must be writable memory: that of the task is shared, and read-only."""
    task = thresholds(2)
    table: Array = begin(query_problem(task, 3)).scratch_table
    table[:] = 9.0
    assert task.table.max() == 1.0
