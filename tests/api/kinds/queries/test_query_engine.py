"""The Python interface to active learning: what is asked, told and recommended, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import golden
import numpy as np
import pytest
from support.small_artefacts import arm_artefact, flat_artefact

import onearm
from onearm.api.kinds.queries.engine import Query, QueryEngine
from onearm.api.kinds.queries.problem import (
    ARMS_POLICY,
    BISECTION_POLICY,
    QUERY_POLICY,
    TRAINED_POLICY,
    default_policy,
)
from onearm.engine import loop, snapshot, task
from onearm.engine.errors import Conflict, InvalidInput, NotFound
from onearm.engine.problem import fitted, query_problem
from onearm.engine.simulation import Simulation
from onearm.engine.task import Task
from onearm.engine.vocabulary import LEARN, Key
from onearm.envs import catalog as envs
from onearm.policies import artefacts, catalog

BUDGET = 12


@pytest.fixture
def small_artefacts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put artefacts of random weights into the registry, and nothing else."""
    monkeypatch.setattr(artefacts, "_found", {})
    monkeypatch.setattr(artefacts, "_read", True)
    artefacts.add(flat_artefact(budget=BUDGET))
    artefacts.add(arm_artefact(budget=BUDGET))


def opened(policy: str = "uniform_budget", **more: Any) -> QueryEngine:
    return onearm.open(policy, task=onearm.thresholds(3), horizon=BUDGET, **more)


WORLDS: list[tuple[str, dict[str, Any]]] = [
    ("thresholds", {"points": 3, "change": 1}),
    ("best_arm", {"means": [0.0, 1.0, 0.5]}),
]


def agree(policy: str, name: str, **params: Any) -> None:
    """Check that the interface asks, and recommends, as the simulation of an environment does at the same seed."""
    world = envs.make(name, **params)
    assert world.problem.task is not None
    engine = onearm.open(policy, task=world.problem.task, horizon=BUDGET, seed=9)
    run = Simulation(catalog.parse(policy), world, horizon=BUDGET, seed=9)
    log = run.advance_logged(BUDGET)
    for row in np.flatnonzero(log.kind == LEARN):
        query = engine.ask()
        assert (query.query, query.propensity, query.number) == (
            log.action[row],
            log.propensity[row],
            log.number[row],
        )
        engine.tell(query, log.detail[row, 0])
    assert engine.digest() == snapshot.digest(run.state)
    assert world.problem.task.losses(world.params.mean)[engine.recommend().hypothesis] == run.at(BUDGET)[1]


@pytest.mark.usefixtures("small_artefacts_alone")
@pytest.mark.parametrize("policy", [*golden.names("query"), 'mapo:{"play":"greedy"}'])
def test_the_door_asks_as_the_simulation(policy: str) -> None:
    fitting = 0
    for name, params in WORLDS:
        problem = envs.make(name, **params).problem
        try:
            made = fitted(catalog.parse(policy), query_problem(problem.task, BUDGET))  # type: ignore[arg-type]
            made.init(made.params, query_problem(problem.task, BUDGET))  # type: ignore[arg-type]
        except InvalidInput as error:
            assert error.code == "policy_does_not_fit"
            continue
        agree(policy, name, **params)
        fitting += 1
    assert fitting >= 1


@pytest.mark.jit
@pytest.mark.usefixtures("entries_are_compiled")
def test_the_door_asks_as_the_simulation_compiled() -> None:
    agree("uniform_budget", "thresholds", points=3, change=1)


def test_a_query_names_its_number_id_and_propensity() -> None:
    engine = opened()
    assert isinstance(engine, QueryEngine)
    query = engine.ask()
    assert query == Query(0, str(query.query), query.query, 1 / 3)
    assert [type(value) for value in query] == [int, str, int, float]


def test_a_task_may_be_one_of_ours_or_as_over_http() -> None:
    names = {"task": "thresholds", "queries": ["x", "y", "z"]}
    engine, other = onearm.open("uniform_budget", task=names, horizon=BUDGET), opened()
    for _ in range(BUDGET):
        query, same = engine.ask(), other.ask()
        assert query.query_id == "xyz"[same.query] and same.query_id == str(same.query)
    assert engine.spec.problem == other.spec.problem
    rows = [[1, 0, 1], [0, 0, 1]]
    assert onearm.open("uniform_budget", task=onearm.hypotheses(rows), horizon=4).spec.hypotheses == ("0", "1")
    assert onearm.open("uniform_budget", task=onearm.best_arm(2), horizon=4).spec.hypotheses == ("0", "1")


def test_the_root_package_names_the_tasks() -> None:
    for name in ("best_arm", "hypotheses", "thresholds"):
        assert getattr(onearm, name) is getattr(task, name)
        assert name in onearm.__all__


def test_answers_may_be_told_late_by_number_and_in_any_order() -> None:
    engine, other = opened(), opened()
    for one in (engine, other):
        made = [one.ask() for _ in range(4)]
        for t in (2, 0, 3, 1) if one is engine else (0, 1, 2, 3):
            one.tell(made[t].number if one is engine else made[t], 1 if made[t].query else -1)
    assert engine.digest() == other.digest() != opened().digest()
    assert engine.left == BUDGET - 4 and engine.answered == 4


def test_what_is_asked_counts_before_it_is_answered() -> None:
    """A batch does not ask the same query twice while others wait."""
    engine = opened()
    assert {engine.ask().query for _ in range(3)} == {0, 1, 2}


