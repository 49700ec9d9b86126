"""Where a fold of a log begins: with the newest base, or with what there is before any event.

A base is a state of the past that stands for all events up to it. It is truth and no cache: where it cannot be read, or
does not fit the policy of today, the experiment is refused, and never folded from nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ...engine import snapshot
from ...engine.errors import Damaged
from ...engine.storage.records import SUMS, Base, SnapshotPart
from ...engine.storage.store import Store
from ...engine.vocabulary import Problem
from ..experiment.definition import Definition
from ..experiment.lineup import states_of
from ..experiment.sums import Tally, unpack
from ..kinds.kind import Kind
from .history import History


class Beginning(NamedTuple):
    """What a fold begins with."""

    kept: Any  # the policy's state, and what the kind keeps beside it
    tally: Tally
    seq: int = 0  # the last event that it has learned
    decisions: int = 0  # the number of the next decision


def floor_of(bases: Iterable[Base]) -> int:
    """Return the seq of the newest base that is not one of a change, 0 without one."""
    return max((base.seq for base in bases if not base.of_change), default=0)


def archived(bases: Sequence[Base]) -> Iterator[tuple[int, Base]]:
    """Yield the bases that have archives, each with the seq behind which its archive begins, oldest first."""
    former = 0
    for base in bases:
        if base.whole:  # an erasure made it: what lies before is part of the next archive
            continue
        if base.archive is not None:
            yield former, base
        former = base.seq


def fresh(spec: Definition, kind: Kind, problem: Problem) -> Any:
    """Return what snapshots and bases hold, as it is before any event of this problem."""
    policy = spec.policy
    return kind.own.join(policy.init(policy.params, problem), kind.own.fresh(problem))


def beginning(
    store: Store, bases: Sequence[Base], spec: Definition, kind: Kind, history: History, until: int
) -> Beginning:
    """Return the newest of some bases up to a seq, or what there is before any event of an experiment, `spec`.

    Raises `Damaged` ("bad_base") where the base has a wrong digest, or is not of this policy and problem.
    """
    base = next((base for base in reversed(bases) if base.seq <= until), None)
    if base is None:
        return Beginning(fresh(spec, kind, spec.problem), kind.tally(spec, spec.problem))
    problem = history.problem(base.seq)
    kept, tally = fresh(history.spec(base.seq), kind, problem), kind.tally(spec, problem)
    try:
        kept = snapshot.unpack(snapshot.checked(store.base_parts(base.experiment, base.seq), base.digest), like=kept)
        unpack(store.base_sums(base.experiment, base.seq) or b"", tally.sums)
    except Damaged as error:
        raise _unreadable(base, error) from error
    return Beginning(kept, tally, base.seq, base.decisions)


def parts_of(kept: Any, sums: bytes, experiment: int, seq: int, digest: Any) -> Iterator[SnapshotPart]:
    """Yield what is stored of a base, of a state and its sums; `digest`, a hash, is told the bytes of the state."""
    for number, content in enumerate(snapshot.parts(kept)):
        digest.update(content)
        yield SnapshotPart(experiment, seq, number, content)
    yield SnapshotPart(experiment, seq, SUMS, sums)


def given(
    store: Store, bases: Sequence[Base], spec: Definition, kind: Kind, history: History
) -> Callable[[int, int], Any]:
    """Return what looks up the state of a policy, by its number, at a change of policies, by its seq."""

    def found(seq: int, number: int) -> Any:
        begun = beginning(store, bases, spec, kind, history, seq)
        if begun.seq != seq:
            raise Damaged("no_base", f"the change of policies at seq {seq} has no base: restore a backup")
        state, _ = kind.own.split(begun.kept)
        return states_of(history.spec(seq), state)[number]

    return found


def _unreadable(base: Base, error: Damaged) -> Damaged:
    kept = f"; the events before it are in the archive {base.archive}" if base.archive else ""
    return Damaged(
        "bad_base",
        f"the base at seq {base.seq}, made with {base.versions}, cannot be read ({error}), and what lies before it is "
        f"not in the database any more: restore a backup, or use the version of onearm that made it{kept}",
    )
