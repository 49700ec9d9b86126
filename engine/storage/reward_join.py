"""Events joined a page at a time: which are good, and which reward belongs to which decision.

A reward may come any time after its decision. All that is kept of the decisions that went by is a float and a flag
each, and their numbers where these are not consecutive.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..actions import possible_rewards
from ..columns import empty, take
from ..errors import InvalidInput, counted
from ..vocabulary import EXTERNAL, LEARN, Array, Columns, Features, Problem
from .bad_lines import BadLines
from .corrections import NONE, Corrected
from .formats.segments import Segments, feature_of
from .joined_form import extent_of
from .log import good_decisions, good_rewards
from .room import Growing
from .rows import Page, Rows, Wanted, part_of

BAD, GOOD, REWARDED, RETRACTED = 0, 1, 2, 3


class Rewards(NamedTuple):
    """Some LEARN events, of whose decisions nothing is known yet."""

    number: Array  # int64[n]
    reward: Array  # float64[n]
    detail: Array  # float64[n, m]
    line: Array  # int64[n]


class EventPage(NamedTuple):
    """Some events of an export that were decoded; their lines ascend, and lie behind those of the pages before."""

    decided: Columns  # DECIDE and EXTERNAL rows
    line: Array  # int64[n], of those
    rewards: Rewards
    corrected: Corrected = NONE


class Joined(NamedTuple):
    """What of a page is good."""

    kept: Array  # bool[n], which decisions
    places: Array  # int64[n], of the decisions: the numbers that `RewardJoin.rewarded` looks up
    learned: Array  # bool[m], which rewards
    corrected: Array  # bool[l], which corrections: something was learned before

    def lines(self, page: EventPage) -> set[int]:
        """Return the lines that are good."""
        parts = (page.line[self.kept], page.rewards.line[self.learned], page.corrected.line[self.corrected])
        return {line for part in parts for line in part.tolist()}


class RewardJoin:
    """The decisions of a log so far, and what was learned of each."""

    def __init__(self, problem: Problem, bad_lines: BadLines) -> None:
        self._problem, self._bad_lines = problem, bad_lines
        self._numbers = _Numbers()
        self._rewards, self._flags = Growing(), Growing(np.int8)

    def add(self, page: EventPage) -> Joined:
        """Join a page; the bad ones are counted."""
        first = self._numbers.count
        n = len(page.line)
        self._make_room(first + n)
        places, repeated = np.arange(first, first + n), self._numbers.add(page.decided.number)
        kept = good_decisions(page.decided, page.line, self._problem, self._bad_lines)
        if repeated is not None:
            self._bad_lines.drop("repeated_decision", repeated, page.line, kept)
        self._flag[first : first + n] = kept
        return Joined(kept, places, self._learn(page, first), self._correct(page.corrected))

    def rewarded(self, columns: Columns) -> tuple[Array, Array]:
        """Return whether decisions were rewarded so far, bool[n], and the sums of their rewards, float64[n].

        Their numbers are the places that `add` gave them.
        """
        places = columns.number
        return self._flag[places] == REWARDED, self._reward[places]

    def _learn(self, page: EventPage, first: int) -> Array:
        """Add up the rewards of a page whose decisions lie at `first` and behind; return which of them are good."""
        number, reward, detail, line = page.rewards
        kept = good_rewards(reward, detail, line, self._problem, self._bad_lines)
        place = self._numbers.places(number)
        lost = place < 0
        lost |= self._flag[np.where(lost, 0, place)] == BAD
        recent = place >= first
        lost[recent] |= page.line[place[recent] - first] > line[recent]
        self._bad_lines.drop("unknown_decision", lost, line, kept)
        place, reward = (place, reward) if kept.all() else (place[kept], reward[kept])
        np.add.at(self._reward, place, reward)
        self._flag[place] = REWARDED
        return kept

    def _correct(self, corrected: Corrected) -> Array:
        """Take the rewards that corrections say, the last of a decision; return which of them are good."""
        number, reward, line = corrected
        place = self._numbers.places(number)
        kept = np.ones(len(line), np.bool_)
        lost = (place < 0) | (self._flag[np.where(place < 0, 0, place)] < REWARDED)
        self._bad_lines.drop("unknown_decision", lost, line, kept)
        retracted = np.isnan(reward)
        self._bad_lines.drop("bad_reward", ~retracted & ~possible_rewards(reward, self._problem), line, kept)
        self._reward[place[kept]] = np.where(retracted, 0.0, reward)[kept]
        self._flag[place[kept]] = np.where(retracted, RETRACTED, REWARDED)[kept]
        return kept

    @property
    def _reward(self) -> Array:
        return self._rewards.values

    @property
    def _flag(self) -> Array:
        return self._flags.values

    def _make_room(self, n: int) -> None:
        self._rewards.reach(n)
        self._flags.reach(n)


class KnownRewards:
    """The decisions of a log whose pages say what is known of each: exports in the joined form."""

    def __init__(self, problem: Problem, bad_lines: BadLines) -> None:
        self._problem, self._bad_lines = problem, bad_lines
        self._numbers, self._misses = _Numbers(), False

    def add(self, page: EventPage) -> tuple[Array, Array]:
        """Return which decisions of a page are good, and the places of all; the bad ones are counted."""
        first, repeated = self._numbers.count, self._numbers.add(page.decided.number)
        kept = good_decisions(page.decided, page.line, self._problem, self._bad_lines)
        if repeated is not None:
            self._bad_lines.drop("repeated_decision", repeated, page.line, kept)
        possible = possible_rewards(page.decided.reward, self._problem)
        if not possible.all():
            self._misses = True
            self._bad_lines.drop("bad_reward", ~(possible | np.isnan(page.decided.reward)), page.line, kept)
        return kept, np.arange(first, self._numbers.count)

    def rewarded(self, columns: Columns) -> tuple[Array, Array]:
        """Return whether decisions were rewarded, bool[n], and their rewards, float64[n]."""
        every = np.broadcast_to(np.True_, len(columns.reward))
        return ~np.isnan(columns.reward) if self._misses else every, columns.reward


def join_of(header: bytes, problem: Problem, bad_lines: BadLines) -> RewardJoin | KnownRewards:
    """Return what joins the rewards of an export, by the form that its header says."""
    return RewardJoin(problem, bad_lines) if extent_of(header) is None else KnownRewards(problem, bad_lines)


def rows_of_events(
    name: Path | str,
    problem: Problem,
    pages: Iterable[EventPage],
    join: RewardJoin | KnownRewards,
    bad_lines: BadLines,
    wanted: Wanted,
) -> Rows:
    """Return the rewarded decisions of an export, whose pages have the contexts that `wanted` asks for."""
    rows = Rows(bad_lines)
    segments = Segments(rows.segments)
    feature = None if wanted.segment is None else feature_of(wanted.segment, problem)
    dimension = wanted.dimension if problem.layout == "named" and wanted.contexts else None
    unweighed, known = [np.zeros(0, np.int64)], 0
    for page in pages:
        kept, places, *_ = join.add(page)
        decided, lines = page.decided._replace(number=places), page.line
        if not kept.all():
            decided, lines = take(decided, kept), lines[kept]
        rows.decisions += len(lines)
        unknown = np.isnan(decided.propensity)
        unweighed.append(decided.number[unknown & (decided.kind == EXTERNAL)])
        known += len(lines) - int(unknown.sum())
        if not len(lines):
            continue
        context = decided.context
        segment = np.zeros(len(lines), np.int64)
        if feature is not None:
            segment = segments.places_of_numbers(context[:, feature])
        if not wanted.contexts:
            context = np.zeros((len(lines), 0))
        elif dimension is not None:
            context = _dense(context, dimension)
        rows.append(Page(decided._replace(kind=np.zeros(len(lines), np.int8), context=context), lines, segment))
    if not rows.decisions:
        raise InvalidInput(
            "no_decisions", f"{name} holds not one good decision{bad_lines.told}: there is nothing to judge"
        )

    def rewarded(page: Page) -> Page:
        there, reward = join.rewarded(page.columns)
        columns = page.columns._replace(reward=reward)
        return page._replace(columns=columns) if there.all() else part_of(page._replace(columns=columns), there)

    rows.rewarded = rewarded
    rows.problem = problem_read(problem, wanted)
    if known:
        _leave_out(rows, np.concatenate(unweighed))
    return rows


def _leave_out(rows: Rows, places: Array) -> None:
    """Leave out decisions that others made with a propensity that nobody knows, where it is known of the rest.

    They were made in place of the policy's own, as while the service was away, and cannot be weighed.
    """
    if not len(places):
        return
    rows.notes.append(
        f"left out: {counted(len(places), 'decision')} made by somebody else, as nobody knows with which propensity"
    )
    rows.keep(lambda page: ~np.isin(page.columns.number, places))


def problem_read(problem: Problem, wanted: Wanted) -> Problem:
    """Return the problem of rows whose contexts are read as they are `wanted`."""
    if not wanted.contexts:
        return replace(problem, context_shape=(0,), nonzeros=None)
    if wanted.dimension is not None and problem.layout == "named":
        return replace(problem, context_shape=(problem.n_arms, wanted.dimension), nonzeros=None)
    return problem


def in_order(page: EventPage, problem: Problem) -> tuple[Columns, Array]:
    """Return all events of a page in the order of their lines, and the lines; rewards know no more than they say.

    Decisions have no reward here, whatever their lines say: it is an event of its own.
    """
    number, reward, detail, line = page.rewards
    n, m = len(page.line), len(line)
    if n == 0:
        learned = empty(m, problem)._replace(kind=np.full(m, LEARN, np.int8), number=number)
        return learned._replace(reward=reward, detail=detail), line
    decided = page.decided
    lines = np.concatenate([page.line, line])
    order = np.argsort(lines, kind="stable")
    source = np.where(order < n, order, 0)  # for rewards any decision will do: their own is filled in later
    columns = take(decided, source)
    columns.reward[:] = np.nan
    is_reward = order >= n
    place = order[is_reward] - n
    columns.kind[is_reward] = LEARN
    columns.number[is_reward] = number[place]
    columns.action[is_reward] = 0
    columns.propensity[is_reward] = np.nan
    columns.reward[is_reward] = reward[place]
    columns.detail[is_reward] = detail[place]
    return columns, lines[order]


class _Numbers:
    """The numbers of decisions, in the order in which they came; a place is how many came before.

    Consecutive ones, as our own logs have, are two integers. Others lie in sorted runs, of which each is at least
    twice as long as the next: a look-up is a few binary searches, and a number is merged a few times in all.
    """

    def __init__(self) -> None:
        self.count = 0
        self._first = 0
        self._runs: list[tuple[Array, Array]] | None = None  # numbers, places; None while they are consecutive

    def add(self, numbers: Array) -> Array | None:
        """Add numbers; return which came before, bool[n], or None where none did."""
        n = len(numbers)
        if n == 0:
            return None
        if self.count == 0:
            self._first = int(numbers[0])
        if self._runs is None:
            if np.array_equal(numbers - self._first, np.arange(self.count, self.count + n)):
                self.count += n
                return None
            self._runs = [(np.arange(self.count) + self._first, np.arange(self.count))]
        known = self.places(numbers) >= 0
        fresh, at = np.unique(numbers, return_index=True)
        new = ~known[at]
        fresh, at = fresh[new], at[new]
        repeated = np.ones(n, np.bool_)
        repeated[at] = False
        self._runs.append((fresh, at + self.count))
        self.count += n
        while len(self._runs) > 1 and len(self._runs[-2][0]) < 2 * len(self._runs[-1][0]):
            self._runs[-2:] = [_merged(*self._runs[-2:])]
        return repeated

    def places(self, numbers: Array) -> Array:
        """Return the place of each of n numbers, int64[n]; -1 where there is none."""
        if self._runs is None:
            place = numbers - self._first
            return np.where((numbers >= self._first) & (place < self.count), place, -1)
        found = np.full(len(numbers), -1)
        for known, places in self._runs:
            if len(known):
                at = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
                here = known[at] == numbers
                found[here] = places[at[here]]
        return found


def _merged(one: tuple[Array, Array], other: tuple[Array, Array]) -> tuple[Array, Array]:
    numbers = np.concatenate([one[0], other[0]])
    order = np.argsort(numbers, kind="stable")
    return numbers[order], np.concatenate([one[1], other[1]])[order]


def _dense(contexts: Features, dimension: int) -> Array:
    """Return named features as rows of numbers, float64[n, k, dimension]: slots that are equal modulo it are added.

    Those are the rows of `features.Encoder` of this dimension wherever it is a power of two that the slots hold.
    """
    n, rows = contexts.start.shape[0], contexts.start.shape[1] - 1
    sizes = np.diff(contexts.start, axis=1).reshape(-1)
    first = np.repeat(contexts.start[:, :-1].reshape(-1) - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
    entry = first + np.arange(len(first))
    place = np.repeat(np.arange(n * rows), sizes) * dimension + contexts.index[entry] % dimension
    found = np.bincount(place, contexts.value[entry], n * rows * dimension).reshape(n, rows, dimension)
    return np.asarray(found[:, 1:] + found[:, :1])
