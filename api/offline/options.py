"""What is asked of a log: methods, intervals, and what is known beforehand. The help of commands shows it: no NumPy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

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
    model: Literal["ridge", "mean"] = "ridge"
    reward_range: tuple[float, float] | None = None  # None: [0, 1] where all rewards are within it
    weight_limit: float | None = None  # of clipped and switch-dr; None: chosen from the log
    weight_max: float | None = None  # known beforehand: no weight can be larger, and every action may be taken
    embedding: Array | None = field(default=None, compare=False)  # int64[k], the category of each arm
    baseline: str | None = None  # label of the candidate that the others are compared with
    resamples: int = 1000  # of the bootstrap