def test_each_query_takes_one_answer_and_only_from_this_engine() -> None:
    engine, other = opened(), opened(seed=1)
    query, strange = engine.ask(), other.ask()._replace(query_id="else")
    with pytest.raises(Conflict, match="another engine"):
        engine.tell(strange, 1)
    engine.tell(query, 1)
    with pytest.raises(Conflict, match="accepted once"):
        engine.tell(query, 1)
    with pytest.raises(NotFound, match="no decision 1"):
        engine.tell(1, 1)


@pytest.mark.parametrize("answer", [0, 0.5, 2, math.nan, math.inf, True, "1", None, [1.0], np.float64(0.0), np.True_])
def test_an_answer_that_the_task_does_not_have_changes_nothing(answer: Any) -> None:
    engine = opened()
    query = engine.ask()
    before = engine.digest()
    with pytest.raises(InvalidInput, match="it must be -1 or 1") as refused:
        engine.tell(query, answer)
    assert refused.value.code == "bad_answer"
    assert (engine.digest(), engine.answered) == (before, 0)
    engine.tell(query, np.int64(-1))
    assert engine.answered == 1


def test_no_query_is_asked_beyond_the_budget() -> None:
    engine = opened()
    made = [engine.ask() for _ in range(BUDGET)]
    before = engine.digest()
    with pytest.raises(Conflict, match="12 queries are asked of 12"):
        engine.ask()
    assert (engine.digest(), engine.left) == (before, 0)
    for query in made[1:]:
        engine.tell(query, 1)
    early = engine.recommend()
    assert not early.final and early.warning is not None and "11 of 12 answers are in" in early.warning
    engine.tell(made[0], 1)
    assert engine.recommend().final and engine.recommend().warning is None


def test_only_open_queries_are_asked() -> None:
    engine = opened()
    assert {engine.ask(open=["0", "2"]).query_id for _ in range(4)} == {"0", "2"}
    assert engine.ask(open=iter(["1"])).propensity == 1.0
    for some, words in (
        (b"0", "must be a list of ids"),
        ("0", "must be a list of ids"),
        (["3"], "there is no action '3'"),
        ([], "no action is left"),
    ):
        with pytest.raises(InvalidInput, match=words):
            engine.ask(open=some)
    assert engine.left == BUDGET - 5


def test_a_recommendation_changes_nothing_and_warns_before_all_answers_are_in() -> None:
    engine = opened()
    before = engine.digest()
    found = engine.recommend()
    assert engine.recommend() == found and engine.digest() == before
    assert (found.final, found.answered, found.pending, found.budget) == (False, 0, 0, BUDGET)
    assert found.warning == "asked early: 0 of 12 answers are in, and what is promised holds after 12"
    engine.ask()
    assert engine.recommend().pending == 1
    assert len({opened(seed=seed).recommend().hypothesis for seed in range(20)}) > 1, "ties are shared"


def test_ties_are_broken_by_the_draw_of_the_next_decision() -> None:
    engine, run = opened(), opened().spec.run
    found = []
    for t in range(BUDGET):  # without an answer all cuts look alike
        found.append(engine.recommend().hypothesis)
        assert found[-1] == loop.recommendation(engine.spec.policy.params, engine.state, Key(run, t))
        engine.ask()
    assert len(set(found)) > 1


@pytest.mark.usefixtures("small_artefacts_alone")
def test_a_trained_policy_tells_its_worst_case() -> None:
    engine = onearm.open(task=onearm.thresholds(3), horizon=BUDGET)
    assert engine.spec.policy.name == "mapo"
    found = engine.recommend()
    assert found.worst_case is not None and [(one.level, one.loss) for one in found.worst_case] == [
        (2.0, 0.12),
        (8.0, 0.33),
    ]
    assert (found.artefact, found.play) == (flat_artefact(budget=BUDGET).label, "sample")
    assert opened().recommend().worst_case is None


@pytest.mark.usefixtures("small_artefacts_alone")
@pytest.mark.parametrize(
    ("asked", "policy"),
    [
        (task.thresholds(3), TRAINED_POLICY),
        (task.thresholds(4), QUERY_POLICY),
        (task.best_arm(3), TRAINED_POLICY),
        (task.best_arm(3, "bits"), ARMS_POLICY),
        (task.hypotheses([[1, 0], [0, 1]]), BISECTION_POLICY),
        (task.hypotheses([[1, 0], [0, 1]], "bits"), BISECTION_POLICY),
        (task.hypotheses([[1, 0], [0, 1]], "normal"), QUERY_POLICY),
        (task.hypotheses([[1, 0], [0, 2]]), QUERY_POLICY),
        (task.hypotheses([[1, 0], [0, 1]], loss="simple_regret"), QUERY_POLICY),
    ],
)
def test_the_usual_policy_is_trained_where_an_artefact_fits_and_else_follows_from_the_task(
    asked: Task, policy: dict[str, Any]
) -> None:
    problem = query_problem(asked, BUDGET)
    assert default_policy(problem) == policy
    made = fitted(catalog.from_spec(policy), problem)
    made.init(made.params, problem)  # refuses what does not fit


@pytest.mark.parametrize(
    "more",
    [{"arms": 2}, {"domain": {"kind": "ball", "dimension": 2}}, {"context": 3}, {"actions": 2}, {"feedback": "losses"}],
)
def test_what_says_something_else_than_the_task_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=f"a task is given, and {next(iter(more))}"):
        opened(**more)


def test_a_task_needs_a_budget_and_a_policy_that_asks() -> None:
    with pytest.raises(InvalidInput, match="it is the budget"):
        onearm.open("uniform_budget", task=onearm.thresholds(3))  # type: ignore[call-overload]
    with pytest.raises(InvalidInput, match="'ucb1' decides on arms"):
        opened("ucb1")
    with pytest.raises(InvalidInput, match=r"problem\.task is None"):
        onearm.open("uniform_budget", task={}, horizon=3)
