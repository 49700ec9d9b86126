"""The log of a database as a stream: what is committed is sent, in the order of each log, at least once.

The log itself is the outbox: it only grows, and its events are numbered without gaps, so all that has to be kept is how
far each log was sent. That is written when the broker has what was sent; after whatever failure the same is sent again
from there, with the same ids. Nothing is held but one batch: while the broker is away the log waits where it is.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from ...engine.errors import Conflict, Unavailable
from ...engine.storage.formats.jsonl.writer import Writer
from ...engine.storage.outbox import Gone, Outbox
from ...engine.storage.records import Event, Experiment, Published
from ...engine.storage.store import Store
from ..experiment.tenants import DEFAULT, parts_of
from ..service.artefacts import keep_all
from ..service.experiment_log import ExperimentLog, log_of
from .broker import Address, Message, Sender
from .rounds import work

TYPE = "onearm"  # the first word of the type of an event
GAP = f"{TYPE}.gap"  # the type of what says that events were compacted before they could be sent
GONE = f"{TYPE}.gone"  # the type of what says that an experiment was deleted
BATCH, BATCH_BYTES = 4000, 1 << 22  # events that are sent before their places are kept, and their bytes, about
_encode = msgspec.json.Encoder().encode


@dataclass
class Tally:
    """What was sent so far."""

    sent: int = 0
    failures: int = 0  # times that the broker was away, or refused something
    gaps: int = 0
    lag: int = 0  # events that are committed and not sent, when it was looked last


@dataclass
class Publisher:
    """Sends the logs of one database to one stream. One of a stream at a time: two would send everything twice."""

    store: Store
    outbox: Outbox
    address: Address
    pattern: str = "*"  # of the ids of experiments
    say: Callable[[str], None] = lambda text: None
    tally: Tally = field(default_factory=Tally)
    _places: dict[int, int] = field(default_factory=dict)  # the last seq that was sent, by the key of an experiment
    _sender: Sender | None = None

    def __post_init__(self) -> None:
        rows = self.outbox.published()
        self._places = {row.experiment: row.seq for row in rows if row.stream == self.address.name}

    def run(self, pause: float, stop: Callable[[], bool], *, once: bool = False) -> None:
        """Send what there is, again and again until `stop`; with `once` until nothing is left.

        Where the broker or the database fails it is tried again, and that is said. Raises `InvalidInput` where waiting
        never helps.
        """
        try:
            work(lambda: self.round(stop), self._failed, pause, stop, once=once)
        finally:
            self._drop()

    def round(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Send a batch of each log; return how many events were sent. Raises `Unavailable` and `InvalidInput`."""
        if self._sender is None:
            self._open()
        sent = self._send_gone()
        for row in self._experiments():
            if stop():
                break
            place = self._places.get(row.key, 0)
            if self.store.last(row.key)[0] > place:
                sent += self._send_batch(row, log_of(self.store, row), place)
        self.tally.sent += sent
        return sent

    def behind(self) -> int:
        """Return how many events are committed and not sent."""
        self.tally.lag = sum(self.store.last(row.key)[0] - self._places.get(row.key, 0) for row in self._experiments())
        return self.tally.lag

    def _waiting(self) -> str:
        try:
            return f"{self.behind()} events wait; "
        except Unavailable:  # it is the database that is away
            return ""

    def close(self) -> None:
        """Close the database."""
        self._drop()
        self.outbox.close()
        self.store.close()

    def _experiments(self) -> Iterator[Experiment]:
        for row in self.store.experiments():
            if fnmatchcase(parts_of(row.id)[1], self.pattern):
                yield row

    def _send_batch(self, row: Experiment, log: ExperimentLog, place: int) -> int:
        if place < log.begins:
            self.say(f"{row.id}: events {place + 1} to {log.begins} were compacted before they were sent: {log.note}")
            self._send(row, [(log.begins, gap_of(row, place, log.begins))])
            self.tally.gaps += 1
            return 1
        lines = Writer(io.BytesIO(), log.problem, log.spec)
        messages: list[tuple[int, Message]] = []
        size = 0
        try:
            for page in log.pages(place):
                messages += [(event.seq, message_of(row, event, lines.line(event))) for event in page]
                size += sum(len(message.body) for _, message in messages[-len(page) :])
                if len(messages) >= BATCH or size >= BATCH_BYTES:
                    break
        except Conflict:  # compacted at this moment: the next round sees it
            return 0
        if not messages:
            self._keep(row.key, log.size)  # erased, all of them
            return 0
        self._send(row, messages)
        return len(messages)

    def _open(self) -> None:
        """Open the stream. Where it lost what it had, all is sent again: half a log helps nobody."""
        self._sender = self.address.sender()
        if self._sender.empty and any(self._places.values()):
            events = sum(self._places.values())
            self.say(
                f"{self.address.name} is empty, though {events} events were sent to it: all logs are sent again from "
                "their start"
            )
            for key in list(self._places):
                self._keep(key, 0)

    def _send_gone(self) -> int:
        """Say of experiments that were deleted that they are gone; return of how many."""
        rows = self.outbox.gone(self.address.name)
        for row in rows:
            assert self._sender is not None, "a round opens it"
            if not self._sender.send([gone_of(row)]):
                raise Unavailable("not_stored", f"{self.address.name} has not stored that {row.id} was deleted")
            self.outbox.forget(self.address.name, row.experiment)
            self._places.pop(row.experiment, None)
        return len(rows)

    def _send(self, row: Experiment, messages: list[tuple[int, Message]]) -> None:
        assert self._sender is not None, "a round opens it"
        stored = self._sender.send([message for _, message in messages])
        if stored:
            self._keep(row.key, messages[stored - 1][0])
        if stored < len(messages):
            raise Unavailable(
                "not_stored", f"{self.address.name} has {stored} of {len(messages)} messages that were sent to it"
            )

    def _keep(self, key: int, seq: int) -> None:
        self.outbox.advance(Published(self.address.name, key, seq, time.time_ns() // 1000))
        self._places[key] = seq

    def _failed(self, error: Unavailable, wait: float) -> None:
        self._drop()
        self.tally.failures += 1
        self.say(f"{error}; {self._waiting()}trying again in {wait:g} s")

    def _drop(self) -> None:
        if self._sender is not None:
            sender, self._sender = self._sender, None
            sender.close()


def message_of(row: Experiment, event: Event, line: Any) -> Message:
    """Return an event as a CloudEvent in JSON, whose data is its line of an export."""
    kind = type(line).__name__.lower()
    return _message(row.id, id_of(row, event.seq), event.seq, f"{TYPE}.{kind}", event.time, line)


def gap_of(row: Experiment, after: int, until: int) -> Message:
    """Return what says that the events after a seq, up to another, are in an archive and not in the stream."""
    data = {"after": after, "until": until}
    return _message(row.id, f"{id_of(row, until)}-gap", until, GAP, time.time_ns() // 1000, data)


def gone_of(row: Gone) -> Message:
    """Return what says that an experiment was deleted, and that what lay behind a seq was never sent."""
    id = f"{row.created_at}-{row.experiment}-gone"
    return _message(row.id, id, row.seq, GONE, row.deleted_at, {"after": row.seq})


def id_of(row: Experiment, seq: int) -> str:
    """Return the id of an event, which no event of another database has: none was created there at the same time."""
    return f"{row.created_at}-{row.key}-{seq}"


def _message(experiment: str, id: str, seq: int, kind: str, at: int, data: Any) -> Message:
    tenant, name = parts_of(experiment)
    said = {
        "specversion": "1.0",
        "id": id,
        "source": f"/v1/experiments/{name}" if tenant == DEFAULT else f"/tenants/{tenant}/v1/experiments/{name}",
        "type": kind,
        "time": datetime.fromtimestamp(at / 1e6, UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "sequence": f"{seq:019}",  # an extension of CloudEvents: such texts stand in the order of the log
        "data": data,
    }
    return Message(id, experiment, _encode(said))


def open_publisher(database: str, address: Address, pattern: str, say: Callable[[str], None]) -> Publisher:
    """Open a database, which may be in use, to publish its logs."""
    store = Store.open(database, write=False)
    try:
        keep_all(store)
        return Publisher(store, Outbox.open(database), address, pattern, say)
    except BaseException:
        store.close()
        raise
