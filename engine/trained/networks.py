"""Networks that score queries and recommendations, from counts and sums of answers: `ArmNet` and `FlatNet`.

`outputs(net, visits, count, total, work)` writes the logits of the n queries and the scores of the m hypotheses.
`visits`, int64[n], counts what was asked, `count` what was answered: a query whose answer is under way has been
visited, or all that is asked at once would be the same query. `total`, float64[n], sums the answers. T is the budget,
and t the sum of visits. Features are made in float64 and rounded once; none is beyond +-10,000.

"arm_net/1" treats K arms alike. Let m_a be the mean answer of an arm that has one, b the best of these, the leaders all
arms whose mean is b, n_b the largest count of a leader, and z_a = (m_a - b) / sqrt(1 / count_a + 1 / n_b), 0 for
leaders and arms without an answer. The features of an arm are
    visits / T, 1 / sqrt(visits + 1/2), z / 2, (m - b) / 2 (0 without an answer), 1 / leaders for a leader (else 0),
    for a single leader the largest z / 2 of the others, at least -4 (else 0), 1 if it was never visited (else 0), t / T
    -> w1 -> ReLU -> w2 -> ReLU = h;  [h, mean of all h, max of all h] -> w3 -> ReLU -> w4 -> its logit and correction,
and its score is correction + 4 m, with m = 0 without an answer.

"flat_net/1" is for any table of hypotheses. With F = table @ total, the features of all are
    visits / 4 [n], total / 2 [n], (F - max F) / 4 [m], t / T [1]
    -> w1 -> ReLU -> w2 -> ReLU -> w3 -> n logits and m corrections, and the scores are correction + F.

Weights are float32, and come with a row for each output, (out, in). Sums run over the inputs in their order and begin
with the bias, so bits are the same on every machine.

Source: Zhang, Jain, Jamieson, "Learning to actively learn: a robust approach", arXiv 2010.15382, train networks over
such statistics. Features and sizes are ours. Cost: about 1.4 us for 10 points and two hidden layers of 96, and 0.5 us
an arm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..kernel import KERNELS, generic, kernel, kernel_beside, register
from ..vocabulary import Array

ARM_FEATURES = 8
FEATURE_MAX = 1e4  # no training comes near; answers of 1e100 must not become infinite in float32
RUNNER_UP_MIN = -4.0
_ZERO = np.float32(0.0)
_LANES = 16  # float32 numbers of two vector registers: the last layer is padded to whole ones


class ArmNet(NamedTuple):
    """Weights of "arm_net/1" as the kernel reads them: (in, out), but for the last layer."""

    budget: float  # T
    w1: Array  # float32[8, f]
    b1: Array  # float32[f]
    w2: Array  # float32[f, h]
    b2: Array  # float32[h]
    w3: Array  # float32[3 h, g]: for h_a, the mean, the max
    b3: Array  # float32[g]
    w4: Array  # float32[2, g]
    b4: Array  # float32[2]


class FlatNet(NamedTuple):
    """Weights of "flat_net/1" as the kernel reads them: (in, out), and the hypotheses."""

    budget: float  # T
    table: Array  # float64[n, m], a column is a hypothesis
    w1: Array  # float32[2 n + m + 1, h]
    b1: Array  # float32[h]
    w2: Array  # float32[h, g]
    b2: Array  # float32[g]
    w3: Array  # float32[g, n + m and padding]
    b3: Array  # float32[n + m and padding]


class NetWork(NamedTuple):
    """Working space, for a field of a state whose name begins with `scratch_`, and what is written."""

    features: Array  # float32[rows, f]: a row for each arm, or a single one
    first: Array  # float32[rows, h]
    second: Array  # float32[rows, g]
    third: Array  # float32[rows, out]
    pooled: Array  # float32[2 h] of arms: the mean and the max of h
    shared: Array  # float32[out] of arms: what all have in common in the third layer
    logits: Array  # float64[n] of the queries
    scores: Array  # float64[m] of the hypotheses


def arm_net(budget: int, weights: Mapping[str, Array]) -> ArmNet:
    """Return the network of arrays w1, b1 .. w4, b4, float32 (out, in): sizes follow from them."""
    w1, b1, w2, b2 = _turned(weights, 1), _vector(weights["b1"]), _turned(weights, 2), _vector(weights["b2"])
    w3, b3 = _turned(weights, 3), _vector(weights["b3"])
    w4 = np.ascontiguousarray(weights["w4"], np.float32)
    return ArmNet(float(budget), w1, b1, w2, b2, w3, b3, w4, _vector(weights["b4"]))


def flat_net(budget: int, table: Array, weights: Mapping[str, Array]) -> FlatNet:
    """Return the network of arrays w1, b1 .. w3, b3, float32 (out, in), over hypotheses float64[m, n]."""
    w1, b1, w2, b2 = _turned(weights, 1), _vector(weights["b1"]), _turned(weights, 2), _vector(weights["b2"])
    extra = -len(weights["b3"]) % _LANES
    w3 = np.pad(_turned(weights, 3), ((0, 0), (0, extra)))
    b3 = np.pad(_vector(weights["b3"]), (0, extra))
    return FlatNet(float(budget), np.ascontiguousarray(table.T, np.float64), w1, b1, w2, b2, w3, b3)


def arm_work(net: ArmNet, k: int) -> NetWork:
    """Return working space for k arms."""
    f, h, g = len(net.b1), len(net.b2), len(net.b3)
    return NetWork(
        features=_room(k, ARM_FEATURES),
        first=_room(k, f),
        second=_room(k, h),
        third=_room(k, g),
        pooled=_room(2 * h),
        shared=_room(g),
        logits=np.zeros(k),
        scores=np.zeros(k),
    )


def flat_work(net: FlatNet) -> NetWork:
    """Return working space for the table's queries and hypotheses."""
    n, m = net.table.shape
    return NetWork(
        features=_room(1, 2 * n + m + 1),
        first=_room(1, len(net.b1)),
        second=_room(1, len(net.b2)),
        third=_room(1, len(net.b3)),
        pooled=_room(0),
        shared=_room(0),
        logits=np.zeros(n),
        scores=np.zeros(m),
    )


