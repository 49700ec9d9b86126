"""States that a fold along a path has passed, kept in memory: the next one of the same log need not begin before them.

Snapshots of before a correction do not know it, so whoever folds again for a second one would begin where the first one
did. A fold leaves rungs behind it, the nearer together the nearer to its end: from one on it is at most about twice as
far to the end as from what is corrected. They are a cache: a process that ends loses them, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from ...engine import snapshot
from ...engine.storage.corrections import Correction
from ...engine.storage.ladder import thinned
from .live import Live
from .paths import Paths, Setting

SHORT = 5_000  # events that are folded without a rung between
BYTES_MAX = 64_000_000  # of the rungs of all experiments: those that were folded last stay
STATE_BYTES_MAX = 1_000_000  # of one rung: larger states leave none

Stretches = tuple[tuple[int, int], ...]


class Rung(NamedTuple):
    """The state of a policy behind an event, and what it has learned by then."""

    seq: int
    state: Any  # nobody writes it: who goes on with it takes a copy
    path: Stretches  # as `Paths.stretches`, up to the event
    corrected_to: int

    def leads_on(self, paths: Paths, setting: Setting, corrections: Sequence[Correction]) -> bool:
        """Tell whether what a state is set to can be folded from this one: on its path, and nothing corrected since."""
        return self.path == path_to(paths, setting, self.seq) and not any(
            self.corrected_to < one.seq <= setting.corrected_to and one.learned <= self.seq for one in corrections
        )


class Rungs:
    """The rungs of all experiments. Its methods belong to the event loop's thread."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Live, dict[int, list[Rung]]] = WeakKeyDictionary()

    def of(self, live: Live) -> dict[int, list[Rung]]:
        """Return the rungs of an experiment, by policy, oldest first."""
        return self._of.get(live, {})

    def keep(self, live: Live, rungs: dict[int, list[Rung]]) -> None:
        """Keep rungs in the place of those of an experiment; others go where there are too many."""
        self._of.pop(live, None)
        self._of[live] = rungs
        sizes = {one: _size(some) for one, some in self._of.items()}
        left = sum(sizes.values())
        for one, size in sizes.items():
            if left > BYTES_MAX:
                del self._of[one]
                left -= size


def _size(rungs: dict[int, list[Rung]]) -> int:
    """Return how many bytes the rungs of an experiment take."""
    return sum(snapshot.size(rung.state) for some in rungs.values() for rung in some)


def path_to(paths: Paths, setting: Setting, seq: int) -> Stretches:
    """Return what a state that is set to this has learned up to an event; nothing where that is not on its path."""
    found = [(after, min(until, seq)) for after, until in paths.stretches(setting.policy, setting.to) if after < seq]
    return tuple(found) if found and found[-1][1] == seq else ()


def ends(after: int, until: int) -> Iterator[int]:
    """Yield where the parts of a stretch end between which rungs are left.

    >>> list(ends(0, 40_000))
    [20000, 30000, 35000, 40000]
    """
    while until - after > SHORT:
        after += (until - after + 1) // 2
        yield after
    yield until


def with_rung(rungs: Sequence[Rung], made: Rung) -> list[Rung]:
    """Return rungs of one path with one more, and without those that are too near to each other, oldest first."""
    by_seq = {rung.seq: rung for rung in (*rungs, made)}
    return [by_seq[seq] for seq in thinned(sorted(by_seq))]
