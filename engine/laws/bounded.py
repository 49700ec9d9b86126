"""The nearest law within bounds: what each arm has at least and at most, and what groups of arms have.

Nearest by the relative entropy, sum p log(p / q): as little as can be is changed, and arms that no bound holds keep
their ratios. Its conditions (of Karush, Kuhn and Tucker) say that p = clip(scale q, low, high), with one scale for all.
A group that a bound of its own holds has a scale of its own, with which its sum is that bound. So a group's bounds are
bounds of its arms: what they have where the group has its least, and where it has its most.
Arms of probability 0 have no ratio. They get what the others must not take, in equal parts: the limit of that law for
arms that all have the same tiny probability.
The scale is found by fixing variables (Bretthauer and Shetty, "The nonlinear resource allocation problem", 1995): with
a trial scale, arms below their low bounds or those above their high ones, whichever miss by more, stay on these bounds,
and the others share the rest anew. Each pass fixes an arm at least.

>>> import numpy as np
>>> law, low, high = np.array([0.9, 0.08, 0.02]), np.array([0.0, 0.0, 0.1]), np.array([0.7, 1.0, 1.0])
>>> out, is_open = np.zeros(3), np.zeros(3, np.bool_)
>>> fill(law, low, high, np.arange(3), 1.0, is_open, out)
>>> out.round(6).tolist()
[0.7, 0.2, 0.1]
"""

from __future__ import annotations

from ..kernel import kernel, routine
from ..vocabulary import Array

NONE = 1e-100  # a probability that counts as 0


@routine
def fill(law: Array, low: Array, high: Array, arms: Array, total: float, is_open: Array, out: Array) -> None:
    """Write what some arms, int64[m], have of a total, float64[k]: the nearest to a law within bounds, float64[k] each.

    The low bounds come to the total at most, and the high ones to no less. `is_open`, bool[k], is working space.
    """
    most = 0.0
    for i in range(len(arms)):
        a = arms[i]
        most += high[a] if law[a] > NONE else low[a]
    by_ratio = most >= total
    for i in range(len(arms)):
        a = arms[i]
        is_open[a] = (law[a] > NONE) == by_ratio
        if not is_open[a]:
            out[a] = low[a] if by_ratio else high[a]
    while _share(law, low, high, arms, total, by_ratio, is_open, out):
        pass


@kernel
def _share(
    law: Array, low: Array, high: Array, arms: Array, total: float, by_ratio: bool, is_open: Array, out: Array
) -> bool:
    """Share among the open arms what the others leave; close those that a bound holds, and return whether one does."""
    rest, weight = total, 0.0
    for i in range(len(arms)):
        a = arms[i]
        if is_open[a]:
            weight += law[a] if by_ratio else 1.0
        else:
            rest -= out[a]
    scale = rest / weight if weight > 0.0 else 0.0
    short, over = 0.0, 0.0
    for i in range(len(arms)):
        a = arms[i]
        if is_open[a]:
            out[a] = scale * (law[a] if by_ratio else 1.0)
            short += max(low[a] - out[a], 0.0)
            over += max(out[a] - high[a], 0.0)
    closed = False
    for i in range(len(arms)):
        a = arms[i]
        if is_open[a] and short >= over and out[a] < low[a]:
            out[a] = low[a]
            is_open[a] = False
            closed = True
        elif is_open[a] and over > short and out[a] > high[a]:
            out[a] = high[a]
            is_open[a] = False
            closed = True
    return closed
