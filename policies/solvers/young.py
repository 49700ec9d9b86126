"""Young's rule: the relaxation factor that is asymptotically best for SOR on a shifted matrix, in closed form.

Source: Young, "Iterative methods for solving partial difference equations of elliptic type", 1954, as the
instance-optimal rule of Khodak, Chow, Balcan, Talwalkar, "Learning to relax", ICLR 2024. For a symmetric positive
definite and consistently ordered matrix whose Jacobi matrix has spectral radius beta, omega = 2 / (1 + sqrt(1 -
beta^2)). The context is the shift c added to a constant diagonal, so beta(c) = beta(0) diagonal / (diagonal + c);
without a context c is 0. Where that is no such matrix, beta(c) >= 1 or diagonal + c <= 0, the largest omega is taken.
It knows what learners do not: regret is 0 against the asymptotic rate of SOR, up to the grid. For SSOR and
SSOR-preconditioned conjugate gradients other omegas are best.
State: none. Cost: O(K) per decision, nothing per feedback. The nearest available arm is taken, the lower one of two; a
grid of 1000 arms makes the rule all but exact.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.solvers.omega_grid import check_omegas, nearest_arm
from ...engine.vocabulary import Decision, Feedback, Instance, Key, Policy, Problem

JACOBI_RADIUS = 0.9594929736144974  # cos(pi / 11): the five-point Laplacian on 10 x 10 points


class YoungParams(NamedTuple):
    """Numbers fixed at creation."""

    jacobi_radius: float  # spectral radius of the Jacobi matrix at shift 0, in [0, 1)
    diagonal: float  # of the matrix at shift 0, > 0
    omega_min: float  # of the first arm
    omega_max: float  # of the last arm


class YoungState(NamedTuple):
    """Nothing is learned."""


def young(
    jacobi_radius: float = JACOBI_RADIUS, diagonal: float = 4.0, omega_min: float = 1.0, omega_max: float = 1.95
) -> Policy:
    """Take the omega that Young's formula gives for the shift in the context, from `omega_min` to `omega_max`.

    `jacobi_radius` is the spectral radius of I - A / diagonal for the matrix A of shift 0: cos(pi / (m + 1)) for the
    five-point Laplacian on m x m points, whose `diagonal` is 4.
    """
    low, high = check_omegas(omega_min, omega_max)
    params = YoungParams(
        check_param("jacobi_radius", jacobi_radius, low=0.0, high=1.0, high_open=True),
        check_param("diagonal", diagonal, low=0.0, high=1e100, low_open=True),
        low,
        high,
    )
    return Policy("young", params, init, context_length_max=1, deterministic=True)


def init(params: YoungParams, problem: Problem) -> YoungState:
    """Return the empty state."""
    return YoungState()


@kernel
def select(params: YoungParams, state: YoungState, instance: Instance, key: Key) -> Decision:
    """Take the available arm nearest to the optimum."""
    return Decision(_arm(params, instance), 1.0)


@kernel
def update(
    params: YoungParams,
    state: YoungState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn nothing."""


@kernel
def probability(params: YoungParams, state: YoungState, instance: Instance, action: int) -> float:
    """Return 1 for the arm that `select` takes and 0 for the others."""
    return 1.0 if action == _arm(params, instance) else 0.0


@kernel
def _arm(params: YoungParams, instance: Instance) -> int:
    shift = instance.context[0] if len(instance.context) > 0 else 0.0
    return nearest_arm(_optimum(params, shift), params.omega_min, params.omega_max, instance.available)


@kernel
def _optimum(params: YoungParams, shift: float) -> float:
    """Return 2 / (1 + sqrt(1 - beta^2)); the square root of a product, which does not cancel near beta = 1."""
    shifted = params.diagonal + shift
    radius = params.jacobi_radius * params.diagonal
    if not radius < shifted:
        return params.omega_max
    beta = radius / shifted
    return 2.0 / (1.0 + math.sqrt((1.0 - beta) * (1.0 + beta)))


register_policy(YoungParams, select=select, update=update, probability=probability)
