"""Worlds whose states decisions move, beside what is known of them."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from onearm.engine.simulation import Simulation
from onearm.engine.states.optimum import diameter, gain_from, gain_myopic, gain_stateless, optimum
from onearm.engine.states.world import tables_of
from onearm.engine.vocabulary import LEARN, Array, Environment
from onearm.policies import catalog as policies


def check_facts(
    env: Environment,
    *,
    gain: float,
    span: float,
    diameter_about: float,
    uniform: float,
    least_gap: float,
    stateless: float | None = None,
    myopic: float | None = None,
) -> Array:
    """Compare a world with what loop.md's independent program found of it; return its best policy."""
    transitions, reward, is_open = tables_of(env)
    best = optimum(transitions, reward, is_open)
    start = env.params.start
    assert abs(best.gain - gain) <= 1e-10
    assert abs(best.span - span) <= 1e-8
    residual = best.gain + best.bias - (reward + transitions @ best.bias).max(axis=1)
    assert np.abs(residual).max() < 1e-12
    assert abs(diameter(transitions, is_open) - diameter_about) <= 0.05 * (1 + 1e-9)
    anything = np.zeros(len(reward), np.int64)
    mixed = gain_from(transitions.mean(axis=1, keepdims=True), reward.mean(axis=1, keepdims=True), anything, start)
    assert abs(mixed - uniform) <= 5e-7
    assert abs(best.gaps[best.gaps > 1e-9].min() / least_gap - 1) <= 5e-4
    if stateless is not None and myopic is not None:
        assert abs(gain_stateless(transitions, reward, is_open, start) - stateless) <= 5e-7
        assert abs(gain_myopic(transitions, reward, is_open, start) - myopic) <= 5e-7
    return best.policy


def check_moves(env: Environment, steps: int = 4000) -> None:
    """Compare where a world goes under arms at random, what it pays and what it calls regret with its tables."""
    transitions, reward, is_open = tables_of(env)
    gaps = optimum(transitions, reward, is_open).gaps
    simulation = Simulation(policies.make("uniform"), env, horizon=steps, seed=5)
    log = simulation.advance_logged(steps)
    learned = log.kind == LEARN
    state, begins = log.context[learned].T
    place, arm = state.astype(np.int64), log.action[learned]
    following = log.detail[learned, 0].astype(np.int64)
    assert (place[1:] == following[:-1]).all()
    assert place[0] == env.params.start
    assert begins.tolist() == [1.0] + [0.0] * (steps - 1)
    assert is_open[place, arm].all()
    assert abs(simulation.totals.regret[0] - gaps[place, arm].sum()) < 1e-9 * steps
    moved, earned = np.zeros_like(transitions), np.zeros_like(reward)
    np.add.at(moved, (place, arm, following), 1.0)
    np.add.at(earned, (place, arm), log.reward[learned])
    assert (moved[transitions == 0.0] == 0.0).all()
    visits = moved.sum(axis=2)
    expected = visits[:, :, np.newaxis] * transitions
    drawn = (expected >= 5.0) & (transitions < 1.0)
    if drawn.any():
        off = ((moved - expected)[drawn] ** 2 / expected[drawn]).sum()
        assert chi2.sf(off, drawn.sum()) > 1e-4
    often = visits >= 20.0
    assert often.any()
    off = (4.0 * (earned - visits * reward)[often] ** 2 / visits[often]).sum()  # a variance is at most a quarter
    assert chi2.sf(off, often.sum()) > 1e-4
