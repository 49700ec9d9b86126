"""Online regression: predict a target as a . x with coefficients x that are decided before the features a are seen.

Source: the protocol of Vovk and of Azoury and Warmuth 2001, in the order of online convex optimization. The loss is
"squared" (a . x - b)^2 / 2, "logistic" ln(1 + e^(-b a . x)) with b = 1 or -1, or "absolute" |a . x - b|.
Generated examples: each number of a is normal with variance 1 / d; b = a . w + `noise` normal draws, or its sign by
the logistic law with a . w / `noise`; w has the length 0.8 `radius`, and turns by arcs of length `drift`. All
examples of the horizon are made at the start, as the best coefficients in hindsight need them. Tables come in their
order, the first row again after the last. Bundled: those of scikit-learn, "diabetes" (squared, absolute) and
"breast_cancer" (logistic); features are scaled so that the longest row has length 1, targets to -1 .. 1.
State: the examples and the comparator. Cost: O(d) per decision; a descent over all examples at the start.
"""

from __future__ import annotations

import importlib
from typing import Literal, NamedTuple

import numpy as np

from ...engine.choices import Vectors
from ...engine.domain import Domain, ball, box
from ...engine.draws import normal, uniform
from ...engine.elementary import cos_turns, exp, log1p
from ...engine.errors import InvalidInput, as_seen, installing
from ...engine.kernel import kernel, loop
from ...engine.problem import check_param, check_table, check_vector
from ...engine.protocol import register_env
from ...engine.vectors.hindsight import best_by_descent
from ...engine.vocabulary import Array, Environment, FeedbackKind, Instance, Key, Problem

LOSSES = ("squared", "logistic", "absolute")
SQUARED, LOGISTIC, ABSOLUTE = range(3)
HORIZON = 10_000  # of one pass over generated examples
NUMBERS_MAX = 50_000_000  # of all features
_EXAMPLES = 2**62  # the time of the first example's draws; no decision is numbered so high


class OnlineRegressionParams(NamedTuple):
    """Numbers fixed at creation."""

    loss: int
    shows_example: bool  # whether the detail is (a, b), or the gradient
    features: Array  # float64[n, d]; float64[0, d] where examples are generated
    target: Array  # float64[n]
    noise: float
    drift: float  # of the coefficients' angle, in turns
    length: float  # of the coefficients


class OnlineRegressionState(NamedTuple):
    """Written once, from nature's key."""

    features: Array  # float64[n, d]
    target: Array  # float64[n]
    comparator: Array  # float64[d] the best coefficients of one pass; NaN where they are not known


def online_regression(
    loss: Literal["squared", "logistic", "absolute"] = "squared",
    feedback: Literal["gradient", "example"] = "gradient",
    dataset: str = "generated",
    dimension: int = 10,
    noise: float = 0.1,
    drift: float = 0.0,
    radius: float = 1.0,
    shape: Literal["ball", "box"] = "ball",
    features: list[list[float]] | None = None,
    target: list[float] | None = None,
) -> Environment:
    """Lose by the error of a . x; what is revealed is the gradient, or the example (a, b).

    The domain is a ball of `radius`, or a box of that half width. Where `features` and `target` are given they are the
    examples, and `dataset` only names them; of these and of a bundled table `noise` and `drift` say nothing.
    Regret is against the best fixed coefficients of one pass; it is unknown for the absolute loss.
    """
    for name, value, known in (("loss", loss, LOSSES), ("feedback", feedback, ("gradient", "example"))):
        if value not in known:
            raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be one of {', '.join(known)}")
    check_param("radius", radius, low=0.0, high=1e50, low_open=True)
    check_param("noise", noise, low=0.0, high=1e50, low_open=loss == "logistic")
    check_param("drift", drift, low=0.0, high=radius)
    if (features is None) != (target is None):
        raise InvalidInput("bad_param", "only one of features and target is given: a table of your own needs both")
    rows, values = np.zeros((0, 1)), np.zeros(0)
    if features is not None and target is not None:
        rows, values = _checked(features, target, loss)
    elif dataset != "generated":
        rows, values = _bundled(dataset, loss)
    where = _domain(shape, rows.shape[1] if len(rows) else dimension, radius)
    length = 0.8 * radius
    params = OnlineRegressionParams(
        LOSSES.index(loss),
        feedback == "example",
        rows,
        values,
        float(noise),
        drift / (2.0 * float(np.pi) * length),
        length,
    )
    kind: FeedbackKind = feedback
    problem = Problem.of(Vectors(where, kind), horizon=len(rows) or HORIZON)
    known_best = None if loss == "absolute" else "best fixed coefficients of one pass"
    return Environment("online_regression", params, init, problem, regret_kind=known_best)


def init(params: OnlineRegressionParams, problem: Problem, run: np.uint64) -> OnlineRegressionState:
    """Make the examples where none are given, and find the best coefficients."""
    domain = problem.domain
    assert domain is not None
    features, target, d = params.features, params.target, domain.dimension
    if not len(features):
        n = problem.horizon or HORIZON
        if n * d > NUMBERS_MAX:
            raise InvalidInput(
                "bad_horizon", f"the horizon is {n}: examples are made for {NUMBERS_MAX // d} rounds at most"
            )
        features, target, direction = np.zeros((n, d)), np.zeros(n), np.zeros((2, d))
        _make(params, features, target, direction, run)
    state = OnlineRegressionState(features, target, np.full(d, np.nan))
    if params.loss != ABSOLUTE:
        state.comparator[:] = _best(params.loss, domain, features, target)
    return state


