"""Constraints on a law: floors and caps of arms, and of the sums of groups of arms; what one decision cannot meet.

A floor is the least probability of an arm, a cap the greatest. Arms of a group have the same of their sum; an arm is in
one group at most. A group names its arms, or a tag that they have. `constraints_of` refuses what is none, `members_of`
groups that these arms do not make, `check_met` what they cannot meet. Where not all arms are available, `read_bounds`
lets give way what this decision cannot meet, and `bounded_law` writes the nearest law that keeps to the rest.

>>> groups = [{"name": "new", "arms": [1, 2], "floor": 0.6}]
>>> shares, members = constraints_of(0.1, [0.5, 1.0, 1.0], groups), members_of(groups, 3)
>>> work = work_of(shares, members, 3)
>>> work.law[:] = [1.0, 0.0, 0.0]
>>> read_bounds(shares, work, np.ones(3, np.bool_)), bounded_law(shares, work, 3)
(3, True)
>>> work.out.round(6).tolist(), work.applied.group_floor.tolist(), work.applied.cap.tolist()
([0.4, 0.3, 0.3], [True], [False, False, False])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import InvalidInput, as_seen
from ..kernel import kernel, routine
from ..problem import check_param, check_vector
from ..vocabulary import Array
from .bounded import fill

_ROUNDING = 1e-12  # by which a sum of probabilities may miss a bound


class Constraints(NamedTuple):
    """What each arm has at least and at most, and what groups of arms have."""

    floor: Array  # float64[n], of the first n arms
    cap: Array  # float64[m], of the first m
    every_floor: float  # of the other arms
    every_cap: float
    group_floor: Array  # float64[g]
    group_cap: Array  # float64[g]


class Which(NamedTuple):
    """Some of the constraints."""

    floor: Array  # bool[k]
    cap: Array  # bool[k]
    group_floor: Array  # bool[g]
    group_cap: Array  # bool[g]


class BoundsWork(NamedTuple):
    """Working space, for a field of a state whose name begins with `scratch_`; what is not available holds anything."""

    law: Array  # float64[k], the law to keep near to: the caller writes it
    out: Array  # float64[k], the nearest one
    low: Array  # float64[k], floors and caps as far as this decision meets them
    high: Array
    least: Array  # float64[k], the same with those of groups in them
    most: Array
    group_low: Array  # float64[g], of groups
    group_high: Array
    arms: Array  # int64[k], those that are available
    there: Array  # int64[k], those of one group that are
    member: Array  # int64[], the arms of all groups, one group after another
    start: Array  # int64[g + 1]: the members of group j are start[j] <= i < start[j + 1]
    is_open: Array  # bool[k]
    applied: Which  # those that moved the law
    relaxed: Which  # those that gave way


def work_of(shares: Constraints, members: Sequence[Sequence[int]], k: int) -> BoundsWork:
    """Return working space for k arms, of which each group has the `members` that `members_of` returned."""
    groups = len(shares.group_floor)
    law, out, low, high, least, most = (np.zeros(k) for _ in range(6))
    group_low, group_high = np.zeros(groups), np.zeros(groups)
    arms, there = np.zeros(k, np.int64), np.zeros(k, np.int64)
    applied, relaxed = (Which(*(np.zeros(n, np.bool_) for n in (k, k, groups, groups))) for _ in range(2))
    return BoundsWork(
        *(law, out, low, high, least, most, group_low, group_high, arms, there),
        member=np.array([arm for group in members for arm in group], np.int64),
        start=np.cumsum([0, *map(len, members)]),
        is_open=np.zeros(k, np.bool_),
        applied=applied,
        relaxed=relaxed,
    )


def constraints_of(
    floors: float | Sequence[float], caps: float | Sequence[float], groups: Sequence[dict[str, Any]]
) -> Constraints:
    """Return constraints; one number is for every arm, a list for arms by their numbers, further ones have none.

    A group has a name, the numbers of its arms or a tag of them, and a floor or a cap or both. Raises `InvalidInput`.
    """
    floor, every_floor = _shares("floors", floors, 0.0)
    cap, every_cap = _shares("caps", caps, 1.0)
    for group in groups:
        _check_group(group)
    names = [group["name"] for group in groups]
    if len(set(names)) < len(names):
        raise InvalidInput("bad_constraints", f"the groups are called {names}: each has a name of its own")
    return Constraints(
        floor,
        cap,
        every_floor,
        every_cap,
        np.array([float(group.get("floor", 0.0)) for group in groups]),
        np.array([float(group.get("cap", 1.0)) for group in groups]),
    )


def _shares(name: str, given: Any, other: float) -> tuple[Array, float]:
    """Return the shares of the first arms, and that of the others."""
    if isinstance(given, (int, float)):
        return np.zeros(0), check_param(name, given, low=0.0, high=1.0)
    return check_vector(name, given, low=0.0, high=1.0), other


def _check_group(group: Any) -> None:
    """Refuse what is no group."""
    if not isinstance(group, dict) or not isinstance(group.get("name"), str) or not group.keys() & {"arms", "tag"}:
        raise InvalidInput(
            "bad_constraints",
            f'a group is {as_seen(group)}: it must be {{"name": ..., "arms": [...], "floor": ...}}, '
            'with a "tag" in place of arms where arms have tags',
        )
    name = group["name"]
    if unknown := sorted(set(group) - {"name", "arms", "tag", "floor", "cap"}):
        raise InvalidInput("bad_constraints", f"the group {name!r} has a field {unknown[0]!r}: leave it out")
    if "arms" in group and "tag" in group:
        raise InvalidInput(
            "bad_constraints", f"the group {name!r} has arms and a tag: name its arms, or the tag that they have"
        )
    if "arms" in group:
        _check_arms(name, group["arms"])
    elif not isinstance(group["tag"], str):
        raise InvalidInput(
            "bad_constraints", f"the group {name!r} has the tag {as_seen(group['tag'])}: a tag is a string"
        )
    if "floor" not in group and "cap" not in group:
        raise InvalidInput("bad_constraints", f"the group {name!r} has no floor and no cap: give it one of them")
    floor, cap = (
        check_param(f"the {field} of group {name!r}", group.get(field, other), low=0.0, high=1.0)
        for field, other in (("floor", 0.0), ("cap", 1.0))
    )
    if floor > cap:
        raise _never(f"the group {name!r} has a floor of {floor:g} above its cap of {cap:g}")


def _check_arms(name: str, arms: Any) -> None:
    whole = isinstance(arms, list) and all(type(arm) is int and arm >= 0 for arm in arms)
    if not whole or not arms:
        raise InvalidInput(
            "bad_constraints", f"the group {name!r} has the arms {as_seen(arms)}: give one arm or more, by number"
        )


def members_of(groups: Sequence[dict[str, Any]], k: int, tags: Sequence[Sequence[str]] = ()) -> list[list[int]]:
    """Return the numbers of the arms of each group, of k arms with their `tags`, which may be left out.

    Raises `InvalidInput` where a group has no arm, or one that is not there, and where an arm is in two.

    >>> members_of([{"name": "new", "tag": "new", "floor": 0.6}], 3, [["old"], [], ["new", "red"]])
    [[2]]
    """
    members = [
        group["arms"] if "arms" in group else [arm for arm, said in enumerate(tags[:k]) if group["tag"] in said]
        for group in groups
    ]
    for group, arms in zip(groups, members, strict=True):
        if not arms:
            raise InvalidInput(
                "unknown_tag",
                f"the group {group['name']!r} is of the arms with the tag {group['tag']!r}, and no arm has it: give it "
                'to one at least, as in {"id": "a", "tags": ["new"]}',
            )
        if max(arms) >= k:
            raise InvalidInput(
                "bad_constraints",
                f"the group {group['name']!r} has arm {max(arms)}, and there are {k}: they count from 0",
            )
    every = [arm for arms in members for arm in arms]
    if twice := sorted({arm for arm in every if every.count(arm) > 1}):
        names = [group["name"] for group, arms in zip(groups, members, strict=True) if twice[0] in arms]
        raise InvalidInput(
            "bad_constraints",
            f"arm {twice[0]} is twice in the groups ({', '.join(names)}): an arm is in one group, and there once",
        )
    return members


def check_met(shares: Constraints, groups: Sequence[dict[str, Any]], members: Sequence[Sequence[int]], k: int) -> None:
    """Refuse constraints that no law of k arms, all of them available, keeps to; groups have these `members`."""
    low = np.array([floor_of(shares, a) for a in range(k)])
    high = np.array([cap_of(shares, a) for a in range(k)])
    if len(over := np.flatnonzero(low > high)):
        arm = over[0]
        raise _never(f"arm {arm} has a floor of {low[arm]:g} above its cap of {high[arm]:g}")
    _check_sums("floors of the arms", low.sum(), "caps of the arms", high.sum())
    least, most = low.sum(), high.sum()
    for j, (group, of_group) in enumerate(zip(groups, members, strict=True)):
        arms, name = list(of_group), group["name"]
        floor, cap = shares.group_floor[j], shares.group_cap[j]
        if (within := low[arms].sum()) > cap + _ROUNDING:
            raise _never(f"the arms of group {name!r} have floors of {within:g} together, above its cap of {cap:g}")
        if (within := high[arms].sum()) < floor - _ROUNDING:
            raise _never(f"the arms of group {name!r} have caps of {within:g} together, below its floor of {floor:g}")
        least += max(floor - low[arms].sum(), 0.0)
        most -= max(high[arms].sum() - cap, 0.0)
    _check_sums("floors of groups and of the other arms", least, "caps of groups and of the other arms", most)


def _check_sums(floors: str, least: float, caps: str, most: float) -> None:
    if least > 1.0 + _ROUNDING:
        raise _never(f"the {floors} are {least:g} together, and all probabilities are 1")
    if most < 1.0 - _ROUNDING:
        raise _never(f"the {caps} are {most:g} together, and all probabilities are 1")


def _never(seen: str) -> InvalidInput:
    return InvalidInput("never_met", f"{seen}: no decision could keep to that; lower floors, or raise caps")


@kernel
def floor_of(shares: Constraints, a: int) -> float:
    """Return the floor of an arm."""
    return shares.floor[a] if a < len(shares.floor) else shares.every_floor


@kernel
def cap_of(shares: Constraints, a: int) -> float:
    """Return the cap of an arm."""
    return shares.cap[a] if a < len(shares.cap) else shares.every_cap


@routine
def read_bounds(shares: Constraints, work: BoundsWork, available: Array) -> int:
    """Write the bounds of a decision, and which of them gave way; return how many arms are available, in `work.arms`.

    The floor of an arm that is not available gives way. So do all caps, where those of the available ones come to less
    than 1; all caps of groups, where with them less than 1 could be given; and the floor of a group, as far as its
    available arms may not have so much.
    """
    n, most = 0, 0.0
    for a in range(len(available)):
        work.relaxed.floor[a] = not available[a] and a < len(shares.floor) and shares.floor[a] > 0.0
        work.relaxed.cap[a] = False
        work.low[a] = floor_of(shares, a) if available[a] else 0.0
        work.high[a] = cap_of(shares, a) if available[a] else 0.0
        if available[a]:
            work.arms[n] = a
            n += 1
            most += work.high[a]
    if most < 1.0 - _ROUNDING:
        most = float(n)
        for i in range(n):
            work.relaxed.cap[work.arms[i]] = work.high[work.arms[i]] < 1.0
            work.high[work.arms[i]] = 1.0
    _read_groups(shares, work, most)
    return n


@kernel
def _read_groups(shares: Constraints, work: BoundsWork, most: float) -> None:
    """Write the bounds of groups, whose arms' are written; `most` is the sum of the caps."""
    for j in range(len(shares.group_cap)):
        most -= max(_sum(work, j, work.high) - shares.group_cap[j], 0.0)
    is_short = most < 1.0 - _ROUNDING
    for j in range(len(shares.group_cap)):
        room = _sum(work, j, work.high)
        work.relaxed.group_cap[j] = is_short and room > shares.group_cap[j]
        is_capped = shares.group_cap[j] < 1.0 and not work.relaxed.group_cap[j]
        work.group_high[j] = min(shares.group_cap[j], room) if is_capped else room
        work.relaxed.group_floor[j] = room < shares.group_floor[j] - _ROUNDING
        work.group_low[j] = min(shares.group_floor[j], room)


