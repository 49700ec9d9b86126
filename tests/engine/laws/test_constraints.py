"""Constraints: the nearest law that keeps to them, what gives way for one decision, and what is refused at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from onearm.engine.errors import InvalidInput
from onearm.engine.laws.constraints import (
    BoundsWork,
    Constraints,
    bounded_law,
    cap_of,
    check_met,
    constraints_of,
    floor_of,
    members_of,
    read_bounds,
    work_of,
)
from onearm.engine.vocabulary import Array

Groups = list[dict[str, Any]]


def moved(shares: Constraints, groups: Groups, law: list[float] | Array, available: Any = None) -> BoundsWork:
    """Return the working space after a law was moved."""
    work = work_of(shares, members_of(groups, len(law)), len(law))
    mask = np.ones(len(law), np.bool_) if available is None else np.array(available)
    work.law[:] = law
    bounded_law(shares, work, read_bounds(shares, work, mask))
    work.out[~mask] = 0.0
    return work


def gap(out: Array, law: Array, low: Array, high: Array, groups: Groups) -> float:
    """Return by how much the relative entropy might be less at most, by its slope, over all laws that keep to it all.

    The entropy is convex, so that what is nearest has a gap of 0, and what has is nearest.
    """
    slope = np.log(np.maximum(out, 1e-300) / law) + 1.0
    rows = [np.isin(np.arange(len(law)), group["arms"]).astype(float) for group in groups]
    found = linprog(
        slope,
        A_ub=np.array([*rows, *(-row for row in rows)]),
        b_ub=[*(group["cap"] + 1e-9 for group in groups), *(1e-9 - group["floor"] for group in groups)],
        A_eq=np.ones((1, len(law))),
        b_eq=[1.0],
        bounds=list(zip(low - 1e-9, high + 1e-9, strict=True)),
    )
    assert found.success, found.message
    return float(slope @ out - found.fun)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Array, Array, Array, Groups]:
    """Return a law, floors and caps, and two groups, all of which a law keeps to: one that is drawn as well."""
    k = draw(st.integers(3, 7))
    numbers = st.lists(st.floats(0.05, 1.0), min_size=k, max_size=k)
    law, kept = (np.array(draw(numbers)) for _ in range(2))
    law, kept = law / law.sum(), kept / kept.sum()
    slack = st.lists(st.sampled_from([0.0, 0.05, 0.3, 1.0]), min_size=k, max_size=k)
    low = np.maximum(kept - np.array(draw(slack)), 0.0)
    high = np.minimum(kept + np.array(draw(slack)), 1.0)
    cut = draw(st.integers(1, k - 1))
    groups = []
    for name, arms in (("first", list(range(cut))), ("last", list(range(cut, k))[:2])):
        within = float(kept[arms].sum())
        floor, cap = (draw(st.sampled_from([0.0, 0.02, 1.0])) for _ in range(2))
        groups.append({"name": name, "arms": arms, "floor": max(within - floor, 0.0), "cap": min(within + cap, 1.0)})
    return law, low, high, groups


@given(worlds())
def test_the_law_is_the_nearest_one(world: tuple[Array, Array, Array, Groups]) -> None:
    law, low, high, groups = world
    shares = constraints_of(low.tolist(), high.tolist(), groups)
    check_met(shares, groups, members_of(groups, len(law)), len(law))
    work = moved(shares, groups, law)
    assert work.out.sum() == pytest.approx(1.0, abs=1e-12)
    assert (work.out >= low - 1e-12).all() and (work.out <= high + 1e-12).all()
    for group in groups:
        assert group["floor"] - 1e-12 <= work.out[group["arms"]].sum() <= group["cap"] + 1e-12
    assert gap(work.out, law, low, high, groups) < 1e-6
    assert not any(flags.any() for flags in work.relaxed)
    if not any(flags.any() for flags in work.applied):
        assert work.out == pytest.approx(law, abs=1e-12)


@given(worlds(), st.integers(0, 2**7 - 1))
def test_with_arms_missing_what_gave_way_is_all_that_is_not_kept(
    world: tuple[Array, Array, Array, Groups], bits: int
) -> None:
    law, low, high, groups = world
    k = len(law)
    mask = np.array([bool(bits >> a & 1) for a in range(k)])
    mask[bits % k] = True
    law = np.where(mask, law, 0.0) / law[mask].sum()
    shares = constraints_of(low.tolist(), high.tolist(), groups)
    work = moved(shares, groups, law, mask)
    assert work.out.sum() == pytest.approx(1.0, abs=1e-12) and (work.out >= 0.0).all()
    assert (work.relaxed.floor == (~mask & (low > 0))).all()
    assert (work.out[mask] >= low[mask] - 1e-12).all()  # floors of arms that are available never give way
    assert (work.out <= high + 1e-12)[mask & ~work.relaxed.cap].all()
    assert not work.relaxed.cap.any() or high[mask].sum() < 1.0
    for j, group in enumerate(groups):
        within = work.out[group["arms"]].sum()
        assert work.relaxed.group_floor[j] or within >= group["floor"] - 1e-12
        assert work.relaxed.group_cap[j] or within <= group["cap"] + 1e-12


def test_a_law_that_keeps_to_all_is_left_as_it_is() -> None:
    groups = [{"name": "b", "arms": [1, 2], "floor": 0.5}]
    shares = constraints_of(0.1, 0.6, groups)
    work = moved(shares, groups, [0.5, 0.4, 0.1 - 1e-15])
    assert work.out.tolist() == work.law.tolist()
    assert not any(flags.any() for flags in (*work.applied, *work.relaxed))


def test_groups_are_scaled_as_a_whole_and_arms_hold_within_them() -> None:
    """The group is to have half. Its first arm is capped; its second takes the rest of the group's half."""
    groups = [{"name": "b", "arms": [1, 2], "floor": 0.5}]
    shares = constraints_of(0.0, [1.0, 0.2, 1.0, 1.0], groups)
    work = moved(shares, groups, [0.6, 0.1, 0.1, 0.2])
    assert work.out == pytest.approx([0.375, 0.2, 0.3, 0.125], rel=1e-14)
    assert work.applied.group_floor.tolist() == [True] and work.applied.cap.tolist() == [False, True, False, False]


