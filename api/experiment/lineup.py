"""Which policies an experiment has, and the part that each plays. It begins with one, number 0, that is live.

One is live. A canary decides on a share of the traffic, and so does a control, for comparison. Shadows decide nothing,
and learn what the others learn. Who plays no part any more is retired, and its number is not used again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

import msgspec

from ...engine import snapshot
from ...engine.arrays import roomless
from ...engine.problem import fitted
from ...engine.vocabulary import Policy, Problem
from ...policies import catalog
from ...policies.wrappers.split import split
from .definition import NOBODY, Definition

Role = Literal["live", "canary", "control", "shadow"]
DECIDING: tuple[Role, ...] = ("live", "canary", "control")  # in the order of `Definition.numbers`
Defined = TypeVar("Defined", bound=Definition)


class Member(msgspec.Struct, frozen=True, omit_defaults=True):
    """A policy of an experiment, and its part."""

    policy: int  # its number
    spec: dict[str, Any]
    role: Role
    share: float = 0.0  # of the decisions, where it is a canary or the control
    begun: int = 0  # it has learned what came after this seq


class PoliciesChanged(msgspec.Struct, frozen=True, tag_field="change", tag="policies_changed"):
    """All policies that play a part from here on."""

    number: int  # of the next decision
    members: tuple[Member, ...]
    why: str  # "added", "promoted", "retired", "shared"


def first_member(spec: Definition) -> Member:
    """Return the policy that an experiment begins with."""
    return Member(0, spec.policy.spec, "live")


def in_part(members: Sequence[Member], role: Role) -> Member | None:
    """Return who plays a part that one alone plays; None where nobody does."""
    return next((member for member in members if member.role == role), None)


def policy_of(spec: Definition, member: Member) -> Policy:
    """Return the policy of a member, made for the problem of an experiment as it was created."""
    if member.spec == spec.policy.spec:
        return spec.policy
    return fitted(catalog.from_stored(member.spec), spec.problem)


def with_members(created: Defined, members: Sequence[Member]) -> Defined:
    """Return the definition of an experiment, as it was `created`, with these members: its policy is all who decide.

    The policies must fit the problem, and know their laws where several decide.
    """
    live, canary, control = (in_part(members, role) for role in DECIDING)
    assert live is not None
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