@routine
def bounded_law(shares: Constraints, work: BoundsWork, n: int) -> bool:
    """Write the nearest law to `work.law` into `work.out`, and which constraints moved it; return whether any did.

    `n` is what `read_bounds` returned. A law that misses a bound by rounding alone is left as it is.
    """
    arms = work.arms[:n]
    for i in range(n):
        a = arms[i]
        work.least[a], work.most[a], work.out[a] = work.low[a], work.high[a], work.law[a]
    is_moved = not _keeps(shares, work, arms)
    if is_moved:
        for j in range(len(shares.group_cap)):
            _narrow(work, j)
        fill(work.law, work.least, work.most, arms, 1.0, work.is_open, work.out)
    for a in range(len(work.applied.floor)):
        work.applied.floor[a] = False
        work.applied.cap[a] = False
    for i in range(n):
        a = arms[i]
        work.applied.floor[a] = is_moved and work.out[a] == work.low[a] and work.low[a] > 0.0
        work.applied.cap[a] = is_moved and work.out[a] == work.high[a] and work.high[a] < 1.0
    for j in range(len(shares.group_cap)):
        work.applied.group_floor[j] = is_moved and _binds(work, j, work.least, work.low)
        work.applied.group_cap[j] = is_moved and _binds(work, j, work.most, work.high)
    return is_moved


