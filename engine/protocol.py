"""The protocol: what a policy and an environment can be asked. Each function finds the kernel of its params' class.

In compiled code numba resolves the kernel while compiling (`@generic`), so nothing is looked up at run time; with the
JIT off the same lookup happens in Python. `engine/loop.py` and wrapper policies are the only callers.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from numba.extending import overload

from .arrays import copy_numbers
from .compiled.entries import NAMED_TUPLES
from .compiled.layout import build_rows
from .kernel import INLINED, KERNELS, generic, is_outside, kernel, kernel_of, register
from .vocabulary import Action, Array, Certificate, Decision, Feedback, Instance, Key


@generic
def select(params: Any, state: Any, instance: Instance, key: Key) -> Decision:
    """Choose an action. Only reads; a move or a vector is written into working space of the state."""
    return KERNELS[type(params)]["select"](params, state, instance, key)


@generic
def update(params: Any, state: Any, instance: Instance, decision: Decision, feedback: Feedback, key: Key) -> None:
    """Learn from one feedback. Only writes `state`, in place."""
    KERNELS[type(params)]["update"](params, state, instance, decision, feedback, key)


@generic
def mark(params: Any, state: Any, instance: Instance, decision: Decision, key: Key) -> None:
    """Take note of a decision that was made, before its feedback is learned. Only writes `state`, in place."""
    KERNELS[type(params)]["mark"](params, state, instance, decision, key)


@generic
def probability(params: Any, state: Any, instance: Instance, action: Action) -> float:
    """Return the probability that `select` takes `action`; NaN where the policy has no known law."""
    return KERNELS[type(params)]["probability"](params, state, instance, action)


@generic
def recall(params: Any, state: Any, instance: Instance, action: Action) -> float:
    """Return the `probability` of `action` right after `select` was called with the same state and instance.

    The same number, for less where the law that `select` drew from is still in working space.
    """
    return KERNELS[type(params)]["recall"](params, state, instance, action)


@generic
def write_law(params: Any, state: Any, instance: Instance, law: Array) -> None:
    """Write the `probability` of each available action into float64[k]: the same numbers, at once where that is less.

    What is not available holds what it held before.
    """
    KERNELS[type(params)]["write_law"](params, state, instance, law)


@generic
def appraise(params: Any, state: Any, instance: Instance, scores: Array, widths: Array) -> None:
    """Write each available action's score and its width (how unsure that is), float64[k] each; NaN for no answer."""
    KERNELS[type(params)]["appraise"](params, state, instance, scores, widths)


@generic
def foretell(params: Any, state: Any, instance: Instance, scores: Array, widths: Array) -> None:
    """Write each available action's score into float64[k], as `appraise` does; `widths` is working space.

    The same kernel as `appraise` where a policy has no cheaper one.
    """
    KERNELS[type(params)]["foretell"](params, state, instance, scores, widths)


@generic
def attribute(params: Any, state: Any, instance: Instance, action: int, parts: Array) -> None:
    """Write what each feature adds to the score of `action` into float64[m]: `engine.oracles.oracle.split`."""
    KERNELS[type(params)]["attribute"](params, state, instance, action, parts)


@generic
def recommend(params: Any, state: Any, key: Key) -> int:
    """Return what the policy would commit to now: a slot or a hypothesis, -1 where there is nothing. Only reads.

    `key` is that of the decision that would come next; ties are broken by its draw `draws.RECOMMENDATION`.
    """
    return KERNELS[type(params)]["recommend"](params, state, key)


@generic
def certify(params: Any, state: Any) -> Certificate:
    """Return the policy's own bound on its regret so far; NaN where it has none. Only reads."""
    return KERNELS[type(params)]["certify"](params, state)


@generic
def observe(params: Any, state: Any, t: int, context: Any, available: Array, key: Key) -> None:
    """Write what arrives at t into `context` and `available`, which hold what they held before."""
    KERNELS[type(params)]["observe"](params, state, t, context, available, key)


@generic
def respond(params: Any, state: Any, instance: Instance, action: Action, detail: Array, key: Key) -> tuple[float, int]:
    """Return the reward of `action` and its delay in decisions; write what else is revealed into `detail`."""
    return KERNELS[type(params)]["respond"](params, state, instance, action, detail, key)


