"""Adaptive: a wrapper that notices when the world has changed, learns anew what has, and knows old worlds again.

Prices change, a season turns, a link breaks. A policy goes on with what it learned, and takes as long to unlearn it.
This wrapper keeps up to four states of the policy: one for each world that it remembers. One of them leads: it
decides, and it alone learns. What is paid is compared with what the leader expects, by bets that multiply their
wealth by at most 1 on average as long as nothing changes (`engine/changes/`). Where a wealth reaches 10^8 a change is
found:

- a state of an earlier world leads again, if what it expects is nearer to what is paid;
- else another state begins, as a copy of the leader in which all is forgotten of the arms that have changed: of one,
  of some, or of all. Where there are four the one that has not led for longest makes room.

A change that took long to show is small, or one that goes on: what is learned now will soon be wrong as well. So where
it took 300 decisions or more, the new state forgets, with a half-life of as many feedbacks (if it can: models of
contexts do). The half-life doubles whenever the world has lasted 16 of them.

Each change has a place, the decision with which the new world is estimated to begin. Feedback that comes late belongs
to the world that its decision was made in: the state of that world learns it, and no bet is made on it.

An arm that is not played and becomes better is noticed only if it is played now and then: with the probability `look`
a decision takes any available arm, each alike.

Source: ours, of known parts: `engine/changes/bets.py`. Measured, without a bound on regret (`benchmarks/changes.py`);
what is proved is how seldom a bet is won while nothing changes. Looking costs regret in a world that stands still,
and finding what is not played takes it: Garivier, Moulines, "On upper-confidence bound policies for switching bandit
problems", 2011.
State: up to four states of the policy, the bets, and the newest 64 changes.
Propensities: those of the policy that leads, mixed with the looks: p' = (1 - look) p + look / k.
Cost: the policy's; without contexts some 20 ns, with contexts a prediction more for each reward, without its width,
and one for each world remembered.
Draws: the looks have a run of their own, beside the policy's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...engine import protocol
from ...engine.changes.bank import MODELS, Bank, Fresh, bank, copy_model, fresh, renew, renew_arm
from ...engine.changes.bets import largest, place_of
from ...engine.changes.error_watch import error_watch
from ...engine.changes.mean_watch import mean_watch
from ...engine.changes.turning import before_last, check_model
from ...engine.changes.watch import (
    NOTHING,
    begin,
    examine,
    follow,
    forget,
    is_fresh,
    is_young,
    lagged,
    misfits,
    numbered,
    rival,
)
from ...engine.changes.watch import renew as bet_anew
from ...engine.changes.worlds import (
    ALL,
    FOUND,
    GONE,
    SAID,
    TAKEN_BACK,
    Worlds,
    enter,
    give_up,
    is_over,
    last_of,
    model_at,
    seen_by,
    worlds,
)
from ...engine.compiled.layout import kept_arrays
from ...engine.draws import UniformBlock, uniform_block, uniform_from
from ...engine.errors import InvalidInput, as_seen
from ...engine.growth import grown, padded
from ...engine.kernel import kernel, routine
from ...engine.laws.availability import count_available, nth_available
from ...engine.problem import check_param, check_wrapped, fitted
from ...engine.protocol import decay, row_of
from ...engine.registry import earlier
from ...engine.vocabulary import Array, Change, Constant, Decision, Feedback, Instance, Key, Policy, Problem, Turn

_VERSION = 2  # of the wrapper's own bits, without `within_rewards`; the inner policy's is added
_SLOW = 300.0  # decisions that a change took to be noticed: small, or one that goes on
_LASTS = 16.0  # half-lives without a change, after which it doubles
_LOOK = np.uint64(0x6C6F6F6B)  # of the run of the looks


class AdaptiveParams(NamedTuple):
    """Numbers fixed at creation, and the inner policy's."""

    look: float  # how likely a decision takes any arm, in [0, 1]
    inner: Any  # the inner policy's params


class AdaptiveState(NamedTuple):
    """The states of the inner policy, and what tells them apart."""

    models: Bank  # states of the inner policy
    leader: Array  # int64[1] the one that decides and learns
    watch: Any  # `MeanWatch` or `ErrorWatch`
    worlds: Worlds
    half_life: Array  # float64[models] of each, in feedbacks; inf where nothing is forgotten
    longer: Array  # float64[1] the number of the decision with which that of the leader doubles
    scratch_new: Fresh  # a state of the inner policy before any feedback
    scratch_uniform: UniformBlock


