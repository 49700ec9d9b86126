"""The Gymnasium interface: our environments as Gymnasium environments, and our policies on any Gymnasium environment.

`import onearm.gym` registers the environments: from then on `gymnasium.make("onearm/Bernoulli-v0", mean=[0.1, 0.9])`
finds them, and so does `gymnasium.make_vec(..., num_envs=8, vectorization_mode="vector_entry_point")`. Without the
import, `gymnasium.make("onearm.gym:onearm/Bernoulli-v0")` does both.

>>> import gymnasium
>>> gymnasium.make("onearm/Bernoulli-v0", mean=[0.1, 0.9]).action_space
Discrete(2)
"""

from __future__ import annotations

from .registration import register_envs
from .runner import run

__all__ = ["register_envs", "run"]

register_envs()
