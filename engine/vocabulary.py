"""The nouns of onearm, on one screen. The glossary with every word is in docs/architecture.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Key(NamedTuple):
    """Names the draws of one decision: draw i is a pure function of (run, t, i)."""

    run: np.uint64  # the run key, from (seed, replication, policy or nature): `draws.run_key`
    t: int  # number of the decision


class Instance(NamedTuple):
    """What arrives at t."""

    t: int  # int64, the policy's clock: decisions made before this one
    context: Array  # float64[d], or float64[k, p] with action features
    available: Array  # bool[k], at least one True


class Decision(NamedTuple):
    """What was chosen, and how likely that was."""

    action: int  # int64, an arm
    propensity: float  # probability with which the policy took this action; NaN if unknown


class Feedback(NamedTuple):
    """What the world revealed about one decision."""

    reward: float  # up is better
    detail: Array  # float64[m], what else was revealed


class Columns(NamedTuple):
    """A log, or a part of it, as arrays of n events. A LEARN row repeats its decision's columns."""

    kind: Array  # int8[n], DECIDE or LEARN
    number: Array  # int64[n], number of the decision
    action: Array  # int64[n]
    propensity: Array  # float64[n]
    reward: Array  # float64[n], NaN on DECIDE rows
    context: Array  # float64[n, *context shape]
    available: Array  # bool[n, k], or bool[1, k] where it never changes


DECIDE, LEARN, CHANGE = 0, 1, 2


@dataclass(frozen=True)
class Problem:
    """The static shape of a task: `n_arms` arms, a context of `context_shape`, and a horizon if there is one.

    >>> Problem(n_arms=3)
    Problem(n_arms=3, context_shape=(0,), horizon=None)
    """

    n_arms: int
    context_shape: tuple[int, ...] = (0,)
    horizon: int | None = None


@dataclass(frozen=True)
class Policy:
    """A policy: frozen params, a state of named arrays, and kernels filed under the params' class."""

    name: str
    params: Any  # a NamedTuple of numbers and arrays
    init: Callable[[Any, Problem], Any]  # (params, problem) -> state, a NamedTuple of arrays
    version: int = 1  # bumped when its bits change; held by a golden digest test
    spec: dict[str, Any] = field(default_factory=dict, compare=False)  # {"name", "params"} as JSON, set by the registry


@dataclass(frozen=True)
class Environment:
    """A world: params, a state, and the kernels observe, respond and (where the optimum is known) regret."""

    name: str
    params: Any
    init: Callable[[Any, Problem, np.uint64], Any]  # (params, problem, nature's run key) -> state
    problem: Problem  # `horizon` is the length of one pass where the world has one
    regret_kind: str | None = None  # the comparator that `regret` measures against, in words
    delay_max: int = 0  # the longest delay of a reward, in decisions
    spec: dict[str, Any] = field(default_factory=dict, compare=False)
