"""An export of JSON lines as the events of a new experiment. All of it is checked before anything is written.

What a line must be, a decision that a reward belongs to, and at most one reward each, is looked at as for any reader of
exports. Here events must be whole too, from seq 1 and decision 0 on, and fold to a state: in a database of their own,
which is thrown away.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ...engine.errors import Damaged, InvalidInput, NotFound, OnearmError
from ...engine.storage.events import Events
from ...engine.storage.numerals import natural_in
from ...engine.storage.records import Base, Event, SnapshotPart
from ...engine.storage.store import Store
from ...engine.storage.windows import beside_in, decision_of, early_seq, shown_number, why_closed
from ...engine.vocabulary import (
    ACTIVATION,
    BESIDE,
    CHANGE,
    DECISIONS,
    EARLY,
    EXTERNAL,
    LEARN,
    OUTCOME,
    Columns,
    Feedback,
    Problem,
)
from ..experiment.definition import SAFE_INTEGER_MAX
from ..experiment.ids import check_id
from ..experiment.sizes import made_within
from ..experiment.spec import Spec
from ..experiment.sums import packed
from ..kinds.kind import ANY_JSON, Kind, Several
from ..kinds.streams.moves import read_id
from ..kinds.table import kind_of
from ..log_files import module_of, source_of
from .bases import beginning, parts_of
from .checkpoints import Pause
from .company import Company
from .folded import counted, finished, fold_log
from .history import History, Part, Recast, packed_mask
from .paths import Reset
from .writer import PARTS_MAX, Writer

TOGETHER = 500  # events of one transaction: about 10 ms
TIME_MAX = 253_402_300_799_999_999  # microseconds since 1970 UTC: the end of the year 9999
READS = read_id("")  # so begin the ids of decisions of streams that read an arm: the service makes them
SHOWN = 80  # characters of a line that is refused


class Imported(NamedTuple):
    """A new experiment, with what an export says of it."""

    spec: Spec
    events: Sequence[Event] = ()  # of no experiment yet, and so are bases
    bases: Sequence[tuple[Base, list[SnapshotPart]]] = ()  # of changes that come with one
    archived_at: int | None = None  # microseconds since 1970 UTC


def read_export(body: bytes, experiment_id: str | None, state_bytes: int) -> Imported:
    """Return what an export says, under another id where one is given; runs in a worker thread.

    Raises `InvalidInput` where it is none, a line is bad, or the log is not whole; the state may take `state_bytes`.
    """
    with tempfile.TemporaryDirectory(prefix="onearm-import-") as folder:
        file = Path(folder, "body.jsonl")
        file.write_bytes(body)
        try:
            events = module_of("jsonl").read_events(source_of(file))
            if "policy" not in events.spec:
                raise InvalidInput("no_export", "its first line names no experiment and policy")
            if events.begins:
                raise InvalidInput(
                    "missing_events",
                    f"the log was compacted and begins at its base, event {events.begins}: an export does not hold "
                    "what was learned before, so it cannot be imported",
                )
            spec = _spec(events, experiment_id, state_bytes)
            kind = kind_of(spec.problem)
            found = list(_whole(events, kind, spec.problem))
            if events.bad_lines.count:
                raise _bad_line(events, body)
            history = History(spec, (one for one in found if one.kind == CHANGE), kind.change_types)
            if kind.several is not None:
                _check_several(events, found, kind.several, history)
            if history.roster.joined:  # a state that grew has a limit too
                made_within(spec.policy, history.problem(len(found)), state_bytes)
            rows = list(as_stored(found, history, kind))
            bases = _folded(Path(folder, "fold.db"), spec, kind, rows, history)
        except (Damaged, NotFound) as error:
            raise _refused(error, file) from error
        except InvalidInput as error:
            raise _refused(error, file) from None
    archived_at = max(row.time for row in rows if row.kind == CHANGE) if history.archived else None
    return Imported(spec, rows, bases, archived_at)


async def write_log(store: Store, writer: Writer[Any], key: int, new: Imported) -> None:
    """Write the log of an experiment that is in no list yet, a part of it between the commits of others."""
    for start in range(0, len(new.events), TOGETHER):
        part = [event._replace(experiment=key) for event in new.events[start : start + TOGETHER]]
        await writer.run(store.append, part)
    for base, parts in new.bases:
        for start in range(0, len(parts), PARTS_MAX):
            some = [part._replace(experiment=key) for part in parts[start : start + PARTS_MAX]]
            await writer.run(store.put_base_parts, some)
        await writer.run(store.append, (), (), (), (), [base._replace(experiment=key)])


def _spec(events: Events, experiment_id: str | None, state_bytes: int) -> Spec:
    body = dict(events.spec)
    seed = body.get("seed")
    if isinstance(seed, str) and (number := natural_in(seed)) is not None and number <= SAFE_INTEGER_MAX:
        body["seed"] = number  # in exports it is always a text
    spec = Spec.from_stored(body, state_bytes)
    return spec if experiment_id is None else dataclasses.replace(spec, id=check_id("experiment_id", experiment_id))


def _whole(events: Events, kind: Kind, problem: Problem) -> Iterator[Event]:
    """Yield the events, as long as each is the next one, and what clients said could have been said to the service."""
    seq = number = 0
    ids: set[str] = set()
    early: dict[int, Event] = {}  # by their seqs, those that no reward came as yet
    for event in events.rows:
        if events.bad_lines.count:  # it is said of that line
            continue
        seq += 1
        place = _place(events, seq)
        if event.seq != seq:
            raise InvalidInput("missing_events", _out_of_place(events, event.seq, seq))
        try:
            _check_said(event, kind, ids)
            if event.kind == OUTCOME:
                _check_beside(event, problem)
        except InvalidInput as error:
            raise InvalidInput(error.code, f"{place}: {error}") from None
        except msgspec.DecodeError as error:
            raise InvalidInput("bad_event", f"{place} has sent or detail that is none: {error}") from None
        if event.kind in DECISIONS:
            if event.number != number:
                says = f"{place} decides number {event.number}, and the next decision is {number}"
                raise InvalidInput("missing_decision", says)
            number += 1
        if event.kind in (OUTCOME, ACTIVATION) and (event.number or 0) >= number:
            says = f"{place} is of decision {event.number}, which is not before it"
            raise InvalidInput("missing_decision", says)
        if event.kind == ACTIVATION and shown_number(event) not in (None, number):
            says = f"{place} names decision {shown_number(event)} as shown, and the next one is {number}"
            raise InvalidInput("missing_decision", says)
        if event.kind == EARLY:
            early[event.seq] = event
        if event.kind == OUTCOME and (came_as := early_seq(event)) is not None:
            came = early.pop(came_as, None)
            if came is None or (came.reward, came.reward_id) != (event.reward, event.reward_id):
                says = f"{place} came as the early reward of seq {came_as}, which is another or none before it"
                raise InvalidInput("missing_early", says)
        yield event


def _check_said(event: Event, kind: Kind, ids: set[str]) -> None:
    """Raise where an event says what the service takes from no client, or cannot tell again; `ids` are those seen."""
    if not 0 <= event.time <= TIME_MAX:
        raise InvalidInput("bad_time", f"the time is {event.time}: it is in microseconds, from 1970 to the year 9999")
    if event.sent is not None:
        ANY_JSON.decode(event.sent)
    if event.reward_id:
        check_id("reward_id", event.reward_id)
    if event.kind == EARLY:
        check_id("decision_id", decision_of(event))
    if event.kind not in DECISIONS:
        return
    if event.kind == EXTERNAL and kind.external is None:
        raise InvalidInput("no_examples", f"it is a decision of somebody else, and there are none of {kind.plural}")
    if event.detail is not None:
        kind.decided_detail.decode(event.detail)
    if event.unit_id is not None:
        check_id("unit_id", event.unit_id)
    name = event.decision_id
    if name is None:
        return
    if name in ids:
        raise InvalidInput("decision_exists", f"there is a decision {name!r} before: a decision is made once")
    ids.add(name)
    if kind.moves is None or not name.startswith(READS):
        check_id("decision_id", name)


def _check_several(events: Events, found: Iterable[Event], several: Several, history: History) -> None:
    """Refuse decisions that are not whole, where each of a client's is several."""
    whole = several.whole(history.roster.labels_at)
    for event in found:
        if event.kind in DECISIONS and (fault := whole.fault(event)) is not None:
            raise InvalidInput("bad_list", f"{_place(events, event.seq)}: {fault}")
    if (fault := whole.end()) is not None:
        raise InvalidInput("missing_events", fault)


