"""Which contexts are familiar: those like the newest, in any unit; and what shifts becomes familiar by and by."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine.changes.familiar import Anything, Coordinates, coordinates, familiarity, is_familiar, others_come
from onearm.engine.vocabulary import Array, Problem


def answers(seen: Coordinates, contexts: Array) -> Array:
    return np.array([is_familiar(seen, context) for context in contexts])


def contexts_of(n: int, d: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize("d", [1, 4, 16])
def test_what_comes_from_one_law_is_familiar(d: int) -> None:
    assert answers(coordinates(d), contexts_of(1500, d))[100:].mean() > 0.9


@pytest.mark.parametrize(("offset", "unit"), [(0.0, 1.0), (1e6, 1.0), (-3.0, 1e-8), (0.0, 1e100)])
def test_what_moves_by_three_deviations_is_strange_for_some_hundred(offset: float, unit: float) -> None:
    seen = coordinates(8)
    answers(seen, offset + unit * contexts_of(1000, 8))
    after = answers(seen, offset + unit * (3.0 + contexts_of(1000, 8, seed=1)))
    assert after[:100].mean() < 0.1
    assert 150 <= np.flatnonzero(after)[20] <= 300
    assert after[400:].mean() > 0.9


def test_the_mean_and_the_deviation_are_those_of_the_contexts() -> None:
    seen, contexts = coordinates(3), 5.0 + contexts_of(900, 3) * [1.0, 2.0, 0.0]
    answers(seen, contexts)
    assert seen.mean == pytest.approx(contexts.mean(axis=0))
    assert seen.square == pytest.approx(contexts.var(axis=0), rel=0.01)


def test_a_coordinate_that_never_varied_is_as_strange_as_can_be_once_it_does() -> None:
    seen = coordinates(2)
    assert answers(seen, np.full((50, 2), 7.0))[1:].all()
    assert not is_familiar(seen, np.array([7.0, 7.1]))
    assert np.isfinite(seen.square).all()


def test_others_come_from_a_shift_on_until_all_are_familiar() -> None:
    seen = coordinates(8)
    for context in contexts_of(1000, 8):
        is_familiar(seen, context)
        assert not others_come(seen)
    told = []
    for context in 3.0 + contexts_of(1000, 8, seed=1):
        familiar = is_familiar(seen, context)
        told.append((others_come(seen), familiar))
    others, familiar = np.array(told).T
    begin, end = np.flatnonzero(others)[[0, -1]]
    assert 15 <= begin <= 30
    assert others[begin : end + 1].all()
    assert 200 <= end <= 400
    assert familiar[begin:end].mean() > 0.1


def test_a_group_that_is_always_strange_is_no_shift() -> None:
    seen, random = coordinates(8), np.random.default_rng(0)
    strange = 0
    for context in contexts_of(3000, 8):
        far = random.random() < 0.15
        strange += not is_familiar(seen, context * 6.0 if far else context)
        assert not others_come(seen)
    assert strange > 100


@pytest.mark.parametrize("wild", [1e100, -1e308, 50.0])
def test_one_wild_context_makes_no_other_strange(wild: float) -> None:
    seen = coordinates(2)
    answers(seen, contexts_of(500, 2))
    assert not is_familiar(seen, np.full(2, wild))
    assert answers(seen, contexts_of(500, 2, seed=1)).mean() > 0.9


def test_contexts_of_other_kinds_are_familiar() -> None:
    assert isinstance(familiarity(Problem(3, (4,))), Coordinates)
    for problem in (Problem(3, (3, 4)), Problem(3, (3, 64), nonzeros=9)):
        seen = familiarity(problem)
        assert isinstance(seen, Anything)
        assert is_familiar(seen, np.full((3, 4), 1e9))
        assert not others_come(seen)
