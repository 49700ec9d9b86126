"""Models of the reward at work on a log: fitted in one pass of its pages, predicting in the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...engine.errors import InvalidInput
from ...engine.estimate import MeanModel, RewardModel, RidgeModel, mrdr_weight
from ...engine.replay.targets import Target
from ...engine.rewards import said_outside
from ...engine.storage.rows import Page
from ...engine.vocabulary import Array, Problem
from .candidate_kinds import Beginning, Candidate
from .judging import Advance, Predict, Readings, Scores, judge
from .options import BY_RANGE, Options

FIRST = 100  # rows of the first page that a model of the past predicts
MODEL_OF: dict[str, type[RidgeModel] | type[MeanModel]] = {"ridge": RidgeModel, "mean": MeanModel}


def cross_fitted(candidates: Sequence[Candidate], log: Readings, options: Options, advance: Advance) -> list[Scores]:
    """Predict each half of the rows by a model of the other half, and let candidates go through it."""
    targets = started(candidates, log, options)
    if (own := own_predictions(log)) is not None:
        return judge(targets, log, predict=[own] * len(targets), advance=advance)
    model = _model(log.main.problem, options, folds=2)
    for page in log.main.pages():
        model.add(page.columns)

    def predict(page: Page) -> Array:
        return model.predict(page.columns)

    return judge(targets, log, predict=[predict] * len(targets), advance=advance)


def more_robust(
    candidates: Sequence[Candidate],
    log: Readings,
    found: Sequence[Scores],
    propensity: Array,
    options: Options,
    advance: Advance,
) -> list[Scores]:
    """Do the same with a model for each candidate, whose rows weigh as its variance asks (MRDR).

    Raises `InvalidInput` where a propensity is not known.
    """
    models = [_model(log.main.problem, options, folds=2) for _ in candidates]
    weights = [mrdr_weight(propensity, scores.target) for scores in found]
    start = 0
    for page in log.main.pages():
        part = slice(start, start + len(page.line))
        for model, weight in zip(models, weights, strict=True):
            model.add(page.columns, weight[part])
        start = part.stop
    targets = started(candidates, log, options)
    return judge(targets, log, predict=[_predicting(model) for model in models], advance=advance)


def _predicting(model: RewardModel) -> Predict:
    return lambda page: model.predict(page.columns)


def of_the_past(
    candidates: Sequence[Candidate], log: Readings, rewards: tuple[float, float], options: Options, advance: Advance
) -> list[Scores]:
    """Predict every row by a model of the rows before it, between what `rewards` lie: as sequences need it."""
    targets = started(candidates, log, options)
    if (own := own_predictions(log)) is not None:

        def given(page: Page) -> Array:
            return np.clip(own(page), *rewards)

        return judge(targets, log, predict=[given] * len(targets), advance=advance)
    model = _model(log.main.problem, options, folds=1)

    def predict(page: Page) -> Array:
        return np.clip(model.predict(page.columns), *rewards)

    return judge(targets, log, predict=[predict] * len(targets), after=model.add, smallest=FIRST, advance=advance)


def started(candidates: Sequence[Candidate], log: Readings, options: Options, part: int = 0) -> list[Target]:
    """Return the candidates' targets at the beginning of the log, or of a part of one."""
    learn, seed = options.learn, options.seed
    return [
        each.target(
            Beginning(rows, declared(rows.problem, options), len(rows), learn, seed, part, log.own.get(each.label))
        )
        for each, rows in zip(candidates, log.each, strict=True)
    ]


def own_predictions(log: Readings) -> Predict | None:
    """Return what gives the predictions of a model of one's own, float64[n, k]; None without one."""
    if log.model is None:
        return None
    places = log.model.beside.places(log.model.names(log.main), log.model.start(log.main), log.main)
    return lambda page: page.beside[:, places]


def declared(problem: Problem, options: Options) -> Problem:
    """Return the problem of a log, with the range of rewards that was stated, where one was."""
    return problem if options.reward_range is None else replace(problem, reward_range=options.reward_range)


def check_ranges(candidates: Sequence[Candidate], log: Readings, options: Options) -> None:
    """Refuse policies that are made for rewards in a range on a log that has others."""
    for each, rows in zip(candidates, log.each, strict=True):
        if each.reward_range is None:
            continue
        limits = declared(rows.problem, options).reward_range or each.reward_range
        if (outside := said_outside(log.facts.reward, limits)) is not None:
            raise InvalidInput(
                "bad_reward",
                f"policy {each.label!r} is made for rewards in a range, and of the log {outside}: state the range that "
                f"they have {BY_RANGE}, or name a policy that takes any, like thompson_any",
            )


def _model(problem: Problem, options: Options, folds: int) -> RewardModel:
    return MODEL_OF[options.model](problem, folds=folds)
