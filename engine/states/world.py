"""Worlds whose states decisions move: tables of probabilities and rewards as environments.

A world is P, float64[S, A, S], the probabilities of the next state, and R, float64[S, A, S], what a move pays, or its
mean where it pays 1 or 0. What a decision falls short of the best policy (`optimum.py`) is its regret.
State: where it is. Cost: one draw a decision, two where rewards are drawn, and a walk over the states that can follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..draws import uniform
from ..errors import InvalidInput, as_seen
from ..kernel import kernel
from ..problem import check_problem, state_problem
from ..protocol import register_env
from ..vocabulary import Array, Environment, Instance, Key, Problem
from .optimum import closed_classes, optimum

SUM_OFF = 1e-9  # by which the probabilities of a row may miss 1
REGRET = "best policy's gain in the long run, as gaps"


class StateWorldParams(NamedTuple):
    """Numbers fixed at creation: the possible moves of pair (s, a) are numbers first[s, a] to first[s, a + 1] - 1."""

    first: Array  # int64[S, A + 1]
    following: Array  # int64[m] the next state
    below: Array  # float64[m] how likely this move of its pair, or one before it, is
    reward: Array  # float64[m] what the move pays, or how likely it pays 1
    drawn: bool  # whether rewards are 1 or 0
    is_open: Array  # bool[S, A] what can be chosen
    gaps: Array  # float64[S, A]
    start: int  # the state in which it begins


class StateWorldState(NamedTuple):
    """Where the world is."""

    place: Array  # int64[1]


def state_world(
    name: str, transitions: Array, rewards: Array, *, drawn: bool = False, start: int = 0, is_open: Array | None = None
) -> Environment:
    """Return an environment of P and R, float64[S, A, S] each, R in [0, 1]; `drawn` where R is how likely a 1 is.

    Raises `InvalidInput` where a row is no law, a reward lies outside of [0, 1], or the best gain depends on where one
    begins.
    """
    states, n_arms = transitions.shape[:2]
    problem = state_problem(states, n_arms)
    check_problem(problem)
    opened = np.ones((states, n_arms), np.bool_) if is_open is None else is_open
    _check_world(transitions, rewards, opened)
    mean = np.einsum("sak,sak->sa", transitions, rewards)
    best = optimum(transitions, mean, opened)
    pairs, following = np.nonzero(transitions.reshape(-1, states))
    law = transitions.reshape(-1, states)[pairs, following]
    first = np.searchsorted(pairs, np.arange(states * n_arms + 1))
    below = np.concatenate([np.cumsum(law[i:j]) for i, j in pairwise(first)])
    params = StateWorldParams(
        first[np.arange(n_arms + 1) + n_arms * np.arange(states)[:, np.newaxis]],
        following,
        below,
        rewards.reshape(-1, states)[pairs, following],
        drawn,
        opened,
        best.gaps,
        start,
    )
    return Environment(name, params, init, problem, regret_kind=REGRET)


def tables_of(env: Environment) -> tuple[Array, Array, Array]:
    """Return P, float64[S, A, S], the mean rewards r, float64[S, A], and what is open, bool[S, A], of such a world.

    >>> from onearm.envs import catalog
    >>> transitions, reward, is_open = tables_of(catalog.make("river_swim"))
    >>> transitions[0, 1].round(2).tolist(), float(reward[5, 1])
    ([0.4, 0.6, 0.0, 0.0, 0.0, 0.0], 1.0)
    """
    params: StateWorldParams = env.params
    states, n_arms = params.is_open.shape
    transitions, reward = np.zeros((states, n_arms, states)), np.zeros((states, n_arms))
    for s, a in np.ndindex(states, n_arms):
        moves = slice(int(params.first[s, a]), int(params.first[s, a + 1]))
        law = np.diff(params.below[moves], prepend=0.0)
        transitions[s, a, params.following[moves]] = law
        reward[s, a] = law @ params.reward[moves]
    return transitions, reward, params.is_open


def whole(name: str, value: Any, low: int, high: int) -> int:
    """Return a whole number from low to high; raise `InvalidInput` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be a whole number from {low} to {high}")
    return value


def init(params: StateWorldParams, problem: Problem, run: np.uint64) -> StateWorldState:
    """Return the world where it begins."""
    return StateWorldState(np.array([params.start], np.int64))


@kernel
def observe(
    params: StateWorldParams, state: StateWorldState, t: int, context: Array, available: Array, key: Key
) -> None:
    """Show the state, whether the unit begins in it, and what is open there."""
    place = state.place[0]
    context[0] = place
    context[1] = 1.0 if t == 0 else 0.0
    for a in range(len(available)):
        available[a] = params.is_open[place, a]


@kernel
def respond(
    params: StateWorldParams, state: StateWorldState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Move, and pay at once."""
    place = int(instance.context[0])
    move, last = params.first[place, action], params.first[place, action + 1] - 1
    u = uniform(key, 0)
    while move < last and u >= params.below[move]:
        move += 1
    state.place[0] = params.following[move]
    detail[0] = params.following[move]
    reward = params.reward[move]
    if params.drawn:
        reward = 1.0 if uniform(key, 1) < reward else 0.0
    return reward, 0


@kernel
def regret(params: StateWorldParams, state: StateWorldState, instance: Instance, action: int) -> float:
    """Return the gap of the decision, by the state in which it was made: the world has moved on."""
    return params.gaps[int(instance.context[0]), action]


def _check_world(transitions: Array, rewards: Array, is_open: Array) -> None:
    for s, a in np.argwhere(~np.isfinite(transitions).all(axis=2) | (transitions < 0.0).any(axis=2)):
        raise InvalidInput(
            "bad_world",
            f"the probabilities of state {s} and arm {a} are {_short(transitions[s, a])}: each must be a finite "
            "number, 0 or more",
        )
    for s, a in np.argwhere(np.abs(transitions.sum(axis=2) - 1.0) > SUM_OFF):
        total = transitions[s, a].sum()
        raise InvalidInput(
            "bad_world", f"the probabilities of state {s} and arm {a} add up to {total:.12g}: they must add up to 1"
        )
    for s, a, k in np.argwhere(~((rewards >= 0.0) & (rewards <= 1.0)) & (transitions > 0.0)):
        raise InvalidInput(
            "bad_world",
            f"the reward of state {s}, arm {a} and next state {k} is {rewards[s, a, k]:g}: it must be from 0 to 1",
        )
    for s in np.flatnonzero(~is_open.any(axis=1)):
        raise InvalidInput("bad_world", f"no arm is open in state {s}: at least one must be")
    classes = closed_classes(transitions, is_open)
    if len(classes) > 1:
        raise InvalidInput(
            "bad_world",
            f"one can stay for ever in the states {_short(classes[0])} and in {_short(classes[1])}, and never go from "
            "one to the other: the best gain would depend on where one begins; leave one of them out, or open a way",
        )


def _short(values: Sequence[Any] | Array) -> str:
    return str(np.asarray(values).tolist())[:80]


register_env(StateWorldParams, observe=observe, respond=respond, regret=regret)