def _check_beside(outcome: Event, problem: Problem) -> None:
    """Refuse what was told beside a reward where it is nothing of the problem: it would be learned later."""
    told = beside_in(outcome.detail)
    if told is None:
        return
    if len(told) != problem.detail_length or not problem.choice.are_details(np.array([told])).all():
        raise InvalidInput(
            "bad_detail",
            f"the outcome of decision {outcome.number} has the detail {repr(told)[:80]}, and beside its rewards the "
            f"problem has {problem.detail_length} numbers, a cost or a next state that there is: export the log again",
        )


def _place(events: Events, seq: int) -> str:
    """Return what people find an event of the export by; line 1 is its header."""
    return f"event {seq}" if events.bad_lines.place == "event" else f"line {seq + 1}"


def _out_of_place(events: Events, seen: int, seq: int) -> str:
    """Say that an event does not have the seq that comes next."""
    begins = ": a log that was compacted begins at its base, and cannot be imported" if seq == 1 else ""
    if events.bad_lines.place == "event":
        return f"no row holds event {seq}, and the next one is {seen}{begins}"
    return f"line {seq + 1} has the seq {seen}, and must have {seq}{begins}"


def _bad_line(events: Events, body: bytes) -> InvalidInput:
    bad = events.bad_lines
    kind, lines = min(bad.lines.items(), key=lambda found: found[1][0])
    place, total = bad.places[kind], bad.count.total()
    if place == "line":
        line = body.split(b"\n", lines[0])[lines[0] - 1].decode(errors="replace")
        shown = f": it is {line[:SHOWN] + '...' * (len(line) > SHOWN)!r}"
    else:
        shown = f": {bad.reasons[kind]}" if kind in bad.reasons else ""
    return InvalidInput("bad_line", f"{place} {lines[0]} is bad ({kind}), one of {total} bad {place}s{shown}")