@earlier(within_rewards=False)
def adaptive(policy: Policy, look: float = 0.001, within_rewards: bool = True) -> Policy:
    """Decide as `policy` does, and begin anew, as a whole or in part, where the world has changed.

    With named features what is paid is compared with predictions that are no further than the rewards so far, unless
    `within_rewards` is false.
    """
    check_param("look", look, low=0.0, high=1.0)
    if not isinstance(within_rewards, bool):
        raise InvalidInput("bad_param", f"within_rewards is {as_seen(within_rewards)}: it must be true or false")
    _check_inner(policy)

    def grow(params: AdaptiveParams, state: AdaptiveState, problem: Problem) -> AdaptiveState:
        return _grown(policy, state, init(params, problem), problem)

    def init(params: AdaptiveParams, problem: Problem) -> AdaptiveState:
        new = policy.init(params.inner, problem)
        per_arm = _per_arm(policy, params.inner, new, problem)
        return AdaptiveState(
            models=bank(new),
            leader=np.zeros(1, np.int64),
            watch=_watch_of(policy, problem, bool(per_arm.any()), within_rewards),
            worlds=worlds(),
            half_life=np.full(MODELS, np.inf),
            longer=np.full(1, np.inf),
            scratch_new=fresh(new, per_arm),
            scratch_uniform=uniform_block(),
        )

    def resolve(problem: Problem) -> Policy:
        inner = fitted(policy, problem)
        spec = {"name": "adaptive", "params": {"policy": inner.spec, "look": look, "within_rewards": within_rewards}}
        return dataclasses.replace(adaptive(inner, look, within_rewards), spec=spec)

    return Policy(
        "adaptive",
        AdaptiveParams(float(look), policy.params),
        init,
        _VERSION - 1 + within_rewards + policy.version,
        policy.contexts,
        policy.context_length_max,
        grow=grow if policy.grow else None,
        resolve=resolve if policy.resolve else None,
        found=found,
        turn=turn,
        constants=_constants(policy),
        deterministic=policy.deterministic and look == 0.0,
        divides=policy.divides,
    )


def found(params: AdaptiveParams, state: AdaptiveState) -> list[Change]:
    """Return the changes of the world, the oldest first."""
    return seen_by(state.worlds)


def turn(params: AdaptiveParams, state: AdaptiveState, said: Turn) -> None:
    """Begin anew, let an earlier model lead, or go back, as a person says. Where that cannot be nothing is written."""
    if not said.known:
        false, model = before_last(state.worlds)
        _lead(state, model, false.place, said.number, 0.0, 0, TAKEN_BACK)
    elif said.model is not None:
        check_model(said.model, int(state.models.used[0]), int(state.leader[0]))
        _lead(state, said.model, said.number, said.number, 0.0, 0, SAID)
    else:
        model = _room(state.models.used, state.leader[0], state.worlds)
        give_up(state.worlds, model)
        forget(state.watch, model)
        renew(state.models, state.scratch_new, model)
        state.half_life[model] = np.inf
        _lead(state, model, said.number, said.number, 0.0, ALL, SAID)


def _constants(policy: Policy) -> Callable[[Any, Any], dict[str, Constant]]:
    """Return what tells the constants of the policy inside, in the state of the model that leads; the bytes of all.

    `fits_badly` is how often less was paid than expected though, in contexts alike, as much was paid as before.
    """
    tell = policy.constants

    def constants(params: AdaptiveParams, state: AdaptiveState) -> dict[str, Constant]:
        told = {} if tell is None else tell(params.inner, row_of(state.models.rows, state.leader[0]))
        if "model_bytes" in told:
            of_one = told["model_bytes"]
            told["model_bytes"] = of_one._replace(value=of_one.value * int(state.models.used[0]))
        if times := misfits(state.watch):
            told["fits_badly"] = Constant(float(times), "estimate")
        return told

    return constants


def _check_inner(policy: Any) -> None:
    """Refuse what cannot be wrapped."""
    check_wrapped(policy)
    if "arm" not in policy.actions:
        raise InvalidInput(
            "no_arms",
            f"policy {policy.name!r} does not choose among arms: wrap one that does, with contexts or without",
        )
    if _holds_adaptive(policy.params):
        raise InvalidInput(
            "adaptive_in_adaptive",
            f"policy {policy.name!r} notices changes already: wrap once, floor and budget outside",
        )
    if hasattr(policy.params, "inner"):
        raise InvalidInput(
            "wrapper_in_adaptive",
            f"policy {policy.name!r} keeps a promise on probabilities, which looks at other arms would break: wrap the "
            "policy inside, and that in floor or budget",
        )
    if any(getattr(params, "half_life", np.inf) < np.inf for params in _nested(policy.params)):
        raise InvalidInput(
            "two_ways_to_forget",
            f"policy {policy.name!r} has a half_life, by which it forgets all the time, and adaptive forgets where the "
            "world has changed: leave out one of them",
        )


