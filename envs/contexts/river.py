"""River: streams of the package river whose classes change their meaning, as contextual bandits.

The features of a row are the context as river draws them, the arms are the classes, and the right one pays 1. The rows
are drawn when the environment is made: each replication meets the same ones, in their order, and another `seed` draws
others. After the last row the first comes again.

sea          3 numbers, 2 classes: whether the first two add up to more than 8, in the second quarter of the rows 9,
             then 7, then 9.5; .1 of the classes are turned round
led          24 lights, 10 classes: the digit that 7 of them show, each of which is wrong with probability .09; in the
             second quarter 3 of them have changed places with lights that mean nothing, in the third 5, in the last 7
agrawal      9 numbers, 2 classes: whether a loan is granted, by the function 0 of the paper, then 1, 2 and 3; numbers
             are up to .05 of their range off
hyperplane   10 numbers, 2 classes: on which side of a plane they lie, whose weights move by .001 with each row, each up
             or down, and turn back with probability .09; .04 of the classes are turned round
random_rbf   10 numbers, 4 classes: to which of 50 centres they belong, all of which move by .0003 with each row

The first three are drawn in four pieces, a quarter of the rows each, with the seeds 4 seed to 4 seed + 3; the others in
one piece, which begins with 4 seed.
Source: Street, Kim 2001 (sea); Breiman, Friedman, Olshen, Stone 1984 (led); Agrawal, Imielinski, Swami 1993; Hulten,
Spencer, Domingos 2001 (hyperplane); Bifet, Holmes, Kirkby, Pfahringer, "MOA: massive online analysis", 2010
(random_rbf): as river's `datasets.synth` has them.
State: that of `classification`. Cost: that of `classification`.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from ...engine.errors import InvalidInput, as_seen, installing
from ...engine.problem import SEED_MAX
from ...engine.vocabulary import Environment
from .. import catalog

ROWS_MAX = 10_000_000
PIECES = 4  # of a stream that changes at once; so many seeds of river belong to one of ours
LIGHTS_MOVED = (0, 3, 5, 7)


def river(stream: str = "sea", rows: int = 20_000, seed: int = 0) -> Environment:
    """Pay 1 for the class of a row of river's `stream`, whose classes change their meaning.

    That is sea, led, agrawal, hyperplane or random_rbf; `rows` of it are drawn, with `seed`.
    """
    if not isinstance(stream, str) or stream not in STREAMS:
        raise InvalidInput("bad_param", f"stream is {as_seen(stream)}: it must be one of {', '.join(STREAMS)}")
    _check_whole("rows", rows, PIECES, ROWS_MAX)
    _check_whole("seed", seed, 0, SEED_MAX)
    features, label = _drawn(stream, rows, seed)
    n_classes = STREAMS[stream][1]
    table = catalog.make("classification", dataset=stream, shuffle=False, features=features, label=label)
    return replace(table, name="river", problem=replace(table.problem, n_arms=n_classes))


def _sea(synth: Any, seed: int) -> list[Any]:
    return [synth.SEA(variant=i, noise=0.1, seed=seed + i) for i in range(PIECES)]


def _led(synth: Any, seed: int) -> list[Any]:
    settings: dict[str, Any] = {"noise_percentage": 0.1, "irrelevant_features": True}
    return [synth.LEDDrift(n_drift_features=n, seed=seed + i, **settings) for i, n in enumerate(LIGHTS_MOVED)]


def _agrawal(synth: Any, seed: int) -> list[Any]:
    return [synth.Agrawal(classification_function=i, perturbation=0.05, seed=seed + i) for i in range(PIECES)]


def _hyperplane(synth: Any, seed: int) -> list[Any]:
    return [synth.Hyperplane(n_features=10, n_drift_features=10, mag_change=0.001, seed=seed)]


def _random_rbf(synth: Any, seed: int) -> list[Any]:
    return [synth.RandomRBFDrift(seed_model=seed, seed_sample=seed + 1, n_classes=4, change_speed=0.0003)]


@functools.lru_cache(maxsize=1)  # whoever lists all environments makes this one more than once
def _drawn(stream: str, rows: int, seed: int) -> tuple[list[list[float]], list[int]]:
    """Return the features and labels of so many rows, of each piece the same share."""
    pieces = STREAMS[stream][0](_generators(), PIECES * seed)
    ends = np.arange(len(pieces) + 1) * rows // len(pieces)
    drawn = [row for piece, n in zip(pieces, np.diff(ends), strict=True) for row in islice(piece, n)]
    return [[float(x) for x in named.values()] for named, _ in drawn], [int(label) for _, label in drawn]


def _generators() -> Any:
    """Return river's module, which takes seconds to load: imported by name, here only."""
    try:
        return importlib.import_module("river.datasets.synth")
    except ImportError:
        raise InvalidInput(
            "missing_package", f"the streams come with river, which is not installed: {installing('examples')}"
        ) from None


def _check_whole(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be a whole number from {low} to {high}")


# What draws the pieces of a stream from river's generators and a first seed, and how many classes there are.
STREAMS: dict[str, tuple[Callable[[Any, int], list[Any]], int]] = {
    "agrawal": (_agrawal, 2),
    "hyperplane": (_hyperplane, 2),
    "led": (_led, 10),
    "random_rbf": (_random_rbf, 4),
    "sea": (_sea, 2),
}