GROUPS = [{"name": "new", "arms": [2, 3], "floor": 0.4, "cap": 0.6}]
SHARES = constraints_of([0.1, 0.0, 0.05], [0.3, 0.5, 0.7, 0.2], GROUPS)


@pytest.mark.parametrize(
    ("available", "out", "relaxed"),
    [
        ("abcd", [0.8 / 3, 0.8 / 3, 0.8 / 3, 0.2], {}),
        ("abc", [0.3, 0.3, 0.4, 0.0], {}),
        ("bcd", [0.0, 0.4, 0.4, 0.2], {"floor": [0]}),
        ("abd", [0.3, 0.5, 0.0, 0.2], {"floor": [2], "group_floor": [0]}),  # d may have 0.2, and caps come to 1
        ("ab", [0.5, 0.5, 0.0, 0.0], {"floor": [2], "cap": [0, 1], "group_floor": [0]}),  # caps of 0.8
        ("ac", [0.3, 0.0, 0.7, 0.0], {"group_cap": [0]}),  # caps of 1, with the group's 0.9
        ("d", [0.0, 0.0, 0.0, 1.0], {"floor": [0, 2], "cap": [3], "group_cap": [0]}),
    ],
)
def test_what_one_decision_cannot_meet_gives_way_in_the_order_that_is_said(
    available: str, out: list[float], relaxed: dict[str, list[int]]
) -> None:
    mask = np.array([arm in available for arm in "abcd"])
    work = moved(SHARES, GROUPS, np.where(mask, 1 / len(available), 0.0), mask)
    assert work.out == pytest.approx(out, rel=1e-14)
    found = {name: np.flatnonzero(flags).tolist() for name, flags in work.relaxed._asdict().items() if flags.any()}
    assert found == relaxed


def test_one_number_is_for_every_arm_and_a_list_for_the_first_ones() -> None:
    every, first = constraints_of(0.1, 0.9, []), constraints_of([0.1], [0.9], [])
    assert [(floor_of(every, a), cap_of(every, a)) for a in range(2)] == [(0.1, 0.9), (0.1, 0.9)]
    assert [(floor_of(first, a), cap_of(first, a)) for a in range(2)] == [(0.1, 0.9), (0.0, 1.0)]


