"""What is asked of those that watch a policy's errors; each function finds the kernel of the watch's class.

`mean_watch.py` is for arms without contexts, `error_watch.py` for policies that predict rewards from contexts. A
watch is a NamedTuple of arrays within a policy's state. `models` are the states of a policy, stacked: a row for each
world that is remembered, of which `leader` decides and learns now. The bets of every watch are its `book`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..kernel import KERNELS, generic, register
from ..vocabulary import Decision, Instance

NOTHING = -1  # in place of a row or a model


@generic
def examine(
    watch: Any, params: Any, models: Any, leader: int, used: int, instance: Instance, decision: Decision, reward: float
) -> int:
    """Bet on what was paid, before it is learned. Return the row of the bets that are won, or NOTHING.

    What a row is the watch knows: an arm, or all arms together.
    """
    return KERNELS[type(watch)]["examine"](watch, params, models, leader, used, instance, decision, reward)


@generic
def rival(watch: Any, leader: int, used: int, won: bool, number: int, n_worlds: int) -> int:
    """Return another model that foretells rewards better, or NOTHING; `won` says whether bets on a change are won."""
    return KERNELS[type(watch)]["rival"](watch, leader, used, won, number, n_worlds)


@generic
def numbered(watch: Any) -> int:
    """Return how many arms have a number once for all."""
    return KERNELS[type(watch)]["numbered"](watch)


@generic
def is_young(watch: Any, leader: int, row: int) -> bool:
    """Tell whether what was won of an arm belongs to the change that was found last."""
    return KERNELS[type(watch)]["is_young"](watch, leader, row)


@generic
def lagged(watch: Any) -> int:
    """Return for how many decisions less was paid than expected, where the last reward told that and no change; else 0.

    Then the model fits badly, or a change is too slow to be told from that: it learns anew what it forgets.
    """
    return KERNELS[type(watch)]["lagged"](watch)


def misfits(watch: Any) -> int:
    """Return how often the model of a watch fitted badly, and nothing had changed; 0 where nobody looks for that."""
    return int(KERNELS[type(watch)]["misfits"](watch))


@generic
def begin(watch: Any, model: int, leader: int, row: int) -> int:
    """Begin with another model, where the bets of a row are won; return how many arms are fresh: learned anew."""
    return KERNELS[type(watch)]["begin"](watch, model, leader, row)


@generic
def is_fresh(watch: Any, arm: int) -> bool:
    """Tell whether an arm is one of these."""
    return KERNELS[type(watch)]["is_fresh"](watch, arm)


@generic
def renew(watch: Any, leader: int, arm: int) -> None:
    """Begin anew with one arm."""
    KERNELS[type(watch)]["renew"](watch, leader, arm)


@generic
def forget(watch: Any, model: int) -> None:
    """Forget the errors of a model, which begins anew with all arms."""
    KERNELS[type(watch)]["forget"](watch, model)


@generic
def follow(watch: Any, model: int) -> None:
    """Let another model lead: all bets begin anew."""
    KERNELS[type(watch)]["follow"](watch, model)


def register_watch(watch_class: type, **kernels: Callable[..., Any]) -> None:
    """File the kernels of a watch under its class."""
    register(watch_class, **kernels)
