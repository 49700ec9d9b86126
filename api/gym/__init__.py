"""The Gymnasium door: our environments as Gymnasium environments, and our policies on any Gymnasium environment.

Importing this package registers the environments: from then on `gymnasium.make("onearm/Bernoulli-v0", mean=[0.1, 0.9])`
finds them, and so does `gymnasium.make_vec(..., num_envs=8, vectorization_mode="vector_entry_point")`. Without the
import, `gymnasium.make("onearm.api.gym:onearm/Bernoulli-v0")` does both. Gymnasium 1.0 dropped the entry points that
let it find packages itself; `python -m onearm.api.gym.autoload` brings that back for an environment.

>>> import gymnasium
>>> gymnasium.make("onearm/Bernoulli-v0", mean=[0.1, 0.9]).action_space
Discrete(2)
"""

from __future__ import annotations

from onearm.api.gym.registration import register_envs
from onearm.api.gym.runner import run

__all__ = ["register_envs", "run"]

register_envs()
