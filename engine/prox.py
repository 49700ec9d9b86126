"""Proximal steps: minimise a loss phi(a . x, b) plus |x - y|^2 / (2 eta) over a domain, to the last bits.

"absolute"  |z - b|
"square"    (z - b)^2 / 2
"hinge"     max(0, 1 - b z), b the label -1 or 1
"logistic"  ln(1 + exp(-b z)), b the label -1 or 1

The minimiser is P(y - s a) for a number s with s = eta phi'(a . P(y - s a)) (derived: the conditions of both problems
are the same). As a projection onto any convex set is monotone, a . P(y - s a) never rises with s; phi' never falls, so
s - eta phi'(...) rises and has one root between 0 and eta phi'(a . P(y)), which bisection finds: on balls, boxes,
simplices and products of them alike. Where phi has a kink, the root is where a . x crosses it.
Source: Chen, Zhang, Tu, Zhao, Zhang, JMLR 2024, for the steps; Parikh and Boyd, "Proximal algorithms", 2014.
"""

from __future__ import annotations

from onearm.engine.domain import Region
from onearm.engine.elementary import exp, log1p
from onearm.engine.errors import InvalidInput
from onearm.engine.kernel import kernel
from onearm.engine.projection import project
from onearm.engine.vocabulary import Array

LOSSES = ("absolute", "square", "hinge", "logistic")
ABSOLUTE, SQUARE, HINGE = 0, 1, 2
_HALVINGS = 200  # 60 are enough but where s is close to 0


def check_loss(loss: str) -> int:
    """Return the number of a loss.

    >>> check_loss("hinge") == HINGE
    True
    """
    if loss not in LOSSES:
        raise InvalidInput("bad_param", f"loss is {loss!r}: it must be one of {', '.join(LOSSES)}")
    return LOSSES.index(loss)


@kernel
def loss_at(loss: int, z: float, b: float) -> float:
    """Return phi(z, b).

    >>> loss_at(ABSOLUTE, 0.5, 2.0), loss_at(SQUARE, 0.5, 2.0), loss_at(HINGE, 0.5, -1.0)
    (1.5, 1.125, 1.5)
    """
    if loss == ABSOLUTE:
        return abs(z - b)
    if loss == SQUARE:
        return 0.5 * (z - b) * (z - b)
    if loss == HINGE:
        return max(0.0, 1.0 - b * z)
    return max(-b * z, 0.0) + log1p(exp(-abs(b * z)))


@kernel
def slope_at(loss: int, z: float, b: float) -> float:
    """Return the derivative of phi in z; at a kink a number between those of both sides."""
    if loss == ABSOLUTE:
        return 1.0 if z > b else (-1.0 if z < b else 0.0)
    if loss == SQUARE:
        return z - b
    if loss == HINGE:
        return -b if b * z < 1.0 else 0.0
    small = exp(-abs(b * z))
    return -b * (small if b * z > 0.0 else 1.0) / (1.0 + small)


@kernel
def prox(region: Region, loss: int, example: Array, eta: float, y: Array, x: Array) -> None:
    """Write the minimiser of phi(a . x, b) + |x - y|^2 / (2 eta) into `x`, float64[d].

    `example` is a and b, float64[d + 1]. Cost: some 60 projections.
    """
    b = example[len(y)]
    far = eta * slope_at(loss, _reached(region, example, 0.0, y, x), b)
    near = 0.0
    if far == 0.0:
        return
    for _ in range(_HALVINGS):
        middle = near + 0.5 * (far - near)
        if middle in (near, far):
            break
        beyond = middle - eta * slope_at(loss, _reached(region, example, middle, y, x), b)
        if (beyond < 0.0) == (far > 0.0):
            near = middle
        else:
            far = middle
    _reached(region, example, far, y, x)


@kernel
def _reached(region: Region, example: Array, s: float, y: Array, x: Array) -> float:
    """Write P(y - s a) into `x`, and return a . x."""
    for j in range(len(y)):
        x[j] = y[j] - s * example[j]
    project(region, x)
    z = 0.0
    for j in range(len(y)):
        z += example[j] * x[j]
    return z
