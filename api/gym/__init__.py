"""The Gymnasium door: our environments as Gymnasium environments, and our policies on any Gymnasium environment.

`gymnasium.make("onearm/Bernoulli-v0", mean=[0.1, 0.9])` and `gymnasium.make_vec(..., num_envs=8)` find them by the entry
point of the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onearm.api.gym.runner import run

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    """Load the runner on first use: Gymnasium imports this package at its own start and must not pay for numba."""
    if name == "run":
        from onearm.api.gym.runner import run

        return run
    raise AttributeError(f"module 'onearm.api.gym' has no attribute {name!r}")
