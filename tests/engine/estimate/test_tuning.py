"""The choice of limits: by hand, and by how far the estimates that it makes are off."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from onearm.engine.estimate.doubly_robust import dr, dros, switch_dr, tuned_dros, tuned_switch_dr
from onearm.engine.estimate.terms import Terms
from onearm.engine.estimate.tuning import falling, least_error, limits
from onearm.engine.estimate.weighting import clipped, ips, tuned_clipped
from onearm.engine.vocabulary import Array


def chosen(*bases: Sequence[float]) -> float:
    """Return which of several lists of terms is chosen."""
    made = [Terms("ips", np.array(base), None, None, np.ones(len(base))) for base in bases]
    return least_error(lambda i: made[int(i)], range(len(bases))).limit


def test_the_bias_is_the_distance_squared_less_its_own_variance() -> None:
    """The first has the variance (16 + 16) / 4 = 8.

    The second has none and is d off the first; their difference varies as the first does, so its error is d^2 - 8.
    """
    for off, second in ((3.9, 1), (-3.9, 1), (4.1, 0), (-4.1, 0)):
        assert chosen([-4.0, 4.0], [off, off]) == second
    assert chosen([-4.0, 4.0], [2.0, 2.0], [1.0, 1.0]) == 1  # both errors are 0, and the first of them is taken
    # The third varies with the first, by (9 + 9) / 4 = 4.5; the difference by 0.5. So 3.5 less is left for the bias.
    for off, third in ((1.9, 1), (2.1, 0)):
        assert chosen([-4.0, 4.0], [-3.0 + off, 3.0 + off]) == third


def test_without_spread_nothing_is_changed_and_without_rows_neither() -> None:
    assert chosen([1.0, 1.0], [2.0, 2.0], [1.0, 1.0]) == 0
    assert chosen([], []) == 0


def test_limits_lie_between_the_quantiles_of_the_positive_weights() -> None:
    weight = np.concatenate([np.zeros(50), np.arange(1.0, 102.0)])
    found = limits(weight)
    assert (found[0], found[-1], len(found)) == (pytest.approx(96.0), pytest.approx(6.0), 21)
    assert np.ptp(np.diff(np.log(found))) < 1e-12
    assert limits(np.zeros(3)) == []
    assert limits(np.full(3, 2.0)) == [2.0]
    assert falling(1.0, 2.0**20) == pytest.approx([2.0**i for i in range(20, -1, -1)])


def softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def log(seed: int, likes: float, good: bool) -> tuple[tuple[Array, ...], float]:
    """Return the columns of 300 decisions among 10 actions, and what the policy is worth at their contexts.

    The log likes what the policy likes `likes` times as much; the model is `good`, or one number for all.
    """
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(300, 5)) @ np.random.default_rng(5).normal(size=(5, 10))
    law, target, mean = softmax(likes * scores), softmax(1.5 * scores), 1.0 / (1.0 + np.exp(1.0 - scores))
    rows, action = np.arange(300), (rng.random((300, 1)) > law.cumsum(axis=1)).sum(axis=1).clip(0, 9)
    reward = (rng.random(300) < mean[rows, action]).astype(float)
    model = mean + 0.05 * np.sin(3.0 * scores) if good else np.full_like(mean, 0.3)
    columns = (reward, law[rows, action], target[rows, action], model[rows, action], (target * model).sum(axis=1))
    return columns, float((target * mean).sum(axis=1).mean())


def errors(likes: float, good: bool, logs: int = 20) -> dict[str, float]:
    """Return the root of the mean square error over some logs, as a part of that without a limit."""
    total = dict.fromkeys(("ips", "clipped", "dr", "switch_dr", "dros"), 0.0)
    for seed in range(logs):
        columns, truth = log(seed, likes, good)
        for terms in (
            ips(*columns[:3]),
            tuned_clipped(*columns[:3]).terms,
            dr(*columns),
            tuned_switch_dr(*columns).terms,
            tuned_dros(*columns).terms,
        ):
            total[terms.method] += (terms.value - truth) ** 2
    root = {method: math.sqrt(square) for method, square in total.items()}
    return {
        "clipped": root["clipped"] / root["ips"],
        **{method: root[method] / root["dr"] for method in ("switch_dr", "dros")},
    }


def test_where_the_log_likes_what_the_policy_does_not_a_limit_helps_much() -> None:
    assert max(errors(likes=-1.0, good=True).values()) < 0.7
    found = errors(likes=-1.0, good=False)
    assert max(found.values()) < 0.9


def test_where_no_limit_helps_none_does_much_harm() -> None:
    for likes in (0.5, 1.0):
        assert max(errors(likes, good=False).values()) < 1.15


def test_a_good_model_is_believed() -> None:
    found = errors(likes=0.5, good=True, logs=40)
    assert found["switch_dr"] < 0.8
    assert found["dros"] < 0.8


def test_the_estimate_is_that_of_the_limit_which_is_told() -> None:
    columns, _ = log(3, -1.0, True)
    found = tuned_clipped(*columns[:3])
    assert math.isfinite(found.limit)
    assert found.terms.value == clipped(*columns[:3], found.limit).value
    switched = tuned_switch_dr(*columns)
    assert switched.terms.value == switch_dr(*columns, switched.limit).value
    shrunk = tuned_dros(*columns)
    assert shrunk.terms.value == dros(*columns, shrunk.limit).value


def test_shrinkage_lies_around_the_squares_of_the_weights() -> None:
    columns, _ = log(0, 0.5, False)
    low, high = np.quantile(columns[2] / columns[1], [0.05, 0.95])
    candidates = np.geomspace(100.0 * high**2, 0.01 * low**2, 21)
    found = [tuned_dros(*columns[:3], columns[3] + off, columns[4] + off).limit for off in np.linspace(-0.5, 0.5, 9)]
    within = [limit for limit in found if 0.0 < limit < math.inf]
    assert within
    assert all(abs(candidates / limit - 1.0).min() < 1e-9 for limit in within)
