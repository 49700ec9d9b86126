"""Levels: arms rise through a few levels, each of which keeps one arm, and all arms that are kept meet at the end.

A newcomer enters level 0. At a level it is pulled s times, and takes the place of the level's arm if its mean is at
least that arm's record, which is the mean of the s pulls that it came in with. After c arrivals the level's arm enters
the next level, pulled afresh, and the level starts anew: without arm, record and arrivals. The last level keeps its
arm. When the stream is over, all arms that are kept are pulled 4 u times more, and the best of them is committed to.

    kind     levels                    pulls s at level l (from 0)             arrivals c at level l
    log      floor(ln K)               1.2^l u                                 7
    loglog   floor(ln ln K) + 1        1.2^l u, at the last level u ln K       11
    logstar  1 + how many of K, ln K,  u, then r(l) u: 4 u, 16 u, 65536 u, ..  5, then 2^(r(l) - r(l-1)) + 1:
             ln ln K, .. are >= 1      r(0) = 2, r(l+1) = 2^r(l)               5, 4097, ..

Constants "theory", of logstar only, are those of a proof: l from 1, s = 4 (10 2^(l-1))^2 u (ln(1/delta) + 3 r(l)),
c = 16, 32768, .., and the level's arm is pulled again for each newcomer. That is 21500 u for each arm at delta = 0.1:
it uses up the trials, and never pays, unless T / K is above 1e13. It is there to be looked at.

Source: the experiments of Wang, "Tight regret bounds for single-pass streaming multi-armed bandits", ICML 2023, whose
theorem on log* K arms of memory gives O(K^(1/3) T^(2/3)); the proof: Assadi, Wang, "Exploration with limited memory:
streaming algorithms for coin tossing, noisy comparisons, and multi-armed bandits", STOC 2020. Departs from both in the
last comparison, of all arms that are kept: the highest level is not reached at any real size.
A K of 1 counts as 2 in ln K. Where the trials are few, u counts as T / (3 K) at the most. Where K is unknown, the
levels are those of as many arms as were read so far, and no more than there are slots; what T counts as where it is
unknown stands in `engine/streams.py`.
State: per level its arm's place, its record and its arrivals; what is being pulled. Cost: O(1) pulls and reads for each
arm on average. Slots: one for each level that is reached, which `init` asks for: 3 to 6 at K = 50 000.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.actions import PULL, READ, pull, read
from ...engine.elementary import exp, log
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.streams import (
    Stream,
    advance,
    affordable_unit,
    arms_of,
    batch_of_kept,
    begin,
    place_to_pull,
    readable,
    rounded_up,
    there,
    whole,
)
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

KINDS = ("log", "loglog", "logstar")
LOG, LOGLOG, LOGSTAR = range(3)
CONSTANTS = ("practical", "theory")
FINAL = 4.0  # pulls of each arm in the last comparison, in u


class LevelsParams(NamedTuple):
    """Numbers fixed at creation."""

    kind: int  # of KINDS
    theory: bool  # the constants of the proof
    delta: float  # the chance of failure that they allow, in (0, 1)


class LevelsState(NamedTuple):
    """The levels, as many as there are slots, and what is being pulled."""

    stream: Stream
    since: Array  # float64[slots] K from which there is this level; never changes
    size: Array  # float64[slots] pulls of who enters it, in u; never changes
    full: Array  # float64[slots] arrivals after which its arm rises; never changes
    place: Array  # int64[slots] place of its arm, -1 while there is none
    record: Array  # float64[slots, 2] mean of that arm when it came in, and the pulls of it
    arrivals: Array  # int64[slots]
    entering: Array  # int64[2] place of the arm that enters a level, and the level
    pulled: Array  # int64[1] place that is being pulled: of that arm, or the level's; -1 while there is nothing to do
    pulls: Array  # int64[2] made there, and how many it gets
    total: Array  # float64[1] of their rewards
    best: Array  # int64[1] place of the best arm of the last comparison so far, -1 before it
    best_record: Array  # float64[2] its mean there, and the pulls of it
    scratch_move: Array  # int64[3]


def levels(kind: str = "logstar", constants: str = "practical", delta: float = 0.1) -> Policy:
    """Let arms rise through "log", "loglog" or "logstar" levels, and commit to the best arm that one of them keeps.

    `constants` are "practical", or with "logstar" those of "theory", which allow a chance of failure of `delta` and
    never pay.
    """
    if kind not in KINDS:
        raise InvalidInput("bad_param", f"kind is {as_seen(kind)}: it must be one of {', '.join(KINDS)}")
    if constants not in CONSTANTS:
        raise InvalidInput("bad_param", f"constants is {as_seen(constants)}: it must be one of {', '.join(CONSTANTS)}")
    if constants == "theory" and kind != "logstar":
        raise InvalidInput(
            "bad_param", f"constants is 'theory', but kind is {as_seen(kind)}: theory is about logstar only"
        )
    params = LevelsParams(
        KINDS.index(kind),
        constants == "theory",
        check_param("delta", delta, low=0.0, low_open=True, high=1.0, high_open=True),
    )
    return Policy("levels", params, init, actions=("move",))


def init(params: LevelsParams, problem: Problem) -> LevelsState:
    """Return the state before the first arm.

    Raises `InvalidInput` where more levels will hold an arm than there are slots.
    """
    slots = problem.slots or 0
    needed = slots_needed(params, problem.n_arms)
    if needed > slots:
        raise InvalidInput(
            "policy_does_not_fit",
            f"policy 'levels' of kind {KINDS[params.kind]!r} needs {needed} slots for {problem.n_arms} arms, but this "
            f"problem has {slots}: allow {needed} slots, or take a policy that stores one arm",
        )
    since, size, full = np.array([_level(params, level) for level in range(slots)]).T.copy()
    return LevelsState(
        stream=begin(problem),
        since=since,
        size=size,
        full=full,
        place=np.full(slots, -1),
        record=np.zeros((slots, 2)),
        arrivals=np.zeros(slots, np.int64),
        entering=np.array([-1, 0]),
        pulled=np.full(1, -1),
        pulls=np.zeros(2, np.int64),
        total=np.zeros(1),
        best=np.full(1, -1),
        best_record=np.zeros(2),
        scratch_move=np.zeros(3, np.int64),
    )


def slots_needed(params: LevelsParams, arms: int) -> int:
    """Return how many levels an arm enters in a stream of `arms`: 1 where that is unknown, as then levels can wait."""
    needed, arrivals = 1, _level(params, 0)[2]
    while arrivals <= arms and _level(params, needed)[0] <= arms:
        arrivals *= _level(params, needed)[2]
        needed += 1
    return needed


def _level(params: LevelsParams, level: int) -> tuple[float, float, float]:
    """Return a row of the table: the K from which there is a level, its pulls in u, its arrivals until it is full."""
    if params.theory:
        r = _tower(4.0, level)
        size = 4.0 * (10.0 * 2.0**level) ** 2 * (float(log(1.0 / params.delta)) + 3.0 * r)
        return (_tower(1.0, level - 1) + 1.0 if level else 1.0), size, _power_of_two(r) / 2.0**level
    if params.kind == LOGSTAR:
        r = _tower(2.0, level)
        arrivals = _power_of_two(r - _tower(2.0, level - 1)) + 1.0 if level else 5.0
        return float(_tower_of_e(level - 1)), r if level else 1.0, arrivals
    size = math.prod([1.2] * level)
    if params.kind == LOGLOG:
        return (float(exp(exp(float(level)))) if level else 1.0), size, 11.0
    return (float(exp(level + 1.0)) if level else 1.0), size, 7.0


def _tower(r: float, times: int) -> float:
    """Return 2^2^..^r."""
    for _ in range(times):
        r = _power_of_two(r)
    return r


def _tower_of_e(times: int) -> float:
    """Return e^e^..^1."""
    x = 1.0
    for _ in range(times):
        x = float(exp(x))
    return x


def _power_of_two(x: float) -> float:
    return 2.0**x if x < 1024.0 else math.inf


@kernel
def select(params: LevelsParams, state: LevelsState, instance: Instance, key: Key) -> Decision:
    """Pull what is to be pulled; else read the next arm, or pull the best where there is none to read."""
    arrived = len(instance.available) - 2
    move, stream = state.scratch_move, state.stream
    if there(instance.available, state.pulled[0]):
        return Decision(pull(move, state.pulled[0], whole(stream, float(state.pulls[1] - state.pulls[0]))), 1.0)
    if readable(instance.available):
        return Decision(read(move, _free_slot(state) if _level_of(state, arrived) >= 0 else arrived), 1.0)
    return Decision(
        pull(move, place_to_pull(instance.available, recommend(params, state, key)), batch_of_kept(stream)), 1.0
    )


@kernel
def update(
    params: LevelsParams,
    state: LevelsState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Count a batch, and judge once it is complete; after a read let the new arm in, or begin the last comparison."""
    arrived = len(instance.available) - 2
    move = decision.action
    advance(state.stream, decision, feedback)
    if move[0] == READ:
        level = _level_of(state, arrived)
        if level >= 0:
            state.place[level] = move[1]
        if state.stream.over[0] == 1:
            _compare_below(params, state, len(state.place))
        else:
            _enter(params, state, arrived, 0)
    elif move[0] == PULL and move[1] == state.pulled[0]:
        state.pulls[0] += int(feedback.detail[0])
        state.total[0] += feedback.reward
        if state.pulls[0] >= state.pulls[1]:
            _judge(params, state)


