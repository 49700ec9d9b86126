"""Hints: what a policy expects the next gradient to be, before it decides.

"last"     the last gradient that was learned (0 before the first): losses that change slowly
"zero"     nothing: the policy is then not optimistic
"context"  the instance's context, float64[d]: a forecast from elsewhere

Gradients and hints are those of the reward, as the detail of a feedback is. A hint may be wrong: what a policy proves
of itself grows with the distance of gradient and hint, and holds whatever that is.

Source: Rakhlin, Sridharan, "Online learning with predictable sequences", COLT 2013.
"""

from __future__ import annotations

from ..errors import InvalidInput, as_seen
from ..kernel import kernel
from ..vocabulary import Array, Problem

LAST, ZERO, CONTEXT = 0, 1, 2
HINTS = ("last", "zero", "context")


def check_hint(hint: str) -> int:
    """Return the number of a hint.

    >>> check_hint("zero") == ZERO
    True
    """
    if hint not in HINTS:
        raise InvalidInput("bad_param", f"hint is {as_seen(hint)}: it must be one of {', '.join(HINTS)}")
    return HINTS.index(hint)


def check_forecast(hint: int, problem: Problem, length: int) -> None:
    """Refuse a problem whose contexts are no forecasts of `length` numbers, where the hint is one."""
    if hint == CONTEXT and problem.context_shape != (length,):
        raise InvalidInput(
            "policy_does_not_fit",
            f"the hint is the context, and contexts have the shape {list(problem.context_shape)}: a forecast has "
            f"[{length}]; give such contexts, or take another hint",
        )


@kernel
def hinted(hint: int, last: Array, context: Array, j: int) -> float:
    """Return coordinate j of the hint."""
    if hint == LAST:
        return last[j]
    return context[j] if hint == CONTEXT else 0.0
