"""Checks at the boundary: every rule refuses what breaks it, and says so."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from onearm.engine import problem as rules
from onearm.engine.choices import Arms, ArmStream, Queries, Vectors
from onearm.engine.domain import ball, simplex
from onearm.engine.errors import InvalidInput, OnearmError
from onearm.engine.task import best_arm
from onearm.engine.vocabulary import Problem

PLAIN, DENSE = Problem(3), Problem(3, (2,))
WORDS: Any = ("new", "old")


@pytest.mark.parametrize(
    ("check", "code", "said"),
    [
        (lambda: rules.check_problem(Problem(0)), "bad_arms", "there are 0 arms: a problem has 1 to 1000000"),
        (lambda: rules.check_problem(Problem(1_000_001)), "bad_arms", "1000001 arms"),
        (lambda: rules.check_problem(Problem(0, domain=simplex(1))), "bad_domain", "the domain is a single point"),
        (lambda: rules.check_problem(Problem(0, domain=ball(2, 1e-200))), "bad_domain", "the domain is a single point"),
        (lambda: rules.check_problem(Problem(2, domain=ball(2))), "bad_arms", "leave either the domain or them out"),
        (
            lambda: rules.check_problem(Problem(3, (8,), nonzeros=5)),
            "bad_context",
            "named features have a row for each",
        ),
        (lambda: rules.check_problem(Problem(3, (2, 8))), "bad_context", "2 rows for 3 arms"),
        (lambda: rules.check_problem(Problem(2, tags=WORDS)), "bad_tags", "give a tuple of strings for each arm"),
        (lambda: rules.check_problem(Problem(2, tags=((7,), WORDS))), "bad_tags", "give a tuple of strings for each"),
        (lambda: rules.check_problem(Problem(2, tags=(WORDS,))), "bad_tags", "and there are 2 arms"),
        (lambda: rules.check_problem(Problem(3, (3, 8, 2))), "bad_context", "the contexts have the shape [3, 8, 2]"),
        (lambda: rules.check_problem(Problem(0, slots=0)), "bad_slots", "there are 0 slots"),
        (lambda: rules.check_problem(Problem(-1, slots=1)), "bad_arms", "the stream has -1 arms"),
        (lambda: rules.check_problem(Problem(0, (2,), slots=1)), "bad_context", "arms that stream come without"),
        (lambda: rules.check_problem(Problem(0, (2, 2), domain=ball(2))), "bad_context", "are lists of numbers"),
        (lambda: rules.check_problem(Problem(3, horizon=0)), "bad_horizon", "from 1 to 2^53"),
        (lambda: rules.check_problem(Problem(0, horizon=2**63, slots=1)), "bad_horizon", "from 1 to 2^62"),
        (lambda: rules.check_seed(-1), "bad_seed", "the seed is -1: it must be a whole number from 0 to 2^64 - 1"),
        (lambda: rules.check_seed(2**64), "bad_seed", "18446744073709551616"),
        (lambda: rules.check_seed(True), "bad_seed", "True"),
        (lambda: rules.check_seed(1.0), "bad_seed", "1.0"),  # type: ignore[arg-type]
        (lambda: rules.check_seed("1"), "bad_seed", "'1'"),  # type: ignore[arg-type]
        (lambda: rules.check_param("a", math.nan), "bad_param", "a is nan: it must be one finite number"),
        (lambda: rules.check_param("a", math.inf, low=0.0), "bad_param", "a is inf: it must be a number in [0, inf)"),
        (lambda: rules.check_param("a", -0.1, low=0.0, high=1.0), "bad_param", "in [0, 1]"),
        (lambda: rules.check_param("a", 1.1, low=0.0, high=1.0), "bad_param", "in [0, 1]"),
        (lambda: rules.check_param("a", 0.0, low=0.0, low_open=True), "bad_param", "in (0, inf)"),
        (lambda: rules.check_param("a", 1.0, high=1.0, high_open=True), "bad_param", "in (-inf, 1)"),
        (lambda: rules.check_param("a", True), "bad_param", "a is True"),
        (lambda: rules.check_param("a", "1"), "bad_param", "a is '1'"),  # type: ignore[arg-type]
        (lambda: rules.check_vector("m", []), "bad_param", "m has the shape (0,): it must be a list of one or more"),
        (lambda: rules.check_vector("m", [[1.0]]), "bad_param", "(1, 1)"),  # type: ignore[list-item]
        (lambda: rules.check_vector("m", 3.0), "bad_param", "shape ()"),  # type: ignore[arg-type]
        (lambda: rules.check_vector("m", ["x"]), "bad_param", "it must be a list of numbers"),  # type: ignore[list-item]
        (lambda: rules.check_vector("m", [[1.0], [1.0, 2.0]]), "bad_param", "list of numbers"),  # type: ignore[list-item]
        (lambda: rules.check_vector("m", [0.5, math.nan]), "bad_param", "m[1] is nan: it must be a finite number"),
        (lambda: rules.check_vector("m", [0.5, 2.0], low=0.0, high=1.0), "bad_param", "m[1] is 2: it must be"),
        (lambda: rules.check_reward(math.nan), "bad_reward", "the reward is nan: it must be a finite number"),
        (lambda: rules.check_reward(-math.inf), "bad_reward", "-inf"),
        (lambda: rules.check_reward("1"), "bad_reward", "the reward is '1'"),
        (lambda: rules.check_reward(True), "bad_reward", "True"),
        (lambda: rules.check_reward(None), "bad_reward", "None"),
        (lambda: rules.check_context(DENSE, None), "bad_context", "the context is missing: it must have the shape [2]"),
        (lambda: rules.check_context(DENSE, [1.0]), "bad_context", "the shape [1]: it must have [2]"),
        (lambda: rules.check_context(DENSE, [[1.0, 2.0]]), "bad_context", "the shape [1, 2]"),
        (lambda: rules.check_context(DENSE, [1.0, math.nan]), "bad_context", "not finite"),
        (lambda: rules.check_context(DENSE, [1.0, math.inf]), "bad_context", "not finite"),
        (lambda: rules.check_context(DENSE, ["a", "b"]), "bad_context", "not a list of numbers"),
        (lambda: rules.check_context(DENSE, {"a": 1}), "bad_context", "not a list of numbers"),
        (lambda: rules.check_context(PLAIN, [1.0]), "bad_context", "the shape [1]: it must have [0]"),
    ],
)
def test_what_breaks_a_rule_is_refused(check: Callable[[], Any], code: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check()
    assert caught.value.code == code
    assert said in str(caught.value)
    assert isinstance(caught.value, OnearmError) and isinstance(caught.value, ValueError)


def test_what_keeps_the_rules_comes_back_as_the_engine_needs_it() -> None:
    rules.check_problem(Problem(1))
    rules.check_problem(Problem(1_000_000))
    assert rules.check_seed(0) == 0 and rules.check_seed(2**64 - 1) == 2**64 - 1
    assert rules.check_param("a", 0, low=0.0, high=1.0) == 0.0
    assert isinstance(rules.check_param("a", 1), float)
    assert rules.check_param("a", 1.0, high=1.0) == 1.0
    assert rules.check_reward(3) == 3.0 and isinstance(rules.check_reward(3), float)
    context = rules.check_context(DENSE, [1, 2.5])
    assert context.dtype == np.float64 and context.tolist() == [1.0, 2.5]
    assert rules.check_context(PLAIN, None).shape == rules.check_context(PLAIN, []).shape == (0,)


EVERY_CHOICE = [
    (Problem(3, (2,), 10), Arms(3)),
    (Problem(7, horizon=100, slots=2), ArmStream(7, slots=2)),
    (Problem(0, (4,), domain=ball(2), feedback="gradient"), Vectors(ball(2), "gradient")),
    (Problem(3, horizon=9, feedback="answer", task=best_arm(3)), Queries(best_arm(3))),
]


@pytest.mark.parametrize(("problem", "choice"), EVERY_CHOICE)
def test_a_problem_is_made_of_its_words_or_of_its_choice(problem: Problem, choice: Any) -> None:
    assert problem.choice == choice
    made = Problem.of(choice, problem.context_shape, problem.horizon, problem.nonzeros)
    assert made == problem and hash(made) == hash(problem) and repr(made) == repr(problem)
    assert [field.name for field in dataclasses.fields(problem)] == [*inspect.signature(Problem).parameters, "choice"]


@pytest.mark.parametrize(("problem", "choice"), EVERY_CHOICE)
def test_a_problem_is_copied_and_kept_as_before(problem: Problem, choice: Any) -> None:
    for same in (copy.copy(problem), copy.deepcopy(problem), pickle.loads(pickle.dumps(problem))):
        assert same == problem and same.choice == choice
    longer = dataclasses.replace(problem, horizon=77)
    assert (longer.horizon, longer.choice, longer.context_shape) == (77, choice, problem.context_shape)
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem.horizon = 1  # type: ignore[misc]


def test_a_replaced_word_makes_another_choice() -> None:
    assert dataclasses.replace(Problem(3), n_arms=4).choice == Arms(4)
    assert dataclasses.replace(Problem(0, domain=ball(2)), feedback="losses").choice == Vectors(ball(2), "losses")
    assert dataclasses.replace(Problem(3), slots=1).choice == ArmStream(3, slots=1)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ({"n_arms": 0, "slots": 1, "domain": ball(2)}, "bad_problem", "slots and a domain"),
        ({"n_arms": 3, "slots": 1, "feedback": "answer", "task": best_arm(3)}, "bad_problem", "slots and a task"),
        ({"n_arms": 0, "domain": ball(2), "task": best_arm(3)}, "bad_problem", "a domain and a task: what is decided"),
        ({"n_arms": 3, "domain": ball(2)}, "bad_arms", "there are 3 arms: leave either the domain or them out"),
        ({"n_arms": 3, "feedback": "gradient"}, "bad_feedback", "the feedback is 'gradient', and no vector"),
        ({"n_arms": 3, "feedback": "answer"}, "bad_feedback", "the feedback is 'answer', and there is no task"),
        ({"n_arms": 3, "slots": 1, "feedback": "losses"}, "bad_feedback", "give the problem a domain"),
        ({"n_arms": 0, "domain": ball(2), "feedback": "answer"}, "bad_feedback", "of vectors it must be one of reward"),
        ({"n_arms": 0, "domain": ball(2), "feedback": "shout"}, "bad_feedback", "the feedback is 'shout'"),
        ({"n_arms": 4, "feedback": "answer", "task": best_arm(3)}, "bad_task", "a task of 3 queries and 4 arms"),
        ({"n_arms": 3, "task": best_arm(3)}, "bad_task", "the feedback 'reward'"),
    ],
)
def test_words_that_contradict_each_other_make_no_problem(words: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Problem(**words)
    assert caught.value.code == code
    assert said in str(caught.value)


def test_a_vector_is_copied() -> None:
    given = np.array([0.1, 0.2])
    taken = rules.check_vector("m", given)
    given[0] = 9.0
    assert taken.tolist() == [0.1, 0.2]


def test_a_range_without_ends_is_not_spelt_out() -> None:
    for check in (
        lambda: rules.check_param("a", math.nan),
        lambda: rules.check_vector("a", [math.nan]),
        lambda: rules.check_table("a", [[math.nan]]),
    ):
        with pytest.raises(InvalidInput, match=r"is nan: it must be (one|a) finite number$"):
            check()
    with pytest.raises(InvalidInput, match=r"is 2: it must be a finite number from 0 to 1$"):
        rules.check_table("a", [[2.0]], low=0.0, high=1.0)
