"""What policies earn in worlds that change, and what the watch for changes costs where nothing does.

Run: python benchmarks/changes.py [--json] [--quick] [--no-vw] [--only worlds,speed]. Parts:

worlds        digits whose labels move, five arms reversed, ten changes, a day and a night, and streams of river: the
              default `adaptive` beside what it is wrapped around, that one told when, our policies with the best
              half-life in hindsight, and Vowpal Wabbit, the best of a grid in hindsight
nothing_lost  five labelled tables and Bernoulli arms that stay as they are: what the default earns less
false_alarms  runs of 100,000 decisions without a change in which one was found all the same
look          how long it takes to notice an arm that is not played and becomes the best
speed         steps a second with the watch by those without; microseconds more of what is served

Writes results/changes.json and plots, of which tables.py makes the tables of docs/figures.md. --quick takes 5 seeds and
not 20, fewer runs of false alarms, and less of the grid of Vowpal Wabbit.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from changes_alarms import adaptive, false_alarms, looked, nothing_lost
from changes_claims import claims
from changes_plots import plots
from changes_speed import speed
from changes_vw import Sweep
from changes_vw import best as best_in_hindsight
from changing_worlds import Spec, World, earned, worlds
from machine import machine
from parallel import in_threads
from rich.console import Console
from rich.progress import track
from speed import HERE, peer_python

RESULT = HERE / "results" / "changes.json"
CONSOLE = Console(stderr=True)
HALF_LIVES = (100.0, 300.0, 1000.0, 3000.0, 10_000.0)
FORGETFUL = ("fourier_softmax", "linucb")
WITH_CONTEXTS: Spec = {"name": "fourier_softmax", "params": {}}
WITHOUT: Spec = {"name": "thompson_any", "params": {"propensities": False}}  # the same choices, sooner


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    seeds: int
    vw: Sweep
    alarms: dict[str, int]  # runs, by the policy inside
    plays: dict[str, int]  # decisions of each
    bernoulli: int  # runs of Bernoulli arms
    looked: int  # runs of an arm that becomes the best
    rounds: int  # of the speeds


FULL = Size(
    20,
    Sweep(every=3, better=6, finalists=2),
    {"thompson_any": 300, "linucb": 300, "fourier_softmax": 100},
    {"thompson_any": 100_000, "linucb": 100_000, "fourier_softmax": 10_000},
    500,
    40,
    9,
)
QUICK = Size(
    5,
    Sweep(every=11, better=3, finalists=1),
    {"thompson_any": 300, "linucb": 60, "fourier_softmax": 20},
    {"thompson_any": 100_000, "linucb": 50_000, "fourier_softmax": 5_000},
    100,
    10,
    7,
)


def played(size: Size, vw: Path | None) -> dict[str, Any]:
    """Return what is earned in each world."""
    return {name: in_world(world, size, vw) for name, world in track(worlds().items(), "worlds", console=CONSOLE)}


def in_world(world: World, size: Size, vw: Path | None) -> dict[str, Any]:
    """Return what each policy earned a decision in each part, in the mean over seeds, and over time."""
    plain = WITH_CONTEXTS if world.contexts else WITHOUT
    half_lives = {
        f"{name}, half-life {half_life:g}": Spec(name=name, params={"half_life": half_life})
        for name, half_life in itertools.product(FORGETFUL, HALF_LIVES)
    }
    runs = {
        "default": _runs(world, adaptive(plain), size.seeds),
        "stationary_default": _runs(world, plain, size.seeds),
        "told": _runs(world, plain, size.seeds, told=True),
    }
    forgetful = {name: _runs(world, policy, size.seeds) for name, policy in half_lives.items()}
    best = max(forgetful, key=lambda name: forgetful[name][:, -1].mean())
    runs["best_half_life"] = forgetful[best]
    chosen = {"best_half_life": best}
    if vw is not None:
        found = best_in_hindsight(world, vw, size.seeds, size.vw)
        runs["vw_best"] = found["earned"]
        chosen["vw_best"] = found["flags"]
    parts = {name: world.of_parts(of) for name, of in runs.items()}
    return {
        "parts": list(world.parts),
        **{name: of.mean(axis=0).tolist() for name, of in parts.items()},
        "stderr": {name: (of.std(axis=0, ddof=1) / np.sqrt(len(of))).tolist() for name, of in parts.items()},
        "best": world.best,
        "chosen": chosen,
        "half_lives": {name: world.of_parts(of).mean(axis=0).tolist() for name, of in forgetful.items()},
        "changes": [t for t, _ in world.changes(0)],
        "stops": world.stops,
        "sums": {name: of.mean(axis=0).round(2).tolist() for name, of in runs.items()},
    }


def _runs(world: World, policy: Spec, seeds: int, told: bool = False) -> Any:
    """Return what was earned, float64[seeds, stops]."""
    run = functools.partial(_run, world, policy, told)
    return np.array(in_threads(run, range(seeds)))


def _run(world: World, policy: Spec, told: bool, replication: int) -> Any:
    return earned(world, policy, replication, told)


def main() -> None:
    """Measure, write the results of a full run, and say what holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--quick", action="store_true", help="5 seeds in place of 20, and less of the rest")
    parser.add_argument("--no-vw", action="store_true", help="leave Vowpal Wabbit out; the results are not kept")
    parser.add_argument("--only", help="parts to measure, separated by commas; the results are not kept")
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    vw = None
    if not options.no_vw:
        vw = peer_python(HERE / "peers" / "contextual" / "vowpalwabbit.txt")
    parts: dict[str, Callable[[], Any]] = {
        "worlds": lambda: played(size, vw),
        "nothing_lost": lambda: nothing_lost(size.seeds, size.bernoulli, 100_000),
        "false_alarms": lambda: false_alarms(size.alarms, size.plays),
        "look": lambda: looked(size.looked, 300_000),
        "speed": lambda: speed(size.rounds, 0.3),
    }
    wanted = options.only.split(",") if options.only else list(parts)
    if unknown := set(wanted) - set(parts):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: known are {', '.join(parts)}")
    result: dict[str, Any] = {"machine": machine(), "seeds": size.seeds, "seconds": {}}
    for name in wanted:
        start = time.perf_counter()
        result[name] = parts[name]()
        result["seconds"][name] = round(time.perf_counter() - start, 1)
    result["claims"] = claims(result)
    if vw is not None and not options.only:
        result["plots"] = plots(result, RESULT.parent)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    if options.json:
        print(json.dumps(result))
        return
    for each in result["claims"]:
        print(f"{'holds' if each['holds'] else 'FAILS':6} {each['value']:10.4g}  {each['claim']}")


if __name__ == "__main__":
    main()
