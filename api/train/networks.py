"""The two networks that are trained: what they see of a history, what they answer, and their gradients.

A history is two rows: how often each query was answered, and the sum of its answers. A network answers with the logits
of the next query, float32[rows, n], and the scores of the hypotheses, float32[rows, m]: a plug-in score plus a learned
correction. Corrections and query logits are zero at first, so that an untrained network asks uniformly.
`engine/trained/networks.py` computes the same from the same arrays, decision by decision.

Weights are arrays w1, b1, w2, b2, .., of shape [out, in] and [out], float32 where they are trained. Where they are
float64, all that is computed from them is too. Gradients are derived by hand: one pass back through the layers, where a
rectified unit passes on what comes where it is above 0, and a maximum over arms shares it out among those that reach
it.

Departs from the paper, whose sizes are not known: features and sizes are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...engine.task import Task

Array = np.ndarray[Any, Any]
Weights = dict[str, Array]
PLUG_IN = 4.0  # times the mean of an arm
Z_FLOOR = -8.0  # of the runner-up's z: a lead beyond it looks as safe as one can be
ARM_WIDTH, FLAT_WIDTH = 32, 96  # of hidden layers


class Answered(NamedTuple):
    """What a network answered, and what each of its layers was given: `gradient` needs it."""

    logits: Array  # [rows, n] of the queries
    scores: Array  # [rows, m] of the hypotheses
    inputs: tuple[Array, ...]


@dataclass(frozen=True)
class ArmNet:
    """Best arm: one small network for every arm, so that permuting arms permutes what it answers.

    Each arm has 8 features -> 32 -> 32, joined by the mean and the maximum over arms (96) -> 32 -> 2 outputs: 4,514
    parameters for any number of arms.

    >>> net = ArmNet(n_arms=5, budget=10)
    >>> sum(out * into + out for out, into in net.shapes)
    4514
    """

    n_arms: int
    budget: int

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Return the outputs and inputs of each layer."""
        return (ARM_WIDTH, 8), (ARM_WIDTH, ARM_WIDTH), (ARM_WIDTH, 3 * ARM_WIDTH), (2, ARM_WIDTH)

    @property
    def n_rows(self) -> int:
        """Return how many rows a layer has for each history."""
        return self.n_arms

    def answer(self, weights: Weights, count: Array, total: Array) -> Answered:
        """Answer counts and sums of answers, float32[rows, k] each."""
        w3 = weights["w3"]
        features, mean = arm_features(count, total, self.budget, weights["w1"].dtype)
        given = features.reshape(-1, features.shape[-1])
        first = _rectified(_linear(given, weights, 1))
        second = _rectified(_linear(first, weights, 2))
        hidden = second.reshape(self.n_arms, -1, ARM_WIDTH)
        pooled = np.concatenate([hidden.mean(axis=0), hidden.max(axis=0)], axis=1)
        third = (second @ w3[:, :ARM_WIDTH].T).reshape(hidden.shape)
        third += pooled @ w3[:, ARM_WIDTH:].T + weights["b3"]  # what all arms share
        third = _rectified(third.reshape(second.shape))
        out = _linear(third, weights, 4).reshape(self.n_arms, -1, 2)
        scores = out[..., 1] + PLUG_IN * mean
        return Answered(out[..., 0].T, scores.T, (given, first, second, pooled, third))

    def gradient(self, weights: Weights, answered: Answered, logits: Array, scores: Array) -> Weights:
        """Return the gradient by the weights of what has this gradient by logits and scores, [rows, k] each."""
        given, first, second, pooled, third = answered.inputs
        out = np.stack([logits.T, scores.T], axis=-1).reshape(-1, 2)
        found = _of_layer(out, third, 4)
        inner = _back(out, weights["w4"], third)
        shared = inner.reshape(self.n_arms, -1, ARM_WIDTH).sum(axis=0)
        found["w3"] = np.concatenate([inner.T @ second, shared.T @ pooled], axis=1)
        found["b3"] = shared.sum(axis=0)
        of_mean, of_max = np.split(shared @ weights["w3"][:, ARM_WIDTH:], 2, axis=1)
        reach = second.reshape(self.n_arms, -1, ARM_WIDTH) == pooled[:, ARM_WIDTH:]
        of_arms = reach * (of_max / reach.sum(axis=0, dtype=of_max.dtype))
        of_arms += of_mean / self.n_arms
        inner = inner @ weights["w3"][:, :ARM_WIDTH] + of_arms.reshape(second.shape)
        inner *= second > 0.0
        return found | _of_layer(inner, first, 2) | _of_layer(_back(inner, weights["w2"], first), given, 1)


