"""Label shift: estimates are unbiased and have the variance of the matrix, and regret is that of the true shares."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import regret, respond
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Array, Environment, Instance, Key
from onearm.envs import catalog
from onearm.policies import catalog as policies

RUN = run_key(1, 0, NATURE)
FALLING = np.array([3.0, 2.0, 1.0]) / 6.0
BLURRED = [[0.9, 0.3, 0.0], [0.1, 0.6, 0.2], [0.0, 0.1, 0.8]]


def start(env: Environment, horizon: int) -> Any:
    return env.init(env.params, replace(env.problem, horizon=horizon), RUN)


def at(env: Environment, state: Any, t: int, x: Array, key: Key | None = None) -> tuple[float, Array, float]:
    """Return loss, gradient and regret."""
    detail, instance = np.full(len(x), np.nan), Instance(t, np.zeros(0), np.ones(1, np.bool_))
    reward, delay = respond(env.params, state, instance, x, detail, key or Key(RUN, t))
    assert delay == 0
    return -reward, -detail, regret(env.params, state, instance, x)


def test_a_perfect_classifier_counts_and_the_gradient_is_that_of_the_loss() -> None:
    env = catalog.make("label_shift", classes=3, accuracy=1.0, batch=4)
    state, w = start(env, 100), np.array([0.5, 0.3, 0.2])
    loss, gradient, _ = at(env, state, 0, w)
    counted = 4.0 * (w - gradient)
    assert counted == pytest.approx(counted.round(), abs=1e-12)
    assert counted.sum() == pytest.approx(4.0)
    assert loss == pytest.approx(gradient @ gradient / 2)


def test_estimates_have_the_mean_and_the_covariance_of_the_inverted_counts() -> None:
    env = catalog.make("label_shift", confusion=BLURRED, batch=5)
    state, w, n = start(env, 100), np.zeros(3), 4000
    found = np.array([-at(env, state, 0, w, Key(RUN, 10 + i))[1] for i in range(n)])
    law = np.array(BLURRED) @ FALLING
    inverse = np.linalg.inv(BLURRED)
    spread = inverse @ (np.diag(law) - np.outer(law, law)) @ inverse.T / 5
    assert np.abs(found.mean(axis=0) - FALLING).max() < 4 * np.sqrt(np.diag(spread).max() / n)
    assert np.cov(found.T) == pytest.approx(spread, abs=0.08 * np.diag(spread).max())


def test_the_estimate_is_unbiased_by_enumeration_of_all_answers() -> None:
    """The mean of C^-1 h over every way in which a batch of 3 can be answered, by its probability, is q."""
    env = catalog.make("label_shift", confusion=BLURRED, batch=3)
    law, mean = env.params.confusion @ env.params.first, np.zeros(3)
    for answers in itertools.product(range(3), repeat=3):
        seen = np.bincount(answers, minlength=3) / 3.0
        mean += np.prod(law[list(answers)]) * (env.params.inverse @ seen)
    assert mean == pytest.approx(FALLING, abs=1e-15)
    state, w = start(env, 100), np.array([0.2, 0.5, 0.3])
    possible = [env.params.inverse @ (np.array(seen) / 3.0) for seen in itertools.product(range(4), repeat=3)]
    for i in range(50):  # what is told is one of these estimates
        estimate = w - at(env, state, 0, w, Key(RUN, 10 + i))[1]
        assert min(np.abs(estimate - one).max() for one in possible) < 1e-14


def test_the_best_weights_of_part_of_a_period_are_the_mean_of_its_shares() -> None:
    env = catalog.make("label_shift", classes=3, period=100)
    shares = [FALLING + (0.5 - 0.5 * np.cos(2 * np.pi * t / 100)) * (FALLING[::-1] - FALLING) for t in range(30)]
    assert start(env, 30).comparator == pytest.approx(np.mean(shares, axis=0), abs=1e-13)


@pytest.mark.parametrize(("course", "middle"), [("cosine", 0.5), ("sudden", 0.0)])
def test_shares_go_there_and_back_and_regret_is_counted_on_them(course: str, middle: float) -> None:
    env = catalog.make("label_shift", classes=3, period=40, course=course)
    state = start(env, 80)
    other = FALLING[::-1]
    for t, part in ((0, 0.0), (10, middle), (20, 1.0), (39, 1.0 if course == "sudden" else 0.00616), (40, 0.0)):
        shares = (1.0 - part) * FALLING + part * other
        x, best = np.array([0.1, 0.2, 0.7]), state.comparator
        lost = ((x - shares) @ (x - shares) - (best - shares) @ (best - shares)) / 2
        assert at(env, state, t, x)[2] == pytest.approx(lost, abs=1e-5)
    assert state.comparator == pytest.approx([1 / 3] * 3)


def test_no_weights_are_better_than_the_comparator() -> None:
    env = catalog.make("label_shift", classes=3, period=100)
    state = start(env, 130)
    total = [sum(at(env, state, t, w)[2] for t in range(130)) for w in (state.comparator, FALLING, FALLING[::-1])]
    assert total[0] == pytest.approx(0.0, abs=1e-12)
    near = state.comparator + np.array([0.01, -0.02, 0.01])
    assert sum(at(env, state, t, near)[2] for t in range(130)) == pytest.approx(130 * 0.0006 / 2)
    assert total[1] > 0.1


@pytest.mark.slow
@pytest.mark.jit
def test_the_shares_are_followed_closer_than_fixed_weights_do() -> None:
    env = catalog.make("label_shift", period=10_000, batch=100)
    curves = simulate(policies.make("optimistic_omd", caution=0.1), env, horizon=10_000, replications=4, seed=3)
    assert (curves.regret[:, -1] < -50.0).all()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"classes": 1}, "classes is 1"),
        ({"batch": 0}, "batch is 0"),
        ({"period": 0}, "period is 0"),
        ({"course": "linear"}, "course is 'linear'"),
        ({"accuracy": 1.5}, "accuracy is 1.5"),
        ({"accuracy": 0.25}, "no inverse to speak of"),
        ({"confusion": [[0.5, 0.5]]}, r"confusion has the shape \(1, 2\)"),
        ({"confusion": [[0.9, 0.2], [0.2, 0.8]]}, "column 0 of confusion adds up to 1.1"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("label_shift", **params)
