"""Our environments as Gymnasium makes them: those that ask queries are of another class."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.vector import SyncVectorEnv, VectorEnv

from ..kinds.table import kind_of
from .envs import BanditEnv, BanditVectorEnv, made
from .queries import QueryEnv


def single(name: str, horizon: int | None = None, render_mode: None = None, **params: Any) -> gymnasium.Env[Any, Any]:
    """Return one environment of that name."""
    env = made(name, params)
    return (QueryEnv if kind_of(env.problem).gym.recommends else BanditEnv)(env, horizon, render_mode)


def vector(
    name: str, num_envs: int = 1, horizon: int | None = None, render_mode: None = None, **params: Any
) -> VectorEnv[Any, Any, Any]:
    """Return copies of the environment of that name: stepped in one kernel call, but one by one where they ask."""
    env = made(name, params)
    if kind_of(env.problem).gym.recommends:
        return SyncVectorEnv([lambda: QueryEnv(env, horizon, render_mode)] * num_envs)
    return BanditVectorEnv(env, num_envs, horizon, render_mode)
