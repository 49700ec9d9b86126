"""Sticky: a wrapper that gives a unit the arm that it was given first, for a time or for ever.

A *unit* is whom a decision is for: a user, a session, a device, by the client's `unit_id`. Its first decision is the
inner policy's. Later ones repeat that arm with the propensity of that draw, until `seconds` have passed since the draw
(0: for ever), or the arm is not available: then the inner policy draws anew, and that is kept. Decisions for nobody are
the inner policy's. The inner policy takes note of repeats and learns from their rewards as from those of its own draws.
Of the law this is: a unit's first decision has the inner law, and a repeat is no draw. So `probability` of a repeat is
the kept propensity for the kept arm and 0 for others, which is no distribution; units are what intervals must count.
Source: the map is open addressing with linear probing, Knuth, "The art of computer programming", vol. 3, 6.4,
algorithm L, at a load of 5/6 at most.
State: the inner policy's, and a map with room for `units_max` units, 28.8 bytes each, written as decisions are made.
Beyond it a unit is decided for and not kept, unless one whose time is over makes room among the places where it may
lie; `constants` counts both.
Cost: the inner policy's, and some 3 look-ups for a unit that is there, 19 for one that is not, in a full map.
Arms are numbered once for all: where actions come with the call, a position means another action in each.
Sticky goes outside, as sticky(floor(...)): a wrapper around it would draw again what it keeps, and is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...engine import protocol
from ...engine.changes.turning import within
from ...engine.errors import InvalidInput, as_seen
from ...engine.growth import grown
from ...engine.kernel import kernel
from ...engine.problem import check_inside, fitted
from ...engine.vectors.constants import as_given
from ...engine.vocabulary import (
    NOBODY,
    Array,
    Constant,
    Constrained,
    Decision,
    Feedback,
    Instance,
    Key,
    Policy,
    Problem,
)

UNITS_MAX = 100_000_000
SECONDS_MAX = 2**32 - 1
_VERSION = 1  # of what is sticky; the inner policy's is added
_SECOND = 1_000_000  # microseconds


class StickyParams(NamedTuple):
    """Numbers fixed at creation, and the inner policy's."""

    seconds: int  # for which an arm is kept; 0 for ever
    units_max: int  # how many units are kept
    inner: Any  # the inner policy's params

    @property
    def marks_itself(self) -> bool:
        """It takes note of decisions, whatever the inner policy does."""
        return True


class StickyState(NamedTuple):
    """The map of units, of so many places, and the inner policy's state."""

    unit: Array  # uint64[s], NOBODY where the place is free
    propensity: Array  # float64[s], of the draw
    arm: Array  # int32[s]
    drawn: Array  # uint32[s], when, in seconds since 1970 UTC
    count: Array  # int64[2], units that are kept; decisions that found no room
    inner: Any


def sticky(policy: Policy, seconds: int = 0, units_max: int = 100_000) -> Policy:
    """Decide as `policy` does for each unit once, and repeat that for so many seconds; 0 is for ever.

    `units_max` is for how many units there is room, 28.8 bytes each; further ones are decided for and not kept.
    """
    _check_whole("seconds", seconds, 0, SECONDS_MAX)
    _check_whole("units_max", units_max, 1, UNITS_MAX)
    _check_inner(policy)

    def init(params: StickyParams, problem: Problem) -> StickyState:
        places = params.units_max * 6 // 5 + 1
        return StickyState(
            unit=np.zeros(places, np.uint64),
            propensity=np.zeros(places),
            arm=np.zeros(places, np.int32),
            drawn=np.zeros(places, np.uint32),
            count=np.zeros(2, np.int64),
            inner=policy.init(params.inner, problem),
        )

    def grow(params: StickyParams, state: StickyState, problem: Problem) -> StickyState:
        return state._replace(inner=grown(policy, state.inner, problem))

    def resolve(problem: Problem) -> Policy:
        inner = fitted(policy, problem)
        spec = {"name": "sticky", "params": {"policy": inner.spec, "seconds": seconds, "units_max": units_max}}
        return dataclasses.replace(sticky(inner, seconds, units_max), spec=spec)

    def constants(params: StickyParams, state: StickyState) -> dict[str, Constant]:
        told = {} if policy.constants is None else policy.constants(params.inner, state.inner)
        kept, left_out = map(float, state.count)
        own = {"units_kept": Constant(kept, "estimate"), "units_max": as_given(params.units_max)}
        return told | own | {"decisions_not_kept": Constant(left_out, "estimate")}

    def told(params: StickyParams, state: StickyState, number: int, arms: Sequence[str]) -> Constrained | None:
        return None if policy.constrained is None else policy.constrained(params.inner, state.inner, number, arms)

    def repeats(params: StickyParams, state: StickyState, instance: Instance) -> bool:
        return bool(_kept(params, state, instance) >= 0)

    return Policy(
        "sticky",
        StickyParams(seconds, units_max, policy.params),
        init,
        _VERSION - 1 + policy.version,
        context_length_max=policy.context_length_max,
        feedbacks=policy.feedbacks,
        grow=grow if policy.grow else None,
        resolve=resolve if policy.resolve else None,
        constants=constants,
        foretells=policy.foretells,
        deterministic=policy.deterministic,
        divides=policy.divides,
        repeats=repeats,
        constrained=None if policy.constrained is None else told,
        **within(policy),
    )


