"""The log of one experiment in a database, as rows for evaluation and as events for converting. Nothing is changed.

What a bad line is in a file is `Damaged` here: nobody writes to a database by hand. Lines are the `seq` of events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import numpy as np

from ..columns import empty, take
from ..vocabulary import LEARN, Array, Problem
from .bad_lines import BadLines
from .corrections import Corrected
from .event_columns import Seen, columns_of, row_of
from .events import Events
from .records import Event
from .reward_join import EventPage, RewardJoin, Rewards, rows_of_events
from .rows import Rows, Wanted
from .store import Store

PAGE = 5000  # events
PAGE_FIRST = 100  # of a log: nobody knows yet how large they are
PAGE_BYTES = 1 << 22  # of what was sent and of contexts, about


def read_rows(
    store: Store,
    key: int,
    problem: Problem,
    wanted: Wanted,
    sizes: Callable[[Array], Array] | None = None,
    after: int = 0,
    until: int | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> Rows:
    """Read the rewarded decisions of the experiment `key`, up to seq `until`; None: to what is its last event now.

    Of rewards up to seq `after` nothing is read. `problem` has all arms that there are in the end; `sizes` gives the
    number of arms at decisions of some numbers, where arms were added. What is logged meanwhile is left out. `progress`
    is told how many events were read.
    """
    last = store.last(key)[0] if until is None else until
    own = _pages(store, key, problem, after, last, sizes, progress)
    pages = chain(_carried(store, key, problem, after, last, sizes), own)
    bad_lines = BadLines()
    return rows_of_events("the log", problem, pages, RewardJoin(problem, bad_lines), bad_lines, wanted)


def read_events(
    store: Store,
    key: int,
    problem: Problem,
    spec: dict[str, Any],
    masked: Callable[[list[Event]], list[Event]] = lambda events: events,
    progress: Callable[[int], None] = lambda count: None,
    after: int = 0,
) -> Events:
    """Read all events of the experiment `key` after a seq, up to what is its last one now.

    Before them come the decisions from before that whose rewards are among them. `masked` gives events masks over all
    arms that there are in the end; `progress` is told how many events were read.
    """
    last, _ = store.last(key)

    def events() -> Iterator[Event]:
        for page in chain(carried_pages(store, key, after, last), event_pages(store, key, after, last)):
            yield from masked(page)
            progress(len(page))

    return Events(problem, events(), spec, begins=after)


def event_pages(store: Store, key: int, after: int, until: int) -> Iterator[list[Event]]:
    """Yield the events after one seq, up to another, in pages of at most 5000 and about 4 MB.

    Blank ones are left out. The pages of a log are the same whoever reads it from its beginning. Each is a read of its
    own.
    """
    return _in_pages(lambda place, limit: store.told_events(key, place, until, limit), after)


def carried_pages(store: Store, key: int, after: int, until: int) -> Iterator[list[Event]]:
    """Yield the decisions up to a seq whose rewards came after it, up to another, in pages as `event_pages`."""
    return _in_pages(lambda place, limit: store.carried(key, after, until, place, limit), 0)


def _in_pages(read: Callable[[int, int], list[Event]], after: int) -> Iterator[list[Event]]:
    """Yield what `read` (behind which seq, how many) returns, until that is nothing."""
    limit = PAGE_FIRST
    while page := read(after, limit):
        yield page
        after = page[-1].seq
        size = sum(
            len(part) for event in page for part in (event.context, event.vector, event.sent, event.detail) if part
        )
        limit = min(PAGE, 2 * limit, max(1, PAGE_BYTES * len(page) // (size + 1)))


def _carried(
    store: Store, key: int, problem: Problem, after: int, last: int, sizes: Callable[[Array], Array] | None
) -> Iterator[EventPage]:
    for page in carried_pages(store, key, after, last):
        decided = columns_of(list(map(row_of, page)), lambda numbers: Seen(), problem, False, sizes)
        yield EventPage(decided, np.array([event.seq for event in page], np.int64), _none(problem))


def _pages(
    store: Store,
    key: int,
    problem: Problem,
    after: int,
    last: int,
    sizes: Callable[[Array], Array] | None,
    progress: Callable[[int], None],
) -> Iterator[EventPage]:
    blank = set(store.blank_seqs(key))
    left_out = np.array(sorted(blank.union(event.seq for event in store.changes(key))), np.int64)
    left_out = np.union1d(left_out, store.beside_seqs(key))
    told = [one for one in store.corrections(key, last) if one.learned > after]
    corrected = Corrected.of(one for one in told if one.seq not in blank)
    for events, first, final in store.columns(key, problem, after, PAGE, until=last, sizes=sizes):
        seq = np.setdiff1d(np.arange(first, final + 1), left_out, assume_unique=True)
        learns = events.kind == LEARN
        learned = take(events._replace(context=np.zeros((len(seq), 0)), available=np.ones((1, 1), np.bool_)), learns)
        rewards = Rewards(learned.number, learned.reward, learned.detail, seq[learns])
        decided = take(events, ~learns)
        unknown = np.full(len(decided.kind), np.nan)
        yield EventPage(decided._replace(reward=unknown), seq[~learns], rewards)
        progress(final + 1 - first)
    if len(corrected.number):
        yield EventPage(empty(0, problem), np.zeros(0, np.int64), _none(problem), corrected)


def _none(problem: Problem) -> Rewards:
    return Rewards(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, problem.detail_length)), np.zeros(0, np.int64))