def _nested(params: Any) -> list[Any]:
    """Return params and those inside."""
    return [params, *(found for part in params if isinstance(part, tuple) for found in _nested(part))]


def _holds_adaptive(params: Any) -> bool:
    return any(isinstance(found, AdaptiveParams) for found in _nested(params))


def _watch_of(policy: Policy, problem: Problem, in_part: bool, within_rewards: bool) -> Any:
    """Return what watches for changes: errors of predictions, where there are any, or what each arm pays.

    What an arm pays will not do where a policy learns with which contexts to take it: that is a change as well.
    """
    if problem.context_shape != (0,) and not policy.foretells:
        raise InvalidInput(
            "no_prediction",
            f"policy {policy.name!r} decides by contexts and does not foretell rewards, so that nothing tells a change "
            "of the world from what it learns: wrap another one, or leave the contexts out",
        )
    if problem.context_shape != (0,) and protocol.explains(policy.params):
        n_numbered = problem.n_arms if in_part else 0
        return error_watch(MODELS, n_numbered, problem, within_rewards=within_rewards)
    return mean_watch(problem.n_arms)


def _per_arm(policy: Policy, params: Any, new: Any, problem: Problem) -> Array:
    """Return of each array of a state whether it has a row for each arm, bool[m], as another number of arms tells.

    None has where one arm cannot be learned anew by itself: where arms have no lasting numbers, where decisions that
    are awaited count, whatever their arm, and where another axis of an array is that of the arms.
    """
    k = problem.n_arms
    arrays = list(kept_arrays(new))
    if problem.context_kind != "dense" or protocol.marks(params):
        return np.zeros(len(arrays), np.bool_)
    other = k - 1 if k > 1 else 2  # rather fewer, for more may be too many
    others = list(kept_arrays(policy.init(params, dataclasses.replace(problem, n_arms=other))))
    pairs = list(zip(arrays, others, strict=True))
    rows = np.array([one.shape[:1] == (k,) and two.shape[:1] == (other,) for one, two in pairs], np.bool_)
    apart = all(row or one.shape == two.shape for row, (one, two) in zip(rows, pairs, strict=True))
    return rows & apart


def _grown(policy: Policy, state: AdaptiveState, new: AdaptiveState, problem: Problem) -> AdaptiveState:
    """Return a state with new arms, which no model knows; that is no change."""
    models = new.models
    for model in range(int(state.models.used[0])):
        _write(row_of(models.rows, model), grown(policy, row_of(state.models.rows, model), problem))
    return new._replace(
        models=models._replace(used=state.models.used),
        leader=state.leader,
        watch=padded(state.watch, new.watch),
        worlds=state.worlds,
        half_life=state.half_life,
        longer=state.longer,
    )


def _write(into: Any, of: Any) -> None:
    """Write all arrays of a state into those of another."""
    for target, source in zip(into, of, strict=True):
        if isinstance(target, tuple):
            _write(target, source)
        else:
            target[...] = source


@kernel
def select(params: AdaptiveParams, state: AdaptiveState, instance: Instance, key: Key) -> Decision:
    """Take any arm with the probability `look`, else what the leader takes."""
    model = row_of(state.models.rows, state.leader[0])
    u = uniform_from(state.scratch_uniform, Key(key.run ^ _LOOK, key.t))
    if u < params.look:
        k = count_available(instance.available)
        arm = nth_available(instance.available, min(int(u / params.look * k), k - 1))
        return Decision(arm, _mix(params, instance, protocol.probability(params.inner, model, instance, arm)))
    decision = protocol.select(params.inner, model, instance, key)
    return Decision(decision.action, _mix(params, instance, decision.propensity))


@kernel
def mark(params: AdaptiveParams, state: AdaptiveState, instance: Instance, decision: Decision, key: Key) -> None:
    """Let the leader take note."""
    protocol.mark(params.inner, row_of(state.models.rows, state.leader[0]), instance, decision, key)


