"""Half-lives that are changed later: the same as those that were given with a model, in all that forgets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.compiled import compiled

from onearm.engine import protocol
from onearm.engine.oracles.arm_mean import arm_mean
from onearm.engine.oracles.oracle import fit
from onearm.engine.oracles.root_ridge import root_ridge
from onearm.engine.problem import fitted
from onearm.engine.vocabulary import Array, Problem
from onearm.policies import catalog

PROBLEMS = {"dense": Problem(3, (2,)), "actions": Problem(3, (3, 2)), "none": Problem(3)}
FORGETFUL = ("linucb", "linear_thompson", "linear_greedy", "squarecb", "regcb", "softmax", "bag", "fourier_ucb")


@pytest.mark.parametrize("name", [*FORGETFUL, "fourier_softmax"])
@pytest.mark.parametrize("contexts", PROBLEMS)
def test_all_that_a_policy_forgets_by_may_be_changed_later(name: str, contexts: str) -> None:
    problem = PROBLEMS[contexts]
    later, given = begun(name, problem), begun(name, problem, half_life=50.0)
    assert apart(later, given), f"{name} forgets nothing here"
    protocol.decay(later, 50.0)
    assert not apart(later, given)
    protocol.decay(later, math.inf)
    assert all((part == other).all() for part, other in pairs(later, begun(name, problem)) if part.dtype.kind == "f")


@pytest.mark.parametrize("name", ["squarecb", "fourier_softmax"])
def test_the_model_of_named_features_is_one_of_them(name: str) -> None:
    problem = Problem(3, (3, 64), nonzeros=9)
    later = begun(name, problem)
    protocol.decay(later, 50.0)
    assert not apart(later.model, begun(name, problem, half_life=50.0).model)


@pytest.mark.jit
def test_compiled_code_changes_the_same() -> None:
    def decay(state: Any) -> None:
        protocol.decay(state, 50.0)

    for name in ("linucb", "bag"):
        state, expected = begun(name, PROBLEMS["dense"]), begun(name, PROBLEMS["dense"])
        compiled(decay)(state)
        protocol.decay(expected, 50.0)
        assert not apart(state, expected)


def test_what_came_before_counts_half_a_half_life_later() -> None:
    model = arm_mean(Problem(1), regularisation=1e-9)
    context, n = np.zeros(0), 20
    for _ in range(200):
        fit(model, context, 0, 1.0, 1.0)
    protocol.decay((model,), float(n))
    for _ in range(n):
        fit(model, context, 0, 0.0, 1.0)
    newer = sum(2 ** (-i / n) for i in range(n))
    assert model.mean[0] == pytest.approx(100 / (100 + newer), rel=1e-9)


def test_a_model_in_the_middle_of_its_life_counts_from_there() -> None:
    model = root_ridge(2, 8, regularisation=1.0, half_life=None)
    z = np.ones(8)
    for _ in range(7):
        fit(model, z, 0, 1.0, 1.0)
    protocol.decay((model,), 3.0)
    assert (model.due[0], model.period[0]) == (10, 3)
    for _ in range(3):
        fit(model, z, 0, 1.0, 1.0)
    assert (model.due[0], model.weight[0]) == (13, 1.0)


def test_where_decisions_are_awaited_nothing_is_forgotten() -> None:
    state, expected = (begun("linucb", PROBLEMS["dense"], wait=20) for _ in range(2))
    protocol.decay((state.model.model,), 50.0)
    assert not apart(state, expected)


def begun(name: str, problem: Problem, **params: Any) -> Any:
    """Return the state of a policy before any feedback."""
    policy = fitted(catalog.make(name, **params), problem)
    return policy.init(policy.params, problem)


def apart(one: Any, other: Any) -> list[Array]:
    """Return the arrays of two states that differ."""
    return [first for first, second in pairs(one, other) if not np.array_equal(first, second, equal_nan=True)]


def pairs(one: Any, other: Any) -> Iterator[tuple[Array, Array]]:
    for first, second in zip(one, other, strict=True):
        if isinstance(first, tuple):
            yield from pairs(first, second)
        else:
            yield first, second
