"""Vowpal Wabbit in worlds that change: the best of a grid, chosen in hindsight for each world.

All of the grid meets one replication, the better ones three, the finalists all. Its steps shrink with the power
`--power_t` of their number, or stay as they are, which forgets; features come as they stand, or standardised by the
whole table, which no online learner knows; where they are few their products are tried as well.
"""

from __future__ import annotations

import functools
import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from changing_worlds import SEED, World
from contextual import Configuration, run_vw

from onearm.engine import protocol
from onearm.engine.draws import NATURE, run_key
from onearm.engine.kernel import loop
from onearm.engine.vocabulary import Array, Instance, Key

EXPLORATION = {
    "squarecb": [f"--squarecb --gamma_scale {gamma}" for gamma in (10, 100, 1000)],
    "regcbopt": ["--regcbopt --mellowness 1e-4", "--regcbopt --mellowness 1e-2"],
    "epsilon": ["--epsilon 0", "--epsilon 0.05"],
    "cover": ["--cover 8 --nounif --psi 0.1"],
}
RATES = ("-l 0.5", "-l 3", "-l 10", "-l 0.1 --power_t 0", "-l 1 --power_t 0", "--coin")
INTERACTIONS = ("-q sa", "-q sa --interactions ssa")
FEW = 10  # features, up to which their products are tried


@dataclass(frozen=True)
class Sweep:
    """How much of the grid is tried: every so many configurations, and how many of them meet 3 replications and all."""

    every: int
    better: int
    finalists: int


@loop
def _write(
    params: Any,
    state: Any,
    run: np.uint64,
    contexts: Array,
    rewards: Array,
    available: Array,
    detail: Array,
) -> None:
    """Write what each decision shows, and what each arm would pay there."""
    for t in range(len(rewards)):
        key = Key(run, t)
        protocol.observe(params, state, t, contexts[t], available, key)
        for arm in range(rewards.shape[1]):
            instance = Instance(t, contexts[t], available)
            rewards[t, arm] = protocol.respond(params, state, instance, arm, detail, key)[0]


def table_of(world: World, replication: int) -> tuple[Array, Array]:
    """Return the contexts float64[n, d] of a world, and the rewards float64[n, k] of all arms."""
    env = world.env(replication)
    n, k = world.horizon, env.problem.n_arms
    nature = run_key(SEED, replication, NATURE)
    contexts, rewards = np.zeros((n, *env.problem.context_shape)), np.zeros((n, k))
    rest = contexts, rewards, np.ones(k, np.bool_), np.zeros(0)
    arguments = env.params, env.init(env.params, env.problem, nature), nature, *rest
    _write.compiled(*arguments)(*arguments)
    return contexts, rewards


def configurations(length: int, every: int) -> list[Configuration]:
    """Return the grid for contexts of a length."""
    features = ("raw", "standard") if length else ("raw",)
    interactions = INTERACTIONS if 0 < length <= FEW else INTERACTIONS[:1]
    return [
        Configuration(0.0, family, kind, f"{flags} {rate} {products}")
        for family, each in EXPLORATION.items()
        for flags, rate, products, kind in itertools.product(each, RATES, interactions, features)
    ][::every]


def best(world: World, python: Path, seeds: int, sweep: Sweep) -> dict[str, Any]:
    """Return what the best configuration earned up to each stop, float64[seeds, stops], and its flags."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shape = _write_files(world, seeds, folder)
        everyone = configurations(shape[0], sweep.every)
        run = functools.partial(run_vw, python, folder=folder, arms=shape[1], step=_nothing, stops=tuple(world.stops))
        run(everyone, shuffles=range(1))
        better = sorted(everyone, reverse=True)[: sweep.better]
        run(better, shuffles=range(1, min(3, seeds)))
        last = sorted(better, reverse=True)[: sweep.finalists]
        run(last, shuffles=range(min(3, seeds), seeds))
    first = max(last)
    return {"earned": np.array(first.earned), "flags": f"{first.features} features, {first.flags}"}


def _write_files(world: World, seeds: int, folder: Path) -> tuple[int, int]:
    """Write `reward,...|features` of each decision of each replication; return how many features and arms there are."""
    for replication in range(seeds):
        contexts, rewards = table_of(world, replication)
        deviation = contexts.std(axis=0)
        standard = (contexts - contexts.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
        heads = [",".join(map(str, row)) for row in rewards.astype(int).tolist()]
        for kind, table in {"raw": contexts, "standard": standard}.items():
            text = "\n".join(f"{head}|{_features(row)}" for head, row in zip(heads, table.tolist(), strict=True))
            (folder / f"{kind}.{replication}").write_text(text)
    return contexts.shape[1], rewards.shape[1]


def _nothing() -> None:
    """Tell nobody of progress."""


def _features(row: list[float]) -> str:
    return " ".join(f"f{j}:{value:.6g}" for j, value in enumerate(row) if value != 0)
