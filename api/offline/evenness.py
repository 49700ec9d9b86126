"""Whether a log without propensities can have been drawn evenly, as `match` supposes: the counts of its actions tell.

They can prove that it was not, and never that it was: a log may be even as a whole and follow the context.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...engine.estimate.counts import count_actions
from ...engine.storage.rows import Rows
from ...engine.vocabulary import Array
from .judging import Facts

ALPHA = 0.01  # of even logs, at most, are called uneven: the budget of all warnings, and here there are no others
SHOWN = 5  # shares that are told one by one


def said_uneven(rows: Rows, log: Facts, groups: Array | None) -> str | None:
    """Return in words how often actions were taken, where no even draw does that; None where one may.

    All decisions are counted, and those of each segment where all have rewards. Of a unit, int64[n] in `groups`, the
    first one counts, as it may be shown the same again. Nothing is told where decisions differ in what they offer, or
    those without a reward are not on record: which have one may depend on the action.
    """
    n_arms = rows.problem.n_arms
    if rows.problem.layout != "dense" or n_arms < 2 or not (log.choices == n_arms).all():
        return None
    counted = list(_parts(rows, log, groups))
    for name, action in counted:
        even = np.full(len(action), 1.0 / n_arms)
        if len(action) and count_actions(action, even, n_arms).p_value < ALPHA / len(counted):
            return f"{name} not drawn evenly ({_shares(action, n_arms)})"
    return None


def _parts(rows: Rows, log: Facts, groups: Array | None) -> Iterator[tuple[str, Array]]:
    """Yield what is counted, int64[m]: its name and verb, and the actions."""
    if rows.unobserved or rows.decisions > len(rows):
        drawn = rows.drawn()
        if drawn is not None and groups is None:
            yield "the log was", drawn[0]
        return
    first = np.arange(len(log.action)) if groups is None else np.unique(groups, return_index=True)[1]
    action, segment = log.action[first], log.segment[first]
    yield "the log was", action
    for place, name in enumerate(rows.segments):
        if (some := segment == place).any():
            yield f"its segment {name} was", action[some]


def _shares(action: Array, n_arms: int) -> str:
    """Return how often each action was taken.

    >>> _shares(np.array([0, 0, 0, 1]), 2), _shares(np.array([0, 0, 0, 1]), 20)
    ('75/25 %', '75 % the most frequent action, where 5 % would be even')
    """
    percent = 100.0 * np.bincount(action, minlength=n_arms) / len(action)
    if n_arms <= SHOWN:
        return "/".join(f"{share:.3g}" for share in percent) + " %"
    return f"{percent.max():.3g} % the most frequent action, where {100.0 / n_arms:.3g} % would be even"