@kernel
def recommend(params: LevelsParams, state: LevelsState, key: Key) -> int:
    """Return the place of the best of the last comparison; before it, that of the highest record among the levels."""
    if state.best[0] >= 0:
        return state.best[0]
    best = -1
    for level in range(len(state.place)):
        if state.place[level] >= 0 and (best < 0 or state.record[level, 0] >= state.record[best, 0]):
            best = level
    return state.place[best] if best >= 0 else -1


@kernel
def _enter(params: LevelsParams, state: LevelsState, place: int, level: int) -> None:
    """Let an arm enter a level: it is pulled, after the level's arm where the constants are those of theory."""
    state.entering[0] = place
    state.entering[1] = level
    again = params.theory and state.place[level] >= 0
    _pull(state, state.place[level] if again else place, _pulls_of(params, state, level))


@kernel
def _pull(state: LevelsState, place: int, pulls: float) -> None:
    state.pulled[0] = place
    state.pulls[0] = 0
    state.pulls[1] = rounded_up(pulls)
    state.total[0] = 0.0


@kernel
def _judge(params: LevelsParams, state: LevelsState) -> None:
    """Judge by a batch that is complete."""
    place, level = state.entering[0], state.entering[1]
    mean = state.total[0] / max(state.pulls[0], 1)
    if state.stream.over[0] == 1:
        if state.best[0] < 0 or mean > state.best_record[0]:
            state.best[0] = place
            _note(state.best_record, mean, state.pulls[0])
        _compare_below(params, state, level)
    elif state.pulled[0] != place:
        _note(state.record[level], mean, state.pulls[0])
        _pull(state, place, float(state.pulls[1]))
    else:
        if state.place[level] < 0 or mean >= state.record[level, 0]:
            state.place[level] = place
            _note(state.record[level], mean, state.pulls[0])
        state.arrivals[level] += 1
        state.pulled[0] = -1
        if state.arrivals[level] >= state.full[level] and level < _top(state):
            risen = state.place[level]
            state.place[level] = -1
            state.arrivals[level] = 0
            _note(state.record[level], 0.0, 0)
            _enter(params, state, risen, level + 1)


