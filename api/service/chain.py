"""The chain of archives: each folds from one base of a log to the next, and every decision in it is made again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

from ...engine.errors import Damaged, OnearmError
from ...engine.storage.records import SUMS, Base, Experiment, Snapshot, SnapshotPart
from ...engine.storage.store import Store
from ..experiment.spec import Spec
from ..kinds.kind import Kind
from ..log_files import module_of, source_of
from .archives import Archives, sha256_of
from .bases import beginning, given
from .checkpoints import Before, with_checkpoints
from .company import Company
from .history import History
from .importing import as_stored
from .verification import verify

PAGE = 1000  # events of one transaction


class Link(NamedTuple):
    """What lies between two bases, and what was found of it."""

    seq: int  # of the second base
    events: int
    archive: str | None
    state: Literal[
        "verified", "dropped", "missing", "not erased", "blank", "wrong"
    ]  # blank: some events are, so none can be folded
    note: str | None = None  # what is wrong


def verified_chain(
    store: Store,
    row: Experiment,
    spec: Spec,
    kind: Kind,
    archives: Archives,
    progress: Callable[[int], None] = lambda events: None,
) -> Iterator[Link]:
    """Verify what lies before each base of an experiment, oldest first, by its archive."""
    former, blank = 0, store.blank_seqs(row.key)
    for base in store.bases(row.key):
        if base.whole:  # an erasure made it: what lies before is part of the next link
            continue
        link = Link(base.seq, base.seq - former, base.archive, "verified")
        if base.archive is None:
            yield link._replace(state="dropped")
        elif not archives.has(base.archive):
            where = f"is not in {archives.place}"
            if archives.place is None:
                where = "is looked for nowhere: say --archives FOLDER, where those of this database are"
            yield link._replace(state="missing", note=f"the archive {base.archive} {where}")
        else:
            try:
                held = _held(base.archive, store, row.key, former, base, archives)
                with archives.reading(base.archive) as file:
                    fault = _fault(file, store, row, spec, kind, former, base, progress)
            except (OnearmError, OSError) as error:
                held, fault = False, str(error)
            if held:
                note = f"the archive {base.archive} holds decisions that were erased: start the service, or erase again"
                yield link._replace(state="not erased", note=note)
            elif fault is None:
                yield link
            elif any(former < seq <= base.seq for seq in blank):
                yield link._replace(state="blank")
            else:
                yield link._replace(state="wrong", note=f"the archive {base.archive} does not verify: {fault}")
        former = base.seq


def _held(name: str, store: Store, key: int, former: int, base: Base, archives: Archives) -> bool:
    """Tell whether an archive says something of decisions that are blank in the database."""
    numbers = store.erased_between(key, former, base.seq)
    left = store.unblanked().get(key, []) if numbers else []  # an erasure under way comes to the archive first
    return archives.tells(name, set(numbers).difference(left))


def _fault(
    file: Path,
    store: Store,
    row: Experiment,
    spec: Spec,
    kind: Kind,
    former: int,
    base: Base,
    progress: Callable[[int], None],
) -> str | None:
    """Return what is wrong with an archive, where something is."""
    if sha256_of(file) != base.archive_sha256:
        return "its sha256 is another than the one on record"
    changes = [change for change in store.changes(row.key) if change.seq <= base.seq]
    earlier = [change for change in changes if change.seq <= former]
    history, whole = (History(spec, some, kind.change_types) for some in (earlier, changes))
    bases = store.bases(row.key)
    begun = beginning(store, bases, spec, kind, history, former)
    beginning(store, bases, spec, kind, whole, base.seq)  # raises where it is not whole
    with (
        tempfile.TemporaryDirectory(prefix="onearm-verify-") as folder,
        closing(Store.open(f"sqlite:///{folder}/archive.db")) as beside,
    ):
        key = beside.add_experiment(row.id, row.spec, b"", row.versions, 0).key
        _copy_bases(store, row.key, beside, key, former, base, whole.spec(base.seq).versions_json())
        beside.append([change._replace(experiment=key) for change in earlier])
        _copy_events(file, beside, key, kind, whole)
        if beside.last(key)[0] != base.seq:
            return f"it does not end with the event {base.seq}"
        state, _ = kind.own.split(begun.kept)
        before = Before(store, row.key, spec, kind, history, begun)
        found_by = given(store, bases, spec, kind, whole)
        company = Company(spec, whole, state, former, base.seq, found_by, beside.corrections(key))
        pages = with_checkpoints(beside, key, spec, kind, base.seq, begun, company.places)
        found = verify(company, pages, progress, before)
    if found.first_difference is not None:
        return found.note or f"decision {found.first_difference} comes out differently"
    return None if found.bad_snapshot is None else f"it does not fold to the base at seq {base.seq}"


def _copy_bases(store: Store, key: int, to: Store, as_key: int, former: int, base: Base, versions: str) -> None:
    """Copy the base that an archive begins with, and the one that it ends with as a snapshot, to be compared."""
    if former:
        parts = enumerate(store.base_parts(key, former))
        to.put_base_parts([SnapshotPart(as_key, former, number, part) for number, part in parts])
        to.put_base_parts([SnapshotPart(as_key, former, SUMS, store.base_sums(key, former) or b"")])
        (known,) = (one for one in store.bases(key) if one.seq == former)
        to.put_base(known._replace(experiment=as_key))
    for number, part in enumerate(store.base_parts(key, base.seq)):
        to.append([], (), [SnapshotPart(as_key, base.seq, number, part)])
    sums = SnapshotPart(as_key, base.seq, SUMS, store.base_sums(key, base.seq) or b"")
    to.append([], (), [sums], [Snapshot(as_key, base.seq, base.decisions, base.digest, versions)])


def _copy_events(file: Path, to: Store, key: int, kind: Kind, history: History) -> None:
    """Copy the events of an archive into a database, as the service wrote them."""
    events = module_of("parquet").read_events(source_of(file))
    rows = as_stored(events.rows, history, kind)
    while page := list(islice(rows, PAGE)):
        to.append([event._replace(experiment=key) for event in page])
    if events.bad_lines.count:
        bad = events.bad_lines.count
        raise Damaged("bad_lines", f"{bad.total()} of its rows are bad ({dict(bad)})")