@kernel
def respond(
    params: OnlineRegressionParams,
    state: OnlineRegressionState,
    instance: Instance,
    action: Array,
    detail: Array,
    key: Key,
) -> tuple[float, int]:
    """Reveal the example, or the gradient of its loss, at once."""
    row = instance.t % len(state.target)
    b = state.target[row]
    value, slope = _loss(params.loss, _product(state.features[row], action), b)
    for j in range(len(action)):
        detail[j] = state.features[row, j] if params.shows_example else -slope * state.features[row, j]
    if params.shows_example:
        detail[len(action)] = b
    return -value, 0


@kernel
def regret(params: OnlineRegressionParams, state: OnlineRegressionState, instance: Instance, action: Array) -> float:
    """Return how much more the coefficients lose than the best fixed ones: less than 0 is possible."""
    row = instance.t % len(state.target)
    value, _ = _loss(params.loss, _product(state.features[row], action), state.target[row])
    best, _ = _loss(params.loss, _product(state.features[row], state.comparator), state.target[row])
    return value - best


@kernel
def _product(features: Array, x: Array) -> float:
    total = 0.0
    for j in range(len(x)):
        total += features[j] * x[j]
    return total


@kernel
def _loss(loss: int, predicted: float, b: float) -> tuple[float, float]:
    """Return the loss of a prediction, and its derivative."""
    error = predicted - b
    if loss == SQUARED:
        return 0.5 * error * error, error
    if loss == ABSOLUTE:
        return abs(error), 1.0 if error > 0.0 else (-1.0 if error < 0.0 else 0.0)
    margin = b * predicted
    small = exp(-abs(margin))
    wrong = (small if margin > 0.0 else 1.0) / (1.0 + small)  # the probability of the other class
    return max(-margin, 0.0) + log1p(small), -b * wrong


@loop
def _make(params: OnlineRegressionParams, features: Array, target: Array, direction: Array, run: np.uint64) -> None:
    """Write n examples; `direction`, float64[2, d], becomes two that are orthogonal, in whose plane w turns."""
    n, d = features.shape
    _draw_plane(direction, Key(run, _EXAMPLES))
    for t in range(n):
        key = Key(run, _EXAMPLES + 1 + t)
        cosine, sine = cos_turns(params.drift * t), cos_turns(params.drift * t - 0.25)
        mean = 0.0
        for j in range(d):
            features[t, j] = normal(key, j) / np.sqrt(float(d))
            mean += features[t, j] * params.length * (cosine * direction[0, j] + sine * direction[1, j])
        if params.loss == LOGISTIC:
            target[t] = 1.0 if uniform(key, d) * (1.0 + exp(-mean / params.noise)) < 1.0 else -1.0
        else:
            target[t] = mean + params.noise * normal(key, d)


@kernel
def _draw_plane(direction: Array, key: Key) -> None:
    """Draw two orthogonal directions of length 1; in one dimension the second is 0."""
    d = direction.shape[1]
    for i in range(2 if d > 1 else 1):
        for j in range(d):
            direction[i, j] = normal(key, i * d + j)
        overlap = _product(direction[0], direction[1]) if i == 1 else 0.0
        for j in range(d):
            direction[i, j] -= overlap * direction[0, j]
        size = np.sqrt(_product(direction[i], direction[i]))
        for j in range(d):
            direction[i, j] /= size


def _best(loss: int, domain: Domain, features: Array, target: Array) -> Array:
    square = features.T @ features
    largest = max(float(np.linalg.eigvalsh(square)[-1]), 1e-300)
    if loss == SQUARED:
        right = features.T @ target
        return best_by_descent(domain, lambda x: square @ x - right, largest)

    def gradient(x: Array) -> Array:
        margin = np.clip(target * (features @ x), -700.0, 700.0)
        slope: Array = features.T @ (-target / (1.0 + np.exp(margin)))
        return slope

    return best_by_descent(domain, gradient, 0.25 * largest)


def _domain(shape: str, dimension: int, radius: float) -> Domain:
    if shape not in ("ball", "box"):
        raise InvalidInput("bad_param", f"shape is {as_seen(shape)}: it must be one of ball, box")
    whole = ball(dimension, radius)
    return whole if shape == "ball" else box([-radius] * dimension, [radius] * dimension)


def _checked(features: list[list[float]], target: list[float], loss: str) -> tuple[Array, Array]:
    rows, values = check_table("features", features, low=-1e50, high=1e50), check_vector("target", target)
    if len(values) != len(rows):
        raise InvalidInput(
            "bad_param", f"target has {len(values)} numbers and features {len(rows)} rows: they must be as many"
        )
    if loss == "logistic" and not np.isin(values, (-1.0, 1.0)).all():
        raise InvalidInput("bad_param", "target holds other numbers than 1 and -1, the classes of the logistic loss")
    return rows, values


def _bundled(dataset: str, loss: str) -> tuple[Array, Array]:
    """Return a table of scikit-learn, an optional extra that takes a second to load: imported by name, here only."""
    name = "breast_cancer" if loss == "logistic" else "diabetes"
    if dataset != name:
        raise InvalidInput("bad_param", f"dataset is {as_seen(dataset)}: of the {loss} loss it is generated or {name}")
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ImportError:
        raise InvalidInput(
            "missing_package",
            f"the data set {dataset!r} comes with scikit-learn, which is not installed: {installing('examples')}, "
            "or give features and target",
        ) from None
    table = getattr(datasets, f"load_{name}")()
    rows = (table.data - table.data.mean(axis=0)) / table.data.std(axis=0)
    rows /= np.sqrt((rows**2).sum(axis=1).max())
    low, high = table.target.min(), table.target.max()
    return rows, 2.0 * (table.target - low) / (high - low) - 1.0


register_env(OnlineRegressionParams, respond=respond, regret=regret)
