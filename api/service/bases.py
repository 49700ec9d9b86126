"""Where a fold of a log begins: with the newest base, or with what there is before any event.

A base is a state of the past that stands for all events up to it. It is truth and no cache: where it cannot be read, or
does not fit the policy of today, the experiment is refused, and never folded from nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ...engine import snapshot
from ...engine.errors import Damaged
from ...engine.storage.store import Store
from ...engine.storage.tables import Base
from ...engine.vocabulary import Problem
from ..experiment.spec import Spec
from ..experiment.sums import Tally, unpack
from ..kinds.kind import Kind
from .history import History


class Beginning(NamedTuple):
    """What a fold begins with."""

    kept: Any  # the policy's state, and what the kind keeps beside it
    tally: Tally
    seq: int = 0  # the last event that it has learned
    decisions: int = 0  # the number of the next decision


def archived(bases: Sequence[Base]) -> Iterator[tuple[int, Base]]:
    """Yield the bases that have archives, each with the seq behind which its archive begins, oldest first."""
    former = 0
    for base in bases:
        if base.whole:  # an erasure made it: what lies before is part of the next archive
            continue
        if base.archive is not None:
            yield former, base
        former = base.seq


def fresh(spec: Spec, kind: Kind, problem: Problem) -> Any:
    """Return what snapshots and bases hold, as it is before any event."""
    policy = spec.policy
    return kind.own.join(policy.init(policy.params, problem), kind.own.fresh(problem))


def beginning(store: Store, bases: Sequence[Base], spec: Spec, kind: Kind, history: History, until: int) -> Beginning:
    """Return the newest of some bases up to a seq, or what there is before any event.

    Raises `Damaged` ("bad_base") where the base has a wrong digest, or is not of this policy and problem.
    """
    base = next((base for base in reversed(bases) if base.seq <= until), None)
    if base is None:
        return Beginning(fresh(spec, kind, spec.problem), kind.tally(spec, spec.problem))
    problem = history.problem(base.seq)
    kept, tally = fresh(spec, kind, problem), kind.tally(spec, problem)
    try:
        kept = snapshot.unpack(snapshot.checked(store.base_parts(base.experiment, base.seq), base.digest), like=kept)
        unpack(store.base_sums(base.experiment, base.seq) or b"", tally.sums)
    except Damaged as error:
        raise _unreadable(base, error) from error
    return Beginning(kept, tally, base.seq, base.decisions)


def _unreadable(base: Base, error: Damaged) -> Damaged:
    kept = f"; the events before it are in the archive {base.archive}" if base.archive else ""
    return Damaged(
        "bad_base",
        f"the base at seq {base.seq}, made with {base.versions}, cannot be read ({error}), and what lies before it is "
        f"not in the database any more: restore a backup, or use the version of onearm that made it{kept}",
    )
