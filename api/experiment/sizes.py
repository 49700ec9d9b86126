"""How large a policy's state is, found out before it is made: states of smaller problems tell.

A state may grow with the square of the numbers of a context, or with every arm times that, and policies of anybody may
do what they like. So nothing is asked of them but to begin on the same problem with fewer arms and numbers: a half, a
quarter, and so on. Sums of products of sizes grow faster the larger they are, so where two small ones lie on the way
beyond a limit the whole is beyond it. The largest state that is made for this, and thrown away, has 64 MB.
"""

from __future__ import annotations

from typing import Any

from ...engine import snapshot
from ...engine.errors import InvalidInput
from ...engine.problem import smaller
from ...engine.vocabulary import Policy, Problem

HALVES = 8  # the smallest problem has a 256th of the arms and of the numbers
SMALL_BYTES = 1_000_000  # what takes less says little of what takes more
SLACK = 1.25  # numbers that are cut to whole ones make an estimate so much too large
PROBE_BYTES = 64_000_000  # of a state that is made to be thrown away


def made_within(policy: Policy, problem: Problem, most: int) -> Any:
    """Return the state of a policy before any feedback, of at most so many bytes.

    Raises `InvalidInput` ("state_too_large") where it is larger, before room for it is taken.
    """
    _check_estimate(policy, problem, most)
    state = policy.init(policy.params, problem)
    if (size := snapshot.size(state)) > most:
        raise too_large(policy, size, most)
    return state


def too_large(policy: Policy, size: float, most: int) -> InvalidInput:
    """Return the error for a state of about so many bytes."""
    return InvalidInput(
        "state_too_large",
        f"the state of policy {policy.name!r} would take about {in_mb(size)}, and one may take {in_mb(most)} "
        "(--state-bytes): take fewer arms or a shorter context, or another policy",
    )


def in_mb(size: float) -> str:
    """Return bytes for people.

    >>> in_mb(6.9e9), in_mb(30_000)
    ('6,900 MB', '0.03 MB')
    """
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e6:.2g} MB"


def _check_estimate(policy: Policy, problem: Problem, most: int) -> None:
    """Refuse a state that the states of smaller problems show to be too large."""
    before = 0
    for halves in range(HALVES, 0, -1):
        size = _size(policy, smaller(problem, halves))
        if size is None:
            return  # it fits no smaller problem: of a param that has a number for each arm, say
        if before > SMALL_BYTES or size > most:
            growth = size / max(before, 1)
            whole = size * growth**halves if before > SMALL_BYTES else size
            following = size * growth
            if size > most or (whole > SLACK * most and following > min(PROBE_BYTES, most)):
                raise too_large(policy, whole, most)
        before = size


def _size(policy: Policy, problem: Problem) -> int | None:
    """Return how many bytes the state of a small problem takes; None where the policy takes none so small."""
    try:
        return snapshot.size(policy.init(policy.params, problem))
    except Exception:  # a policy of anybody may raise anything
        return None
