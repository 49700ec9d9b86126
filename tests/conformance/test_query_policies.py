"""What every policy that asks queries keeps to, beside what all policies do: without a line here."""

from __future__ import annotations

import math
from dataclasses import replace

import golden
import numpy as np
import pytest
from support.kinds.course import RUN, recommends
from support.kinds.drawn import count_actions
from support.kinds.queries import CASES, answer, begin, fits, start

from onearm.engine import snapshot
from onearm.engine.problem import query_problem
from onearm.engine.protocol import marks, select
from onearm.engine.task import ANSWER_MAX, Task, best_arm, hypotheses, thresholds
from onearm.engine.vocabulary import Decision, Instance, Key, Problem

SMALL: tuple[Task, ...] = (
    best_arm(1),
    best_arm(2),
    best_arm(7, "bits"),
    best_arm(3, "signs", "simple_regret"),
    thresholds(1),
    thresholds(2),
    thresholds(6, "bits", "identification"),
    hypotheses([[0], [1]]),
    hypotheses([[1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 0]]),
)
BUDGETS = (1, 4, 40)  # 4 is fewer than some have queries
NAMES = sorted({name for name, _ in CASES})
PLANNERS = ("successive_halving", "sequential_elimination", "mapo")  # they need to know the budget
# A network has scores of its own, and was trained on answers that come at once.
CLASSICAL = [(name, place) for name, place in CASES if name != "mapo"]
each_course = pytest.mark.parametrize(("name", "place"), CASES)
each_classical_course = pytest.mark.parametrize(("name", "place"), CLASSICAL)


def open_to_all(problem: Problem, t: int) -> Instance:
    return Instance(t, np.zeros(0), np.ones(problem.n_arms, np.bool_))


def test_there_are_policies_that_ask_for_each_kind_of_task() -> None:
    assert {place for _, place in CASES} == {0, 1, 2}
    assert len(NAMES) >= 7


@each_course
def test_frequencies_of_queries_are_the_law(name: str, place: int) -> None:
    course, draws = start(name, place).play(4), 250
    closed = 1 if course.problem.n_arms > 4 else 0
    available = np.arange(course.problem.n_arms) != closed
    law = course.law(Instance(4, np.zeros(0), available))
    counts = np.zeros(course.problem.n_arms)
    for t in range(draws):
        counts[select(course.policy.params, course.state, Instance(4, np.zeros(0), available), Key(RUN, t)).action] += 1
    assert (np.abs(counts / draws - law) <= 4.0 * np.sqrt(law * (1.0 - law) / draws) + 1e-12).all()


@each_course
def test_the_order_of_answers_that_wait_does_not_matter(name: str, place: int) -> None:
    first, second = start(name, place), start(name, place)
    made = [(i, first.decide(i)) for i in first.instances(12)]
    for instance, _ in made:
        second.decide(instance)
    for instance, decision in made:
        first.learn(instance, decision)
    order = np.random.default_rng(1).permutation(12)
    assert order.tolist() != list(range(12))
    for i in order:
        second.learn(*made[i])
    assert snapshot.digest(first.state) == snapshot.digest(second.state)


@each_course
def test_what_was_asked_is_recovered_without_any_answer(name: str, place: int) -> None:
    course = start(name, place)
    asked = [course.decide(instance).action for instance in course.instances(9)]
    assert marks(course.policy.params)
    assert course.state.evidence.asked.tolist() == np.bincount(asked, minlength=course.problem.n_arms).tolist()
    assert not course.state.evidence.count.any()


@each_course
def test_a_recommendation_is_a_hypothesis_at_any_time_and_only_reads(name: str, place: int) -> None:
    course = start(name, place)
    assert recommends(course.policy.params)
    assert course.problem.task is not None
    for instance in course.instances(course.steps):
        before = snapshot.digest(course.state)
        found = course.recommended(instance.t)
        assert 0 <= found < course.problem.task.n_hypotheses
        assert course.recommended(instance.t) == found
        assert snapshot.digest(course.state) == before
        course.learn(instance, course.decide(instance))
    assert 0 <= course.recommended(course.steps) < course.problem.task.n_hypotheses


