"""Ridge regressions on features that the model chooses for itself, of which there are as many as fit the arms.

Each arm has a regression on p coordinates of the context (`fourier_coordinates.py`), kept as one triangle
(`root_ridge.py`). A decision reads the triangles of all arms that were played. These are to take 33 MB together, which
are read in 2 ms: p is the largest multiple of eight with which they do, from 16 to 256. It is 256 up to 121 arms, 80
with 1,000 and 24 with 10,000. So time and memory stay about the same, whatever the number of arms.

The context's own features are coordinates where that leaves seven cosines; else all but the first are cosines. That
matters most where coordinates are few: among 1,000 arms in hidden groups (`envs/contexts/grouped.py`) with 64 features
and 80 coordinates .776 is earned with the own features and .673 without. So they get the coordinates that they need
where these take up to 100 MB.

The precision of the prior is .3 up to ten arms, and more among more (`more_for`), as each of them is played less: .65
with 100, 1.39 with 1,000. Among 300 arms in groups .839 is earned with .93 and .803 with .3; tables of up to ten
classes lose .003 with 1. `bending.py` says what is learned, and what it costs.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..errors import InvalidInput, as_seen
from ..vocabulary import Array, Problem
from .bending import register_bending
from .fourier_coordinates import arrays
from .root_ridge import ROWS, RootRidge, numbers_of, root_ridge

MOST, FEWEST = 256, 16  # coordinates
BUDGET = 33_000_000  # bytes of the regressions of all arms
BUDGET_OWN = 100_000_000  # the same where the context's own features need more coordinates
LIMIT = 400_000_000  # the same with the fewest coordinates
COSINES_MIN = 7  # beside the context's own features
_FEW = 10  # arms up to which a prior is as it is for each


class FourierRoot(NamedTuple):
    """Arrays that `fit` writes."""

    ridge: RootRidge  # over the p coordinates
    origin: Array  # float64[1] what a reward is measured from
    mean: Array  # float64[d]
    factor: Array  # float64[d] 1 / standard deviation; 0 where the feature was never seen to vary
    context: Array  # float64[64, d] of the first feedbacks
    action: Array  # int64[64]
    reward: Array  # float64[64]
    weight: Array  # float64[64]
    scratch_frequency: Array  # float64[m, d]
    scratch_phase: Array  # float64[m]
    scratch_z: Array  # float64[d]
    scratch_coordinates: Array  # float64[p]


def fourier_root(
    problem: Problem, coordinates: int, *, regularisation: float, half_life: float | None = None
) -> FourierRoot:
    """Return the model of a problem with contexts float64[d], d >= 1, before any feedback."""
    d = problem.context_shape[0]
    ridge = root_ridge(problem.n_arms, coordinates, regularisation=regularisation, half_life=half_life)
    return FourierRoot(ridge, **arrays(d, coordinates, own=d <= coordinates - 1 - COSINES_MIN))


def coordinates_for(n_arms: int, d: int) -> int:
    """Return the number of coordinates that fits so many arms and features; refuse more arms than there is memory for.

    >>> [coordinates_for(k, 16) for k in (10, 100, 1000, 10_000, 100_000)]
    [256, 256, 80, 24, 16]
    >>> [coordinates_for(1000, d) for d in (72, 73, 144, 145)]
    [80, 88, 152, 80]
    """
    if (needed := bytes_of(n_arms, FEWEST)) > LIMIT:
        raise InvalidInput(
            "too_many_arms",
            f"{n_arms} arms with a model of the context each take {needed / 1e6:.0f} MB, with the fewest coordinates "
            f"({FEWEST}), and may take {LIMIT / 1e6:.0f} MB: describe the actions by features, which share one model, "
            f"or give coordinates={FEWEST} where there is memory",
        )
    fitting = (p for p in range(MOST, FEWEST, -ROWS) if bytes_of(n_arms, p) <= BUDGET)
    coordinates = next(fitting, FEWEST)
    own = ROWS * math.ceil((1 + d + COSINES_MIN) / ROWS)
    if coordinates < own <= MOST and bytes_of(n_arms, own) <= BUDGET_OWN:
        return own
    return coordinates


def bytes_of(n_arms: int, coordinates: int) -> int:
    """Return how much memory the regressions of so many arms take once all were played.

    >>> bytes_of(1000, 80)
    28800000
    """
    return 8 * n_arms * (numbers_of(coordinates) + coordinates)


def more_for(n_arms: int) -> float:
    """Return by how much the precision of the prior is higher among so many arms than up to ten.

    >>> [round(more_for(k), 2) for k in (2, 10, 100, 1000, 10_000)]
    [1.0, 1.0, 2.15, 4.64, 10.0]
    """
    return float(max(1.0, n_arms / _FEW) ** (1.0 / 3.0))


def check_coordinates(coordinates: int) -> int:
    """Return a number of coordinates that was given: 0, which stands for `FourierRidge`, or a multiple of eight."""
    whole = isinstance(coordinates, int) and not isinstance(coordinates, bool)
    if not whole or not 0 <= coordinates <= 1024 or coordinates % ROWS:
        raise InvalidInput(
            "bad_param", f"coordinates is {as_seen(coordinates)}: it must be a multiple of 8, up to 1024"
        )
    return coordinates


register_bending(FourierRoot)
