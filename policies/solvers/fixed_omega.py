"""Fixed omega: always the arm whose relaxation factor is nearest to the one given, whatever comes.

Source: the baseline of Khodak, Chow, Balcan, Talwalkar, "Learning to relax", ICLR 2024, section 4: a sequence of linear
systems solved with one omega; 1 is Gauss-Seidel. Arms are equally spaced omegas from omega_min to omega_max. Regret
grows linearly, and is 0 where the arm is the best one.
State: none. Cost: O(K) per decision, nothing per feedback. Where the arm is not available the nearest one that is takes
its place, the lower one of two.
"""

from __future__ import annotations

from typing import NamedTuple

from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.solvers.omega_grid import check_omegas, nearest_arm
from ...engine.vocabulary import Decision, Feedback, Instance, Key, Policy, Problem


class FixedOmegaParams(NamedTuple):
    """Numbers fixed at creation."""

    omega: float  # in [omega_min, omega_max]
    omega_min: float  # of the first arm
    omega_max: float  # of the last arm


class FixedOmegaState(NamedTuple):
    """Nothing is learned."""


def fixed_omega(omega: float = 1.0, omega_min: float = 1.0, omega_max: float = 1.95) -> Policy:
    """Take the arm whose omega is nearest to `omega`, of arms equally spaced from `omega_min` to `omega_max`."""
    low, high = check_omegas(omega_min, omega_max)
    params = FixedOmegaParams(check_param("omega", omega, low=low, high=high), low, high)
    return Policy("fixed_omega", params, init, contexts=("dense", "actions", "named"), deterministic=True)


def init(params: FixedOmegaParams, problem: Problem) -> FixedOmegaState:
    """Return the empty state."""
    return FixedOmegaState()


@kernel
def select(params: FixedOmegaParams, state: FixedOmegaState, instance: Instance, key: Key) -> Decision:
    """Take the nearest available arm."""
    return Decision(nearest_arm(params.omega, params.omega_min, params.omega_max, instance.available), 1.0)


@kernel
def update(
    params: FixedOmegaParams,
    state: FixedOmegaState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn nothing."""


@kernel
def probability(params: FixedOmegaParams, state: FixedOmegaState, instance: Instance, action: int) -> float:
    """Return 1 for the arm that `select` takes and 0 for the others."""
    arm = nearest_arm(params.omega, params.omega_min, params.omega_max, instance.available)
    return 1.0 if action == arm else 0.0


register_policy(FixedOmegaParams, select=select, update=update, probability=probability)
