"""The kernels of an experiment's policy, compiled for the contexts that its problem has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.core.errors import NumbaError

from onearm.api.explanation import parts_room
from onearm.api.spec import Spec
from onearm.engine import loop
from onearm.engine.contexts import empty_context
from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key

NO_DETAIL = np.zeros(0)


def compile_kernels(spec: Spec) -> tuple[Callable[..., Decision], Callable[..., None]]:
    """Return the compiled `decide` and `learn` of a spec; with these, one decision costs about 2 us."""
    params, state, instance = _example(spec)
    key = Key(spec.run, 0)
    try:
        return (
            loop.decide.compiled(params, state, instance, key),
            loop.learn.compiled(params, state, instance, Decision(0, 1.0), Feedback(0.0, NO_DETAIL), key),
        )
    except NumbaError as error:
        raise _cannot_compile(spec, error) from error


def compile_explain(spec: Spec) -> Callable[..., None]:
    """Return the compiled `explain` of a spec."""
    numbers = np.zeros(spec.problem.n_arms)
    try:
        return loop.explain.compiled(*_example(spec), numbers, numbers, numbers, np.zeros((1, parts_room([]))))
    except NumbaError as error:
        raise _cannot_compile(spec, error) from error


def _example(spec: Spec) -> tuple[Any, Any, Instance]:
    """Return params, state and instance of the types that the kernels of a spec are compiled for."""
    params, problem = spec.policy.params, spec.problem
    instance = Instance(0, empty_context(problem), np.ones(problem.n_arms, np.bool_))
    return params, spec.policy.init(params, problem), instance


def _cannot_compile(spec: Spec, error: Exception) -> InvalidInput:
    return InvalidInput(
        "cannot_compile", f"the kernels of policy {spec.policy.name!r} do not compile: {error}; mend its file"
    )
