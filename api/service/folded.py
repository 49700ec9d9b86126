"""What the log of an experiment folds to: its state, from the newest good snapshot on, and what is counted beside."""

from __future__ import annotations

import logging
from collections.abc import Generator
from typing import Any, NamedTuple

from ...engine import snapshot
from ...engine.errors import Damaged
from ...engine.protocol import marks
from ...engine.replay.folding import fold
from ...engine.storage.store import Store
from ...engine.storage.tables import Event, Experiment, Snapshot
from ...engine.vocabulary import Columns, Problem
from ..experiment.compiling import Kernels
from ..experiment.spec import Spec
from ..kinds.kind import Kind
from .history import History, changed

log = logging.getLogger("onearm")


class Recovered(NamedTuple):
    """What the log folds to."""

    state: Any
    own: Any  # what the kind keeps beside it
    seq: int
    number: int  # of the next decision
    rewards: int
    history: History
    kernels: Kernels


def fold_log(row: Experiment, spec: Spec, kind: Kind, store: Store, versions: str) -> Generator[None, None, Recovered]:
    """Fold the log from the newest good snapshot on, a page a step, and in the last step take the kernels.

    Snapshots of other `versions` are not good. Steps run in worker threads, one after another.
    """
    policy = spec.policy
    history = History(spec, store.changes(row.key), kind.change_types)
    counts = store.counts(row.key)
    kept, after = _newest_state(row, spec, kind, store, versions, history, counts.seq)
    state, part = kind.own.split(kept)
    own = kind.own.begin(spec, part, history)
    for page in history.pages(store, row.key, after, counts.seq, learned_only=not marks(policy.params)):
        if isinstance(page, Columns):
            fold(policy.params, state, spec.run, page)
            kind.own.fold(own, page)
        else:
            state = changed(policy, state, page)
        yield

    def decided_at(number: int) -> Event | None:
        return next(iter(store.find(row.key, [number])), None)

    kind.own.end(own, history, decided_at, counts.decisions)
    return Recovered(state, own, counts.seq, counts.decisions, counts.rewards, history, kind.kernels(spec))


def _newest_state(
    row: Experiment, spec: Spec, kind: Kind, store: Store, versions: str, history: History, last: int
) -> tuple[Any, int]:
    """Return what the newest good snapshot holds and its seq, or what there is before any event."""
    for stored in store.newest_snapshots(row.key):
        try:
            if stored.versions != versions:
                raise Damaged("other_version", f"it is of other versions: {stored.versions}")
            if stored.seq > last:
                raise Damaged("ahead_of_log", f"the log ends at seq {last}")
            return _state_of(stored, fresh(spec, kind, history.problem(stored.seq)), store), stored.seq
        except Damaged as error:
            log.warning(
                "experiment %r: the snapshot at seq %d is skipped (%s); the log is folded instead",
                spec.id,
                stored.seq,
                error,
            )
    return fresh(spec, kind, spec.problem), 0


def _state_of(stored: Snapshot, like: Any, store: Store) -> Any:
    parts = snapshot.checked(store.snapshot_parts(stored.experiment, stored.seq), stored.digest)
    return snapshot.unpack(parts, like=like)


def fresh(spec: Spec, kind: Kind, problem: Problem) -> Any:
    """Return what snapshots hold, as it is before any event."""
    policy = spec.policy
    return kind.own.join(policy.init(policy.params, problem), kind.own.fresh(problem))