def _room(*shape: int) -> Array:
    return np.zeros(shape, np.float32)


def _turned(weights: Mapping[str, Array], layer: int) -> Array:
    return np.ascontiguousarray(np.asarray(weights[f"w{layer}"], np.float32).T)


def _vector(values: Array) -> Array:
    return np.ascontiguousarray(values, np.float32)


@generic
def outputs(net: Any, visits: Array, count: Array, total: Array, work: Any) -> None:
    """Write `work.logits` float64[n] of the queries, and `work.scores` float64[m] of the hypotheses."""
    KERNELS[type(net)]["outputs"](net, visits, count, total, work)


def register_network(network_class: type, outputs: Callable[..., None]) -> None:
    """File a network's kernel under its class, whose name is unique in the package."""
    register(network_class, outputs=outputs)


@kernel
def arm_outputs(net: ArmNet, visits: Array, count: Array, total: Array, work: NetWork) -> None:
    """Write what "arm_net/1" says of K arms: O(K) times 3 layers."""
    k = len(visits)
    h = len(net.b2)
    _arm_features(net.budget, visits, count, total, work)
    for a in range(k):
        _layer(work.features[a], net.w1, net.b1, work.first[a])
        _layer(work.first[a], net.w2, net.b2, work.second[a])
    _pool(work.second, work.pooled)
    _copy(net.b3, work.shared)
    _add_product(work.pooled, net.w3, h, work.shared)
    for a in range(k):
        _copy(work.shared, work.third[a])
        _add_product(work.second[a], net.w3, 0, work.third[a])
        _rectify(work.third[a])
        work.logits[a] = _product(work.third[a], net.w4[0]) + net.b4[0]
        mean = total[a] / count[a] if count[a] > 0 else 0.0
        work.scores[a] = np.float64(_product(work.third[a], net.w4[1]) + net.b4[1]) + 4.0 * mean


@kernel
def _arm_features(budget: float, visits: Array, count: Array, total: Array, work: NetWork) -> None:
    best = -math.inf
    leaders = 0
    most = 0
    t = 0
    for a in range(len(visits)):
        t += visits[a]
        if count[a] > 0:
            mean = total[a] / count[a]
            if mean > best:
                best = mean
                leaders = 0
                most = count[a]
            if mean == best:
                leaders += 1
                most = max(most, count[a])
    runner_up = RUNNER_UP_MIN
    for a in range(len(visits)):
        row = work.features[a]
        gap = 0.0
        z = 0.0
        if count[a] > 0:
            gap = total[a] / count[a] - best
            z = 0.5 * gap / math.sqrt(1.0 / count[a] + 1.0 / most)
            if gap < 0.0:
                runner_up = max(runner_up, z)
        row[0] = _bounded(visits[a] / budget)
        row[1] = 1.0 / math.sqrt(visits[a] + 0.5)
        row[2] = _bounded(z)
        row[3] = _bounded(0.5 * gap)
        row[4] = 1.0 / leaders if count[a] > 0 and gap == 0.0 else 0.0
        row[6] = 0.0 if visits[a] > 0 else 1.0
        row[7] = _bounded(t / budget)
    for a in range(len(visits)):
        work.features[a][5] = runner_up if leaders == 1 and work.features[a][4] > _ZERO else 0.0


