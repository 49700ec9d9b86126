"""Split: traffic is shared out among a live policy, a canary that is tried on some of it, and a control.

Source: an A/B test whose arms are policies; the mixture's propensity as in Agarwal, Bird, Cozowicz, et al., "Making
contextual decisions with low technical debt", 2016, section 3.
Who decides is drawn by two uniforms of their own: one says whether the control does, the other, of what is left,
whether the canary. So whoever is the control's stays it whatever canaries come, and a share that grows takes nobody
away from whom it had. Where a decision is for somebody (`Instance.unit`) the draws are that one's, not the decision's.
The propensity is that of the mixture: the sum over all three of their share times the probability that each has for the
action. All of them learn each feedback, with that propensity, so the state of each is what it would have learned of
this log alone, whatever part it plays.
State: theirs, and who decided last. Cost: the three of them, and their laws; .1 us more.
Draws: number 2^32 - 2 of the live policy's key for the control, of the canary's for the canary. Each policy has a run
key of its own, made of the run's key and its number; that of number 0 is the run's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...engine import protocol
from ...engine.changes.turning import within
from ...engine.draws import run_of, uniform
from ...engine.errors import InvalidInput, as_seen
from ...engine.growth import grown
from ...engine.kernel import kernel
from ...engine.problem import check_inside, check_param, fitted
from ...engine.vectors.constants import of_inner
from ...engine.vocabulary import Array, Constrained, Decision, Feedback, Instance, Key, Policy, Problem

LIVE, CANARY, CONTROL = 0, 1, 2
_VERSION = 1  # of the split's own bits; those of the policies inside are added
_DRAW = 2**32 - 2


class NobodyParams(NamedTuple):
    """Nobody decides here."""


class NobodyState(NamedTuple):
    """Nothing is learned."""


class SplitParams(NamedTuple):
    """Shares, the policies' params, and their numbers, of which their run keys are made."""

    inner: Any  # of the live policy
    canary: Any
    control: Any
    canary_share: float
    control_share: float
    number: int
    canary_number: int
    control_number: int

    @property
    def asked(self) -> tuple[Any, ...]:
        """The params of all that decide."""
        members = (self.inner, self.canary, self.control)
        return tuple(one for one in members if not isinstance(one, NobodyParams))


class SplitState(NamedTuple):
    """The policies' states, and who decided last."""

    inner: Any
    canary: Any
    control: Any
    scratch_who: Array  # int64[1]: LIVE, CANARY or CONTROL


def split(
    policy: Policy,
    canary: Policy | None = None,
    canary_share: float = 0.0,
    control: Policy | None = None,
    control_share: float = 0.0,
    numbers: Sequence[int] = (0, 1, 2),
) -> Policy:
    """Let `policy` decide, but a `canary` and a `control` on their shares of the decisions, each in [0, 1].

    `numbers` say which of an experiment's policies the three are: two that share a number draw alike.
    """
    members = (policy, canary or _nobody(), control or _nobody())
    shares = (check_share("canary_share", canary_share, canary), check_share("control_share", control_share, control))
    if sum(shares) > 1.0:
        raise InvalidInput(
            "bad_param", f"canary_share and control_share are {sum(shares):g} together: they may be 1 at most"
        )
    for member in members:
        _check_member(member)

    def each(make: Any, state: Any = None) -> SplitState:
        """Make the state of each."""
        states = [None] * 3 if state is None else state[:3]
        made = [make(member, before) for member, before in zip(members, states, strict=True)]
        return SplitState(made[LIVE], made[CANARY], made[CONTROL], np.zeros(1, np.int64))

    def init(params: SplitParams, problem: Problem) -> SplitState:
        return each(lambda member, _: member.init(member.params, problem))

    def grow(params: SplitParams, state: SplitState, problem: Problem) -> SplitState:
        return each(lambda member, before: grown(member, before, problem), state)

    def resolve(problem: Problem) -> Policy:
        live, *others = (fitted(member, problem) for member in members)
        tried, compared = (None if _is_nobody(one) else one for one in others)
        given = (live, tried, canary_share, compared, control_share, list(numbers))
        names = ("policy", "canary", "canary_share", "control", "control_share", "numbers")
        spec = {name: one.spec if isinstance(one, Policy) else one for name, one in zip(names, given, strict=True)}
        return dataclasses.replace(split(*given), spec={"name": "split", "params": spec})

    params = SplitParams(policy.params, members[CANARY].params, members[CONTROL].params, *shares, *checked(numbers))
    lengths = [member.context_length_max for member in members if member.context_length_max is not None]
    return Policy(
        "split",
        params,
        init,
        _VERSION + sum(member.version - 1 for member in members),
        tuple(kind for kind in policy.contexts if all(kind in member.contexts for member in members)),
        min(lengths, default=None),
        feedbacks=tuple(kind for kind in policy.feedbacks if all(kind in member.feedbacks for member in members)),
        grow=grow if all(member.grow for member in members) else None,
        resolve=resolve,
        constants=of_inner(policy),
        foretells=policy.foretells,
        divides=any(member.divides for member in members),
        constrained=_constrained(members),
        unconstrained="who decides is drawn before; constrain each of those who do",
        **within(policy),
    )


