"""Sea: the stochastically extended adversary. Losses are drawn around expected losses that drift, each by its own dial.

Source: Sachs, Hadiji, van Erven, Guzman, "Between stochastic and adversarial online convex optimization", NeurIPS 2022;
Chen, Zhang, Tu, Zhao, Zhang, JMLR 2024. The expected loss is F_t(x) = a_t . x + convexity |x|^2 / 2, the drawn one adds
z_t . x, where each coordinate of z_t is +- noise / sqrt(d): so |grad f_t - grad F_t| is `noise` each time.
a_t is `wall` in the first coordinate, which pins it to the edge of the domain, and in the others a level of length
`reach`, drawn anew at the start of each of `pieces` pieces of the horizon. `drift` is the length of a step of a_t:
"jitter"    a fixed sequence of signs +- drift / sqrt(2 d), which nobody can foresee; the root mean square is `drift`
"rotating"  the level turns in the planes of neighbouring coordinates (what is left over swings: shorter steps)
With `corruption` C the sign of `wall` is turned in so many rounds, evenly spaced, that the sum of these changes is C.
State: the levels, the comparators, working space. Cost: O(d) per decision, and O(d) for each round of the horizon at
the start, to find what would have been best.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from ...engine.choices import Vectors
from ...engine.draws import normal, words
from ...engine.elementary import cos_turns
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel, loop
from ...engine.problem import check_param
from ...engine.protocol import register_env
from ...engine.vectors.hindsight import best_for_bowl
from ...engine.vectors.named_domains import unit_domain
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

HORIZON = 10_000  # of one pass
NUMBERS_MAX = 1_000_000  # of all levels
_LEVELS = 2**62  # the time of the draws of the levels; no decision is numbered so high
_JITTER = 2**20  # the draws of the jitter: beyond those of the noise
_ONE = np.uint64(1)


class SeaParams(NamedTuple):
    """Numbers fixed at creation."""

    noise: float  # of each coordinate
    jitter: float  # of each coordinate
    turns: float  # of the level in a round
    wall: float  # >= 0
    reach: float  # >= 0
    convexity: float  # >= 0
    corruption: float  # >= 0
    pieces: int
    by_piece: bool  # whether the comparator is one of each piece


class SeaState(NamedTuple):
    """Written once, from nature's key, but for working space."""

    run: Array  # uint64[1] nature's key
    horizon: Array  # int64[1]
    level: Array  # float64[pieces, d]
    comparator: Array  # float64[pieces, d] the points that regret is counted against
    scratch_slope: Array  # float64[d] a_t


def sea(
    dimension: int = 10,
    noise: float = 0.1,
    drift: float = 0.01,
    domain: str | dict[str, Any] = "box",
    kind: Literal["jitter", "rotating"] = "jitter",
    wall: float = 1.0,
    reach: float = 0.1,
    convexity: float = 0.0,
    pieces: int = 1,
    corruption: float = 0.0,
    comparator: Literal["fixed", "piece"] = "fixed",
) -> Environment:
    """Lose a . x + `convexity` |x|^2 / 2 with `noise` in the gradient, of which the expectation steps by `drift`.

    `domain` is "box" or "ball" of diameter 2 around 0, "simplex", or an object of that dimension. Regret is counted on
    expected losses, against the point that is best for all of the horizon, or with `comparator` = "piece" for each
    piece.
    """
    where = unit_domain(domain, dimension)
    d = where.dimension
    _check_pieces(pieces, d)
    for name, value, known in (("kind", kind, ("jitter", "rotating")), ("comparator", comparator, ("fixed", "piece"))):
        if value not in known:
            raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be one of {', '.join(known)}")
    sizes = {"noise": noise, "drift": drift, "wall": wall, "reach": reach}
    sizes |= {"convexity": convexity, "corruption": corruption}
    for name, size in sizes.items():
        check_param(name, size, low=0.0, high=1e50)
    if corruption > 0.0 and wall == 0.0:
        raise InvalidInput(
            "bad_param", f"corruption is {corruption!r} and turns the sign of wall, which is 0: give both"
        )
    rotating = kind == "rotating"
    params = SeaParams(
        noise / float(np.sqrt(d)),
        0.0 if rotating else drift / float(np.sqrt(2.0 * d)),
        _turns(drift, reach) if rotating else 0.0,
        float(wall),
        float(reach),
        float(convexity),
        float(corruption),
        pieces,
        comparator == "piece",
    )
    against = "best fixed point of each piece" if params.by_piece else "best fixed point of the horizon"
    problem = Problem.of(Vectors(where, "gradient"), horizon=HORIZON)
    return Environment("sea", params, init, problem, regret_kind=f"{against}, by expected losses")


def init(params: SeaParams, problem: Problem, run: np.uint64) -> SeaState:
    """Draw the levels, and find what is best in hindsight."""
    assert problem.domain is not None
    d, horizon = problem.dimension, problem.horizon or HORIZON
    level, totals = np.zeros((params.pieces, d)), np.zeros((params.pieces, d))
    _draw_levels(params, level, Key(run, _LEVELS))
    ends = np.array([run], np.uint64), np.array([horizon])
    state = SeaState(*ends, level, np.zeros((params.pieces, d)), np.zeros(d))
    rounds = _add_slopes(params, state, totals, np.zeros(params.pieces, np.int64))
    if not params.by_piece:
        totals[:], rounds[:] = totals.sum(axis=0), horizon
    for piece in range(params.pieces):
        bend = params.convexity * float(rounds[piece])
        state.comparator[piece] = best_for_bowl(problem.domain, totals[piece], bend)
    return state


