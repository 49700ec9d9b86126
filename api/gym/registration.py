"""Gymnasium's list of our environments. Loads no kernel: an environment is imported when it is made."""

from __future__ import annotations

import gymnasium

from ...envs import catalog

NAMESPACE = "onearm"


def register_envs() -> None:
    """Register every file of envs/ that is not registered yet: `logged_table` becomes `onearm/LoggedTable-v0`."""
    for name in catalog.names():
        if env_id(name) not in gymnasium.registry:
            gymnasium.register(
                id=env_id(name),
                entry_point="onearm.api.gym.making:single",
                vector_entry_point="onearm.api.gym.making:vector",
                kwargs={"name": name},
            )


def env_id(name: str) -> str:
    """Return the Gymnasium id of an environment.

    >>> env_id("logged_table")
    'onearm/LoggedTable-v0'
    """
    return f"{NAMESPACE}/{''.join(word.capitalize() for word in name.split('_'))}-v0"
