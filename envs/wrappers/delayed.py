"""Delayed: another environment whose rewards arrive late, after a fixed or a geometric number of decisions.

Source: Joulani, Gyorgy, Szepesvari, "Online learning under delayed feedback", ICML 2013. A delay of 1 means: learned
after the next decision. Geometric delays have the mean `delay` and are cut at 10 times that, which shortens about one
in 20,000.
State: the inner environment's. Cost: the inner environment's, and one draw per geometric delay.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...engine.draws import uniform
from ...engine.elementary import log1p
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.protocol import observe as inner_observe
from ...engine.protocol import register_env
from ...engine.protocol import regret as inner_regret
from ...engine.protocol import respond as inner_respond
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

LAWS = ("fixed", "geometric")
CUT = 10  # geometric delays end at CUT times their mean
_DRAW = 1 << 20  # index of the draw of the delay: the environment inside draws far below it


class DelayedParams(NamedTuple):
    """Numbers fixed at creation."""

    inner: Any  # params of the environment inside
    delay: int  # fixed delay, or the longest of the geometric ones
    log_stay: float  # ln(mean / (1 + mean)) of geometric delays, < 0; 0 says that the delay is fixed


class DelayedState(NamedTuple):
    """What the environment inside holds."""

    inner: Any


def delayed(env: Environment, delay: int = 10, law: str = "fixed") -> Environment:
    """Pay what `env` pays, `delay` decisions later: always ("fixed"), or on average ("geometric")."""
    if env.problem.action_kind == "move":
        raise InvalidInput(
            "bad_param",
            "env lets arms stream past, where what a move did must be known before the next: nothing can come late; "
            "name one with numbered arms",
        )
    if isinstance(delay, bool) or not isinstance(delay, int) or not 1 <= delay <= 1_000_000:
        raise InvalidInput(
            "bad_param", f"delay is {as_seen(delay)}: it must be a whole number of decisions, 1 to 1000000"
        )
    if law not in LAWS:
        raise InvalidInput("bad_param", f"law is {as_seen(law)}: it must be one of {', '.join(LAWS)}")
    fixed = law == "fixed"
    longest = delay if fixed else CUT * delay
    log_stay = 0.0 if fixed else log1p(-1.0 / (1.0 + delay))
    if isinstance(env.params, DelayedParams):
        raise InvalidInput("bad_param", "env is delayed already: give the sum of both delays to one of them")

    def init(params: DelayedParams, problem: Problem, run: np.uint64) -> DelayedState:
        return DelayedState(env.init(params.inner, problem, run))

    return Environment(
        "delayed",
        DelayedParams(env.params, longest, log_stay),
        init,
        env.problem,
        regret_kind=env.regret_kind,
        delay_max=env.delay_max + longest,
    )


@kernel
def observe(params: DelayedParams, state: DelayedState, t: int, context: Array, available: Array, key: Key) -> None:
    """Show what the environment inside shows."""
    inner_observe(params.inner, state.inner, t, context, available, key)


@kernel
def respond(
    params: DelayedParams, state: DelayedState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Pay what the environment inside pays, later by the delay."""
    reward, delay = inner_respond(params.inner, state.inner, instance, action, detail, key)
    if params.log_stay == 0.0:
        return reward, delay + params.delay
    # Delay n has probability (1 - stay) stay^n. Inversion: 1 - u is in (0, 1].
    drawn = log1p(-uniform(key, _DRAW)) / params.log_stay
    return reward, delay + int(min(drawn, float(params.delay)))


@kernel
def regret(params: DelayedParams, state: DelayedState, instance: Instance, action: int) -> float:
    """Return the regret that the environment inside knows."""
    return inner_regret(params.inner, state.inner, instance, action)


register_env(DelayedParams, observe=observe, respond=respond, regret=regret)