@kernel
def _keeps(shares: Constraints, work: BoundsWork, arms: Array) -> bool:
    """Tell whether the law keeps to all bounds."""
    for i in range(len(arms)):
        a = arms[i]
        if work.law[a] < work.low[a] - _ROUNDING or work.law[a] > work.high[a] + _ROUNDING:
            return False
    for j in range(len(shares.group_cap)):
        total = 0.0
        for i in range(work.start[j], work.start[j + 1]):
            if work.high[work.member[i]] > 0.0:
                total += work.law[work.member[i]]
        if total < work.group_low[j] - _ROUNDING or total > work.group_high[j] + _ROUNDING:
            return False
    return True


@kernel
def _narrow(work: BoundsWork, j: int) -> None:
    """Make the bounds of a group bounds of its arms: what they have where the group has its least, and its most."""
    n = 0
    for i in range(work.start[j], work.start[j + 1]):
        if work.high[work.member[i]] > 0.0:
            work.there[n] = work.member[i]
            n += 1
    members = work.there[:n]
    if work.group_low[j] > _sum(work, j, work.low) + _ROUNDING:
        fill(work.law, work.low, work.high, members, work.group_low[j], work.is_open, work.least)
    if work.group_high[j] < _sum(work, j, work.high) - _ROUNDING:
        fill(work.law, work.low, work.high, members, work.group_high[j], work.is_open, work.most)


@kernel
def _binds(work: BoundsWork, j: int, bound: Array, own: Array) -> bool:
    """Tell whether all arms of a group lie on the bounds that it makes, which are others than their own."""
    is_other = False
    for i in range(work.start[j], work.start[j + 1]):
        a = work.member[i]
        if work.high[a] > 0.0:
            if work.out[a] != bound[a]:
                return False
            is_other = is_other or bound[a] != own[a]
    return is_other


@kernel
def _sum(work: BoundsWork, j: int, of: Array) -> float:
    """Return the sum over the arms of a group of a bound, which is 0 where an arm is not available."""
    total = 0.0
    for i in range(work.start[j], work.start[j + 1]):
        total += of[work.member[i]]
    return total
