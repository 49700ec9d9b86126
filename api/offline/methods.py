"""From what candidates make of a log to the terms of their estimates, by the method's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from ...engine import estimate
from ...engine.columns import take
from ...engine.errors import InvalidInput
from ...engine.estimate import Terms
from ...engine.estimate.blocks import any_nan, blocks
from ...engine.estimate.diagnostics import UNREACHABLE, unreachable
from ...engine.replay.own_laws import UNTOLD
from ...engine.storage.room import room
from ...engine.storage.rows import Rows
from ...engine.vocabulary import Array
from .judging import Facts, Scores
from .options import Options

PART = 1 << 20  # rows of which terms are made at once
RATIOS = frozenset({"match", "snips", "sndr", "dm"})  # methods that a factor of all weights leaves alone
WHOLE = frozenset({"mips", "dros"})  # methods that look at all rows at once,
TUNED = frozenset({"clipped", "switch-dr"})  # and those that do where their limit is not given
Table = TypeVar("Table", Facts, Scores)


@dataclass(frozen=True)
class Case:
    """One candidate on one log: all that a method may need."""

    log: Facts
    rows: Rows
    plain: Scores
    fitted: Scores | None  # with a cross-fitted model
    robust: Scores | None  # with a model of its own
    past: Scores | None  # with a model that knows only the past
    options: Options
    groups: Array | None = None  # int64[n], the rows of one unit; None where each has one
    uneven: str | None = None  # how actions were taken, where propensities are unknown and no even draw does that

    def rows_of(self, some: slice) -> Case:
        """Return the case of some rows."""
        fitted, robust, past = (
            None if each is None else some_of(each, some) for each in (self.fitted, self.robust, self.past)
        )
        log, plain = some_of(self.log, some), some_of(self.plain, some)
        return Case(log, self.rows, plain, fitted, robust, past, self.options)

    @property
    def weighted(self) -> tuple[Array, Array, Array]:
        """Return reward, propensity and target."""
        return self.log.reward, self.log.propensity, self.plain.target

    @cached_property
    def untold(self) -> bool:
        """Whether the log never tried too much of what the target does; False where propensities are unknown."""
        return unreachable(self.log.propensity, self.plain.target) > UNREACHABLE

    @cached_property
    def unchosen(self) -> bool:
        """Whether of the target only the probability of the logged action is known, and not what it chooses."""
        chosen = self.plain.chosen
        return any(bool((chosen[rows] == UNTOLD).any()) for rows in blocks(len(chosen)))

    @property
    def half_told(self) -> bool:
        """Whether so little is known of more than two actions: what a model expects of the target is then not."""
        return self.unchosen and self.rows.problem.n_arms > 2

    @property
    def modelled(self) -> tuple[Array, Array, Array, Array, Array]:
        """Return the same, and what a cross-fitted model makes of it."""
        return (*self.weighted, *_predictions(self.fitted))


def terms_of(method: str, case: Case) -> Terms:
    """Return the terms of an estimate. Raises `InvalidInput` where the method cannot be applied to the log.

    Of a long log they are made part by part, into room that may lie on disk; but for limits that are tuned, and for
    categories, which look at all rows at once.
    """
    n = len(case.log.reward)
    if case.rows.ratios_only and method not in RATIOS:
        raise InvalidInput(
            "only_ratios",
            f"the shares of events that were dropped differ too much for {method}: {', '.join(sorted(RATIOS))} divide "
            "by the sum of the weights",
        )
    tuned = method in TUNED and case.options.weight_limit is None
    if n <= PART or tuned or method in WHOLE or any_nan(case.log.propensity):
        return TERMS[method](case)
    made: list[Array | None] = []
    for start in range(0, n, PART):
        part = slice(start, start + PART)
        columns = TERMS[method](case.rows_of(part))[1:]
        made = made or [None if column is None else room(n) for column in columns]
        for whole, column in zip(made, columns, strict=True):
            if whole is not None and column is not None:
                whole[part] = column
    return _of_columns(method, made)


def _match(case: Case) -> Terms:
    if case.unchosen:
        raise InvalidInput(
            "no_choice",
            "match needs what the target chooses, and it says how likely the logged action is alone: take snips, or "
            "hand over the probability of every action, as columns:p_*",
        )
    return estimate.match(case.log.reward, case.plain.chosen == case.log.action)


def _clipped(case: Case) -> Terms:
    if case.options.weight_limit is None:
        return estimate.tuned_clipped(*case.weighted).terms
    return estimate.clipped(*case.weighted, case.options.weight_limit)


def _dm(case: Case) -> Terms:
    """Return what the model says alone; its error can be told where `dr` can be had."""
    without_dr = case.rows.ratios_only or any_nan(case.log.propensity)
    return estimate.dm(_predictions(case.fitted)[1], None if without_dr else estimate.dr(*case.modelled).base)


def _switch(case: Case) -> Terms:
    if case.options.weight_limit is None:
        return estimate.tuned_switch_dr(*case.modelled).terms
    return estimate.switch_dr(*case.modelled, case.options.weight_limit)


def _mrdr(case: Case) -> Terms:
    if case.robust is None:
        estimate.mrdr_weight(case.log.propensity, case.plain.target)  # says what kept the model from being fitted
    return estimate.mrdr(*case.weighted, *_predictions(case.robust))


def _mips(case: Case) -> Terms:
    embedding = case.options.embedding
    if embedding is None:
        raise InvalidInput("no_embedding", "mips needs the category of every action: name it by --embedding")
    weight = estimate.weights(case.log.propensity, case.plain.target, "mips")
    judged = slice(len(case.rows) - len(weight), None)
    columns = take(case.rows.columns(), judged)
    of_category = estimate.regressed_weights(columns, weight, embedding, case.rows.problem)
    return estimate.mips(case.log.reward, of_category, estimate.dr(*case.modelled).base)


def _predictions(scores: Scores | None) -> tuple[Array, Array]:
    assert scores is not None, "a method with a model, and none was fitted"
    return scores.predicted, scores.expected


TERMS: dict[str, Callable[[Case], Terms]] = {
    "match": _match,
    "ips": lambda case: estimate.ips(*case.weighted),
    "clipped": _clipped,
    "snips": lambda case: estimate.snips(*case.weighted),
    "dm": _dm,
    "dr": lambda case: estimate.dr(*case.modelled),
    "sndr": lambda case: estimate.sndr(*case.modelled),
    "switch-dr": _switch,
    "dros": lambda case: estimate.tuned_dros(*case.modelled).terms,
    "mrdr": _mrdr,
    "mips": _mips,
}


def some_of(columns: Table, some: slice) -> Table:
    """Return some rows of columns; those of no length stay so."""
    return type(columns)(*(column[some] if len(column) else column for column in vars(columns).values()))


def of_rows(terms: Terms, some: Array) -> Terms:
    """Return the terms of some rows, bool[n] or a slice, as an estimate of these alone.

    >>> import numpy as np
    >>> ones = np.ones(3)
    >>> of_rows(Terms("match", None, np.array([1.0, 0.0, 1.0]), ones, ones), slice(1, 3)).value
    0.5
    """
    return _of_columns(terms.method, [None if column is None else column[some] for column in terms[1:]])


def _of_columns(method: str, columns: list[Array | None]) -> Terms:
    base, part, share, weight, corrected = columns
    assert weight is not None, "terms without weights"
    return Terms(method, base, part, share, weight, corrected)
