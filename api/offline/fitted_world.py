"""A world of states fitted to a log: what is best in it, what others earn there, and how sure that is.

The model is the shares of next states and the mean rewards of each pair of a state and an action that the log has; the
best policy is sought among these pairs. A unit that ended is followed by another one, which begins where units of the
log began. A state in which nothing was ever done counts as an end.

How sure: worlds are drawn from the posterior, whose next states are Dirichlet in what was counted (the Bayesian
bootstrap: where a pair never led, it does not lead) and whose mean rewards are normal, with a variance of one quarter
of the squared range imagined once. The gain of a policy in those
gives its interval, and the share of worlds in which an action is best says how sure that action is.

What another policy earns is told twice: as its gain in the model, and as a weighted mean of the rewards of the log,
where each pair counts by how much more often the other policy would be there: mu_target / mu_log (Liu et al., "Breaking
the curse of horizon", NeurIPS 2018, with the ratio of the model). Weights of the usual kind, by the propensity of each
decision, are wrong here: states would have been others.
Cost: a few hundred sweeps of S A S multiplications, and as many for each world that is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...engine.errors import InvalidInput
from ...engine.states.optimum import BestPolicy, closed_classes, in_the_long_run, optimum
from ...engine.vocabulary import Array
from .transitions import Transitions

DRAWS = 200
FEW = 10  # decisions of a pair, of which less is known than an interval says
HARDLY = 0.05  # of the time of a policy in such pairs, from which on its worth is not to be used
LEVEL = 0.95


@dataclass(frozen=True)
class FittedWorld:
    """What a log says of a world of S states and A actions."""

    counts: Array  # float64[S, A, S + 1], of what came next; S where the unit ended
    visits: Array  # float64[S, A]
    reward: Array  # float64[S, A], mean; 0 where nothing is known
    spread: Array  # float64[S, A], how sure that mean is, as a standard error
    begin: Array  # float64[S], the law of where units begin

    @property
    def is_open(self) -> Array:
        """What was done in each state, bool[S, A]; where nothing was, action 0 stands for the end of the unit."""
        done = self.visits > 0.0
        done[~done.any(axis=1), 0] = True
        return done

    @property
    def law(self) -> Array:
        """The probabilities of the next state, float64[S, A, S]."""
        return self.moved(self.counts)

    def moved(self, counts: Array) -> Array:
        """Return the probabilities that counts or a draw, float64[S, A, S + 1], say."""
        total = counts.sum(axis=2, keepdims=True)
        share = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0.0)
        share[..., -1] += total[..., 0] == 0.0
        law: Array = share[..., :-1] + share[..., -1:] * self.begin
        return law


class Worth(NamedTuple):
    """What a policy earns, and how sure that is."""

    gain: float  # in the model
    low: float  # of its posterior, and
    high: float
    by_ratios: float  # the weighted mean of the log's own rewards
    effective_sample_size: float  # of the log, for that
    hardly_seen: float  # the share of its time in which it does what the log did fewer than FEW times, or never there


class Best(NamedTuple):
    """The best policy of a fitted world."""

    found: BestPolicy
    worth: Worth
    agreement: Array  # float64[S, A], the share of drawn worlds in which each action is best


def fit(log: Transitions) -> FittedWorld:
    """Return the world of a log."""
    states, arms = len(log.states), len(log.actions)
    counts = np.zeros((states, arms, states + 1))
    np.add.at(counts, (log.state, log.action, log.following), 1.0)
    visits = counts.sum(axis=2)
    total, squares = np.zeros((states, arms)), np.zeros((states, arms))
    np.add.at(total, (log.state, log.action), log.reward)
    mean = np.divide(total, visits, out=np.zeros_like(total), where=visits > 0.0)
    np.add.at(squares, (log.state, log.action), (log.reward - mean[log.state, log.action]) ** 2)
    low, high = float(log.reward.min()), float(log.reward.max())
    variance = (squares + (high - low) ** 2 / 4.0) / (visits + 1.0)
    begin = np.bincount(log.state[log.begins], minlength=states).astype(np.float64)
    if not begin.any():
        begin[log.state[0]] = 1.0
    world = FittedWorld(counts, visits, mean, np.sqrt(variance / (visits + 1.0)), begin / begin.sum())
    classes = closed_classes(world.law, world.is_open)
    if len(classes) > 1:
        one, other = (", ".join(str(log.states[s]) for s in found[:5]) for found in classes[:2])
        raise InvalidInput(
            "parts",
            f"by the log one can stay for ever in the states {one}, and for ever in {other}, and what is best depends "
            "on where one begins: plan each part alone, or say where units begin (a column `begins`) and end",
        )
    return world


def plan(
    world: FittedWorld,
    log: Transitions,
    *,
    seed: int = 0,
    draws: int = DRAWS,
    progress: Callable[[int], None] = lambda worlds: None,
) -> Best:
    """Return the best policy of a fitted world, its worth and how sure each action is."""
    best = optimum(world.law, world.reward, world.is_open)
    is_open, states = world.is_open, np.arange(len(best.policy))
    agreement, gains = np.zeros(is_open.shape), np.empty(draws)
    for i, (law, reward) in enumerate(_drawn(world, seed, draws)):
        agreement[states, optimum(law, reward, is_open).policy] += 1.0
        gains[i] = gain_of(law, reward, _chosen(best.policy, is_open), world.begin)
        progress(1)
    return Best(best, _worth(world, log, _chosen(best.policy, is_open), gains), agreement / draws)


def worth(world: FittedWorld, log: Transitions, target: Array, *, seed: int = 0, draws: int = DRAWS) -> Worth:
    """Return what a policy earns, the probabilities of the actions in each state, float64[S, A].

    In a state where it takes what the log never did there it takes something that the log did; `hardly_seen` says how
    much of the time that is.
    """
    allowed = np.where(world.is_open, target, 0.0)
    total = allowed.sum(axis=1, keepdims=True)
    first = world.is_open / world.is_open.sum(axis=1, keepdims=True)
    policy = np.where(total > 0.0, allowed / np.where(total > 0.0, total, 1.0), first)
    gains = np.array([gain_of(law, reward, policy, world.begin) for law, reward in _drawn(world, seed, draws)])
    found = _worth(world, log, policy, gains)
    time = shares(world.law, policy, world.begin)
    never = float(time @ np.where(world.is_open, 0.0, target).sum(axis=1)) / float(time @ target.sum(axis=1))
    return found._replace(hardly_seen=max(found.hardly_seen, never))


def gain_of(law: Array, reward: Array, policy: Array, begin: Array) -> float:
    """Return the gain of a policy, float64[S, A], where units begin by the law `begin`."""
    return float(shares(law, policy, begin) @ (policy * reward).sum(axis=1))


def shares(law: Array, policy: Array, begin: Array) -> Array:
    """Return how much of the time a policy is in each state in the long run, float64[S]."""
    return np.asarray(begin @ in_the_long_run(np.einsum("sa,sak->sk", policy, law)))


def _worth(world: FittedWorld, log: Transitions, policy: Array, gains: Array) -> Worth:
    time = shares(world.law, policy, world.begin)
    there = world.visits / world.visits.sum()
    ratio = np.divide(time[:, np.newaxis] * policy, there, out=np.zeros_like(there), where=there > 0.0)
    weights = ratio[log.state, log.action]
    tail = 100.0 * (1.0 - LEVEL) / 2.0
    low, high = np.percentile(gains, [tail, 100.0 - tail])
    total = weights.sum()
    return Worth(
        float(time @ (policy * world.reward).sum(axis=1)),
        float(low),
        float(high),
        float(weights @ log.reward / total),
        float(total**2 / (weights @ weights)),
        float((time[:, np.newaxis] * policy)[world.visits < FEW].sum()),
    )


def _drawn(world: FittedWorld, seed: int, draws: int) -> list[tuple[Array, Array]]:
    """Return worlds drawn from the posterior: laws and mean rewards."""
    rng = np.random.Generator(np.random.Philox(seed))
    return [
        (
            world.moved(rng.standard_gamma(world.counts)),
            world.reward + world.spread * rng.standard_normal(world.reward.shape),
        )
        for _ in range(draws)
    ]


def _chosen(policy: Array, is_open: Array) -> Array:
    """Return the probabilities of a policy that takes one action in each state, float64[S, A]."""
    return np.asarray(np.eye(is_open.shape[1])[policy])
