"""Our environments as Gymnasium makes them: those that ask queries are of another class."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.vector import SyncVectorEnv, VectorEnv

from .envs import BanditEnv, BanditVectorEnv, made
from .kinds import gym_of
from .queries import QueryEnv


def single(name: str, horizon: int | None = None, render_mode: None = None, **params: Any) -> gymnasium.Env[Any, Any]:
    """Return one environment of that name."""
    env = made(name, params)
    return (QueryEnv if gym_of(env.problem).recommends else BanditEnv)(env, horizon, render_mode)


def vector(
    name: str, num_envs: int = 1, horizon: int | None = None, render_mode: None = None, **params: Any
) -> VectorEnv[Any, Any, Any]:
    """Return copies of the environment of that name: stepped in one kernel call, but one by one where they ask."""
    env = made(name, params)
    if gym_of(env.problem).recommends:
        return SyncVectorEnv([lambda: QueryEnv(env, horizon, render_mode)] * num_envs)
    return BanditVectorEnv(env, num_envs, horizon, render_mode)
