"""Twenty questions: answers of the object that is meant, made-up tables, and the share of objects that is found."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import recommendation_loss, respond
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Environment, Instance, Key
from onearm.envs import catalog
from onearm.policies import catalog as policies

TABLE = [[0, 0, 1], [0, 1, 0], [1, 1, 1]]


def begin(env: Environment, seed: int) -> object:
    return env.init(env.params, env.problem, run_key(seed, 0, NATURE))


def share_of_yes(env: Environment, question: int, times: int) -> float:
    run, detail, yes = run_key(1, 0, NATURE), np.zeros(1), 0
    state = env.init(env.params, env.problem, run)
    instance = Instance(0, np.zeros(0), np.ones(env.problem.n_arms, np.bool_))
    for t in range(times):
        assert respond(env.params, state, instance, question, detail, Key(run, t)) == (0.0, 0)
        assert detail[0] in (-1.0, 1.0)
        yes += int(detail[0] == 1.0)
    return yes / times


def test_without_noise_answers_are_those_of_the_object() -> None:
    for meant, row in enumerate(TABLE):
        env = catalog.make("twenty_questions", table=TABLE, noise=0.0, object=meant)
        assert [share_of_yes(env, question, 20) for question in range(3)] == row


@pytest.mark.parametrize(
    ("yes", "noise", "chance"), [(1.0, 0.2, 0.8), (0.0, 0.2, 0.2), (0.7, 0.0, 0.7), (0.7, 0.25, 0.6)]
)
def test_answers_are_wrong_as_often_as_the_noise_says(yes: float, noise: float, chance: float) -> None:
    env = catalog.make("twenty_questions", table=[[yes, 0.0], [yes, 1.0]], noise=noise, object=0)
    assert env.params.mean[0, 0] == pytest.approx(2 * chance - 1, abs=1e-15)
    assert abs(share_of_yes(env, 0, 2000) - chance) <= 4 * math.sqrt(chance * (1 - chance) / 2000)


def test_hypotheses_are_the_likelier_answers() -> None:
    env = catalog.make("twenty_questions", table=[[0.9, 0.5, 0.51], [0.2, 0.8, 0.49]])
    task = env.problem.task
    assert task is not None
    assert task.table.tolist() == [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    assert (task.answers, task.loss) == ("signs", "identification")


def test_the_object_is_drawn_from_natures_key_and_each_is_as_likely() -> None:
    env, runs = catalog.make("twenty_questions", table=TABLE), 600
    meant = np.zeros(3)
    for seed in range(runs):
        state = begin(env, seed)
        costs = [recommendation_loss(env.params, state, z) for z in range(3)]
        assert sorted(costs) == [0.0, 1.0, 1.0]
        assert state.mean.tolist() == env.params.mean[costs.index(0.0)].tolist()  # type: ignore[attr-defined]
        meant[costs.index(0.0)] += 1
    assert (np.abs(meant / runs - 1 / 3) <= 4 * math.sqrt(2 / 9 / runs)).all()
    fixed = catalog.make("twenty_questions", table=TABLE, object=2)
    assert {tuple(begin(fixed, seed).loss) for seed in range(5)} == {(1.0, 1.0, 0.0)}  # type: ignore[attr-defined]


def test_made_up_tables_have_distinct_rows_that_follow_from_the_seed() -> None:
    env, again, other = (catalog.make("twenty_questions", seed=seed).params.mean for seed in (0, 0, 1))
    assert env.shape == (50, 20)
    assert (env == again).all()
    assert (env != other).any()
    tight = catalog.make("twenty_questions", objects=16, questions=5, noise=0.0).params.mean
    assert len(np.unique(tight, axis=0)) == 16
    wide = catalog.make("twenty_questions", objects=400, questions=30, noise=0.0).params.mean
    assert abs(wide.mean()) <= 4 / math.sqrt(wide.size)


def test_objects_are_found_in_fewer_questions_where_these_are_chosen() -> None:
    """30 objects are 5 bits: 6 questions that are chosen tell them apart, and of random ones 24 of 30 expected."""
    env = catalog.make("twenty_questions", objects=30, questions=20, noise=0.0)
    wrong = [
        simulate(policies.make(policy), env, horizon=6, replications=40, seed=1).regret[:, -1].mean()
        for policy in ("generalised_binary_search", "uniform_budget")
    ]
    assert wrong[0] == 0.0
    assert abs(wrong[1] - 0.2) <= 4 * math.sqrt(0.2 * 0.8 / 40)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"table": [[0, 1], [0, 1]]}, "hypotheses 0 and 1 are the same"),
        ({"table": [[0.1, 0.9], [0.2, 0.8]]}, "hypotheses 0 and 1 are the same"),
        ({"table": [[0, 2]]}, r"table\[0\]\[1\] is 2"),
        ({"table": [[0, 1]]}, "one hypothesis"),
        ({"table": [[0, 1], [1]]}, "not a table"),
        ({"table": TABLE, "questions": 3}, "leave objects and questions out"),
        ({"table": TABLE, "object": 3}, "object is 3: it must be a whole number from 0 to 2"),
        ({"object": -1}, "object is -1"),
        ({"noise": 0.5}, "noise is 0.5"),
        ({"objects": 1}, "1 objects"),
        ({"objects": 17, "questions": 5}, "give more questions"),
        ({"objects": 2**24, "questions": 20}, "their product at most"),
        ({"questions": 0}, "0 questions"),
        ({"questions": 2.0}, "2.0 questions"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_is_no_world_is_refused(params: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        catalog.make("twenty_questions", **params)
