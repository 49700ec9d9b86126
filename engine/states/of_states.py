"""What all policies of states tell of themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..vocabulary import Learned, Policy, Problem


def of_states(
    name: str,
    params: Any,
    init: Callable[[Any, Problem], Any],
    *,
    grow: Callable[[Any, Any, Problem], Any] | None = None,
    deterministic: bool = True,
    learned: Callable[[Any, Any], Learned] | None = None,
) -> Policy:
    """Return a policy that reads states and learns transitions, whose `init` makes the state before any feedback.

    It foretells no rewards: what a decision earns comes later as well. Without `grow` it takes no new arms, and without
    `learned` it tells nothing of what it learned.
    """
    return Policy(
        name,
        params,
        init,
        contexts=("states",),
        feedbacks=("transition",),
        grow=grow,
        foretells=False,
        deterministic=deterministic,
        learned=learned,
    )
