"""The kernels of an experiment's policy, compiled for the contexts that its problem has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba.core.errors import NumbaError

from ...engine import loop
from ...engine.actions import decision_at, empty_actions
from ...engine.compiled.binding import Bound
from ...engine.contexts import empty_context
from ...engine.errors import InvalidInput
from ...engine.kernel import Loop
from ...engine.vocabulary import Certificate, Feedback, Instance, Key, Player, Policy
from .definition import Definition
from .explanation import parts_room


def compiled(policy: Policy, entry: Loop, *args: Any) -> Callable[..., Any]:
    """Return an entry of the loop, compiled for a policy and arguments of these types."""
    try:
        return entry.compiled(*args)
    except NumbaError as error:
        raise InvalidInput(
            "cannot_compile", f"the kernels of policy {policy.name!r} do not compile: {error}; mend its file"
        ) from error


class Kernels(NamedTuple):
    """The compiled entries of a policy: what it decides, learns, would commit to, and proves."""

    select: Callable[..., Any]
    update: Callable[..., None]
    recommend: Callable[..., int] | None = None
    certify: Callable[..., Certificate] | None = None


def compile_kernels(spec: Definition) -> Kernels:
    """Return the compiled `decide` and `learn` of a spec; with these, one decision costs about 2 us."""
    params, state, instance = _example(spec)
    decision = decision_at(empty_actions(1, spec.problem), 0, 1.0)
    feedback, key = Feedback(0.0, np.zeros(spec.problem.detail_length)), Key(spec.run, 0)
    return Kernels(
        compiled(spec.policy, loop.decide, params, state, instance, key),
        compiled(spec.policy, loop.learn, params, state, instance, decision, feedback, key),
    )


def compile_bound(spec: Definition, player: Bound[Player]) -> Kernels:
    """Return the compiled `decide_bound` and `learn_bound` for a policy at work: one call of them takes .15 us."""
    seen = 0, empty_context(spec.problem), np.ones(spec.problem.n_choices, np.bool_)
    return Kernels(
        compiled(spec.policy, loop.decide_bound, player, *seen),
        compiled(spec.policy, loop.learn_bound, player, *seen, 0, 1.0, 0.0),
    )


def compile_recommending(spec: Definition) -> Kernels:
    """Return the compiled kernels of a policy that recommends something in the end."""
    params, state, _ = _example(spec)
    recommend = compiled(spec.policy, loop.recommendation, params, state, Key(spec.run, 0))
    return compile_kernels(spec)._replace(recommend=recommend)


def compile_certifying(spec: Definition) -> Kernels:
    """Return the compiled kernels of a policy that may bound its own regret."""
    return compile_kernels(spec)._replace(certify=compile_certificate(spec))


def compile_certificate(spec: Definition) -> Callable[..., Certificate]:
    """Return the compiled `certificate` of a spec."""
    params, state, _ = _example(spec)
    return compiled(spec.policy, loop.certificate, params, state)


def compile_explain(spec: Definition) -> Callable[..., None]:
    """Return the compiled `explain` of a spec."""
    numbers = np.zeros(spec.problem.n_choices)
    parts = np.zeros((1, parts_room([])))
    return compiled(spec.policy, loop.explain, *_example(spec), numbers, numbers, numbers, parts)


def _example(spec: Definition) -> tuple[Any, Any, Instance]:
    """Return params, state and instance of the types that the kernels of a spec are compiled for."""
    params, problem = spec.policy.params, spec.problem
    instance = Instance(0, empty_context(problem), np.ones(problem.n_choices, np.bool_))
    return params, spec.policy.init(params, problem), instance