@pytest.mark.parametrize(
    ("name", "place"), [*CLASSICAL, *((name, p) for name, p in CASES if p == 0 and name == "mapo")]
)
def test_before_any_answer_all_are_recommended_alike(name: str, place: int) -> None:
    """To a network arms are alike, and cuts are not."""
    course, draws = start(name, place), 600
    assert course.problem.task is not None
    m = course.problem.task.n_hypotheses
    counts = np.bincount([course.recommended(t) for t in range(draws)], minlength=m)
    assert (np.abs(counts / draws - 1 / m) <= 4.0 * math.sqrt((1 - 1 / m) / m / draws)).all()


@each_classical_course
def test_what_looks_best_alike_is_recommended_alike(name: str, place: int) -> None:
    """Of arms two have the best answers; of other tasks there are none but one query's, which some hypotheses hold."""
    course, draws = start(name, place), 400
    task, n = course.problem.task, course.problem.n_arms
    assert task is not None
    given = [0.5, 2.0, -1.0, 2.0, 1.0] if task.kind == "arms" else [1.0]
    for t, value in enumerate(given):
        course.learn(open_to_all(course.problem, t), Decision(t, 1.0), answer(value))
    best = [1, 3] if task.kind == "arms" else np.flatnonzero(task.table[:, 0]).tolist()
    counts = np.bincount([course.recommended(t) for t in range(draws)], minlength=n)
    assert np.flatnonzero(counts).tolist() == best
    share = 1 / len(best)
    assert (np.abs(counts[best] / draws - share) <= 4.0 * math.sqrt(share * (1 - share) / draws)).all()


@each_classical_course
def test_a_batch_that_is_asked_at_once_holds_every_query(name: str, place: int) -> None:
    course = start(name, place)
    n = course.problem.n_arms
    asked = [course.decide(open_to_all(course.problem, t)).action for t in range(n)]
    assert sorted(asked) == list(range(n))


@pytest.mark.parametrize("name", sorted({name for name, _ in CLASSICAL}))
@pytest.mark.parametrize("queries", BUDGETS)
def test_small_tasks_and_small_budgets_end_in_a_recommendation(name: str, queries: int) -> None:
    policy = golden.specimen(name)
    played = 0
    for task in SMALL:
        problem = query_problem(task, queries)
        if not fits(policy, problem):
            continue
        played += 1
        course = begin(policy, problem)
        for t in range(queries):
            instance = open_to_all(problem, t)
            decision = course.decide(instance)
            assert 0.0 < decision.propensity <= 1.0
            course.learn(instance, decision)
        assert 0 <= course.recommended(queries) < task.n_hypotheses
        assert course.state.evidence.count.sum() == queries
    assert played >= 4


@pytest.mark.parametrize("name", [name for name, place in CASES if place == 0])
@pytest.mark.parametrize("size", [1e9, ANSWER_MAX])
@np.errstate(over="ignore", invalid="ignore")  # a score may be anything; no state and no law
def test_wild_answers_leave_a_law(name: str, size: float) -> None:
    course = start(name, 0)
    assert course.problem.task is not None
    assert course.problem.task.answers == "normal"
    for instance in course.instances(course.steps):
        law = course.law(instance)
        assert law.sum() == pytest.approx(1.0, abs=1e-9)
        decision = course.decide(instance)
        course.learn(instance, decision, answer(size * (-1.0) ** instance.t) if instance.t % 3 else None)
        assert 0 <= course.recommended(instance.t) < course.problem.task.n_hypotheses


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_without_a_budget_is_refused_or_not_needed(name: str) -> None:
    policy = golden.specimen(name)
    assert fits(policy, replace(golden.task_of(policy), horizon=None)) == (name not in PLANNERS)


@pytest.mark.jit
def test_compiled_frequencies_of_top_two_thompson_are_its_law() -> None:
    course, draws = start("top_two_thompson", 0).play(12), 20_000
    instance = Instance(12, np.zeros(0), np.array([True, True, False, True, True]))
    law = course.law(instance)
    counts = np.zeros(5, np.int64)
    count_actions(course.policy.params, course.state, instance, RUN, counts, draws)
    assert ((law > 0.02) & (law < 0.9)).sum() >= 2
    assert (np.abs(counts / draws - law) <= 4.0 * np.sqrt(law * (1.0 - law) / draws)).all()
