"""What is asked of a log: methods, intervals, and what is known beforehand. The help of commands shows it: no NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...engine.errors import InvalidInput

if TYPE_CHECKING:
    from ...engine.replay.matching import Learning
    from ...engine.vocabulary import Array

METHODS = (
    "match",
    "ips",
    "clipped",
    "snips",
    "dm",
    "dr",
    "sndr",
    "switch-dr",
    "dros",
    "mrdr",
    "mips",
)
LIST_METHODS = ("slate-ips", "independent", "cascade", "pseudo-inverse")  # of logs of lists
MODELLED = frozenset({"dm", "dr", "sndr", "switch-dr", "dros", "mrdr"})  # methods with a model of the reward
RANKED = ("dr", "sndr", "mrdr", "dros", "switch-dr", "snips", "clipped", "ips", "mips", "match", "dm")  # best first
MODELS = ("ridge", "mean")
OWN = "columns:"  # how a model of one's own is named, by the columns of its predictions: columns:q_*
INTERVALS = (
    "normal",
    "bootstrap",
    "empirical-bernstein",
    "clopper-pearson",
    "empirical-likelihood",
    "weighted-likelihood",
    "confidence-sequence",
)
BY_RANGE = "by --reward-range LOW:HIGH"  # in messages: how a command is told it; a form says that in its own way


@dataclass(frozen=True)
class Options:
    """What is asked of a log."""

    methods: tuple[str, ...] = ("snips",)
    intervals: tuple[str, ...] = ("normal",)
    level: float = 0.95  # of every interval
    learn: Learning = "matched"
    seed: int = 0
    model: str = "ridge"  # one of `MODELS`, or columns:q_*
    reward_range: tuple[float, float] | None = None  # None: [0, 1] where all rewards are within it
    weight_limit: float | None = None  # of clipped and switch-dr; None: chosen from the log
    weight_max: float | None = None  # known beforehand: no weight can be larger, and every action may be taken
    embedding: Array | None = field(default=None, compare=False)  # int64[k], the category of each arm
    law: str | None = None  # columns of the probabilities by which the log drew, p_*; of dsjson p
    baseline: str | None = None  # label of the candidate that the others are compared with
    resamples: int = 1000  # of the bootstrap


def options_of(
    *,
    methods: tuple[str, ...],
    intervals: tuple[str, ...],
    level: float,
    learn: Learning,
    model: str,
    reward_range: tuple[float, float] | None,
    weight_limit: float | None,
    weight_max: float | None,
    embedding: Array | None,
    baseline: str | None,
    seed: int,
    law: str | None = None,
) -> Options:
    """Return what was asked, each method and interval once."""
    if weight_max is not None and not 1.0 <= weight_max < math.inf:
        raise InvalidInput("weight_max", f"--weight-max {weight_max:g}: weights average 1, so it is at least 1")
    if weight_limit is not None and not 0.0 < weight_limit < math.inf:
        raise InvalidInput("weight_limit", f"--weight-limit {weight_limit:g}: it must be a finite number above 0")
    if "mrdr" in methods and model.startswith(OWN):
        raise InvalidInput("no_mrdr", f"mrdr fits a model of its own, and --model {model} brings one: take dr")
    if "mips" in methods and embedding is None:
        raise InvalidInput("no_embedding", "mips needs the category of every arm: name it by --embedding")
    return Options(
        tuple(dict.fromkeys(methods)),
        tuple(dict.fromkeys(intervals)) or ("normal",),
        level=level,
        learn=learn,
        seed=seed,
        model=model,
        reward_range=reward_range,
        weight_limit=weight_limit,
        weight_max=weight_max,
        embedding=embedding,
        baseline=baseline,
        law=law,
    )
