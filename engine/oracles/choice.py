"""The model that fits a problem: means without contexts, ridge on dense ones, `SparseRows` on named ones."""

from __future__ import annotations

import math

from ..errors import InvalidInput, as_seen
from ..vocabulary import Problem
from .action_ridge import ActionRidge, action_ridge
from .arm_mean import ArmMean, arm_mean
from .arm_ridge import ArmRidge, arm_ridge
from .fourier_ridge import FourierRidge, fourier_ridge
from .fourier_root import FourierRoot, fourier_root
from .relative import Relative, relative
from .sparse_linear import SparseLinear, sparse_linear
from .sparse_rows import SparseRows, sparse_rows

Model = ArmMean | ArmRidge | ActionRidge | SparseLinear | SparseRows | Relative


def oracle(
    problem: Problem,
    *,
    regularisation: float = 1.0,
    half_life: float | None = None,
    scaling: str = "online",
    origin: float = 0.0,
    second_order: bool = True,
    compared: bool = True,
) -> Model:
    """Return the model for the kind of a problem's contexts, before any feedback.

    `regularisation` > 0 is the precision of the prior, `half_life` the number of feedbacks after which one counts half
    (None or infinity: never). `scaling` "online" lets the model find the units of the features, and "none" takes them
    as they are. Only ridge regressions have a prior, and contexts as they are. Rewards are learned less `origin`; NaN
    stands for the first of them, and for 0 where contexts are taken as they are: without an intercept a model cannot
    predict what all rewards have in common. Named features are learned by `SparseRows`, or by `SparseLinear` where
    `second_order` is false, as in specs that were stored before it was; `compared` is false in those that were stored
    before words were compared (`compared.py`).

    >>> problems = Problem(3), Problem(3, (8,)), Problem(3, (3, 8)), Problem(3, (3, 64), nonzeros=9)
    >>> [type(oracle(problem)).__name__ for problem in problems]
    ['ArmMean', 'ArmRidge', 'ActionRidge', 'SparseRows']
    >>> [type(oracle(Problem(3), origin=origin)).__name__ for origin in (math.nan, 50.0, 0.0)]
    ['Relative', 'Relative', 'ArmMean']
    """
    if math.isnan(origin) and scaling == "none":
        origin = 0.0
    if problem.context_kind == "named" and second_order:
        made: Model = sparse_rows(problem, regularisation=regularisation, half_life=half_life, compared=compared)
    else:
        made = _oracle(problem, regularisation, half_life, scaling)
    found: Model = relative(made, origin, problem.n_arms)
    return found


def check_second_order(second_order: bool) -> bool:
    """Return whether named features are learned by a second-order rule."""
    return _checked_bool("second_order", second_order)


def check_compared(compared: bool) -> bool:
    """Return whether that rule compares words."""
    return _checked_bool("compared", compared)


def _checked_bool(name: str, given: bool) -> bool:
    if not isinstance(given, bool):
        raise InvalidInput("bad_param", f"{name} is {as_seen(given)}: it must be true or false")
    return given


def _oracle(problem: Problem, regularisation: float, half_life: float | None, scaling: str) -> Model:
    """Return the model of a problem whose named features, if it has such, are learned by the rule of before."""
    if problem.context_kind == "named":
        return sparse_linear(problem, half_life=half_life)
    if problem.context_shape == (0,):
        return arm_mean(problem, regularisation=regularisation, half_life=half_life)
    make = action_ridge if problem.context_kind == "actions" else arm_ridge
    return make(problem, regularisation=regularisation, half_life=half_life, scaling=scaling)


def bending_oracle(
    problem: Problem,
    *,
    regularisation: float = 1.0,
    half_life: float | None = None,
    coordinates: int = 0,
    second_order: bool = True,
    compared: bool = True,
) -> Model | FourierRidge | FourierRoot:
    """Return the model for the kind of a problem's contexts, whose predictions bend where contexts are dense.

    Its `coordinates` are then so many; 0 stands for `FourierRidge`.

    >>> problems = Problem(3), Problem(3, (8,)), Problem(3, (3, 8)), Problem(3, (3, 64), nonzeros=9)
    >>> [type(bending_oracle(problem, regularisation=0.3)).__name__ for problem in problems]
    ['ArmMean', 'FourierRidge', 'ActionRidge', 'SparseRows']
    """
    if not bends(problem):
        return oracle(
            problem,
            regularisation=regularisation,
            half_life=half_life,
            second_order=second_order,
            compared=compared,
        )
    if coordinates == 0:
        return fourier_ridge(problem, regularisation=regularisation, half_life=half_life)
    return fourier_root(problem, coordinates, regularisation=regularisation, half_life=half_life)


def bends(problem: Problem) -> bool:
    """Tell whether `bending_oracle` makes a problem's contexts into coordinates."""
    return problem.context_kind == "dense" and problem.context_shape != (0,)
