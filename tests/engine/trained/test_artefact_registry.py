"""The artefacts: which artefact a name, and which a problem, means."""

from __future__ import annotations

import dataclasses

import pytest
from support.small_artefacts import arm_artefact, flat_artefact, table_artefact

from onearm.engine.errors import InvalidInput
from onearm.engine.problem import query_problem
from onearm.engine.task import best_arm, hypotheses, thresholds
from onearm.engine.trained.artefact import Artefact
from onearm.engine.trained.artefact_registry import ArtefactRegistry
from onearm.engine.vocabulary import Problem

ARMS, POINTS, TABLE = arm_artefact(), flat_artefact(), table_artefact()


def of(made: Artefact) -> Problem:
    return query_problem(made.task, made.budget)


def test_a_problem_finds_the_only_one_that_is_for_it() -> None:
    artefacts = ArtefactRegistry(lambda: [ARMS, POINTS, TABLE])
    for made in (ARMS, POINTS, TABLE):
        assert artefacts.fitting(of(made)) is made
        assert artefacts.find(made.name) is made
        assert artefacts.find(made.label) is made
        assert artefacts.find(f"{made.name}@{made.sha256}") is made
        assert artefacts.find(f"{made.name}@{made.sha256[:8]}") is made


def test_what_ships_is_read_once_and_when_it_is_asked_for() -> None:
    reads = []
    artefacts = ArtefactRegistry(lambda: reads.append(1) or [ARMS])
    assert reads == []
    artefacts.find(ARMS.name)
    artefacts.fitting(of(ARMS))
    assert reads == [1]


def test_a_file_that_a_person_gave_goes_before_what_ships() -> None:
    mine = arm_artefact(seed=1)
    artefacts = ArtefactRegistry(lambda: [ARMS])
    artefacts.add(mine)
    assert artefacts.find(ARMS.name) is mine
    assert artefacts.fitting(of(ARMS)) is mine
    assert artefacts.find(ARMS.label) is ARMS


def test_what_a_log_keeps_is_found_by_its_full_name_alone() -> None:
    old = arm_artefact(seed=1)
    artefacts = ArtefactRegistry(list)
    artefacts.keep(old)
    for find in (lambda: artefacts.fitting(of(old)), lambda: artefacts.find(old.name)):
        with pytest.raises(InvalidInput, match="there is none at all"):
            find()
    artefacts = ArtefactRegistry(lambda: [ARMS])
    artefacts.keep(old)
    assert artefacts.find(old.label) is old
    assert artefacts.find(ARMS.name) is ARMS
    assert artefacts.fitting(of(ARMS)) is ARMS
    artefacts.add(old)
    assert artefacts.find(ARMS.name) is old
    artefacts.keep(old)  # what was given stays given
    assert artefacts.find(ARMS.name) is old


def test_several_that_fit_are_named() -> None:
    first, second = arm_artefact(seed=1), arm_artefact(seed=2)
    artefacts = ArtefactRegistry(list)
    artefacts.add(first)
    artefacts.add(second)
    artefacts.add(second)
    for find in (lambda: artefacts.fitting(of(first)), lambda: artefacts.find(first.name)):
        with pytest.raises(InvalidInput, match="name one of them in full") as error:
            find()
        assert first.label in str(error.value)
        assert second.label in str(error.value)


def test_none_that_fits_is_said_with_what_there_is() -> None:
    artefacts = ArtefactRegistry(lambda: [ARMS])
    with pytest.raises(InvalidInput, match=r"3 arms, .* budget 7: there are arms-3-6 \(3 arms, .* budget 6\)"):
        artefacts.fitting(query_problem(ARMS.task, 7))
    with pytest.raises(InvalidInput, match="there is no artefact 'arms-9-9': there are arms-3-6"):
        artefacts.find("arms-9-9")
    with pytest.raises(InvalidInput, match="there is no artefact 'arms-3-6@0000000000'"):
        artefacts.find("arms-3-6@0000000000")
    with pytest.raises(InvalidInput, match="8 to 64 digits"):
        artefacts.find("arms-3-6@00")


@pytest.mark.parametrize(
    ("problem", "why"),
    [
        (query_problem(thresholds(3), 6), "is for the task 'arms', and this one is 'thresholds'; take thresholds-3-6"),
        (query_problem(best_arm(4), 6), "is for 3 queries, and this task has 4; no other artefact fits"),
        (query_problem(best_arm(3, "bits"), 6), "is for answers that are 'normal', and here they are 'bits'"),
        (query_problem(best_arm(3, loss="simple_regret"), 6), "is for the loss 'identification', and here it is"),
        (query_problem(best_arm(3), 7), "is for a budget of 6 queries, and this problem has 7"),
        (query_problem(best_arm(3), None), "is for a budget of 6 queries, and this problem has none"),
        (Problem(3), "is for queries within a budget, and this problem has none"),
    ],
)
def test_a_problem_that_an_artefact_is_not_for_is_refused(problem: Problem, why: str) -> None:
    artefacts = ArtefactRegistry(lambda: [ARMS, POINTS])
    with pytest.raises(InvalidInput, match=f"the artefact 'arms-3-6' {why}"):
        artefacts.check(ARMS, problem)
    artefacts.check(ARMS, of(ARMS))


def test_tables_of_hypotheses_are_compared() -> None:
    mine = dataclasses.replace(flat_artefact(points=2), task=hypotheses([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    artefacts = ArtefactRegistry(lambda: [mine])
    assert artefacts.fitting(of(mine)) is mine
    with pytest.raises(InvalidInput, match="another table of hypotheses"):
        artefacts.check(mine, query_problem(hypotheses([[1.0, 0.0], [0.0, 1.0], [1.0, 2.0]]), 6))