def as_stored(events: Iterable[Event], history: History, kind: Kind) -> Iterator[Event]:
    """Yield events as the service writes them: rewards repeat the decision, masks are as long as there were arms."""
    decided: dict[int | None, tuple[int | None, float | None]] = {}
    cut = history.roster.joined and history.problem(0).layout == "dense"
    for event in events:
        if event.kind == LEARN:
            action, propensity = decided[event.number]
            assert event.reward is not None
            if why_closed(event) is None:
                feedback = Feedback(event.reward, np.array(json.loads(event.detail or "[]"), np.float64))
                event = event._replace(detail=kind.detail_json(feedback))
            yield event._replace(action=action, propensity=propensity)
            continue
        if event.kind in BESIDE:
            yield event
            continue
        decided[event.number] = event.action, event.propensity
        if cut and event.available is not None:
            n_arms = int(history.roster.sizes(np.array([event.number]))[0])
            mask = np.unpackbits(np.frombuffer(event.available, np.uint8), count=n_arms)
            event = event._replace(available=packed_mask(mask))
        if event.decision_id is not None:
            event = event._replace(body_hash=hashlib.sha256((event.sent or "{}").encode()).digest())
        yield event


def _folded(
    file: Path, spec: Spec, kind: Kind, rows: list[Event], history: History
) -> list[tuple[Base, list[SnapshotPart]]]:
    """Fold a log in a database of its own; return the bases of its changes of policies, and of states that are set."""
    store = Store.open(f"sqlite:///{file}")
    try:
        row = store.add_experiment("checked", json.dumps(spec.to_json()), b"", spec.versions_json(), 0)
        store.append([event._replace(experiment=row.key) for event in rows])
        if history.recasts(0, len(rows)) or history.paths.resets:
            return list(_bases(store, row.key, spec, kind, rows, history))
        finished(fold_log(row, spec, kind, store))
        return []
    finally:
        store.close()


def _bases(
    store: Store, key: int, spec: Spec, kind: Kind, rows: list[Event], history: History
) -> Iterator[tuple[Base, list[SnapshotPart]]]:
    """Fold a log over its changes of policies and of what they know, and yield the base of each."""
    begun = beginning(store, (), spec, kind, history, 0)
    state, _ = kind.own.split(begun.kept)
    company = Company(spec, history, state, corrections=store.corrections(key))
    tally, counted_to, number = begun.tally, 0, 0
    for part in _parts(store, key, history, [*company.places, len(rows)]):
        if isinstance(part, Pause):
            company.pass_by(part.seq)
            continue
        tally = counted(tally, part)
        if isinstance(part, Columns):
            company.fold(part)
            number += int((part.kind != LEARN).sum())
            continue
        company.change(part)
        if isinstance(part, Recast | Reset):
            tally.count_log(store, key, counted_to, part.seq)
            counted_to, digest = part.seq, hashlib.sha256()
            parts = list(parts_of(company.state, packed(tally.sums), 0, part.seq, digest))
            versions, time = history.spec(part.seq).versions_json(), rows[part.seq - 1].time
            about = (number, digest.hexdigest(), versions, time, part.seq)
            yield Base(0, part.seq, *about, whole=True, of_change=True), parts


def _parts(store: Store, key: int, history: History, places: Sequence[int]) -> Iterator[Part | Pause]:
    """Yield a log, and some places in it."""
    after = 0
    for place in places:
        yield from history.pages(store, key, after, place)
        yield Pause(place)
        after = place


def _refused(error: OnearmError, file: Path) -> InvalidInput:
    says = str(error).replace(str(file), "the export").rstrip(".")
    return InvalidInput(error.code, f"nothing was imported: {says}")