def _constrained(members: Sequence[Policy]) -> Callable[[Any, Any, int, Sequence[str]], Constrained | None] | None:
    """Return what tells what constraints did to a decision of whoever made it, where anybody has some."""
    if all(member.constrained is None for member in members):
        return None

    def tell(params: SplitParams, state: SplitState, number: int, arms: Sequence[str]) -> Constrained | None:
        who = int(state.scratch_who[0])
        tell_one = members[who].constrained
        return None if tell_one is None else tell_one(params[who], state[who], number, arms)

    return tell


def checked(numbers: Sequence[int]) -> tuple[int, int, int]:
    """Return the numbers of three policies; of nobody it may be anything."""
    whole = isinstance(numbers, Sequence) and all(type(number) is int for number in numbers)
    if not whole or len(numbers) != 3 or len(set(numbers)) < len([one for one in numbers if one >= 0]):
        raise InvalidInput(
            "bad_param",
            f"numbers is {as_seen(numbers)}: it must be three whole numbers, of the live policy, the canary and "
            "the control, all different",
        )
    live, canary, control = numbers
    return live, canary, control


def check_share(name: str, share: float, member: Policy | None) -> float:
    """Return a share of the decisions; only somebody has one."""
    check_param(name, share, low=0.0, high=1.0)
    if share > 0.0 and member is None:
        who = name.removesuffix("_share")
        raise InvalidInput("bad_param", f"{name} is {share:g}, but there is no {who}: name a policy as {who} as well")
    return float(share)


def _check_member(member: Policy) -> None:
    """Refuse a policy whose decisions cannot be mixed with those of others."""
    check_inside(member)
    if "arm" not in member.actions:
        raise InvalidInput(
            "no_arms", f"policy {member.name!r} does not choose among numbered arms: only such share traffic"
        )
    if not protocol.has_law(member.params):
        raise InvalidInput(
            "no_law",
            f"policy {member.name!r} does not know the probabilities it decides with, and where several policies "
            "decide the propensity is that of their mixture: take one that does (Thompson sampling: with "
            "propensities=true)",
        )


def _nobody() -> Policy:
    kinds: Any = ("dense", "actions", "named")
    return Policy(
        "nobody",
        NobodyParams(),
        lambda params, problem: NobodyState(),
        contexts=kinds,
        feedbacks=("reward", "cost"),
        grow=lambda params, state, problem: state,
    )


def _is_nobody(policy: Policy) -> bool:
    return isinstance(policy.params, NobodyParams)


@kernel
def nobody_decides(params: NobodyParams, state: NobodyState, instance: Instance, key: Key) -> Decision:
    """Return an action that is never taken."""
    return Decision(0, 0.0)


@kernel
def nobody_learns(
    params: NobodyParams, state: NobodyState, instance: Instance, decision: Decision, feedback: Feedback, key: Key
) -> None:
    """Learn nothing."""


@kernel
def nobody_would(params: NobodyParams, state: NobodyState, instance: Instance, action: int) -> float:
    """Return 0."""
    return 0.0


