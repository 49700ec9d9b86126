"""What the log of an experiment folds to: its state, and what is counted beside.

A fold begins with the newest good snapshot, or else with the newest base, or else with nothing.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from ...engine import snapshot
from ...engine.errors import Damaged
from ...engine.protocol import marks
from ...engine.replay.folding import fold
from ...engine.storage.records import Base, Event, Experiment, Snapshot
from ...engine.storage.store import Store
from ...engine.storage.windows import OpenWindows
from ...engine.vocabulary import Columns, Problem
from ..experiment.compiling import Kernels
from ..experiment.spec import Spec
from ..experiment.sums import Tally, unpack
from ..experiment.window import Window
from ..kinds.kind import Kind
from .bases import beginning, floor_of, fresh
from .history import History, Part, Recast, changed
from .paths import Reset

log = logging.getLogger("onearm")
Made = TypeVar("Made")
Say = Callable[[str], None]
warn: Say = log.warning  # of what a fold went without


class Recovered(NamedTuple):
    """What the log folds to."""

    spec: Spec  # with the policy that decides in the end
    state: Any
    own: Any  # what the kind keeps beside it
    seq: int
    number: int  # of the next decision
    rewards: int
    history: History
    tally: Tally
    kept_at: int  # the seq of the snapshot or the base that it began with, 0 without one
    base: int  # the seq of the newest base before which events are slim, 0 without one
    floor: int  # the seq of the newest base that no change came with, 0 without one
    corrections: list[int]  # the seqs of all corrections, in order
    left: OpenWindows  # of windows, where decisions have them
    passed: int  # decisions before these
    time: int  # of the last event, in microseconds; 0 where that is not asked for
    early: Sequence[Event]  # rewards whose decisions were not made when the log ended, and may be yet
    kernels: Kernels | None = None  # where whoever folds has taken them


def fold_log(
    row: Experiment, spec: Spec, kind: Kind, store: Store, until: int | None = None, say: Say = warn
) -> Generator[None, None, Recovered]:
    """Fold the log, up to a seq or to its end, a page a step.

    `spec` is that of the experiment as it was created; a change of policies comes with a base, so that no fold goes
    over it. Snapshots of other versions are not good: `say` is told of each that is skipped. Steps run in worker
    threads, one after another. Where a base is made meanwhile, what was read may have been slim: then it begins anew.
    Raises `Damaged` where a base cannot be read.
    """
    while True:
        bases = store.bases(row.key)
        try:
            recovered = yield from _folded(row, spec, kind, store, until, bases, say)
        except Damaged:
            if store.base_seq(row.key) == _newest(bases):
                raise
        else:
            if store.base_seq(row.key) == _newest(bases):
                return recovered


def finished(steps: Generator[None, None, Made]) -> Made:
    """Take all steps of a fold, and return what it makes. For a worker thread."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            made: Made = done.value
            return made


def _newest(bases: Iterable[Base]) -> int:
    """Return the seq of the newest of some bases, 0 where there is none."""
    return max((base.seq for base in bases), default=0)


def _folded(
    row: Experiment, created: Spec, kind: Kind, store: Store, until: int | None, bases: Sequence[Base], say: Say
) -> Generator[None, None, Recovered]:
    changes = [change for change in store.changes(row.key) if until is None or change.seq <= until]
    history = History(created, changes, kind.change_types)
    counts = store.counts(row.key, len(changes)) if until is None else store.counts_at(row.key, until)
    snapshots = [stored for stored in store.newest_snapshots(row.key) if until is None or stored.seq <= until]
    spec = history.spec(counts.seq)
    assert isinstance(spec, Spec)
    kept, tally, after = newest_state(row, spec, kind, store, history, snapshots, counts.seq, bases, say)
    assert not history.recasts(after, counts.seq), "a change of policies comes with a base"
    assert all(seq <= after for seq in history.paths.resets), "so does one that sets states"
    policy = spec.policy
    counted_to = after
    if tally is None:
        first = beginning(store, bases, spec, kind, history, counts.seq)
        tally, counted_to = first.tally, first.seq
        for page in history.pages(store, row.key, first.seq, after, learned_only=True):
            tally = counted(tally, page)
            yield
    state, part = kind.own.split(kept)
    own = kind.own.begin(spec, part, history)
    for page in history.pages(store, row.key, after, counts.seq, learned_only=not marks(policy.params)):
        if isinstance(page, Columns):
            fold(policy.params, state, spec.run, page)
            kind.own.fold(own, page)
        else:
            assert not isinstance(page, Recast | Reset)
            state = changed(policy, state, page)
        tally = counted(tally, page)
        yield
    tally.count_log(store, row.key, counted_to, counts.seq)
    beside = counts.seq - counts.decisions - counts.rewards - len(changes)  # corrections among them
    corrections = store.corrections(row.key, counts.seq) if beside else []
    tally.correct_all(corrections)
    corrected = [one.seq for one in corrections]
    kind.own.end(own, history, functools.partial(event_of, store, row.key), counts.decisions)
    base = _newest(base for base in bases if not base.whole)
    floor = floor_of(bases)
    left, passed, time, early = OpenWindows(0, 0), 0, 0, list[Event]()
    if spec.window is not None:
        left, time = _left(store, row.key, spec.window, counts.seq)
        _withhold(store, row.key, tally, left)
        passed = store.counts_at(row.key, left.closed).decisions
        early = store.held(row.key, store.seq_before(row.key, time - spec.window.wait + 1, counts.seq))
    learned = counts.seq, counts.decisions, counts.rewards
    begun = after, base, floor
    return Recovered(spec, state, own, *learned, history, tally, *begun, corrected, left, passed, time, early)