@kernel
def flat_outputs(net: FlatNet, visits: Array, count: Array, total: Array, work: NetWork) -> None:
    """Write what "flat_net/1" says: O(n m) for the hypotheses' values, and 3 layers."""
    n, m = net.table.shape
    _flat_features(net, visits, total, work)
    _layer(work.features[0], net.w1, net.b1, work.first[0])
    _layer(work.first[0], net.w2, net.b2, work.second[0])
    _copy(net.b3, work.third[0])
    _add_product(work.second[0], net.w3, 0, work.third[0])
    for i in range(n):
        work.logits[i] = work.third[0, i]
    for k in range(m):
        work.scores[k] += work.third[0, n + k]


@kernel
def _flat_features(net: FlatNet, visits: Array, total: Array, work: NetWork) -> None:
    """Write the features, and into `work.scores` the values of the hypotheses."""
    n, m = net.table.shape
    row = work.features[0]
    t = 0
    for k in range(m):
        work.scores[k] = 0.0
    for i in range(n):
        t += visits[i]
        row[i] = _bounded(0.25 * visits[i])
        row[n + i] = _bounded(0.5 * total[i])
        for k in range(m):
            work.scores[k] += net.table[i, k] * total[i]
    best = -math.inf
    for k in range(m):
        best = max(best, work.scores[k])
    for k in range(m):
        row[2 * n + k] = _bounded(0.25 * (work.scores[k] - best))
    row[2 * n + m] = _bounded(t / net.budget)


@kernel
def _bounded(x: float) -> float:
    return min(max(x, -FEATURE_MAX), FEATURE_MAX)


@kernel
def _layer(x: Array, w: Array, b: Array, y: Array) -> None:
    """Write max(b + x w, 0) into y."""
    _copy(b, y)
    _add_product(x, w, 0, y)
    _rectify(y)


def _add_product_in_python(x: Array, w: Array, first: int, y: Array) -> None:
    rows = x[:, None] * w[first : first + len(x)]
    y[:] = np.add.accumulate(np.concatenate((y[None], rows)))[-1]


@kernel_beside(_add_product_in_python)
def _add_product(x: Array, w: Array, first: int, y: Array) -> None:
    """Add x w to y, with the rows of w from `first` on; four rows at a time, or y is stored at every row."""
    whole = len(x) - len(x) % 4
    for i in range(0, whole, 4):
        x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
        at = first + i
        for j in range(len(y)):
            y[j] = (((y[j] + x0 * w[at, j]) + x1 * w[at + 1, j]) + x2 * w[at + 2, j]) + x3 * w[at + 3, j]
    for i in range(whole, len(x)):
        xi = x[i]
        for j in range(len(y)):
            y[j] += xi * w[first + i, j]


@kernel
def _product(x: Array, w: Array) -> np.float32:
    """Return x . w, float32, in four lanes."""
    s0, s1, s2, s3 = _ZERO, _ZERO, _ZERO, _ZERO
    whole = len(x) - len(x) % 4
    for i in range(0, whole, 4):
        s0 += x[i] * w[i]
        s1 += x[i + 1] * w[i + 1]
        s2 += x[i + 2] * w[i + 2]
        s3 += x[i + 3] * w[i + 3]
    for i in range(whole, len(x)):
        s0 += x[i] * w[i]
    return (s0 + s1) + (s2 + s3)


@kernel
def _pool(rows: Array, pooled: Array) -> None:
    """Write the mean of k rows of h numbers, and behind it their max."""
    k, h = rows.shape
    for j in range(h):
        pooled[j] = rows[0, j]
        pooled[h + j] = rows[0, j]
    for a in range(1, k):
        for j in range(h):
            pooled[j] += rows[a, j]
            pooled[h + j] = max(pooled[h + j], rows[a, j])
    share = np.float32(1.0) / np.float32(k)
    for j in range(h):
        pooled[j] *= share


@kernel
def _rectify(y: Array) -> None:
    for j in range(len(y)):
        y[j] = max(y[j], _ZERO)


@kernel
def _copy(source: Array, target: Array) -> None:
    for j in range(len(target)):
        target[j] = source[j]


register_network(ArmNet, arm_outputs)
register_network(FlatNet, flat_outputs)