@kernel
def respond(
    params: SeaParams, state: SeaState, instance: Instance, action: Array, detail: Array, key: Key
) -> tuple[float, int]:
    """Reveal the gradient of the drawn loss, at once."""
    _slope(params, state, instance.t, state.scratch_slope)
    _add_signs(params.noise, key, 0, state.scratch_slope)
    loss = 0.0
    for j in range(len(action)):
        slope = state.scratch_slope[j]
        loss += (slope + 0.5 * params.convexity * action[j]) * action[j]
        detail[j] = -(slope + params.convexity * action[j])
    return -loss, 0


@kernel
def regret(params: SeaParams, state: SeaState, instance: Instance, action: Array) -> float:
    """Return how much more the point loses than the comparator, in expectation: less than 0 is possible."""
    _slope(params, state, instance.t, state.scratch_slope)
    piece = _piece(params, state, instance.t)
    total = 0.0
    for j in range(len(action)):
        best = state.comparator[piece, j]
        mean = 0.5 * (action[j] + best)
        total += (state.scratch_slope[j] + params.convexity * mean) * (action[j] - best)
    return total


@kernel
def _slope(params: SeaParams, state: SeaState, t: int, slope: Array) -> None:
    """Write a_t, float64[d]."""
    level = state.level[_piece(params, state, t)]
    first = _first(params, len(slope))
    for j in range(len(slope)):
        slope[j] = level[j]
    if params.turns > 0.0:
        cosine, sine = cos_turns(params.turns * t), cos_turns(params.turns * t - 0.25)
        for j in range(first, len(slope) - 1, 2):
            slope[j] = cosine * level[j] - sine * level[j + 1]
            slope[j + 1] = sine * level[j] + cosine * level[j + 1]
        if (len(slope) - first) % 2 == 1:
            slope[len(slope) - 1] = cosine * level[len(slope) - 1]
    if params.wall > 0.0:
        slope[0] += -params.wall if _is_corrupt(params, state.horizon[0], t) else params.wall
    if params.jitter > 0.0:
        _add_signs(params.jitter, Key(state.run[0], t), _JITTER, slope)


@kernel
def _add_signs(size: float, key: Key, first: int, slope: Array) -> None:
    """Add `size` or -`size` to each coordinate: 64 signs of one draw."""
    if size == 0.0:
        return
    word = np.uint64(0)
    for j in range(len(slope)):
        if j & 63 == 0:
            word = words(key, first + (j >> 6), 0)[0]
        slope[j] += size if word & _ONE == _ONE else -size
        word = word >> _ONE


@kernel
def _is_corrupt(params: SeaParams, horizon: int, t: int) -> bool:
    """Tell whether t is one of the rounds, evenly spaced, in which the sign of the wall is turned."""
    share = min(np.floor(params.corruption / (2.0 * params.wall)) / horizon, 1.0)
    return np.floor((t + 1) * share) > np.floor(t * share)


@kernel
def _piece(params: SeaParams, state: SeaState, t: int) -> int:
    return min(t * params.pieces // state.horizon[0], params.pieces - 1)


@kernel
def _first(params: SeaParams, d: int) -> int:
    """Return the first coordinate of the level: the wall has one of its own, where there are several."""
    return 1 if params.wall > 0.0 and d > 1 else 0


@loop
def _add_slopes(params: SeaParams, state: SeaState, totals: Array, rounds: Array) -> Array:
    """Add up a_t and the rounds of each piece."""
    for t in range(state.horizon[0]):
        _slope(params, state, t, state.scratch_slope)
        piece = _piece(params, state, t)
        rounds[piece] += 1
        for j in range(len(state.scratch_slope)):
            totals[piece, j] += state.scratch_slope[j]
    return rounds


@loop
def _draw_levels(params: SeaParams, level: Array, key: Key) -> None:
    """Draw a direction for each piece, and give it the length `reach`."""
    pieces, d = level.shape
    for piece in range(pieces):
        square = 0.0
        for j in range(_first(params, d), d):
            level[piece, j] = normal(key, piece * d + j)
            square += level[piece, j] * level[piece, j]
        for j in range(d):
            level[piece, j] *= params.reach / np.sqrt(square)


def _turns(drift: float, reach: float) -> float:
    """Return w with 2 reach sin(pi w) = drift: by halving, as the library's arcsine has other bits elsewhere."""
    if drift > 2.0 * reach:
        raise InvalidInput(
            "bad_param", f"drift is {as_seen(drift)}: a level of length reach = {reach!r} turns by 2 reach at most"
        )
    low, high = 0.0, 1.0
    for _ in range(70):
        middle = 0.5 * (low + high)
        if 2.0 * reach * cos_turns(0.25 - 0.25 * middle) < drift:
            low = middle
        else:
            high = middle
    return 0.5 * low if drift > 0.0 else 0.0


def _check_pieces(pieces: int, d: int) -> None:
    if isinstance(pieces, bool) or not isinstance(pieces, int) or not 1 <= pieces <= NUMBERS_MAX // d:
        raise InvalidInput(
            "bad_param", f"pieces is {as_seen(pieces)}: it must be a whole number from 1 to {NUMBERS_MAX // d}"
        )


register_env(SeaParams, respond=respond, regret=regret)
