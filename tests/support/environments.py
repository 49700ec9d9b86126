"""Params of the environments that need some, for tests of all of them, and each of them by Gymnasium."""

from __future__ import annotations

from typing import Any

import gymnasium

from onearm.api.gym.envs import BanditVectorEnv
from onearm.api.gym.registration import env_id
from onearm.engine.domain import Domain
from onearm.envs import catalog as envs

WORLDS: dict[str, dict[str, Any]] = {
    "bernoulli": {"mean": [0.1, 0.5, 0.9]},
    "delayed": {"env": {"name": "bernoulli", "params": {"mean": [0.1, 0.5, 0.9]}}, "delay": 3, "law": "geometric"},
    "drifting": {"env": {"name": "bernoulli", "params": {"mean": [0.1, 0.5, 0.9]}}, "every": 20, "over": 10},
    "grouped": {"arms": 5, "groups": 2, "dimension": 3, "bend": 0.5},
    "heat_equation": {"side": 4, "points": 3, "rtol": 1e-2, "steps": 900},
    "linear_systems": {
        "matrices": [[[4, -1], [-1, 4]], [[3, 1, 0], [1, 3, 1], [0, 1, 3]]],
        "b": [[1, 2], [1, 0, 1]],
        "contexts": [0.5, 2],
        "points": 3,
    },
    "logged_table": {"reward": [[1, None, 0.5], [0.25, 1, None], [0, 0, 2]], "context": [[1, 2], [3, 4], [5, 6]]},
    "named": {"env": {"name": "linear", "params": {"arms": 4, "dimension": 3, "min_actions": 2}}, "bits": 8},
    "normal": {"mean": [-1.0, 0.0, 2.0]},
    "piecewise": {"means": [[0.1, 0.9], [0.8, 0.2], [0.5, 0.4]], "length": 50},
    "priced": {"env": {"name": "bernoulli", "params": {"mean": [0.1, 0.5, 0.9]}}, "cost": [1, 2, 6], "spread": 0.5},
    "river": {"rows": 200},
    "scaled": {
        "env": {"name": "normal", "params": {"mean": [0.1, 0.5, 0.9]}},
        "scale": 5.0,
        "offset": -20.0,
        "noise": 0.3,
    },
    "seasonal": {"env": {"name": "normal", "params": {"mean": [0.1, 0.5, 0.9]}}, "period": 30},
    "shifted_laplacian": {"side": 3, "points": 3, "rtol": 1e-2},
    "switching": {"env": {"name": "linear", "params": {"arms": 4, "dimension": 3}}, "at": [10, 30]},
}
NAMES = [name for name in envs.names() if name != "named"]  # which has no space, see below
STREAM = {"arms": 12, "slots": 2}
TABLE = {"features": [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], "label": [0, 1, 2]}


def params(name: str) -> dict[str, Any]:
    """Return what the environment is made of here; a table of three rows where digits would take a while."""
    return {"classification": TABLE, "arm_stream": STREAM, "random_order": {"losses": 30}}.get(name) or WORLDS.get(
        name, {}
    )


def kind_of(name: str) -> str:
    """Return what is decided in an environment: an arm, a move, a query or a vector.

    `river` is not made for that: to import what draws its rows takes as long as all else that collects the tests.
    """
    return "arm" if name == "river" else envs.make(name, **params(name)).problem.action_kind


def names(kind: str) -> list[str]:
    """Return the environments in which an arm, a move, a query or a vector is decided."""
    return [name for name in NAMES if kind_of(name) == kind]


def make(name: str, **more: Any) -> gymnasium.Env[Any, Any]:
    return gymnasium.make(env_id(name), **params(name), **more)


def make_vec(name: str, n: int, **more: Any) -> Any:
    return gymnasium.make_vec(env_id(name), num_envs=n, vectorization_mode="vector_entry_point", **params(name), **more)


def seed_of_nature(seed: int) -> int:
    """Return nature's seed where `reset` gets this one."""
    return int(gymnasium.utils.seeding.np_random(seed)[0].integers(2**63))


def sea(domain: Any = "box", **more: Any) -> Any:
    return gymnasium.make("onearm/Sea-v0", dimension=3, domain=domain, horizon=20, **more)


def make_sea_vec(domain: Domain) -> BanditVectorEnv:
    return BanditVectorEnv("sea", 2, 20, dimension=domain.dimension, domain=domain.to_json())
