"""Whether contexts are such as came lately: where others come, models are wrong that were right, and nothing changed.

Of each coordinate of dense contexts mean and mean square deviation are kept, of about the newest thousand. A context is
familiar where its coordinates are off by no more than the root of three deviations on average, of which each counts as
three deviations at most. So contexts that all move by three deviations are strange until some two hundred of them have
come. Contexts of other kinds, rows of actions and named features, are all familiar.

In every world some contexts are strange. Others come than did where most of the newest are, and until hardly any is.

>>> seen = coordinates(1)
>>> answers = [bool(is_familiar(seen, np.array([x]))) for x in [0.0, 1.0] * 50 + [9.0]]
>>> (answers[:2], all(answers[2:-1]), answers[-1])
([True, False], True, False)

Cost: O(d) a context.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..kernel import KERNELS, generic, kernel, register
from ..vocabulary import Array, Problem

_NEWEST = 1000.0
_FEW = 20.0  # contexts until one that is far off is cut
_FAR = 9.0  # mean square deviations that one coordinate counts as, at most
_STRANGE = 3.0  # the same of all, on average, beyond which a context is not familiar
_WILD = 25.0  # the same that one counts as in mean and deviation, at most
_LATELY = 32.0  # contexts of which most are strange where others come
_MOST_STRANGE, _FEW_STRANGE = 0.5, 0.1  # shares of these: where others begin to come, and have become familiar
_MOST = 1e150  # a difference beyond that, whose square no float64 holds, counts as this


class Coordinates(NamedTuple):
    """What dense contexts were like."""

    total: Array  # float64[1] how many
    mean: Array  # float64[d]
    square: Array  # float64[d] mean square deviation
    strange: Array  # float64[1] how many of the newest were strange, a share
    others: Array  # bool[1] whether others come than did


class Anything(NamedTuple):
    """Contexts of other kinds, of which nothing is kept."""


def familiarity(problem: Problem) -> Any:
    """Return what keeps in mind what a problem's contexts are like."""
    return coordinates(problem.context_shape[0]) if problem.context_kind == "dense" else Anything()


def coordinates(d: int) -> Coordinates:
    """Return what is known of contexts of d numbers before any came."""
    return Coordinates(np.zeros(1), np.zeros(d), np.zeros(d), np.zeros(1), np.zeros(1, np.bool_))


@generic
def is_familiar(seen: Any, context: Any) -> bool:
    """Tell whether a context is like those that came lately, and count it as one of them."""
    return bool(KERNELS[type(seen)]["is_familiar"](seen, context))


@generic
def others_come(seen: Any) -> bool:
    """Tell whether most contexts that came lately were strange: others come than did."""
    return bool(KERNELS[type(seen)]["others_come"](seen))


@kernel
def _is_familiar(seen: Coordinates, context: Array) -> bool:
    total, d = seen.total[0] + 1.0, len(seen.mean)
    seen.total[0] = total
    share = 1.0 / min(total, _NEWEST)
    far = 0.0
    for j in range(d):
        off = min(max(context[j] - seen.mean[j], -_MOST), _MOST)
        square, deviation = off * off, seen.square[j]
        if square > _FAR * deviation:
            far += _FAR
            if total > _FEW and deviation > 0.0 and square > _WILD * deviation:
                square = _WILD * deviation
                off = math.copysign(math.sqrt(square), off)
        elif deviation > 0.0:
            far += square / deviation
        seen.mean[j] += off * share
        seen.square[j] = (1.0 - share) * (deviation + share * square)
    strange = far > _STRANGE * d
    seen.strange[0] += ((1.0 if strange else 0.0) - seen.strange[0]) / _LATELY
    seen.others[0] = seen.strange[0] > (_FEW_STRANGE if seen.others[0] else _MOST_STRANGE)
    return not strange


@kernel
def _others_do(seen: Coordinates) -> bool:
    return bool(seen.others[0])


@kernel
def _all_are(seen: Anything, context: Any) -> bool:
    return True


@kernel
def _none_do(seen: Anything) -> bool:
    return False


register(Coordinates, is_familiar=_is_familiar, others_come=_others_do)
register(Anything, is_familiar=_all_are, others_come=_none_do)
