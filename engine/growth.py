"""Arms added while a policy is at work: its state carried over into a fresh one of the larger problem.

>>> from onearm.policies import catalog
>>> policy = catalog.make("ucb1")
>>> state = policy.init(policy.params, Problem(n_arms=2))
>>> state.mean[1] = 0.5
>>> grown(policy, state, Problem(n_arms=3)).mean
array([0. , 0.5, 0. ])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .errors import InvalidInput
from .vocabulary import Policy, Problem

State = TypeVar("State")


def grown(policy: Policy, state: Any, problem: Problem) -> Any:
    """Return the state that a policy goes on with once `problem` has more arms; new arms begin as at creation.

    Raises `InvalidInput` where the policy cannot take new arms, by name.
    """
    if policy.grow is None:
        raise InvalidInput(
            "arms_are_fixed",
            f"policy {policy.name!r} takes no new arms while it is at work: what it knows of the others does not carry "
            "over; create a new experiment with all arms",
        )
    return policy.grow(policy.params, state, problem)


def by_padding(init: Callable[[Any, Problem], Any]) -> Callable[[Any, Any, Problem], Any]:
    """Return the `grow` of a policy whose arrays are per arm, or do not depend on the number of arms."""
    return lambda params, state, problem: padded(state, init(params, problem))


def padded(old: State, fresh: State) -> State:
    """Return `fresh` with every array of `old`, but scratch, in the leading corner of its own.

    An array that stays as large as it was is the old one itself: it is not copied, whatever its size.
    """
    arrays = []
    for name, before, now in zip(old._fields, old, fresh, strict=True):  # type: ignore[attr-defined, call-overload]
        if isinstance(before, tuple):
            now = padded(before, now)
        elif not name.startswith("scratch_"):
            if before.shape == now.shape:
                now = before
            else:
                now[tuple(map(slice, before.shape))] = before
        arrays.append(now)
    return type(fresh)(*arrays)
