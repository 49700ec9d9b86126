"""What is best in the long run where decisions move a state, and what else is known of such a world beforehand.

A world is P, float64[S, A, S], the probabilities of the next state; r, float64[S, A], the mean reward; and `open`,
bool[S, A], what can be chosen in each state. In NumPy and float64, all at once: for worlds that are made, not learned.

The gain J is the mean reward of a decision in the long run, the bias h what beginning in a state is worth beside that:
J + h(s) = max over a of r(s, a) + sum over s' of P(s' | s, a) h(s'), with min h = 0. The gap of a decision is how much
it falls short of this: J + h(s) - r(s, a) - (P h)(s, a) >= 0. The sum of gaps is the regret, but for the noise of where
the state happened to go, and for at most the span, max h - min h.
Source: Puterman, "Markov decision processes", 1994, chapters 8 and 9. Cost: a few hundred sweeps of S A S
multiplications; the diameter takes as much for each state.

>>> transitions = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])
>>> best = optimum(transitions, np.array([[0.0, 0.0], [1.0, 0.5]]), np.ones((2, 2), np.bool_))
>>> best.gain, best.bias.tolist(), best.policy.tolist()
(0.5, [0.0, 0.5], [1, 0])
>>> diameter(transitions, np.ones((2, 2), np.bool_))
1.0
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import InvalidInput
from ..vocabulary import Array

TAU = 0.9  # how much of a sweep counts: the rest stays, so that worlds that go in circles settle too
SWEEPS_MAX = 1_000_000
SETTLED = 1e-12  # of the gain, and of the bias beside its span
TIE = 1e-12  # by how much an action must be better than the lowest one as good


class BestPolicy(NamedTuple):
    """The best policy of a world, and what others lose."""

    gain: float
    bias: Array  # float64[S], at least 0
    gaps: Array  # float64[S, A], at least 0; NaN where an action is not open
    policy: Array  # int64[S], the lowest action without a gap

    @property
    def span(self) -> float:
        """Return the largest bias."""
        return float(self.bias.max())


def optimum(transitions: Array, rewards: Array, is_open: Array) -> BestPolicy:
    """Return the best policy of a weakly communicating world: by value iteration, and then exactly by its equations.

    Raises `InvalidInput` where a million sweeps do not settle it.
    """
    reward = np.where(is_open, rewards, -np.inf)
    value = np.zeros(len(rewards))
    for _ in range(SWEEPS_MAX):
        moved = (reward + TAU * (transitions @ value)).max(axis=1) + (1.0 - TAU) * value
        change = moved - value
        value = moved - moved.min()
        if change.max() - change.min() < SETTLED * max(1.0, value.max()):
            break
    else:
        raise InvalidInput(
            "bad_world", f"the best policy of the world did not settle in {SWEEPS_MAX} sweeps: its states hardly mix"
        )
    gain, bias = float(change.max() + change.min()) / 2.0, TAU * value
    for _ in range(100):  # twice at most, but for ties
        policy = _greedy(reward + transitions @ bias)
        exact = _evaluated(transitions, rewards, policy)
        if exact is None or exact[0] < gain - 1e-9 * max(1.0, abs(gain)):
            break
        gain, bias = exact
        gaps = gain + bias[:, np.newaxis] - reward - transitions @ bias
        if gaps.min() >= -SETTLED * max(1.0, bias.max()):
            break
    gaps = gain + bias[:, np.newaxis] - rewards - transitions @ bias
    policy = _greedy(reward + transitions @ bias)
    return BestPolicy(gain, bias, np.where(is_open, np.maximum(gaps, 0.0), np.nan), policy)


def gain_from(transitions: Array, rewards: Array, policy: Array, start: int) -> float:
    """Return the mean reward in the long run of a policy, int64[S], that begins in `start`."""
    states = np.arange(len(policy))
    return float(in_the_long_run(transitions[states, policy])[start] @ rewards[states, policy])


def in_the_long_run(moves: Array) -> Array:
    """Return how much of the time a chain, float64[S, S], is in each state, float64[S, S], by where it begins.

    >>> in_the_long_run(np.array([[0.0, 1.0], [1.0, 0.0]])).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    shares: Array = (np.eye(len(moves)) + moves) / 2.0
    for _ in range(60):  # 2 to the 60th steps
        shares = shares @ shares
        shares /= shares.sum(axis=1, keepdims=True)
    return shares