def _check_inner(policy: Any) -> None:
    """Refuse what decides on no arms, or in whose decisions a unit could not keep one."""
    check_inside(policy)
    if policy.contexts == ("states",):
        raise InvalidInput(
            "states_move",
            f"policy {policy.name!r} decides by the state that it is in, and a unit that keeps its arm keeps it in "
            "every state: leave sticky out",
        )
    if "arm" not in policy.actions or "dense" not in policy.contexts:
        raise InvalidInput(
            "no_arms",
            f"policy {policy.name!r} decides among no arms that are numbered once for all, so there is none that a "
            "unit could be given again: wrap one that does",
        )


def _check_whole(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be a whole number from {low} to {high}")


@kernel
def select(params: StickyParams, state: StickyState, instance: Instance, key: Key) -> Decision:
    """Take the arm that the unit was given, else what the inner policy takes."""
    place = _kept(params, state, instance)
    if place >= 0:
        arm = int(np.int64(state.arm[place]))
        p = state.propensity[place]
    else:
        decision = protocol.select(params.inner, state.inner, instance, key)
        arm = decision.action
        p = decision.propensity
    return Decision(arm, p)


@kernel
def mark(params: StickyParams, state: StickyState, instance: Instance, decision: Decision, key: Key) -> None:
    """Keep what a unit was given, and let the inner policy take note."""
    protocol.mark(params.inner, state.inner, instance, decision, key)
    if instance.unit == NOBODY:
        return
    kept = _kept(params, state, instance)
    if kept >= 0 and state.arm[kept] == decision.action:
        return
    place = _place(params, state, instance)
    if place < 0:
        state.count[1] += 1
        return
    if state.unit[place] == NOBODY:
        state.count[0] += 1
    state.unit[place] = instance.unit
    state.propensity[place] = decision.propensity
    state.arm[place] = decision.action
    state.drawn[place] = _seconds(instance)


@kernel
def update(
    params: StickyParams,
    state: StickyState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Let the inner policy learn."""
    protocol.update(params.inner, state.inner, instance, decision, feedback, key)


@kernel
def probability(params: StickyParams, state: StickyState, instance: Instance, action: int) -> float:
    """Return what would be on record of an arm: of a repeat the kept propensity, and 0 for the others."""
    place = _kept(params, state, instance)
    if place < 0:
        return protocol.probability(params.inner, state.inner, instance, action)
    return state.propensity[place] if state.arm[place] == action else 0.0


@kernel
def appraise(params: StickyParams, state: StickyState, instance: Instance, scores: Array, widths: Array) -> None:
    """Let the inner policy say what it expects."""
    protocol.appraise(params.inner, state.inner, instance, scores, widths)


@kernel
def attribute(params: StickyParams, state: StickyState, instance: Instance, action: int, parts: Array) -> None:
    """Let the inner policy say why."""
    protocol.attribute(params.inner, state.inner, instance, action, parts)


@kernel
def _kept(params: StickyParams, state: StickyState, instance: Instance) -> int:
    """Return the place of a unit that gets its arm again; -1 where it does not."""
    if instance.unit == NOBODY:
        return -1
    place = _first_place(state, instance.unit)
    while state.unit[place] != instance.unit:
        if state.unit[place] == NOBODY:
            return -1
        place = place + 1 if place + 1 < len(state.unit) else 0
    arm = int(np.int64(state.arm[place]))
    if _is_over(params, state, place, instance) or arm >= len(instance.available) or not instance.available[arm]:
        return -1
    return place


@kernel
def _place(params: StickyParams, state: StickyState, instance: Instance) -> int:
    """Return where a unit is to be kept: where it lies, else where one lies whose time is over, else where none does.

    -1 where there is no room. Some places are always free, so every search ends.
    """
    place = _first_place(state, instance.unit)
    over = -1
    while state.unit[place] != NOBODY:
        if state.unit[place] == instance.unit:
            return place
        if over < 0 and _is_over(params, state, place, instance):
            over = place
        place = place + 1 if place + 1 < len(state.unit) else 0
    if over >= 0:
        return over
    return place if state.count[0] < params.units_max else -1


@kernel
def _first_place(state: StickyState, unit: np.uint64) -> int:
    """Return the place at which a search begins; a unit is a digest, so its remainder is as good as any."""
    return int(np.int64(unit % np.uint64(len(state.unit))))


@kernel
def _is_over(params: StickyParams, state: StickyState, place: int, instance: Instance) -> bool:
    """Tell whether the time is over for which an arm is kept."""
    return params.seconds > 0 and _seconds(instance) - int(np.int64(state.drawn[place])) >= params.seconds


@kernel
def _seconds(instance: Instance) -> int:
    """Return the time in whole seconds, as far as 32 bits hold it: until the year 2106."""
    return min(max(instance.time // _SECOND, 0), SECONDS_MAX)


protocol.register_policy(
    StickyParams,
    select=select,
    update=update,
    mark=mark,
    probability=probability,
    appraise=appraise,
    attribute=attribute,
)