@kernel
def update(
    params: AdaptiveParams,
    state: AdaptiveState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Bet on the reward, and let the model of its world learn it; see whether the world has changed."""
    leader, used, arm = state.leader[0], state.models.used[0], decision.action
    late = is_over(state.worlds, instance.t)
    row = NOTHING
    if not late:
        row = examine(state.watch, params.inner, state.models.rows, leader, used, instance, decision, feedback.reward)
    model = model_at(state.worlds, instance.t) if late else leader
    if model != GONE:
        protocol.update(params.inner, row_of(state.models.rows, model), instance, decision, feedback, key)
    if late:
        return
    if instance.t >= state.longer[0]:
        _decay(state, leader, 2.0 * state.half_life[leader])
        state.longer[0] = instance.t + _LASTS * state.half_life[leader]
    other = rival(state.watch, leader, used, row != NOTHING, instance.t, state.worlds.total[0])
    if other != NOTHING or row != NOTHING:
        _turn(state, other, row, arm, instance.t)
    elif lagged(state.watch) >= _SLOW:
        _decay(state, leader, float(lagged(state.watch)))
        state.longer[0] = instance.t + _LASTS * state.half_life[leader]


@kernel
def probability(params: AdaptiveParams, state: AdaptiveState, instance: Instance, action: int) -> float:
    """Return the arm's probability, looks included; 0 where it is not available."""
    if not instance.available[action]:
        return 0.0
    model = row_of(state.models.rows, state.leader[0])
    return _mix(params, instance, protocol.probability(params.inner, model, instance, action))


@kernel
def write_law(params: AdaptiveParams, state: AdaptiveState, instance: Instance, law: Array) -> None:
    """Write the law of `select`."""
    model = row_of(state.models.rows, state.leader[0])
    protocol.write_law(params.inner, model, instance, law)
    for a in range(len(instance.available)):
        if instance.available[a]:
            law[a] = _mix(params, instance, law[a])


@kernel
def appraise(params: AdaptiveParams, state: AdaptiveState, instance: Instance, scores: Array, widths: Array) -> None:
    """Let the leader say what it expects."""
    protocol.appraise(params.inner, row_of(state.models.rows, state.leader[0]), instance, scores, widths)


@kernel
def attribute(params: AdaptiveParams, state: AdaptiveState, instance: Instance, action: int, parts: Array) -> None:
    """Let the leader say why."""
    protocol.attribute(params.inner, row_of(state.models.rows, state.leader[0]), instance, action, parts)


@kernel
def _mix(params: AdaptiveParams, instance: Instance, p: float) -> float:
    """Return (1 - look) p + look / k; rounding may not lead beyond 1."""
    if params.look == 0.0:
        return p
    return min((1.0 - params.look) * p + params.look / count_available(instance.available), 1.0)


@routine
def _turn(state: AdaptiveState, other: int, row: int, arm: int, number: int) -> None:
    """Let a model of an earlier world lead, if there is another; else learn anew what has changed.

    That is one more arm of a change that was just found, or what another change has changed.
    """
    leader, model, n_fresh, since, won = state.leader[0], other, 0, number, 0.0
    if row != NOTHING:
        won = largest(state.watch.book, row)
        since = min(place_of(state.watch.book, row), number)  # later where feedback comes in another order
    if other == NOTHING:
        if is_young(state.watch, leader, row):
            bet_anew(state.watch, leader, arm)
            renew_arm(state.models, state.scratch_new, leader, arm)
            return
        model = _room(state.models.used, leader, state.worlds)
        give_up(state.worlds, model)
        n_fresh = begin(state.watch, model, leader, row)
        if n_fresh >= numbered(state.watch):
            n_fresh = ALL
            renew(state.models, state.scratch_new, model)
            state.half_life[model] = np.inf
        else:
            copy_model(state.models, state.scratch_new, model, leader)
            state.half_life[model] = state.half_life[leader]
            for changed in range(numbered(state.watch)):
                if is_fresh(state.watch, changed):
                    renew_arm(state.models, state.scratch_new, model, changed)
        took = float(number - since)
        _decay(state, model, took if took >= _SLOW else np.inf)
    _lead(state, model, since, number, won, n_fresh, FOUND)


@routine
def _decay(state: AdaptiveState, model: int, half_life: float) -> None:
    """Let what a model has learned count half after so many more feedbacks."""
    if half_life != state.half_life[model]:
        state.half_life[model] = half_life
        decay(row_of(state.models.rows, model), half_life)


@kernel
def _room(used: Array, leader: int, seen: Worlds) -> int:
    """Return a model that has not begun, or the one that has not led for longest."""
    if used[0] < MODELS:
        used[0] += 1
        return used[0] - 1
    oldest = -1
    for model in range(MODELS):
        if model != leader and (oldest < 0 or last_of(seen, model) < last_of(seen, oldest)):
            oldest = model
    return oldest


@kernel
def _lead(state: AdaptiveState, model: int, since: int, number: int, won: float, n_fresh: int, cause: int) -> None:
    """Let a model lead from now on."""
    state.leader[0] = model
    state.longer[0] = number + _LASTS * state.half_life[model]
    enter(state.worlds, since, number, model, won, n_fresh, cause)
    follow(state.watch, model)


protocol.register_policy(
    AdaptiveParams,
    select=select,
    update=update,
    mark=mark,
    probability=probability,
    write_law=write_law,
    appraise=appraise,
    attribute=attribute,
)