def arm_features(count: Array, total: Array, budget: int, dtype: Any) -> tuple[Array, Array]:
    """Return the features [k, rows, 8] of all arms, and their means [k, rows], 0 for unseen ones.

    n/T, 1/sqrt(n + 1/2), z/2, gap/2, leader, leader times the runner-up's z/2, unseen, t/T. The gap is the mean minus
    the best mean, z the gap over its standard deviation; both are 0 for unseen arms. Tied leaders share the leader's
    flag, and have a runner-up's z of 0. An arm's rows lie together: what is taken over arms takes whole rows at once.
    """
    count, total = (np.ascontiguousarray(known.T, dtype) for known in (count, total))
    seen = count > 0.0
    counted = np.maximum(count, 1.0)
    mean = total / counted
    gap = np.where(seen, mean - np.where(seen, mean, -np.inf).max(axis=0), 0.0)
    leader = seen & (gap == 0.0)
    others = seen & ~leader
    leaders = leader.sum(axis=0)
    z = np.where(others, gap / np.sqrt(1.0 / counted + 1.0 / np.where(leader, count, 1.0).max(axis=0)), 0.0)
    runner_up = np.where(others, np.maximum(z, Z_FLOOR), Z_FLOOR).max(axis=0)
    features = np.empty((*count.shape, 8), dtype)
    features[..., 0] = count / budget
    features[..., 1] = 1.0 / np.sqrt(count + 0.5)
    features[..., 2] = 0.5 * z
    features[..., 3] = 0.5 * gap
    features[..., 4] = leader / np.maximum(leaders, 1)
    features[..., 5] = np.where(leader & (leaders == 1), 0.5 * runner_up, 0.0)
    features[..., 6] = ~seen
    features[..., 7] = count.sum(axis=0) / budget
    return features, mean


@dataclass(frozen=True)
class FlatNet:
    """Any table of hypotheses: [n/4, s/2, (<z, s> - max)/4, t/T] -> 96 -> 96 -> n query logits and m corrections.

    >>> from onearm.engine.task import thresholds
    >>> net = FlatNet(thresholds(10), budget=20)
    >>> sum(out * into + out for out, into in net.shapes)
    14517
    """

    task: Task
    budget: int
    n_rows = 1  # of a layer, for each history

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Return the outputs and inputs of each layer."""
        n, m = self.task.n_queries, self.task.n_hypotheses
        return (FLAT_WIDTH, 2 * n + m + 1), (FLAT_WIDTH, FLAT_WIDTH), (n + m, FLAT_WIDTH)

    def answer(self, weights: Weights, count: Array, total: Array) -> Answered:
        """Answer counts and sums of answers, float32[rows, n] each."""
        n, dtype = self.task.n_queries, weights["w1"].dtype
        value = total.astype(dtype) @ self.task.table.T.astype(dtype)
        features = np.empty((len(count), 2 * n + value.shape[1] + 1), dtype)
        features[:, :n] = 0.25 * count
        features[:, n : 2 * n] = 0.5 * total
        features[:, 2 * n : -1] = 0.25 * (value - value.max(axis=1, keepdims=True))
        features[:, -1] = count.sum(axis=1) / self.budget
        first = _rectified(_linear(features, weights, 1))
        second = _rectified(_linear(first, weights, 2))
        out = _linear(second, weights, 3)
        return Answered(out[:, :n], out[:, n:] + value, (features, first, second))

    def gradient(self, weights: Weights, answered: Answered, logits: Array, scores: Array) -> Weights:
        """Return the gradient by the weights of what has this gradient by logits, [rows, n], and scores, [rows, m]."""
        features, first, second = answered.inputs
        out = np.concatenate([logits, scores], axis=1)
        inner = _back(out, weights["w3"], second)
        outer = _back(inner, weights["w2"], first)
        return _of_layer(out, second, 3) | _of_layer(inner, first, 2) | _of_layer(outer, features, 1)


Network = ArmNet | FlatNet


def network_for(task: Task, budget: int) -> Network:
    """Return the network of a task."""
    return ArmNet(task.n_queries, budget) if task.kind == "arms" else FlatNet(task, budget)


def first_weights(network: Network, rng: np.random.Generator) -> Weights:
    """Return the weights of an untrained network: those of inner layers even within 1 / sqrt(inputs), the last ones 0.

    >>> weights = first_weights(ArmNet(3, 6), np.random.default_rng(0))
    >>> round(float(abs(weights["w2"]).max()), 3), float(abs(weights["w4"]).max())
    (0.177, 0.0)
    """
    weights: Weights = {}
    for layer, (out, into) in enumerate(network.shapes, start=1):
        bound = 1.0 / math.sqrt(into) if layer < len(network.shapes) else 0.0
        weights[f"w{layer}"] = rng.uniform(-bound, bound, (out, into)).astype(np.float32)
        weights[f"b{layer}"] = rng.uniform(-bound, bound, out).astype(np.float32)
    return weights


def _linear(given: Array, weights: Weights, layer: int) -> Array:
    out: Array = given @ weights[f"w{layer}"].T
    out += weights[f"b{layer}"]
    return out


def _rectified(values: Array) -> Array:
    return np.maximum(values, 0.0, out=values)


def _back(out: Array, w: Array, given: Array) -> Array:
    """Return the gradient by what the rectified layer before held, from that by what this layer put out."""
    inner: Array = out @ w
    inner *= given > 0.0
    return inner


def _of_layer(out: Array, given: Array, layer: int) -> Weights:
    return {f"w{layer}": out.T @ given, f"b{layer}": out.sum(axis=0)}
