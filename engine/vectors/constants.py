"""Constants: the numbers that a policy's steps depend on, like D, G and L of the papers, and where it has them from.

"problem"   it follows from the problem: the diameter of the domain, say
"param"     it is as the policy's params say, or their defaults
"exceeded"  the same, but what was learned is larger: what the papers prove of such steps does not hold any more
"estimate"  it follows from what was learned so far; NaN while nothing is
"unused"    the steps do not depend on it with these params; NaN

>>> at_most(3.0, 2.0), at_most(3.0, 4.0), at_most(0.0, 4.0)
(Constant(value=3.0, source='param'), Constant(value=3.0, source='exceeded'), Constant(value=4.0, source='estimate'))
>>> raised(3.0, 2.0), raised(3.0, 4.0)
(Constant(value=3.0, source='param'), Constant(value=4.0, source='estimate'))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..vocabulary import Constant, Policy

UNUSED = Constant(math.nan, "unused")


def constants_of(policy: Policy, state: Any) -> dict[str, Constant]:
    """Return the constants of a policy in a state, by their names; none where it does not tell. Only reads."""
    return {} if policy.constants is None else policy.constants(policy.params, state)


def of_inner(policy: Policy) -> Callable[[Any, Any], dict[str, Constant]] | None:
    """Return what tells the constants of a policy inside a wrapper, whose params and state hold its own as `inner`."""
    tell = policy.constants
    return None if tell is None else lambda params, state: tell(params.inner, state.inner)


def of_problem(value: float) -> Constant:
    """Return what follows from the problem."""
    return Constant(float(value), "problem")


def as_given(value: float) -> Constant:
    """Return what is as the params say."""
    return Constant(float(value), "param")


def known(param: float) -> Constant:
    """Return a param, or where it is 0, not known, that the steps do without it."""
    return as_given(param) if param > 0.0 else UNUSED


def estimated(value: float) -> Constant:
    """Return what follows from what was learned; 0 stands for nothing."""
    return Constant(float(value) if value > 0.0 else math.nan, "estimate")


def given_or(param: float, value: float) -> Constant:
    """Return a param, or where it is 0, not known, what follows from what was learned."""
    return as_given(param) if param > 0.0 else estimated(value)


def at_most(param: float, largest: float) -> Constant:
    """Return a bound: the param, whatever comes, or where it is 0, not known, the largest number that came."""
    return Constant(param, "exceeded") if largest > param > 0.0 else given_or(param, largest)


def raised(param: float, largest: float) -> Constant:
    """Return a bound: the param, or the largest number that came where that is larger."""
    return as_given(param) if param > 0.0 and largest <= param else estimated(largest)