@kernel
def _note(record: Array, mean: float, pulls: int) -> None:
    record[0] = mean
    record[1] = pulls


@kernel
def _compare_below(params: LevelsParams, state: LevelsState, above: int) -> None:
    """Pull the arm of the next level below `above` for the last comparison."""
    level = above - 1
    while level >= 0 and state.place[level] < 0:
        level -= 1
    state.pulled[0] = -1
    if level >= 0:
        state.entering[0] = state.place[level]
        state.entering[1] = level
        _pull(state, state.place[level], FINAL * affordable_unit(state.stream))


@kernel
def _pulls_of(params: LevelsParams, state: LevelsState, level: int) -> float:
    """Return how often to pull at a level."""
    last = params.kind == LOGLOG and level == _top(state)
    return affordable_unit(state.stream) * (log(float(max(arms_of(state.stream), 2))) if last else state.size[level])


@kernel
def _top(state: LevelsState) -> int:
    """Return the last level of a stream of K arms, for which there is a slot."""
    arms, top = arms_of(state.stream), 0
    while top + 1 < len(state.since) and state.since[top + 1] <= arms:
        top += 1
    return top


@kernel
def _level_of(state: LevelsState, place: int) -> int:
    """Return the level whose arm is in a place, -1 where none is."""
    for level in range(len(state.place)):
        if state.place[level] == place:
            return level
    return -1


@kernel
def _free_slot(state: LevelsState) -> int:
    """Return the first slot without a level's arm, so that no more are filled than need be."""
    slot = 0
    while _level_of(state, slot) >= 0:
        slot += 1
    return slot


register_policy(LevelsParams, select=select, update=update, recommend=recommend)
