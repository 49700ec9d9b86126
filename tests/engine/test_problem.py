"""Checks at the boundary: every rule refuses what breaks it, and says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from onearm.engine import problem as rules
from onearm.engine.domain import ball, simplex
from onearm.engine.errors import InvalidInput, OnearmError
from onearm.engine.vocabulary import Problem

PLAIN, DENSE = Problem(3), Problem(3, (2,))


@pytest.mark.parametrize(
    ("check", "code", "said"),
    [
        (lambda: rules.check_problem(Problem(0)), "bad_arms", "there are 0 arms: a problem has 1 to 1000000"),
        (lambda: rules.check_problem(Problem(1_000_001)), "bad_arms", "1000001 arms"),
        (lambda: rules.check_problem(Problem(0, domain=simplex(1))), "bad_domain", "the domain is a single point"),
        (lambda: rules.check_problem(Problem(0, domain=ball(2, 1e-200))), "bad_domain", "the domain is a single point"),
        (lambda: rules.check_problem(Problem(2, domain=ball(2))), "bad_arms", "leave either the domain or them out"),
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
        (lambda: rules.check_reward("1"), "bad_reward", "the reward is 1"),
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
        (lambda: rules.check_available(PLAIN, [True]), "bad_available", "the shape [1]: it must have [3]"),
        (lambda: rules.check_available(PLAIN, [False] * 3), "no_arm_available", "at least one must be"),
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
    assert rules.check_available(PLAIN, None).tolist() == [True] * 3
    assert rules.check_available(PLAIN, [0, 1, 0]).tolist() == [False, True, False]


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
