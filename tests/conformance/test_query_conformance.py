"""What every policy that asks queries keeps to: a file in policies/ is tested without a line here.

`test_conformance.py` asks of all policies for a docstring, a spec and params that are known, `test_golden.py` for the
golden digests, with the JIT and without.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import golden
import numpy as np
import pytest
from numba import njit

from onearm.engine import loop, snapshot
from onearm.engine.columns import empty, take
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import fitted, query_problem
from onearm.engine.protocol import marks, probability, recommend, recommends, select
from onearm.engine.simulation import Simulation
from onearm.engine.task import ANSWER_MAX, Task, best_arm, hypotheses, thresholds
from onearm.engine.vocabulary import (
    DECIDE,
    LEARN,
    Array,
    Columns,
    Decision,
    Environment,
    Feedback,
    Instance,
    Key,
    Policy,
    Problem,
)
from onearm.envs import catalog as envs

RUN = run_key(20, 0, POLICY)
MEANS = {  # of TASKS, by kind
    "arms": [0.25, 1.0, -0.5, 0.0, 0.75],
    "thresholds": [0.5, 0.5, 0.5, 0.5, -0.5, 0.5, -0.5, -0.5, -0.5, -0.5],
    "hypotheses": [-0.5, 0.5, 0.5, 0.25],
}
WORLDS = {
    "arms": envs.make("best_arm", means=MEANS["arms"]),
    "thresholds": envs.make("thresholds", means=MEANS["thresholds"]),
    "hypotheses": envs.make("twenty_questions", table=[[0, 0, 1, 1], [0, 1, 0, 1], [1, 1, 1, 0]]),
}
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


def fits(policy: Policy, problem: Problem) -> bool:
    """Tell whether a policy takes a problem."""
    try:
        chosen = fitted(policy, problem)
        chosen.init(chosen.params, problem)
    except InvalidInput:
        return False
    return True


COURSES = [
    (name, place)
    for name in golden.names("query")
    for place, problem in enumerate(golden.TASKS)
    if fits(golden.specimen(name), problem)
]
NAMES = sorted({name for name, _ in COURSES})
PLANNERS = ("successive_halving", "sequential_elimination", "mapo")  # they need to know the budget
# A network has scores of its own, and was trained on answers that come at once.
CLASSICAL = [(name, place) for name, place in COURSES if name != "mapo"]
each_course = pytest.mark.parametrize(("name", "place"), COURSES)
each_classical_course = pytest.mark.parametrize(("name", "place"), CLASSICAL)


class Course(NamedTuple):
    """A policy in the middle of a run."""

    policy: Policy
    problem: Problem
    state: Any


def start(name: str, place: int, steps: int = 0) -> Course:
    """Return a policy after `steps` queries with masks, each answered at once."""
    course = begin(golden.specimen(name), golden.TASKS[place])
    for instance in instances(course.problem, 0, steps):
        learn(course, instance, decide(course, instance))
    return course


def begin(policy: Policy, problem: Problem) -> Course:
    policy = fitted(policy, problem)
    return Course(policy, problem, policy.init(policy.params, problem))


def instances(problem: Problem, first: int, stop: int) -> Iterator[Instance]:
    """Yield decisions `first` to `stop`, each with a mask of its own: one to all queries."""
    for t in range(first, stop):
        rng = np.random.default_rng([5, t])
        available = rng.random(problem.n_arms) < rng.choice([0.3, 0.7, 1.0])
        available[rng.integers(problem.n_arms)] = True
        yield Instance(t, np.zeros(0), available)


def open_to_all(problem: Problem, t: int) -> Instance:
    return Instance(t, np.zeros(0), np.ones(problem.n_arms, np.bool_))


def decide(course: Course, instance: Instance) -> Decision:
    return Decision(*loop.decide(course.policy.params, course.state, instance, Key(RUN, instance.t)))


def learn(course: Course, instance: Instance, decision: Decision, answer: float | None = None) -> None:
    given = answer_to(course.problem, decision.action, instance.t) if answer is None else answer
    feedback = Feedback(0.0, np.array([given]))
    loop.learn(course.policy.params, course.state, instance, decision, feedback, Key(RUN, instance.t))


def answer_to(problem: Problem, query: int, t: int) -> float:
    """Return an answer: eighths where answers are normal, so that sums of them are exact."""
    assert problem.task is not None
    rng = np.random.default_rng([6, t])
    mean = (MEANS[problem.task.kind] * 2)[query]
    if problem.task.answers == "normal":
        return round(8 * (mean + float(rng.normal()))) / 8
    yes = bool(rng.random() < 0.5 + 0.5 * mean)
    return float(yes) if problem.task.answers == "bits" else 2.0 * yes - 1.0


def law_of(course: Course, instance: Instance) -> Array:
    """Return the probability of every query."""
    params, state = course.policy.params, course.state
    return np.array([probability(params, state, instance, i) for i in range(course.problem.n_arms)])


def recommended(course: Course, t: int) -> int:
    return int(recommend(course.policy.params, course.state, Key(RUN, t)))


def budget(problem: Problem) -> int:
    assert problem.horizon is not None
    return problem.horizon


def test_there_are_policies_that_ask_for_each_kind_of_task() -> None:
    assert {place for _, place in COURSES} == {0, 1, 2}
    assert len(NAMES) >= 7


@each_course
def test_queries_are_open_and_propensities_are_the_law(name: str, place: int) -> None:
    course = start(name, place)
    for instance in instances(course.problem, 0, budget(course.problem)):
        law = law_of(course, instance)
        decision = decide(course, instance)
        assert instance.available[decision.action]
        assert 0.0 < decision.propensity <= 1.0
        assert decision.propensity == law[decision.action]
        assert law.sum() == pytest.approx(1.0, abs=1e-12)
        assert (law[~instance.available] == 0.0).all()
        learn(course, instance, decision)


@each_course
def test_choosing_only_reads_and_repeats_itself(name: str, place: int) -> None:
    course = start(name, place, steps=6)
    before = snapshot.digest(course.state)
    for instance in instances(course.problem, 6, 18):
        key = Key(RUN, instance.t)
        first = select(course.policy.params, course.state, instance, key)
        law_of(course, instance)
        assert tuple(select(course.policy.params, course.state, instance, key)) == tuple(first)
    assert snapshot.digest(course.state) == before


@each_course
def test_frequencies_of_queries_are_the_law(name: str, place: int) -> None:
    course, draws = start(name, place, steps=4), 250
    closed = 1 if course.problem.n_arms > 4 else 0
    available = np.arange(course.problem.n_arms) != closed
    law = law_of(course, Instance(4, np.zeros(0), available))
    counts = np.zeros(course.problem.n_arms)
    for t in range(draws):
        counts[select(course.policy.params, course.state, Instance(4, np.zeros(0), available), Key(RUN, t)).action] += 1
    assert (np.abs(counts / draws - law) <= 4.0 * np.sqrt(law * (1.0 - law) / draws) + 1e-12).all()


@njit(error_model="numpy")  # type: ignore[misc]
def count_queries(params: Any, state: Any, instance: Instance, run: np.uint64, counts: Array, draws: int) -> None:
    """Count what is asked at times 0 to `draws`, all with one state."""
    for t in range(draws):
        counts[select(params, state, instance, Key(run, t)).action] += 1


@each_course
def test_a_run_goes_on_from_its_snapshot_to_the_same_bits(name: str, place: int) -> None:
    course = start(name, place, steps=6)
    fresh = course.policy.init(course.policy.params, course.problem)
    restored = course._replace(state=snapshot.unpack(snapshot.parts(course.state), like=fresh))
    for instance in instances(course.problem, 6, budget(course.problem)):
        made = [decide(each, instance) for each in (course, restored)]
        assert tuple(made[0]) == tuple(made[1])
        for each in (course, restored):
            learn(each, instance, made[0])
        assert recommended(course, instance.t + 1) == recommended(restored, instance.t + 1)
    assert snapshot.digest(restored.state) == snapshot.digest(course.state)


@each_course
def test_the_order_of_answers_that_wait_does_not_matter(name: str, place: int) -> None:
    first, second = start(name, place), start(name, place)
    made = [(i, decide(first, i)) for i in instances(first.problem, 0, 12)]
    for instance, _ in made:
        decide(second, instance)
    for instance, decision in made:
        learn(first, instance, decision)
    order = np.random.default_rng(1).permutation(12)
    assert order.tolist() != list(range(12))
    for i in order:
        learn(second, *made[i])
    assert snapshot.digest(first.state) == snapshot.digest(second.state)


@each_course
def test_late_shuffled_and_missing_answers_are_a_fold_of_the_log(name: str, place: int) -> None:
    course = start(name, place)
    log = late_log(course)
    assert (log.kind == LEARN).sum() < (log.kind == DECIDE).sum() == budget(course.problem)
    params = course.policy.params
    again, folded = (course.policy.init(params, course.problem) for _ in range(2))
    assert loop.replay(params, again, RUN, log) == -1
    loop.fold(params, folded, RUN, log)
    assert snapshot.digest(again) == snapshot.digest(folded) == snapshot.digest(course.state)


def late_log(course: Course) -> Columns:
    """Run a course where every seventh answer never comes, and others up to five queries late; return its log."""
    rng = np.random.default_rng(7)
    n = 2 * budget(course.problem)
    log = empty(n, course.problem)
    log = log._replace(available=np.ones((n, course.problem.n_arms), np.bool_))
    waiting: list[tuple[Instance, Decision]] = []
    row = itertools.count()

    def write(kind: int, instance: Instance, decision: Decision, answer: float) -> None:
        at = next(row)
        log.kind[at], log.number[at] = kind, instance.t
        log.action[at], log.propensity[at] = decision
        log.available[at], log.reward[at], log.detail[at, 0] = instance.available, 0.0, answer

    for instance in instances(course.problem, 0, budget(course.problem)):
        decision = decide(course, instance)
        write(DECIDE, instance, decision, math.nan)
        if instance.t % 7 != 3:
            waiting.append((instance, decision))
        while len(waiting) > instance.t % 5:
            then, before = waiting.pop(int(rng.integers(len(waiting))))
            answer = answer_to(course.problem, before.action, then.t)
            learn(course, then, before, answer)
            write(LEARN, then, before, answer)
    return take(log, slice(0, next(row)))


@each_course
def test_what_was_asked_is_recovered_without_any_answer(name: str, place: int) -> None:
    course = start(name, place)
    asked = [decide(course, instance).action for instance in instances(course.problem, 0, 9)]
    assert marks(course.policy.params)
    assert course.state.evidence.asked.tolist() == np.bincount(asked, minlength=course.problem.n_arms).tolist()
    assert not course.state.evidence.count.any()


@each_course
def test_a_simulation_is_its_replay_its_fold_and_its_steps(name: str, place: int) -> None:
    problem = golden.TASKS[place]
    simulation = Simulation(golden.specimen(name), world_of(problem), horizon=budget(problem), seed=20)
    log = simulation.advance_logged(budget(problem))
    policy = simulation.policy
    states = [policy.init(policy.params, simulation.problem) for _ in range(3)]
    assert loop.replay(policy.params, states[0], simulation.run, log) == -1
    loop.fold(policy.params, states[1], simulation.run, log)
    for row in range(0, len(log.kind), 2):
        instance = open_to_all(problem, row // 2)
        key = Key(simulation.run, instance.t)
        decision = Decision(*loop.decide(policy.params, states[2], instance, key))
        assert decision.action == log.action[row]
        loop.learn(policy.params, states[2], instance, decision, Feedback(0.0, log.detail[row + 1]), key)
    assert {snapshot.digest(state) for state in states} == {snapshot.digest(simulation.state)}


def world_of(problem: Problem) -> Environment:
    """Return an environment with the task of a problem."""
    assert problem.task is not None
    env = WORLDS[problem.task.kind]
    assert env.problem.task is not None
    assert (env.problem.task.answers, env.problem.n_arms) == (problem.task.answers, problem.n_arms)
    return replace(env, problem=replace(env.problem, task=problem.task))


@each_course
def test_a_recommendation_is_a_hypothesis_at_any_time_and_only_reads(name: str, place: int) -> None:
    course = start(name, place)
    assert recommends(course.policy.params)
    assert course.problem.task is not None
    for instance in instances(course.problem, 0, budget(course.problem)):
        before = snapshot.digest(course.state)
        found = recommended(course, instance.t)
        assert 0 <= found < course.problem.task.n_hypotheses
        assert recommended(course, instance.t) == found
        assert snapshot.digest(course.state) == before
        learn(course, instance, decide(course, instance))
    assert 0 <= recommended(course, budget(course.problem)) < course.problem.task.n_hypotheses


@pytest.mark.parametrize(
    ("name", "place"), [*CLASSICAL, *((name, p) for name, p in COURSES if p == 0 and name == "mapo")]
)
def test_before_any_answer_all_are_recommended_alike(name: str, place: int) -> None:
    """To a network arms are alike, and cuts are not."""
    course, draws = start(name, place), 600
    assert course.problem.task is not None
    m = course.problem.task.n_hypotheses
    counts = np.bincount([recommended(course, t) for t in range(draws)], minlength=m)
    assert (np.abs(counts / draws - 1 / m) <= 4.0 * math.sqrt((1 - 1 / m) / m / draws)).all()


@each_classical_course
def test_what_looks_best_alike_is_recommended_alike(name: str, place: int) -> None:
    """Of arms two have the best answers; of other tasks there are none but one query's, which some hypotheses hold."""
    course, draws = start(name, place), 400
    task, n = course.problem.task, course.problem.n_arms
    assert task is not None
    given = [0.5, 2.0, -1.0, 2.0, 1.0] if task.kind == "arms" else [1.0]
    for t, answer in enumerate(given):
        learn(course, open_to_all(course.problem, t), Decision(t, 1.0), answer)
    best = [1, 3] if task.kind == "arms" else np.flatnonzero(task.table[:, 0]).tolist()
    counts = np.bincount([recommended(course, t) for t in range(draws)], minlength=n)
    assert np.flatnonzero(counts).tolist() == best
    share = 1 / len(best)
    assert (np.abs(counts[best] / draws - share) <= 4.0 * math.sqrt(share * (1 - share) / draws)).all()


