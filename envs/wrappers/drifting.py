"""Drifting: another environment whose arms change places by and by.

It is `switching` with changes that take a while. From a change on, decision n of the next `over` is of the new world
with probability n / over, and of the old one otherwise; which, the environment draws, and nobody is told. With as many
decisions in `over` as in `every`, worlds pass into each other all the time.
Source: the gradual drift of Gama, Zliobaite, Bifet, Pechenizkiy, Bouchachia, "A survey on concept drift adaptation",
2014.
State: that of `switching`. Cost: that of `switching`.
"""

from __future__ import annotations

from dataclasses import replace

from ...engine.vocabulary import Environment
from .. import catalog


def drifting(
    env: Environment,
    at: list[int] | None = None,
    every: int | None = None,
    over: int = 1000,
    shift: int = 1,
    orders: list[list[int]] | None = None,
) -> Environment:
    """Let the arms of `env` change places from the decisions `at` on, or each `every`, in the course of `over`.

    Each change moves all arms by `shift` places; `orders` says instead which arm of `env` each arm is in every world.
    """
    return replace(
        catalog.make("switching", env=env, at=at, every=every, shift=shift, orders=orders, over=over), name="drifting"
    )
