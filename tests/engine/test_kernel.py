"""Kernels: who runs which, what is compiled when, and what numba refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
import pytest

from onearm.engine import kernel as kernel_module
from onearm.engine import loop
from onearm.engine.elementary import exp, log, log_gamma
from onearm.engine.errors import InvalidInput
from onearm.engine.kernel import KERNELS, Loop, is_outside, kernel, register, routine
from onearm.engine.vocabulary import Decision, Instance, Key, Problem
from onearm.policies.arms.ucb1 import Ucb1Params, ucb1


def test_a_taken_class_name_is_refused_and_the_first_owner_keeps_its_kernels() -> None:
    kernels = KERNELS[Ucb1Params]
    usurper = NamedTuple("Ucb1Params", [("alpha", float)])  # noqa: UP014 - a class here has a longer name
    with pytest.raises(InvalidInput, match=r"'Ucb1Params' of .*test_kernel.py is taken by .*ucb1.py.*rename"):
        register(usurper, select=kernel(first))
    assert KERNELS[Ucb1Params] is kernels
    assert usurper not in KERNELS


def test_the_package_is_inside_and_everything_else_outside() -> None:
    assert not is_outside(Ucb1Params)
    assert is_outside(Path)
    assert is_outside(first)


@pytest.mark.jit
@pytest.mark.parametrize("decorate", [kernel, routine])
def test_what_python_calls_runs_as_python_and_compiles_nothing(decorate: Any) -> None:
    """All the way down: also a kernel that allocates, which is never compiled, and what that calls."""
    seen: list[Any] = []

    def looks(x: Any) -> Any:
        seen.append(x)
        return short_kernel(len(np.zeros(2)))

    called = decorate(looks)
    assert called("no number") == short_kernel(2)
    assert seen == ["no number"]
    assert not called.overloads and not short_kernel.overloads  # type: ignore[attr-defined]


@pytest.mark.jit
@pytest.mark.parametrize("decorate", [kernel, routine])
def test_python_calls_a_kernel_by_the_names_of_its_arguments(decorate: Any) -> None:
    def less(of: float, by: float = 1.0) -> float:
        return of - by

    assert decorate(less)(by=2.0, of=5.0) == 3.0 and decorate(less)(5.0) == 4.0


@pytest.mark.jit
def test_the_first_tier_of_an_entry_says_nothing_of_what_is_not_finite() -> None:
    params, state, instance, key = arguments_of_decide(2)
    state.count[:] = 1
    state.mean[:] = 1e308, -1e308
    with pytest.warns(RuntimeWarning, match="overflow"):
        _ = state.mean[0] * np.float64(10.0)
    wide = params._replace(alpha=np.float64(1e308))
    assert loop.decide._interpreted(wide, state, instance, key).action == 0


@pytest.mark.jit
def test_a_kernel_that_allocates_an_array_is_refused() -> None:
    with pytest.raises(numba.core.errors.TypingError, match="Only accept returning of array passed into the function"):
        Loop(allocates)(3)


@pytest.mark.jit
def test_a_loop_compiles_once_for_every_number_of_arms() -> None:
    few, many = (arguments_of_decide(n_arms) for n_arms in (2, 37))
    assert loop.decide.compiled(*few) is loop.decide.compiled(*many)
    assert loop.decide(*few) == Decision(0, 1.0)
    assert loop.decide.compiled(*many)(*many) == Decision(0, 1.0)


@pytest.mark.jit
def test_a_loop_names_the_types_of_its_arguments_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes 60 to 200 us; finding the code for them takes 3."""
    arguments = arguments_of_decide(2)
    decided = loop.decide(*arguments)
    monkeypatch.setattr(kernel_module, "typeof", None)
    assert loop.decide(*arguments) == decided


@pytest.mark.jit
def test_a_loop_refuses_params_without_kernels() -> None:
    stranger = Stranger(1.0)
    _, *rest = arguments_of_decide(2)
    with pytest.raises(InvalidInput, match=r"(?s)the kernels of decide\(\w*\) do not compile: .*select"):
        loop.decide(stranger, *rest)


@pytest.mark.jit
def test_a_routine_is_code_of_its_own_also_below_a_kernel() -> None:
    """It is called by its symbol, and its code lies elsewhere; a kernel leaves no trace."""
    entry = Loop(through_a_kernel)
    assert entry(2.0) == pytest.approx(np.exp(2.0) + np.log(2.0) + 1.0)
    (code,) = entry._jitted.inspect_asm().values()
    labels = [line for line in code.splitlines() if line.endswith(":")]
    assert "long_routine" in code
    assert not any("long_routine" in label or "short_kernel" in label for label in labels)


@pytest.mark.jit
@pytest.mark.parametrize("decorate", [kernel, routine])
def test_what_is_called_with_several_constants_is_compiled_once(decorate: Any) -> None:
    """And for numbers of their type that are no constants, given in order or by name."""

    def chosen(x: float, first: bool, by: int) -> float:
        return x + by if first else x - by

    called = decorate(chosen)

    def calls(x: float, by: int) -> float:
        return called(x, True, 1) + called(x, False, by=2) + called(x, by > 0, by)

    assert Loop(calls)(0.5, 4) == 1.5 - 1.5 + 4.5
    assert len(called.overloads) == 1


@routine
def long_routine(x: float) -> float:
    return exp(x) + log(x) + log_gamma(x)


@kernel
def short_kernel(x: float) -> float:
    return long_routine(x) + 1.0


def through_a_kernel(x: float) -> float:
    return short_kernel(x)


class Stranger(NamedTuple):
    alpha: float


def arguments_of_decide(n_arms: int) -> tuple[Any, ...]:
    policy = ucb1()
    state = policy.init(policy.params, Problem(n_arms))
    instance = Instance(0, np.zeros(0), np.ones(n_arms, np.bool_))
    return policy.params, state, instance, Key(np.uint64(1), 0)


def first(params: Any, state: Any, instance: Instance, key: Key) -> Decision:
    return Decision(0, 1.0)


def allocates(n: int) -> int:
    return len(np.empty(n))