protocol.register_policy(NobodyParams, select=nobody_decides, update=nobody_learns, probability=nobody_would)


@kernel
def who_decides(params: SplitParams, instance: Instance, key: Key) -> int:
    """Draw LIVE, CANARY or CONTROL, for a decision or for whom it is for."""
    drawn_for: Any = np.int64(instance.unit) if instance.unit != 0 else np.int64(key.t)
    if uniform(Key(key.run, drawn_for), _DRAW) < params.control_share:
        return CONTROL
    left = 1.0 - params.control_share
    if uniform(Key(run_of(key.run, params.canary_number), drawn_for), _DRAW) * left < params.canary_share:
        return CANARY
    return LIVE


@kernel
def select(params: SplitParams, state: SplitState, instance: Instance, key: Key) -> Decision:
    """Draw who decides; the propensity is that of all of them."""
    who = who_decides(params, instance, key)
    state.scratch_who[0] = who
    if who == CONTROL:
        decision = protocol.select(
            params.control, state.control, instance, Key(run_of(key.run, params.control_number), key.t)
        )
    elif who == CANARY:
        decision = protocol.select(
            params.canary, state.canary, instance, Key(run_of(key.run, params.canary_number), key.t)
        )
    else:
        decision = protocol.select(params.inner, state.inner, instance, Key(run_of(key.run, params.number), key.t))
    return Decision(decision.action, _mixed(params, state, instance, decision.action, who, decision.propensity))


@kernel
def mark(params: SplitParams, state: SplitState, instance: Instance, decision: Decision, key: Key) -> None:
    """Let all take note."""
    protocol.mark(params.inner, state.inner, instance, decision, Key(run_of(key.run, params.number), key.t))
    protocol.mark(params.canary, state.canary, instance, decision, Key(run_of(key.run, params.canary_number), key.t))
    protocol.mark(params.control, state.control, instance, decision, Key(run_of(key.run, params.control_number), key.t))


@kernel
def update(
    params: SplitParams, state: SplitState, instance: Instance, decision: Decision, feedback: Feedback, key: Key
) -> None:
    """Let all learn, whoever decided."""
    protocol.update(params.inner, state.inner, instance, decision, feedback, Key(run_of(key.run, params.number), key.t))
    protocol.update(
        params.canary, state.canary, instance, decision, feedback, Key(run_of(key.run, params.canary_number), key.t)
    )
    protocol.update(
        params.control, state.control, instance, decision, feedback, Key(run_of(key.run, params.control_number), key.t)
    )


@kernel
def probability(params: SplitParams, state: SplitState, instance: Instance, action: int) -> float:
    """Return the action's probability in the mixture."""
    return _mixed(params, state, instance, action, -1, 0.0)


@kernel
def _mixed(params: SplitParams, state: SplitState, instance: Instance, action: int, who: int, known: float) -> float:
    """Return the mixture's probability of an action; that of `who` is `known`. Who has no share is not asked."""
    p = 0.0
    if params.control_share > 0.0:
        of_control = known
        if who != CONTROL:
            of_control = protocol.probability(params.control, state.control, instance, action)
        p += params.control_share * of_control
    if params.canary_share > 0.0:
        of_canary = known
        if who != CANARY:
            of_canary = protocol.probability(params.canary, state.canary, instance, action)
        p += params.canary_share * of_canary
    rest = 1.0 - params.control_share - params.canary_share
    if rest > 0.0:
        of_live = known
        if who != LIVE:
            of_live = protocol.probability(params.inner, state.inner, instance, action)
        p += rest * of_live
    return min(p, 1.0)


@kernel
def appraise(params: SplitParams, state: SplitState, instance: Instance, scores: Array, widths: Array) -> None:
    """Let the live policy say what it expects."""
    protocol.appraise(params.inner, state.inner, instance, scores, widths)


@kernel
def attribute(params: SplitParams, state: SplitState, instance: Instance, action: int, parts: Array) -> None:
    """Let the live policy say why."""
    protocol.attribute(params.inner, state.inner, instance, action, parts)


protocol.register_policy(
    SplitParams,
    select=select,
    update=update,
    mark=mark,
    probability=probability,
    appraise=appraise,
    attribute=attribute,
)
