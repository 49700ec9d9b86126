"""Standard errors that count what is awaited: as if it had been learned, and then as if it had not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.oracles.awaiting import Awaiting, awaiting
from onearm.engine.oracles.choice import oracle
from onearm.engine.oracles.oracle import fit, note, predict, settle, spread
from onearm.engine.vocabulary import Array, Problem

K, P = 3, 4
PROBLEMS = {"none": Problem(K), "dense": Problem(K, (P,)), "actions": Problem(K, (K, P))}
ALL = np.ones(K, np.bool_)


def models(problem: Problem, wait: int) -> tuple[Any, Any]:
    """Return a model that counts what is awaited, and a plain one; their scales do not depend on contexts."""

    def make() -> Any:
        return oracle(problem, scaling="none")

    return awaiting(make, problem, wait, math.inf), make()


def contexts(problem: Problem, n: int) -> Array:
    return np.random.default_rng(0).normal(size=(n, *problem.context_shape))


def widths(model: Any, context: Array) -> Array:
    found = np.zeros(K)
    spread(model, context, ALL, found)
    return found


def scores(model: Any, context: Array) -> Array:
    found = np.zeros(K)
    predict(model, context, ALL, found)
    return found


@pytest.mark.parametrize("kind", PROBLEMS)
def test_what_is_awaited_counts_as_learned_in_widths_and_not_in_scores(kind: str) -> None:
    problem = PROBLEMS[kind]
    waiting, plain = models(problem, 10)
    _, learned = models(problem, 10)
    for n, context in enumerate(contexts(problem, 8)):
        note(waiting, context, n % K, n)
        fit(plain, context, n % K, 1.0, 1.0)
        if n % 2 == 0:
            settle(waiting, n)
            fit(waiting, context, n % K, float(n), 1.0)
            fit(learned, context, n % K, float(n), 1.0)
    at = contexts(problem, 9)[-1]
    np.testing.assert_allclose(widths(waiting, at), widths(plain, at), rtol=1e-12)
    assert scores(waiting, at).tolist() == scores(learned, at).tolist()


@pytest.mark.parametrize("kind", PROBLEMS)
def test_what_no_answer_comes_of_is_taken_out_again(kind: str) -> None:
    problem = PROBLEMS[kind]
    waiting, plain = models(problem, 4)
    for n, context in enumerate(contexts(problem, 40)):
        note(waiting, context, n % K, n)
        if n >= 36:  # of all others nothing counts any more
            fit(plain, context, n % K, 0.0, 1.0)
    at = contexts(problem, 41)[-1]
    np.testing.assert_allclose(widths(waiting, at), widths(plain, at), rtol=1e-9)


def test_an_answer_that_comes_after_the_wait_is_learned_all_the_same() -> None:
    problem = PROBLEMS["dense"]
    waiting, plain = models(problem, 2)
    given = contexts(problem, 6)
    for n in range(5):
        note(waiting, given[n], 1, n)
    settle(waiting, 0)
    fit(waiting, given[0], 1, 2.0, 1.0)
    for n in (0, 3, 4):
        fit(plain, given[n], 1, 2.0, 1.0)
    np.testing.assert_allclose(widths(waiting, given[5]), widths(plain, given[5]), rtol=1e-9)


def test_without_a_wait_there_is_one_model() -> None:
    waiting, plain = models(PROBLEMS["dense"], 0)
    assert type(waiting) is type(plain)
    assert isinstance(models(PROBLEMS["dense"], 1)[0], Awaiting)


@pytest.mark.parametrize(
    ("problem", "half_life"), [(Problem(K, (K, 16), nonzeros=4), math.inf), (PROBLEMS["dense"], 100.0)]
)
def test_named_features_and_forgetting_are_refused(problem: Problem, half_life: float) -> None:
    with pytest.raises(InvalidInput, match="wait is 5"):
        awaiting(lambda: oracle(problem), problem, 5, half_life)
