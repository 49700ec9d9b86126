"""What is asked of a log: methods, intervals, and what is known beforehand. The help of commands shows it: no NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

from ...engine.errors import InvalidInput, as_seen

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
MODELLED = frozenset({"dm", "dr", "sndr", "switch-dr", "dros", "mrdr", "mips"})  # methods with a model of the reward
ASSUMING = frozenset({"dm", "mips"})  # of these, those that reward no decision by its own weight
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
LEVELS = (0.5, 0.9999)  # the least and the largest confidence of intervals
BY_RANGE = "by --reward-range LOW:HIGH"  # in messages: how a command is told it; a form says that in its own way
WITHOUT_DIAGNOSTICS = "--no-diagnostics"  # in messages, too


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
    diagnostics: bool = True  # whether it is asked how far the log can be trusted, which takes most of the time


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
    diagnostics: bool = True,
) -> Options:
    """Return what was asked, each method and interval once; raises `InvalidInput` for what breaks a rule.

    Its messages name options as the command does; other interfaces spell them in their own way.
    """
    if not isinstance(level, Real) or not LEVELS[0] <= level <= LEVELS[1]:
        raise InvalidInput(
            "bad_level", f"--level is {as_seen(level)}: it must be a number from {LEVELS[0]} to {LEVELS[1]}, as 0.95"
        )
    if model not in MODELS and not str(model).startswith(OWN):
        raise InvalidInput("unknown_model", f"there is no model {model!r}: there are {', '.join(MODELS)}, and {OWN}q_*")
    if reward_range is not None:
        _check_range(reward_range)
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
        diagnostics=diagnostics,
    )


def _check_range(given: Any) -> None:
    ends = list(given) if isinstance(given, Sequence) else []
    are_numbers = len(ends) == 2 and all(isinstance(each, Real) for each in ends)
    if not are_numbers or not -math.inf < ends[0] < ends[1] < math.inf:
        raise InvalidInput(
            "bad_range", f"--reward-range is {as_seen(given)}: it must be two numbers that ascend, as (0, 1)"
        )
