"""Artefacts of random weights, small enough to run without the compiler."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from onearm.engine.task import Task, best_arm, thresholds
from onearm.engine.trained.artefact import Artefact
from onearm.engine.trained.tables import n_rows
from onearm.engine.vocabulary import Array

WIDTH = 7  # no multiple of four: the rest of every unrolled loop runs


def random_layers(*sizes: tuple[int, int], seed: int = 0) -> dict[str, Array]:
    """Return random weights of layers (out, in)."""
    rng = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for layer, (out, into) in enumerate(sizes, 1):
        found[f"w{layer}"] = (rng.normal(size=(out, into)) / math.sqrt(into)).astype(np.float32)
        found[f"b{layer}"] = (0.3 * rng.normal(size=out)).astype(np.float32)
    return found


def arm_layers(seed: int = 0) -> dict[str, Array]:
    return random_layers((WIDTH, 8), (WIDTH, WIDTH), (WIDTH + 2, 3 * WIDTH), (2, WIDTH + 2), seed=seed)


def flat_layers(task: Task, seed: int = 0) -> dict[str, Array]:
    n, m = task.n_queries, task.n_hypotheses
    return random_layers((WIDTH, 2 * n + m + 1), (WIDTH, WIDTH), (n + m, WIDTH), seed=seed)


def table_laws(task: Task, budget: int, seed: int = 0) -> dict[str, Array]:
    """Return random laws, some of whose entries are 0."""
    rng = np.random.default_rng(seed)
    n = task.n_queries
    laws = {}
    for name, shape in (
        ("query", (n_rows(n, budget - 1), n)),
        ("recommendation", (n_rows(n, budget), task.n_hypotheses)),
    ):
        weights = rng.random(shape) * (rng.random(shape) < 0.7) + 1e-3 * np.eye(shape[1])[rng.integers(shape[1])]
        laws[name] = weights / weights.sum(axis=1, keepdims=True)
    return laws


def artefact(architecture: str, task: Task, budget: int, arrays: dict[str, Array], **other: Any) -> Artefact:
    fields: dict[str, Any] = {
        "name": f"{task.kind}-{task.n_queries}-{budget}",
        "levels": (2.0, 8.0),
        "offsets": (0.1, 0.3),
        "worst_case": {"sample": (0.12, 0.33), "greedy": (0.2, 0.5)},
        "play": "sample",
        "made": {"command": "by hand", "seed": 0},
    }
    return Artefact(architecture=architecture, task=task, budget=budget, arrays=arrays, **{**fields, **other})


def arm_artefact(arms: int = 3, budget: int = 6, seed: int = 0, **other: Any) -> Artefact:
    return artefact("arm_net/1", best_arm(arms), budget, arm_layers(seed), **other)


def flat_artefact(points: int = 3, budget: int = 6, seed: int = 0, **other: Any) -> Artefact:
    task = thresholds(points)
    return artefact("flat_net/1", task, budget, flat_layers(task, seed), **other)


def table_artefact(arms: int = 2, budget: int = 3, seed: int = 0, **other: Any) -> Artefact:
    task = best_arm(arms, "bits")
    return artefact("table/1", task, budget, table_laws(task, budget, seed), **other)
