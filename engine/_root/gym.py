"""`import onearm.gym` registers the environments with Gymnasium: a short name for `onearm.api.gym`.

>>> import gymnasium, onearm.gym
>>> gymnasium.make("onearm/Bernoulli-v0", mean=[0.1, 0.9]).action_space
Discrete(2)
"""

from onearm.api.gym import register_envs, run

__all__ = ["register_envs", "run"]
