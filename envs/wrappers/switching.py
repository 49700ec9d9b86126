"""Switching: another environment whose arms change places at given times, at once or by and by.

World w begins with the w-th of the times. In it arm a is what arm orders[w][a] of the environment inside is: it pays
what that pays, and is there when that is. After the last order the first comes again. So all of it may change, or some
arms, for good or for a while: a day and a night are two orders that take turns.
A world that takes `over` decisions to come has the share 1 / over of the first, 2 / over of the second and so on: the
environment draws which world a decision is of, and regret is against the best arm of that world.
`piecewise` is a small relative: Bernoulli arms that get other means, and not each other's.
Source: the switching bandits of Garivier, Moulines, "On upper-confidence bound policies for switching bandit
problems", ALT 2011. Worlds that come by and by are the gradual drift of Gama, Zliobaite, Bifet, Pechenizkiy,
Bouchachia, "A survey on concept drift adaptation", 2014.
State: the inner environment's, and which of its arms are there. Cost: the inner environment's, O(K) for what is there,
a search among the times, and one draw while a world comes.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...engine.draws import uniform
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.problem import HORIZON_MAX
from ...engine.protocol import observe as inner_observe
from ...engine.protocol import register_env
from ...engine.protocol import regret as inner_regret
from ...engine.protocol import respond as inner_respond
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

ORDERS_MAX = 10_000_000  # numbers in all orders together
_DRAW = 1 << 22  # index of the draw of the world: the environment inside, and other wrappers, draw below it


class SwitchingParams(NamedTuple):
    """Numbers fixed at creation."""

    inner: Any  # params of the environment inside
    at: Array  # int64[m] numbers of the decisions with which a world begins, increasing; empty where `every` is given
    every: int  # decisions of each world; 0 where `at` says when they begin
    over: int  # decisions until a world is there for good, 1 or more
    order: Array  # int64[n, k] of each world, which arm of the environment inside an arm is


class SwitchingState(NamedTuple):
    """What the environment inside holds, and shows."""

    inner: Any
    run: Array  # uint64[1] nature's run key, of the draws of worlds
    available: Array  # bool[k] of its arms


def switching(
    env: Environment,
    at: list[int] | None = None,
    every: int | None = None,
    shift: int = 1,
    orders: list[list[int]] | None = None,
    over: int = 1,
) -> Environment:
    """Let the arms of `env` change places at the decisions `at`, or each `every` decisions.

    Each change moves all arms by `shift` places; `orders` says instead which arm of `env` each arm is in every world.
    A change takes `over` decisions, 1 where it is sudden, and no longer than until the next.
    """
    if env.problem.action_kind != "arm" or env.problem.context_kind != "dense":
        raise InvalidInput("bad_param", "env has no arms that are numbered once for all: name one that has")
    if _holds_switching(env.params):
        raise InvalidInput("bad_param", "env switches already: give all times and orders to one of them")
    times, period = _times(at, every)
    params = SwitchingParams(
        env.params, times, period, _over(over, times, period), _orders(env.problem.n_arms, len(times), shift, orders)
    )

    def init(params: SwitchingParams, problem: Problem, run: np.uint64) -> SwitchingState:
        inner = env.init(params.inner, problem, run)
        return SwitchingState(inner, np.array([run], np.uint64), np.ones(problem.n_arms, np.bool_))

    kind = None if env.regret_kind is None else f"{env.regret_kind}, wherever it stands"
    return Environment("switching", params, init, env.problem, regret_kind=kind, delay_max=env.delay_max)


def _holds_switching(params: Any) -> bool:
    """Tell whether there is one inside at any depth: its kernels would call themselves, which numba cannot link."""
    return isinstance(params, SwitchingParams) or (isinstance(params, tuple) and any(map(_holds_switching, params)))


def _times(at: Any, every: Any) -> tuple[Array, int]:
    """Return when worlds begin: at which decisions, or after how many each."""
    if (at is None) == (every is None):
        raise InvalidInput("bad_param", "worlds begin either at the decisions `at` or after `every`: give one of them")
    if every is not None:
        if not _is_whole(every, 1):
            raise InvalidInput(
                "bad_param", f"every is {as_seen(every)}: it must be a whole number of decisions, 1 to 2^53"
            )
        return np.zeros(0, np.int64), int(every)
    times = list(at) if isinstance(at, (list, tuple, np.ndarray)) else []
    if not times or not all(_is_whole(t, 1) for t in times) or sorted(set(times)) != times:
        raise InvalidInput(
            "bad_param", f"at is {as_seen(at)}: it must be a list of decisions, whole and increasing, from 1 to 2^53"
        )
    return np.array(times, np.int64), 0


def _over(over: Any, times: Array, every: int) -> int:
    """Return how many decisions a change takes, where it is over before the next."""
    shortest = every or int(np.diff(times).min(initial=HORIZON_MAX))
    if not _is_whole(over, 1) or over > shortest:
        raise InvalidInput(
            "bad_param",
            f"over is {as_seen(over)}: it must be a whole number of decisions, from 1 to the {shortest} between two "
            "changes",
        )
    return int(over)


def _orders(k: int, n_times: int, shift: Any, orders: Any) -> Array:
    """Return the order of each world; `n_times` is 0 where worlds never end."""
    if orders is not None:
        return _given_orders(k, orders)
    if not _is_whole(shift, -HORIZON_MAX) or shift % k == 0:
        raise InvalidInput(
            "bad_param",
            f"shift is {as_seen(shift)}: it must be a whole number of places that moves the {k} arms of env",
        )
    n = k // math.gcd(shift, k)  # then the first comes again
    n = min(n, n_times + 1) if n_times else n
    if n * k > ORDERS_MAX:
        raise InvalidInput("bad_param", f"env has {k} arms, which would stand in {n} orders: give fewer as orders")
    return (np.arange(k) + shift % k * np.arange(n)[:, None]) % k


def _given_orders(k: int, orders: Any) -> Array:
    """Return orders as an array, once each is one."""
    listed = list(orders) if isinstance(orders, (list, tuple, np.ndarray)) else []
    if len(listed) < 2 or not all(_is_order(k, order) for order in listed):
        raise InvalidInput(
            "bad_param",
            f"orders is {as_seen(orders)}: two or more are needed, each with every number from 0 to {k - 1} once",
        )
    return np.array(listed, np.int64)


def _is_order(k: int, order: Any) -> bool:
    is_listed = isinstance(order, (list, tuple, np.ndarray)) and len(order) == k
    return is_listed and all(_is_whole(arm, 0) for arm in order) and sorted(order) == list(range(k))


def _is_whole(value: Any, low: int) -> bool:
    is_number = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return is_number and low <= value <= HORIZON_MAX


@kernel
def observe(params: SwitchingParams, state: SwitchingState, t: int, context: Any, available: Array, key: Key) -> None:
    """Show what the environment inside shows; an arm is there where the one is that it is now."""
    inner_observe(params.inner, state.inner, t, context, state.available, key)
    world = _world(params, state, t)
    for a in range(len(available)):
        available[a] = state.available[params.order[world, a]]


@kernel
def respond(
    params: SwitchingParams, state: SwitchingState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Pay what the arm is worth in the world that the decision is of, whenever it is paid."""
    arm = params.order[_world(params, state, instance.t), action]
    inside = Instance(instance.t, instance.context, state.available, instance.unit, instance.time)
    return inner_respond(params.inner, state.inner, inside, arm, detail, key)


@kernel
def regret(params: SwitchingParams, state: SwitchingState, instance: Instance, action: int) -> float:
    """Return the regret of the arm in the world that the decision is of."""
    arm = params.order[_world(params, state, instance.t), action]
    inside = Instance(instance.t, instance.context, state.available, instance.unit, instance.time)
    return inner_regret(params.inner, state.inner, inside, arm)


@kernel
def _world(params: SwitchingParams, state: SwitchingState, t: int) -> int:
    """Return the number of the order that decision t is of."""
    world = 0
    begin = 0
    if params.every > 0:
        world = t // params.every
        begin = world * params.every
    else:
        while world < len(params.at) and t >= params.at[world]:
            begin = params.at[world]
            world += 1
    come = t - begin + 1
    if world > 0 and come < params.over and uniform(Key(state.run[0], t), _DRAW) * params.over >= come:
        world -= 1
    return world % len(params.order)


register_env(SwitchingParams, observe=observe, respond=respond, regret=regret)