@generic
def regret(params: Any, state: Any, instance: Instance, action: Action) -> float:
    """Return how much less than the comparator `action` earns in expectation; NaN where that is unknown."""
    return KERNELS[type(params)]["regret"](params, state, instance, action)


@generic
def recommendation_loss(params: Any, state: Any, recommendation: int) -> float:
    """Return what it costs to recommend a hypothesis in the end, in expectation; NaN where nothing is recommended."""
    return KERNELS[type(params)]["recommendation_loss"](params, state, recommendation)


def row_of(states: Any, i: int) -> Any:
    """Return the i-th of stacked states: the same NamedTuple with row i of every array."""
    return type(states)(*(row_of(field, i) if isinstance(field, tuple) else field[i] for field in states))


def reset(state: Any, fresh: Any) -> None:
    """Write what `fresh` holds into `state`, a state of the same shapes, but for working space (`scratch_*`)."""
    for name, into, of in zip(state._fields, state, fresh, strict=True):
        if isinstance(into, tuple):
            reset(into, of)
        elif not name.startswith("scratch_"):
            into[...] = of


def decay(state: Any, half_life: float) -> None:
    """Change the half-life of all models in a state: after so many more feedbacks what was learned counts half.

    A model is a part of the state whose class has a kernel `decay`; a state without any is left as it is.
    """
    for part in state:
        if isinstance(part, tuple):
            (kernel_of(part, "decay") or decay)(part, half_life)


def register_policy(
    params_class: type,
    *,
    select: Callable[..., Decision],
    update: Callable[..., None],
    mark: Callable[..., None] | None = None,
    probability: Callable[..., float] | None = None,
    recall: Callable[..., float] | None = None,
    write_law: Callable[..., None] | None = None,
    appraise: Callable[..., None] | None = None,
    foretell: Callable[..., None] | None = None,
    attribute: Callable[..., None] | None = None,
    recommend: Callable[..., int] | None = None,
    certify: Callable[..., Certificate] | None = None,
) -> None:
    """File a policy's kernels under the class of its params."""
    register(
        params_class,
        select=select,
        update=update,
        mark=mark or _mark_nothing,
        probability=probability or _unknown_probability,
        recall=recall or _asked_again,
        write_law=write_law or _one_by_one,
        appraise=appraise or _no_appraisal,
        foretell=foretell or appraise or _no_appraisal,
        attribute=attribute or _no_attribution,
        recommend=recommend or _no_recommendation,
        certify=certify or _no_certificate,
    )


def register_env(
    params_class: type,
    *,
    respond: Callable[..., tuple[float, int]],
    observe: Callable[..., None] | None = None,
    regret: Callable[..., float] | None = None,
    recommendation_loss: Callable[..., float] | None = None,
    forfeit: Callable[..., float] | None = None,
) -> None:
    """File an environment's kernels under the class of its params.

    `forfeit` is what 0.1 called `recommendation_loss`, and goes with 0.3.
    """
    if forfeit is not None:
        message = "register_env(forfeit=) is called recommendation_loss= now: write that; the old name goes with 0.3"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
    register(
        params_class,
        respond=respond,
        observe=observe or _observe_nothing,
        regret=regret or _unknown_regret,
        recommendation_loss=recommendation_loss or forfeit or _no_recommendation_loss,
    )


def has_law(params: Any) -> bool:
    """Tell whether a policy knows the probabilities that it decides with; a wrapper does if its inner policy does."""
    return KERNELS[type(params)]["probability"] is not _unknown_probability and all(map(has_law, _asked(params)))


def marks(params: Any) -> bool:
    """Tell whether a policy takes note of decisions before their feedback; a wrapper does where its inner policy does.

    One of the package whose params have a `wait` does not where that is 0; one whose params have `marks_itself` does
    whatever is inside. The state is then a fold of both.
    """
    if getattr(params, "marks_itself", False):
        return True
    asked = _asked(params)
    waits_not = getattr(params, "wait", None) == 0 and not is_outside(type(params))
    idle = KERNELS[type(params)]["mark"] is _mark_nothing or waits_not
    return not idle and (not asked or any(map(marks, asked)))


