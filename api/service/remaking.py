"""One decision is made again, from what is kept of the state shortly before it."""

from __future__ import annotations

from typing import NamedTuple

from ...engine import loop
from ...engine.storage.records import Experiment
from ...engine.storage.store import Store
from ...engine.vocabulary import DECIDE, Columns
from ..experiment.spec import Spec
from ..kinds.kind import Kind
from .folded import newest_state
from .history import History, Recast, changed
from .paths import Reset


class Remade(NamedTuple):
    """What came of it."""

    first_difference: int | None  # the first decision that comes out differently
    decisions: int  # that were made again
    since: int  # the seq of the snapshot or the base that it began with, 0 for the beginning of the log


def remake(store: Store, row: Experiment, created: Spec, kind: Kind, seq: int) -> Remade:
    """Make the decisions of a log again up to the one at a seq, from the newest snapshot or base before it.

    A snapshot is a cache: where something differs from it, that says nothing of the log yet (`verify_log` does).
    """
    changes = [change for change in store.changes(row.key) if change.seq <= seq]
    history = History(created, changes, kind.change_types)
    spec = history.spec(seq)
    assert isinstance(spec, Spec)
    snapshots = [stored for stored in store.newest_snapshots(row.key) if stored.seq < seq]
    bases = [base for base in store.bases(row.key) if base.seq < seq]
    kept, _, since = newest_state(row, spec, kind, store, history, snapshots, seq, bases)
    state, _ = kind.own.split(kept)
    policy, made = spec.policy, 0
    for page in history.pages(store, row.key, since, seq):
        if not isinstance(page, Columns):
            assert not isinstance(page, Recast | Reset), "these come with a base"
            state = changed(policy, state, page)
            continue
        differs = int(loop.replay(policy.params, state, spec.run, page))
        made += int((page.kind[: None if differs < 0 else differs] == DECIDE).sum())
        if differs >= 0:
            return Remade(int(page.number[differs]), made, since)
    return Remade(None, made, since)
