"""`onearm.evaluate` and `onearm.replay`: what a log says of targets, in one call."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from typing import Any

from ...engine.errors import Damaged, InvalidInput
from ...engine.storage.bad_lines import BadLines
from ...engine.storage.period import Period
from ...engine.storage.rows import Naming, Wanted
from ...engine.vocabulary import Array, Policy
from ..console import finite, progress, tell_what_compiles
from ..moments import microseconds_of
from ..offline.asked import answer, question_of
from ..offline.candidate_kinds import Candidate, of_function, of_policy
from ..offline.candidates import candidate, with_sweeps
from ..offline.data import as_data
from ..offline.own import Function
from ..offline.reading import Logged
from ..offline.showing import draw, pen_for
from ..offline.tables import bad_lines_told
from .arguments import (
    baseline_of,
    columns_of,
    integer_of,
    label_of,
    learning_of,
    level_of,
    model_of,
    number_of,
    path_of,
    policy_of,
    range_of,
    text_of,
    texts_of,
    truth_of,
    whole_of,
)
from .estimates import Estimates
from .frames import library_of
from .logs import Data, log_of
from .spelling import as_arguments

Texts = str | Sequence[str]
Target = str | Policy | Function
Targets = Target | Sequence[Target] | Mapping[str, Target]  # of a mapping the keys are the labels
Moment = str | date | None  # a datetime is a date too


def evaluate(
    data: Data,
    target: Targets,
    *,
    features: str | list[str] | tuple[str, ...] = (),
    action: str | None = None,
    reward: str | None = None,
    reward_is: str = "reward",
    propensity: str | None = None,
    time: str | None = None,
    unit: str | None = None,
    context: str = "dense",
    ignore: str | Sequence[str] = (),
    interactions: Sequence[Sequence[str]] | None = None,
    bits: int | None = None,
    method: Texts = (),
    interval: Texts = "normal",
    level: float = 0.95,
    learn: Any = "matched",
    model: str = "ridge",
    law: str | None = None,
    diagnostics: bool = True,
    reward_range: tuple[float, float] | None = None,
    weight_limit: float | None = None,
    weight_max: float | None = None,
    embedding: str | Array | None = None,
    baseline: str | None = None,
    segment: str | None = None,
    since: Moment = None,
    until: Moment = None,
    format: str | None = None,
    experiment: str | None = None,
    arms: int | None = None,
    dimension: int | None = None,
    strict: bool = False,
    seed: int = 0,
    report: str | os.PathLike[str] | None = None,
) -> Estimates:
    """Estimate what each target would have earned on a log, with intervals and warnings, as `onearm evaluate` does.

    `data` is a path, the URL of a database, or a table of pandas, polars, pyarrow, DuckDB or any library with the Arrow
    PyCapsule interface. A target is named as on the command line, or is a policy, or a function that returns the
    probability of every action, float64[n, k], for a `Batch` of n decisions; there may be several, and a mapping gives
    them labels. Every argument is the option of its name; `features`, `method` and `interval` may be several, and
    `report` is the .html file of a page with everything.

    >>> import onearm, pandas
    >>> log = pandas.DataFrame({"action": [0, 1, 1, 0], "reward": [0, 1, 1, 1], "propensity": [0.5] * 4})
    >>> found = onearm.evaluate(log, "action:1")
    >>> found.to_dict()["estimates"][0]["value"]
    1.0
    """
    log = _Asked(log_of(data, format, experiment), since, until, strict, library_of(data), report)
    roles = {"action": action, "reward": reward, "propensity": propensity, "time": time, "unit": unit}
    naming = columns_of(roles, features, reward_is, context, ignore, interactions, bits)
    wanted = _wanted(dimension, arms, segment, naming)
    known = _checked(level, model, diagnostics, reward_range, weight_limit, weight_max)
    options = {
        "interval": interval,
        "learn": learning_of(learn),
        "law": text_of(law, "law"),
        "seed": integer_of(seed, "seed"),
        **known,
    }
    return log.answered(_several(target), method, ("snips",), wanted, embedding, baseline, options)


def replay(
    data: Data,
    policy: str | Policy | Sequence[str | Policy],
    *,
    sweep: Texts = (),
    features: str | list[str] | tuple[str, ...] = (),
    action: str | None = None,
    reward: str | None = None,
    reward_is: str = "reward",
    propensity: str | None = None,
    time: str | None = None,
    unit: str | None = None,
    context: str = "dense",
    ignore: str | Sequence[str] = (),
    interactions: Sequence[Sequence[str]] | None = None,
    bits: int | None = None,
    method: Texts = (),
    interval: Texts = "normal",
    level: float = 0.95,
    learn: Any = "matched",
    model: str = "ridge",
    law: str | None = None,
    diagnostics: bool = True,
    reward_range: tuple[float, float] | None = None,
    weight_limit: float | None = None,
    weight_max: float | None = None,
    embedding: str | Array | None = None,
    baseline: str | None = None,
    segment: str | None = None,
    since: Moment = None,
    until: Moment = None,
    format: str | None = None,
    experiment: str | None = None,
    arms: int | None = None,
    dimension: int | None = None,
    strict: bool = False,
    seed: int = 0,
    report: str | os.PathLike[str] | None = None,
) -> Estimates:
    """Let policies decide on the rows of a log, learning from it, and rank them, as `onearm replay` does.

    `policy` is one or several, named as on the command line or made; a `sweep` as "ucb1.alpha=0.1,0.5,1" adds more.
    The other arguments are those of `evaluate`, whose array is an `embedding`, int64[k].

    >>> import onearm, pandas
    >>> log = pandas.DataFrame({"action": [0, 1, 1, 0], "reward": [0, 1, 1, 1], "propensity": [0.5] * 4})
    >>> [each["target"] for each in onearm.replay(log, "ucb1", sweep="ucb1.alpha=0.5,2").to_dict()["ranking"]]
    ['ucb1(alpha=1)', 'ucb1(alpha=0.5)', 'ucb1(alpha=2)']
    """
    given = [policy_of(each) for each in _listed(policy)]
    found = with_sweeps(given, texts_of(sweep, "sweep"))
    log = _Asked(log_of(data, format, experiment), since, until, strict, library_of(data), report)
    roles = {"action": action, "reward": reward, "propensity": propensity, "time": time, "unit": unit}
    naming = columns_of(roles, features, reward_is, context, ignore, interactions, bits)
    wanted = _wanted(dimension, arms, segment, naming)
    known = _checked(level, model, diagnostics, reward_range, weight_limit, weight_max)
    options = {
        "interval": interval,
        "learn": learning_of(learn),
        "law": text_of(law, "law"),
        "seed": integer_of(seed, "seed"),
        **known,
    }
    return log.answered(found, method, ("match", "snips"), wanted, embedding, baseline, options)


class _Asked:
    """A log that was handed over, and which part of it counts."""

    def __init__(
        self,
        log: Logged,
        since: Moment,
        until: Moment,
        strict: bool,
        library: str | None,
        report: str | os.PathLike[str] | None,
    ) -> None:
        self._log, self._strict, self._library = log, truth_of(strict, "strict"), library
        self._report = path_of(report, "report")
        self._period = Period(*(None if each is None else microseconds_of(each) for each in (since, until)))

    def answered(
        self,
        candidates: list[Candidate],
        method: Texts,
        usual: tuple[str, ...],
        wanted: Wanted,
        embedding: str | Array | None,
        baseline: str | None,
        options: dict[str, Any],
    ) -> Estimates:
        """Read it and judge candidates on it."""
        shown, report = options["diagnostics"], self._report
        with ExitStack() as stack, as_arguments(evaluate):
            pen = None if report is None else pen_for(self._log.name, report, None, diagnostics=shown)
            question = question_of(
                self._log,
                candidates,
                wanted,
                self._period,
                methods=tuple(texts_of(method, "method")),
                usual=usual,
                embedding=embedding,
                baseline=baseline_of(baseline),
                intervals=tuple(texts_of(options.pop("interval"), "interval")),
                **options,
            )
            tell_what_compiles()
            found, speed = answer(self._log, question, stack, progress, _refuse if self._strict else None)
            if pen is not None:
                command = f"onearm, of {self._log.name}: {', '.join(each.label for each in question.candidates)}"
                draw(pen, found, self._log, command, self._report, None)
            data = finite(as_data(found) | {"events_per_second": speed})
            return Estimates(data, self._library)


def _wanted(dimension: Any, arms: Any, segment: Any, naming: Naming) -> Wanted:
    return Wanted(
        dimension=whole_of(dimension, "dimension"),
        n_arms=whole_of(arms, "arms"),
        segment=text_of(segment, "segment"),
        naming=naming,
    )


def _checked(
    level: Any, model: Any, diagnostics: Any, reward_range: Any, weight_limit: Any, weight_max: Any
) -> dict[str, Any]:
    """Return what is asked of intervals and models, and known beforehand of rewards and weights, once it is checked."""
    return {
        "level": level_of(level),
        "model": model_of(model),
        "diagnostics": truth_of(diagnostics, "diagnostics"),
        "reward_range": range_of(reward_range),
        "weight_limit": number_of(weight_limit, "weight_limit"),
        "weight_max": number_of(weight_max, "weight_max"),
    }


def _several(target: Targets) -> list[Candidate]:
    if isinstance(target, Mapping):
        return [replace(_one(each), label=label_of(label, each)) for label, each in target.items()]
    return [_one(each) for each in _listed(target)]


def _one(target: Target) -> Candidate:
    match target:
        case str():
            return candidate(target)
        case Policy():
            return of_policy(target)
        case _ if callable(target):
            return of_function(target, label_of(getattr(target, "__name__", type(target).__name__), target))
    raise InvalidInput(
        "bad_target",
        f"a target is of the type {type(target).__name__}: name it, or hand over a policy or a function of a batch",
    )


def _listed(given: Any) -> list[Any]:
    """Return one or several as several."""
    return list(given) if isinstance(given, Sequence) and not isinstance(given, str | Policy) else [given]


def _refuse(bad: BadLines) -> None:
    """Stop where there is a bad line."""
    if bad.count:
        told = ". ".join(bad_lines_told(bad.to_dict()))
        raise Damaged("bad_lines", f"{told}. Mend these lines, leave them out, or say strict=False")