def _left(store: Store, experiment: int, window: Window, last: int) -> tuple[OpenWindows, int]:
    """Return which windows a log leaves open, and its time at its end."""
    time = store.time_of(experiment, last)
    over = store.seq_before(experiment, time - window.wait + 1, last)
    left = store.open_windows_by_time(experiment, over, window.default is not None)
    first = store.begun(experiment, left.closed, 1)
    return left._replace(closed=first[0].seq - 1 if first else last), time


def _withhold(store: Store, experiment: int, tally: Tally, left: OpenWindows) -> None:
    """Take out of the sums what was learned at once of windows that are open."""
    numbers = store.learned_at_once(experiment, left.closed)
    for one in store.values_at_once(experiment, numbers).values():
        tally.correct(one.action, one.reward, None)


def event_of(store: Store, experiment: int, number: int) -> Event | None:
    """Return the event of a decision from the log."""
    return next(iter(store.find(experiment, [number])), None)


def counted(tally: Tally, page: Part) -> Tally:
    """Enter a page of the log into the sums; return those to go on with."""
    if isinstance(page, Columns):
        tally.fold(page)
    elif isinstance(page, Problem):
        return tally.grown(page.n_arms)
    return tally


def newest_state(
    row: Experiment,
    spec: Spec,
    kind: Kind,
    store: Store,
    history: History,
    snapshots: list[Snapshot],
    last: int,
    bases: Sequence[Base],
    say: Say = warn,
) -> tuple[Any, Tally | None, int]:
    """Return what the newest good snapshot holds, its sums where it has any, and its seq; else the same of a base.

    `say` is told of what is skipped.
    """
    first = _newest(bases)
    for stored in snapshots:
        if stored.seq < first:
            break
        try:
            if stored.versions != spec.versions_json():
                raise Damaged("other_version", f"it is of other versions: {stored.versions}")
            if stored.seq > last:
                raise Damaged("ahead_of_log", f"the log ends at seq {last}")
            problem = history.problem(stored.seq)
            state = state_of(stored, fresh(spec, kind, problem), store)
            return state, _tally_of(stored, kind.tally(spec, problem), row, store, say), stored.seq
        except Damaged as error:
            which = f"experiment {row.id!r}: the snapshot at seq {stored.seq}"
            say(f"{which} is skipped ({error}); the log is folded instead")
    begun = beginning(store, bases, spec, kind, history, last)
    return begun.kept, begun.tally, begun.seq


def state_of(stored: Snapshot, like: Any, store: Store) -> Any:
    """Return what a snapshot holds, written over what is `like` it; raises `Damaged` where it is not whole."""
    parts = snapshot.checked(store.snapshot_parts(stored.experiment, stored.seq), stored.digest)
    return snapshot.unpack(parts, like=like)


def _tally_of(stored: Snapshot, like: Tally, row: Experiment, store: Store, say: Say) -> Tally | None:
    """Return the sums of a snapshot; None where they are not there, or not whole: then the log is counted."""
    try:
        content = store.snapshot_sums(stored.experiment, stored.seq)
        if content is None:
            raise Damaged("no_sums", "an earlier version wrote it")
        unpack(content, like.sums)
    except Damaged as error:
        which = f"experiment {row.id!r}: the snapshot at seq {stored.seq}"
        say(f"{which} has no sums for reports ({error}); the log is counted instead")
        return None
    return like