def gain_stateless(transitions: Array, rewards: Array, is_open: Array, start: int) -> float:
    """Return the gain of the best single arm; where it is not open, the lowest arm that is takes its place."""
    first = is_open.argmax(axis=1)
    arms = range(rewards.shape[1])
    return max(gain_from(transitions, rewards, np.where(is_open[:, a], a, first), start) for a in arms)


def gain_myopic(transitions: Array, rewards: Array, is_open: Array, start: int) -> float:
    """Return the gain of the policy that takes the largest mean reward of each state, and looks no farther."""
    return gain_from(transitions, rewards, _greedy(np.where(is_open, rewards, -np.inf)), start)


def diameter(transitions: Array, is_open: Array) -> float:
    """Return how many decisions the longest of the best ways between two states takes on average."""
    n = len(transitions)
    longest = 0.0
    for target in range(n):
        steps = np.zeros(n)
        cost = np.where(is_open, 1.0, np.inf)
        for _ in range(SWEEPS_MAX):
            moved = (cost + transitions @ steps).min(axis=1)
            moved[target] = 0.0
            settled = np.abs(moved - steps).max() <= SETTLED * max(1.0, moved.max())
            steps = moved
            if settled:
                break
        longest = max(longest, float(steps.max()))
    return longest


def closed_classes(transitions: Array, is_open: Array) -> list[Array]:
    """Return sets of states, each as sorted int64, that a policy can stay in for ever without reaching another.

    A world is weakly communicating where there is one: then the best gain does not depend on where one begins.
    """
    possible: Array = np.asarray((transitions > 0.0) & is_open[:, :, np.newaxis])
    leads: Array = np.any(possible, axis=1)
    reach: Array = np.logical_or(leads, np.eye(len(leads), dtype=np.bool_))
    for _ in range(len(leads).bit_length()):
        steps = reach.astype(np.float32)
        reach = np.asarray(steps @ steps > 0.0)
    mutual = reach & reach.T
    found = [np.flatnonzero(row) for i, row in enumerate(mutual) if row.argmax() == i]
    closed = [states for states in found if not reach[states[0], ~mutual[states[0]]].any()]
    inside = np.zeros(len(leads), np.bool_)
    for states in closed:
        inside[states] = True
    return closed + [states for states in _staying(transitions, is_open, ~inside) if len(states)]


def _staying(transitions: Array, is_open: Array, among: Array) -> list[Array]:
    """Return the states, if any, in which a policy can stay among some, bool[S], for ever."""
    kept = among.copy()
    while True:
        leaves = (transitions[:, :, ~kept] > 0.0).any(axis=2)
        still = kept & (is_open & ~leaves).any(axis=1)
        if (still == kept).all():
            return [np.flatnonzero(kept)]
        kept = still


def _greedy(scores: Array) -> Array:
    """Return the lowest action of each row that is as good as the best, int64[S]."""
    return np.asarray((scores >= scores.max(axis=1, keepdims=True) - TIE).argmax(axis=1))


def _evaluated(transitions: Array, rewards: Array, policy: Array) -> tuple[float, Array] | None:
    """Return the gain and the bias of a policy by its equations; None where it has several gains."""
    states, n = np.arange(len(policy)), len(policy)
    equations = np.empty((n, n))  # of the gain, in the place of h(0) = 0, and of all other h
    move = transitions[states, policy]
    equations[:, 1:] = (np.eye(n) - move)[:, 1:]
    equations[:, 0] = 1.0
    try:
        found = np.linalg.solve(equations, rewards[states, policy])
    except np.linalg.LinAlgError:
        return None
    bias = np.concatenate([[0.0], found[1:]])
    residual = found[0] + bias - rewards[states, policy] - move @ bias
    if not np.abs(residual).max() <= 1e-9 * max(1.0, float(np.ptp(bias))):
        return None
    return float(found[0]), bias - bias.min()