def _asked(params: Any) -> tuple[Any, ...]:
    """Return the params of the policies that a wrapper asks for its decisions.

    That is the one inside, or those that its params name by a property `asked`; none where they say by a property
    `decides_itself` that of what they wrap predictions alone are asked.
    """
    if getattr(params, "decides_itself", False):
        return ()
    inner = getattr(params, "inner", None)
    asked: tuple[Any, ...] = getattr(params, "asked", () if inner is None else (inner,))
    return asked


def explains(params: Any) -> bool:
    """Tell whether a policy can say why; a wrapper can where its inner policy does."""
    inner = getattr(params, "inner", None)
    return KERNELS[type(params)]["appraise"] is not _no_appraisal and (inner is None or explains(inner))


def certifies(params: Any) -> bool:
    """Tell whether a policy bounds its own regret."""
    return KERNELS[type(params)]["certify"] is not _no_certificate


def observes(params: Any) -> bool:
    """Tell whether an environment shows anything that changes: contexts or availability."""
    return KERNELS[type(params)]["observe"] is not _observe_nothing


@kernel
def _unknown_probability(params: Any, state: Any, instance: Instance, action: Action) -> float:
    return math.nan


@kernel
def _asked_again(params: Any, state: Any, instance: Instance, action: Action) -> float:
    return probability(params, state, instance, action)


@kernel
def _one_by_one(params: Any, state: Any, instance: Instance, law: Array) -> None:
    for a in range(len(instance.available)):
        if instance.available[a]:
            law[a] = probability(params, state, instance, a)


@kernel
def _mark_nothing(params: Any, state: Any, instance: Instance, decision: Decision, key: Key) -> None:
    pass


@kernel
def _no_appraisal(params: Any, state: Any, instance: Instance, scores: Array, widths: Array) -> None:
    for a in range(len(instance.available)):
        scores[a] = math.nan
        widths[a] = math.nan


@kernel
def _no_attribution(params: Any, state: Any, instance: Instance, action: int, parts: Array) -> None:
    for j in range(len(parts)):
        parts[j] = math.nan


@kernel
def _no_recommendation(params: Any, state: Any, key: Key) -> int:
    return -1


@kernel
def _no_certificate(params: Any, state: Any) -> Certificate:
    return Certificate(math.nan, math.nan)


@kernel
def _observe_nothing(params: Any, state: Any, t: int, context: Any, available: Array, key: Key) -> None:
    pass


@kernel
def _unknown_regret(params: Any, state: Any, instance: Instance, action: Action) -> float:
    return math.nan


@kernel
def _no_recommendation_loss(params: Any, state: Any, recommendation: int) -> float:
    return math.nan


build_rows(row_of)


# Numba compares the signatures of a stub and of its implementation to the letter, so these carry no annotations.


@overload(reset, jit_options=INLINED)
def _reset(state, fresh):
    # Spelled out field by field: numba has no comprehension over tuples of mixed types.
    if not isinstance(state, NAMED_TUPLES):
        return None
    lines = []
    for f, name in enumerate(state.instance_class._fields):
        if isinstance(state[f], NAMED_TUPLES):
            lines.append(f"    reset(state[{f}], fresh[{f}])")
        elif not name.startswith("scratch_"):
            lines.append(f"    copy(fresh[{f}], state[{f}])")
    scope = {"__name__": __name__, "reset": reset, "copy": copy_numbers}
    exec("def write(state, fresh):\n" + "\n".join(lines or ["    pass"]) + "\n", scope)
    return scope["write"]


@overload(decay, jit_options=INLINED)
def _decay(state, half_life):
    # Spelled out field by field, as in `_row_of`.
    if not isinstance(state, NAMED_TUPLES):
        return None
    scope, lines = {"__name__": __name__, "decay": decay}, []
    for f in range(len(state)):
        if isinstance(state[f], NAMED_TUPLES):
            scope[f"decay_{f}"] = kernel_of(state[f], "decay") or decay
            lines.append(f"    decay_{f}(state[{f}], half_life)")
    exec("def change(state, half_life):\n" + "\n".join(lines or ["    pass"]) + "\n", scope)
    return scope["change"]
