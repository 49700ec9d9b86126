"""Prompts, and what three language models earned and cost on each: the data that ParetoBandit brings along.

Its `val` warms policies up, its `test_holdout` is the stream. A prompt becomes 25 numbers: its words and pairs of
words, hashed and weighed by how rare they are, on the 25 directions in which those of `val` differ most. (The router's
own numbers come from a language model, which is not in the package.) Everybody meets the same numbers, in the same
order.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linprog

from onearm.engine.vocabulary import Array

PATHS = "from pareto_bandit import data; print(data.get_example_val_path()); print(data.get_example_holdout_path())"
MODELS = ("meta-llama/llama-3.1-8b-instruct", "mistralai/mistral-large-2512", "google/gemini-2.5-pro")
DEAR = 2
SLOTS, NUMBERS = 4096, 25


@dataclass(frozen=True)
class Prompts:
    """Prompts in an order: first those of the warm start, then the stream."""

    start: int  # the first of the stream
    contexts: Array  # float64[n, 25]
    rewards: Array  # float64[n, 3]
    costs: Array  # float64[n, 3]

    @property
    def listed(self) -> list[float]:
        """What each model costs on average before the stream begins."""
        return [float(cost) for cost in self.costs[: self.start].mean(axis=0)]

    def shuffled(self, seed: int, factor: float = 1.0) -> Prompts:
        """Return both parts in another order, and costs `factor` times as high from the middle of the stream on."""
        rng, n = np.random.default_rng(seed), len(self.rewards)
        order = np.concatenate([rng.permutation(self.start), self.start + rng.permutation(n - self.start)])
        costs = self.costs[order]
        costs[(self.start + n) // 2 :] *= factor
        return Prompts(self.start, self.contexts[order], self.rewards[order], costs)

    def best_mixture(self, limit: float) -> float:
        """Return what the best fixed mixture of models earns on the stream within a mean cost, in hindsight."""
        rewards, costs = self.rewards[self.start :].mean(axis=0), self.costs[self.start :].mean(axis=0)
        found = linprog(-rewards, A_ub=[costs], b_ub=[limit], A_eq=[np.ones(len(costs))], b_eq=[1.0])
        return -float(found.fun)


def prompts(python: Path) -> Prompts:
    """Return the prompts, read from the package in the environment of a Python."""
    done = subprocess.run([str(python), "-c", PATHS], capture_output=True, text=True, check=True)
    lines = [Path(path).read_text().strip().split("\n") for path in done.stdout.split()]  # prompts have other breaks
    parts = [[json.loads(line) for line in part] for part in lines]
    rows = [row for part in parts for row in part]
    told = {
        name: np.array([[row["arms"][model][name] for model in MODELS] for row in rows]) for name in ("reward", "cost")
    }
    words = np.array([_words(row["prompt"]) for row in rows])
    return Prompts(len(parts[0]), _directions(words, len(parts[0])), told["reward"], told["cost"])


def _words(prompt: str) -> Array:
    """Return how often each slot is met, as logarithms."""
    words = re.findall(r"[a-z]+|\d|[^\w\s]", prompt.lower())
    counts = np.zeros(SLOTS)
    for word in words + [f"{one} {other}" for one, other in itertools.pairwise(words)]:
        counts[zlib.crc32(word.encode()) % SLOTS] += 1.0
    return np.asarray(np.log1p(counts))


def _directions(words: Array, warm: int) -> Array:
    """Return each row on the directions of the first `warm` rows, in units of how far these spread."""
    rare = np.log(warm / (1.0 + (words[:warm] > 0.0).sum(axis=0)))
    rows = words * rare
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows -= rows[:warm].mean(axis=0)
    _, _, found = np.linalg.svd(rows[:warm], full_matrices=False)
    found = found[:NUMBERS].T
    found *= np.sign(found[np.abs(found).argmax(axis=0), np.arange(NUMBERS)])  # a direction may point either way
    numbers = rows @ found
    return np.asarray(numbers / numbers[:warm].std(axis=0))


def as_arrays(runs: list[Prompts], with_contexts: bool) -> dict[str, Any]:
    """Return the runs as ParetoBandit is given them, each context with an intercept."""
    ones = np.ones((len(runs), len(runs[0].rewards), 1))
    shown = [np.stack([run.contexts for run in runs])] if with_contexts else []
    return {
        "contexts": np.concatenate([*shown, ones], axis=2),
        "rewards": np.stack([run.rewards for run in runs]),
        "costs": np.stack([run.costs for run in runs]),
    }