def group(**fields: Any) -> Groups:
    return [{"name": "g", "arms": [0, 1], **fields}]


@pytest.mark.parametrize(
    ("floors", "caps", "groups", "says"),
    [
        (0.4, 1.0, [], r"the floors of the arms are 1.2 together, .* lower floors, or raise caps"),
        (0.0, 0.3, [], r"the caps of the arms are 0.9 together"),
        ([0, 0.5], [1, 0.4], [], r"arm 1 has a floor of 0.5 above its cap of 0.4"),
        (0.0, 0.3, group(floor=0.7), r"the caps of the arms are 0.9"),
        (0.0, [0.3, 0.3], group(floor=0.7), r"the arms of group 'g' have caps of 0.6 together, below its floor of 0.7"),
        (0.3, 1.0, group(cap=0.5), r"the arms of group 'g' have floors of 0.6 together, above its cap of 0.5"),
        ([0, 0, 0.4], 1.0, group(floor=0.7), r"the floors of groups and of the other arms are 1.1 together"),
        (0.0, [1, 1, 0.4], group(cap=0.5), r"the caps of groups and of the other arms are 0.9 together"),
        (0.0, 1.0, group(floor=0.5, cap=0.4), r"the group 'g' has a floor of 0.5 above its cap of 0.4"),
    ],
)
def test_what_can_never_be_met_is_refused(floors: Any, caps: Any, groups: Groups, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        check_met(constraints_of(floors, caps, groups), groups, members_of(groups, 3), 3)
    assert refused.value.code == "never_met"


@pytest.mark.parametrize(
    ("floors", "groups", "says"),
    [
        (-0.1, [], "floors is -0.1: it must be a number in"),
        ([0.1, 2.0], [], r"floors\[1\] is 2: it must be"),
        ("much", [], "floors is 'much': it must be a list of numbers"),
        (0.0, [7], "a group is 7: it must be"),
        (0.0, [{"name": "g", "floor": 0.1}], "a group is .* it must be"),
        (0.0, group(), "the group 'g' has no floor and no cap: give it one of them"),
        (0.0, group(floor=0.1, share=0.2), "the group 'g' has a field 'share': leave it out"),
        (0.0, group(floor=2), "the floor of group 'g' is 2: it must be a number in"),
        (0.0, [{"name": "g", "arms": [], "floor": 0.1}], "the group 'g' has the arms .*: give one arm or more"),
        (0.0, [{"name": "g", "arms": ["a"], "floor": 0.1}], "the group 'g' has the arms"),
        (0.0, [{"name": "g", "arms": [0, 3], "floor": 0.1}], "the group 'g' has arm 3, and there are 3"),
        (0.0, [*group(floor=0.1), {"name": "h", "arms": [1], "cap": 0.9}], "arm 1 is twice in the groups"),
        (0.0, [*group(floor=0.1), {"name": "g", "arms": [2], "cap": 0.9}], "the groups are called"),
        (0.0, group(tag="new", floor=0.1), "the group 'g' has arms and a tag: name its arms, or the tag"),
        (0.0, [{"name": "g", "tag": 7, "floor": 0.1}], "the group 'g' has the tag 7: a tag is a string"),
        (0.0, [{"name": "g", "tag": "new", "floor": 0.1}], "of the arms with the tag 'new', and no arm has it"),
    ],
)
def test_what_is_no_constraint_is_refused(floors: Any, groups: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        check_met(constraints_of(floors, 1.0, groups), groups, members_of(groups, 3), 3)


def test_a_group_of_a_tag_has_the_arms_that_have_it_and_an_arm_is_in_one() -> None:
    tags = [("new",), (), ("red", "new"), ("red",), ("new",)]
    new, red = ({"name": name, "tag": name, "floor": 0.1} for name in ("new", "red"))
    assert members_of([new], 4, tags) == [[0, 2]]
    assert members_of([new, {"name": "b", "arms": [1], "cap": 0.5}], 5, tags) == [[0, 2, 4], [1]]
    with pytest.raises(InvalidInput, match=r"arm 2 is twice in the groups \(new, red\)"):
        members_of([new, red], 5, tags)
    with pytest.raises(InvalidInput, match="no arm has it") as refused:
        members_of([new | {"tag": "ne"}], 5, tags)
    assert refused.value.code == "unknown_tag"