@each_classical_course
def test_a_batch_that_is_asked_at_once_holds_every_query(name: str, place: int) -> None:
    course = start(name, place)
    n = course.problem.n_arms
    asked = [decide(course, open_to_all(course.problem, t)).action for t in range(n)]
    assert sorted(asked) == list(range(n))


@each_course
def test_a_single_open_query_is_asked_for_sure(name: str, place: int) -> None:
    course = start(name, place, steps=8)
    for t in range(8, 12):
        only = np.arange(course.problem.n_arms) == t % course.problem.n_arms
        instance = Instance(t, np.zeros(0), only)
        decision = decide(course, instance)
        assert decision.action == t % course.problem.n_arms
        assert decision.propensity == pytest.approx(1.0, abs=1e-12)
        learn(course, instance, decision)


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
            decision = decide(course, instance)
            assert 0.0 < decision.propensity <= 1.0
            learn(course, instance, decision)
        assert 0 <= recommended(course, queries) < task.n_hypotheses
        assert course.state.evidence.count.sum() == queries
    assert played >= 4


@pytest.mark.parametrize("name", [name for name, place in COURSES if place == 0])
@pytest.mark.parametrize("size", [1e9, ANSWER_MAX])
@np.errstate(over="ignore", invalid="ignore")  # a score may be anything; no state and no law
def test_wild_answers_leave_a_law(name: str, size: float) -> None:
    course = start(name, 0)
    assert course.problem.task is not None
    assert course.problem.task.answers == "normal"
    for instance in instances(course.problem, 0, budget(course.problem)):
        law = law_of(course, instance)
        assert law.sum() == pytest.approx(1.0, abs=1e-9)
        decision = decide(course, instance)
        learn(course, instance, decision, size * (-1.0) ** instance.t if instance.t % 3 else None)
        assert 0 <= recommended(course, instance.t) < course.problem.task.n_hypotheses


@pytest.mark.parametrize("name", NAMES)
def test_arms_without_a_task_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=f"policy '{name}' decides on queries within a budget"):
        fitted(golden.specimen(name), Problem(5, horizon=15))


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_without_a_budget_is_refused_or_not_needed(name: str) -> None:
    policy = golden.specimen(name)
    assert fits(policy, replace(golden.task_of(policy), horizon=None)) == (name not in PLANNERS)


@pytest.mark.jit
def test_compiled_frequencies_of_top_two_thompson_are_its_law() -> None:
    course, draws = start("top_two_thompson", 0, steps=12), 20_000
    instance = Instance(12, np.zeros(0), np.array([True, True, False, True, True]))
    law = law_of(course, instance)
    counts = np.zeros(5, np.int64)
    count_queries(course.policy.params, course.state, instance, RUN, counts, draws)
    assert ((law > 0.02) & (law < 0.9)).sum() >= 2
    assert (np.abs(counts / draws - law) <= 4.0 * np.sqrt(law * (1.0 - law) / draws)).all()
