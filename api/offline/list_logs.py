"""Lists that the service filled, as candidates are judged on them: an export, or an experiment of a database.

A row is a slot, and a list is whole where each of its slots has a reward; others are left out, and counted. What a
candidate would have put into a slot is asked with what the log has above it, so the chance of a list is a product.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from ...engine.errors import InvalidInput
from ...engine.storage.bad_lines import BadLines
from ...engine.storage.event_columns import learned_columns
from ...engine.storage.events import Events
from ...engine.storage.formats.slots import Slots
from ...engine.storage.records import Event
from ...engine.storage.rows import Rows
from ...engine.vocabulary import CORRECTED, DECIDE, LEARN, Array, Columns, Problem
from ..kinds.lists.http import numbers
from ..kinds.lists.kind import LISTS
from ..kinds.table import kind_of
from ..log_files import EXPORTS, form_of, module_of, source_of
from ..service.experiment_log import opened_log
from .candidate_kinds import Beginning, Candidate
from .options import Options

PAGE = 10_000  # rows that are judged together, about
Advance = Callable[[int], None]


class ListLog(NamedTuple):
    """Whole lists: n of up to L slots."""

    problem: Problem  # of a slot
    decided: list[Event]  # the slots of all lists, one behind the other
    slots: Slots


def is_own(name: str, form: str | None) -> bool:
    """Tell whether a log is a database or an export; others are logs of Vowpal Wabbit."""
    return "://" in name or form_of(Path(name), form) in EXPORTS


def read_list_log(name: str, form: str | None, experiment: str | None, progress: Advance) -> ListLog:
    """Read the lists of an export, or of an experiment of a database. Raises `InvalidInput` where there are none."""
    with _events(name, form, experiment, progress) as events:
        if kind_of(events.problem) is not LISTS:
            raise InvalidInput(
                "no_lists",
                f"{name} is a log of single decisions: take a method for these, as snips; lists are in exports of "
                "experiments that fill them, and they are in logs of Vowpal Wabbit",
            )
        decided: dict[int, Event] = {}
        rewards: dict[int, float | None] = {}
        for event in events.rows:
            assert event.number is not None or event.kind not in (DECIDE, LEARN, CORRECTED)
            if event.kind == DECIDE and event.detail is not None:  # else it is erased
                decided[event.number or 0] = event
            elif event.kind in (LEARN, CORRECTED):
                rewards[event.number or 0] = event.reward
    problem = dataclasses.replace(events.problem, list_slots=None)
    return _whole(name, problem, decided, rewards, events.bad_lines)


def judged(log: ListLog, candidate: Candidate, options: Options, progress: Advance) -> Array:
    """Return how likely a candidate puts what was shown into each slot, given those above it: float64[n, L]."""
    n, found = len(log.decided), np.full(log.slots.propensity.shape, np.nan)
    slots = Rows()
    slots.problem = log.problem
    target = candidate.target(Beginning(slots, log.problem, n, options.learn, options.seed))
    likely = np.zeros(n)
    for rows in _pages(n):
        likely[rows] = target.judge(_columns(log, rows)).target
        progress(rows.stop - rows.start)
    found[_shown(log.slots)] = likely
    return found


@contextmanager
def _events(name: str, form: str | None, experiment: str | None, progress: Advance) -> Iterator[Events]:
    if "://" not in name:
        if experiment is not None:
            raise InvalidInput("no_experiment", f"{name} is a file: --experiment is for a database")
        yield module_of(form_of(Path(name), form)).read_events(source_of(Path(name), progress))
        return
    if form is not None:
        raise InvalidInput("no_format", f"{name} is a database: it has no --format")
    with opened_log(name, experiment) as log:
        yield log.events()


def _whole(
    name: str, problem: Problem, decided: dict[int, Event], rewards: dict[int, float | None], bad_lines: BadLines
) -> ListLog:
    """Return the lists of which each slot has a reward."""
    lists: list[list[Event]] = []
    partly = 0
    for event in decided.values():
        try:
            of_list = numbers(event)
        except msgspec.DecodeError:
            says = f"decision {event.number} of {name} does not say of which list it is: export the log again"
            raise InvalidInput("no_lists", says) from None
        if event.number != of_list[-1]:
            continue
        if all(number in decided and rewards.get(number) is not None for number in of_list):
            lists.append([decided[number] for number in of_list])
        else:
            partly += 1
    if not lists:
        raise InvalidInput("no_rewards", f"{name} has no list of which each slot has a reward: nothing can be told")
    notes = [f"{partly} of {partly + len(lists)} lists are left out, as not each of their slots has a reward"]
    shape = len(lists), max(map(len, lists))
    reward, propensity = np.full((2, *shape), np.nan)
    for row, some in enumerate(lists):
        reward[row, : len(some)] = [rewards[event.number or 0] for event in some]
        propensity[row, : len(some)] = [np.nan if one.propensity is None else one.propensity for one in some]
    nothing, length = np.full(shape, -1), np.array([len(some) for some in lists])
    slots = Slots(
        reward, propensity, nothing, nothing, nothing, length, np.arange(len(lists)), bad_lines, notes if partly else []
    )
    return ListLog(problem, [event for some in lists for event in some], slots)


def _shown(slots: Slots) -> Array:
    """Return which slots there are, bool[n, L]."""
    return np.asarray(np.arange(slots.reward.shape[1]) < slots.length[:, np.newaxis])


def _pages(n: int) -> Sequence[slice]:
    return [slice(start, min(start + PAGE, n)) for start in range(0, n, PAGE)]


def _columns(log: ListLog, rows: slice) -> Columns:
    """Return slots as rows with their rewards."""
    rewards = log.slots.reward[_shown(log.slots)][rows].tolist()
    found = learned_columns(log.decided[rows], [(reward, None) for reward in rewards], log.problem, None)
    return found._replace(kind=np.full(len(rewards), DECIDE, np.int8))
