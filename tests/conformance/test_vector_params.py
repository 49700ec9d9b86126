"""Params of policies and worlds of vectors: what is no number of the right kind is refused by name, whatever it is."""

from __future__ import annotations

import inspect
import math
from typing import Any

import golden
import numpy as np
import pytest
from support import descents

from onearm.engine.domain import ball
from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Instance, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

WORLDS = ("sea", "random_order", "online_regression", "portfolio", "label_shift", "forecasts")
POLICIES = [*golden.names("vector"), "log_barrier_omd"]
NEVER = (math.nan, math.inf, -math.inf, 1e309, 1e101, 10**400, 1j, b"x", "1", [[]], {"a": 1}, [1.0, "x"])
TRUE_OR_FALSE = ("combine",)  # params that are one of these


def cases() -> list[tuple[Any, str, str, dict[str, Any]]]:
    """Return (catalog, name, param, the params that are needed)."""
    makers = [(policies, name, golden.SPECIMENS.get(name, {})) for name in POLICIES]
    makers += [(envs, name, {}) for name in WORLDS]
    return [
        (catalog, name, param, needed)
        for catalog, name, needed in makers
        for param in inspect.signature(catalog.factory(name)).parameters
    ]


@pytest.mark.parametrize(("catalog", "name", "param", "needed"), cases(), ids=lambda value: str(value)[:40])
def test_what_a_param_cannot_be_is_refused_by_its_name(
    catalog: Any, name: str, param: str, needed: dict[str, Any]
) -> None:
    for value in (*NEVER, *((True, False) if param not in TRUE_OR_FALSE else ())):
        with pytest.raises(InvalidInput, match=param):
            catalog.make(name, **needed | {param: value})


@pytest.mark.parametrize("name", POLICIES)
def test_numbers_so_small_that_steps_are_infinite_are_refused(name: str) -> None:
    needed = golden.SPECIMENS.get(name, {})
    for param in ("gradient_max", "convexity", "step", "eta", "scale"):
        if param in inspect.signature(policies.factory(name)).parameters and name != "optimistic_newton":
            with pytest.raises(InvalidInput, match=f"{param} is 1e-320: it must be a number in .1e-100, "):
                policies.make(name, **needed | {param: 1e-320})


@pytest.mark.parametrize("param", ["gradient_max", "convexity"])
@pytest.mark.parametrize("name", ["gradient_descent", "optimistic_omd", "optimistic_ftrl"])
def test_the_smallest_that_are_taken_give_points(name: str, param: str) -> None:
    policy = policies.make(name, **{param: 1e-100})
    state = policy.init(policy.params, Problem(0, domain=ball(2), feedback="gradient"))
    for t in range(10):
        instance = Instance(t, np.zeros(0), np.ones(1, np.bool_))
        x = descents.played(policy, state, instance, lambda x, t=t: np.array([(-1.0) ** t, 1e-50]))
        assert np.linalg.norm(x) <= 1.0 + 1e-12
    assert np.abs(x).max() > 0.2
