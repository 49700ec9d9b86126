"""The kernels of an experiment's policy, for the contexts that its problem has: entries, which answer at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...engine import loop
from ...engine.actions import decision_at, empty_actions
from ...engine.compiled.binding import Bound
from ...engine.contexts import empty_context
from ...engine.kernel import Entry
from ...engine.vocabulary import Feedback, Instance, Key, Player
from .definition import Definition
from .explanation import parts_room


class Kernels(NamedTuple):
    """The entries of a policy: what it decides, learns, would commit to, and proves."""

    select: Entry
    update: Entry
    recommend: Entry | None = None
    certify: Entry | None = None


def compile_kernels(spec: Definition) -> Kernels:
    """Return `decide` and `learn` of a spec, compiled or soon to be; then one decision costs about 2 us."""
    params, state, instance = _example(spec)
    decision = decision_at(empty_actions(1, spec.problem), 0, 1.0)
    feedback, key = Feedback(0.0, np.zeros(spec.problem.detail_length)), Key(spec.run, 0)
    return Kernels(
        loop.decide.entry(params, state, instance, key),
        loop.learn.entry(params, state, instance, decision, feedback, key),
    )


def compile_bound(spec: Definition, player: Bound[Player]) -> Kernels:
    """Return `decide_bound` and `learn_bound` for a policy at work: compiled, one call of them takes .15 us."""
    seen = Instance(0, empty_context(spec.problem), np.ones(spec.problem.n_choices, np.bool_))
    return Kernels(
        loop.decide_bound.entry(player, *seen),
        loop.learn_bound.entry(player, *seen, 0, 1.0, 0.0),
    )


def compile_recommending(spec: Definition) -> Kernels:
    """Return the kernels of a policy that recommends something in the end."""
    params, state, _ = _example(spec)
    recommend = loop.recommendation.entry(params, state, Key(spec.run, 0))
    return compile_kernels(spec)._replace(recommend=recommend)


def compile_certifying(spec: Definition) -> Kernels:
    """Return the kernels of a policy that may bound its own regret."""
    return compile_kernels(spec)._replace(certify=compile_certificate(spec))


def compile_certificate(spec: Definition) -> Entry:
    """Return `certificate` of a spec."""
    params, state, _ = _example(spec)
    return loop.certificate.entry(params, state)


def compile_explain(spec: Definition) -> Entry:
    """Return `explain` of a spec."""
    numbers = np.zeros(spec.problem.n_choices)
    parts = np.zeros((1, parts_room([])))
    return loop.explain.entry(*_example(spec), numbers, numbers, numbers, parts)


def compile_law(spec: Definition) -> Entry:
    """Return `tell_law` of a spec."""
    return loop.tell_law.entry(*_example(spec), np.zeros(spec.problem.n_choices))


def _example(spec: Definition) -> tuple[Any, Any, Instance]:
    """Return params, state and instance of the types that the kernels of a spec are made for."""
    params, problem = spec.policy.params, spec.problem
    state = spec.policy.init(params, problem) if spec.example is None else spec.example
    return params, state, Instance(0, empty_context(problem), np.ones(problem.n_choices, np.bool_))
