"""Which policies an experiment has, and the part that each plays. It begins with one, number 0, that is live.

One is live, or an apprentice: then whoever asks decides, and it learns from that. A canary decides on a share of the
traffic, and so does a control, for comparison. Shadows decide nothing, and learn what the others learn. Who plays no
part any more is retired, and its number is not used again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from ...engine import snapshot
from ...engine.arrays import roomless
from ...engine.problem import fitted
from ...engine.replay.imitation import imitating
from ...engine.vocabulary import Policy, Problem
from ...policies import catalog
from ...policies.wrappers.split import split
from .definition import NOBODY, Definition
from .lineup_schemas import Guard, LearnFrom, Origin, Role

LEADING: tuple[Role, ...] = ("live", "apprentice")  # one of all members has one of these
WATCHING: tuple[Role, ...] = ("shadow", "apprentice")  # who decides nothing
Defined = TypeVar("Defined", bound=Definition)


class Member(msgspec.Struct, frozen=True, omit_defaults=True):
    """A policy of an experiment, and its part."""

    policy: int  # its number
    spec: dict[str, Any]
    role: Role
    share: float = 0.0  # of the decisions, where it is a canary or the control
    begun: int = 0  # it has learned what came after this seq
    since: int = 0  # the seq of the change with which it got its part, or its share
    guard: Guard | None = None
    learn_from: LearnFrom = "reward"  # of an apprentice: agreement, whether it would have done what was done
    origin: Origin | None = None


class PoliciesChanged(msgspec.Struct, frozen=True, tag_field="change", tag="policies_changed"):
    """All policies that play a part from here on."""

    number: int  # of the next decision
    members: tuple[Member, ...]
    why: str  # "added", "assigned", "retired"; "promoted", "demoted" by a guard; "arm_joined", which it cannot take
    policy: int | None = None  # whom that was done to
    told: dict[str, float] | None = None  # by a guard: the difference, low, high, and decisions
    state: bytes | None = None  # what a policy knows that joins with an origin, with the arms of then


def first_member(spec: Definition) -> Member:
    """Return the policy that an experiment begins with."""
    return Member(0, spec.policy.spec, "live")


def in_part(members: Sequence[Member], role: Role) -> Member | None:
    """Return who plays a part that one alone plays; None where nobody does."""
    return next((member for member in members if member.role == role), None)


def shares_of(members: Sequence[Member]) -> dict[int, float]:
    """Return the shares of the decisions of those who decide, by number."""
    shares = {member.policy: member.share for member in members if member.role in ("canary", "control")}
    return {leader(members).policy: 1.0 - sum(shares.values()), **shares}


def assigned(
    members: Sequence[Member], member: Member, former: Role | None, share: float, seq: int
) -> tuple[Member, ...]:
    """Return the members after one, new or not, took a part at an event.

    A part that one alone plays is taken from whoever had it: that one plays the `former` part, with this share of the
    decisions where that has one, or is retired with None. Where shares change, those who decide are counted anew.
    """
    before = {one.policy: one for one in members}
    after = dict(before)
    holder = leader(members) if member.role in LEADING else in_part(members, member.role)
    if member.role != "shadow" and holder is not None and holder.policy != member.policy:
        if former is None:
            del after[holder.policy]
        else:
            part = {"role": former, "share": share, "since": seq, "guard": None, "learn_from": "reward"}
            after[holder.policy] = msgspec.structs.replace(holder, **part)
    after[member.policy] = member
    return _recounted(before, after, seq)


def retired(members: Sequence[Member], number: int, seq: int) -> tuple[Member, ...]:
    """Return the members without one, who is not live, after an event."""
    before = {one.policy: one for one in members}
    return _recounted(before, {key: one for key, one in before.items() if key != number}, seq)


def _recounted(before: dict[int, Member], after: dict[int, Member], seq: int) -> tuple[Member, ...]:
    """Return members in the order of their numbers; where shares changed all who decide are counted from `seq` on."""
    old, new = list(before.values()), list(after.values())
    if shares_of(old) != shares_of(new) or leader(old) != leader(new):
        new = [one if one.role == "shadow" else msgspec.structs.replace(one, since=seq) for one in new]
    return tuple(sorted(new, key=lambda one: one.policy))


def leader(members: Sequence[Member]) -> Member:
    """Return who is live, or the apprentice."""
    return next(member for member in members if member.role in LEADING)


def policy_of(spec: Definition, member: Member) -> Policy:
    """Return the policy of a member, as it learns in its part, made for the problem of an experiment as created."""
    same = member.spec == spec.policy.spec
    policy = spec.policy if same else fitted(catalog.from_stored(member.spec), spec.problem)
    return imitating(policy) if member.learn_from == "agreement" else policy


def with_members(created: Defined, members: Sequence[Member]) -> Defined:
    """Return the definition of an experiment, as it was `created`, with these members: its policy is all who decide.

    The policies must fit the problem, and know their laws where several decide.
    """
    live, canary, control = leader(members), in_part(members, "canary"), in_part(members, "control")
    policy = policy_of(created, live)
    numbers: tuple[int, ...] = (live.policy,)
    if canary or control:
        numbers = live.policy, canary.policy if canary else NOBODY, control.policy if control else NOBODY
        others = [(policy_of(created, member), member.share) if member else (None, 0.0) for member in (canary, control)]
        (tried, tried_share), (compared, compared_share) = others
        policy = fitted(split(policy, tried, tried_share, compared, compared_share, numbers), created.problem)
    state = policy.init(policy.params, created.problem)
    return dataclasses.replace(
        created, policy=policy, numbers=numbers, state_bytes=snapshot.size(state), example=roomless(state)
    )


def states_of(spec: Definition, state: Any) -> dict[int, Any]:
    """Return the states of those who decide, by their numbers."""
    if len(spec.numbers) == 1:
        return {spec.numbers[0]: state}
    return {number: part for number, part in zip(spec.numbers, state, strict=False) if number != NOBODY}


def joined(spec: Definition, states: Mapping[int, Any], problem: Problem) -> Any:
    """Return the state of all who decide, made of their own; `problem` is that of now."""
    if len(spec.numbers) == 1:
        return states[spec.numbers[0]]
    fresh = spec.policy.init(spec.policy.params, problem)
    parts = [part if number == NOBODY else states[number] for number, part in zip(spec.numbers, fresh, strict=False)]
    return type(fresh)(*parts, *fresh[len(parts) :])
