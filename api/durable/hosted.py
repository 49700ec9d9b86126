"""Engines with a log whose experiment needs a service: the experiments of the client, at a service in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar
from weakref import finalize

from ...engine.errors import InvalidInput, as_seen
from ...engine.storage.records import Experiment
from ..client.blocking.arms import Arms
from ..client.blocking.connection import Connection
from ..client.blocking.experiment import Remote
from ..client.blocking.lists import Lists
from ..client.blocking.queries import Queries
from ..client.blocking.streams import Stream
from ..client.blocking.vectors import Vectors
from ..kinds.arms.kind import ARMS
from ..kinds.kind import Kind
from ..kinds.lists.kind import LISTS
from ..kinds.queries.kind import QUERIES
from ..kinds.streams.kind import STREAMS
from ..kinds.vectors.kind import VECTORS
from .commits import EACH
from .finding import Found
from .host import ADDRESS, Host, Within
from .journal import Journal
from .owners import Owner, Share

Made = TypeVar("Made")
SECONDS = 5.0  # that a call is tried, where the log is folded again after a commit that failed


class Hosted(Remote):
    """What is at work in this process until it is given up; each call is on record when it returns."""

    _given_up: Callable[[], None]
    _check: Callable[[], None]

    def flush(self) -> None:
        """Commit what is not yet: there is nothing, as each call is on record when it returns. Raises as they do."""
        self._check()

    def give_up(self) -> None:
        """Give the database up; again it does nothing."""
        self._given_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_up()


class HostedArms(Hosted, Arms):
    """Arms at a service in this process."""

    close = Hosted.give_up


class HostedLists(Hosted, Lists):
    """Lists at a service in this process."""

    close = Hosted.give_up


class HostedVectors(Hosted, Vectors):
    """Vectors at a service in this process."""

    close = Hosted.give_up


class HostedQueries(Hosted, Queries):
    """Queries at a service in this process."""

    close = Hosted.give_up


class HostedStream(Hosted, Stream):
    """A stream at a service in this process: `close` says that no more arms will come, `give_up` ends the work here."""


HOSTED: dict[str, type[Hosted]] = {
    ARMS.name: HostedArms,
    LISTS.name: HostedLists,
    VECTORS.name: HostedVectors,
    QUERIES.name: HostedQueries,
    STREAMS.name: HostedStream,
}  # by kind


def hosted(found: Found, commit: Any, policies: Sequence[dict[str, Any]]) -> Any:
    """Return the experiment at a service in this process, with policies that join it.

    Raises `InvalidInput` ("bad_commit") where commits are not to come with each call.
    """
    share, name = found.share, found.row.id
    try:
        if commit != EACH:
            why = found.needs_service or "is given policies"
            raise InvalidInput(
                "bad_commit",
                f"commit is {as_seen(commit)}, and the experiment {name!r} {why}: where something goes on beside "
                "decisions each call is committed; leave commit out",
            )
        host = _host(share.owner, found.row, Host.take_in)
    except BaseException:
        share.give_up()
        raise
    transport = Within(host, name)
    made = _at_service(transport, found.kind, name)
    made._check = transport.check
    made._given_up = finalize(made, _end, transport, host, share, name)
    try:
        for policy in policies:
            made.add_policy(**policy)
    except BaseException:
        made.give_up()
        raise
    return made


def told_of(journal: Journal, tell: Callable[[Any], Made]) -> Made:
    """Return what a service tells of the experiment of a journal: it reads the log, and is gone again."""
    journal.flush()
    owner, row = journal.share.owner, journal.row
    host = _host(owner, row, Host.look_at)
    try:
        return tell(_at_service(Within(host, row.id), journal.kind, row.id))
    finally:
        with owner.lock:
            host.let_go(row.id)
            _stop_if_idle(owner, host)


def _at_service(transport: Within, kind: Kind, name: str) -> Hosted:
    """Return an experiment at a service in this process."""
    connection = Connection(ADDRESS, key=None, timeout=SECONDS, deadline=SECONDS, transport=transport)
    return HOSTED[kind.name](connection, name, None, None, SECONDS)


def _host(owner: Owner, row: Experiment, begin: Callable[[Host, Experiment], None]) -> Host:
    """Return the service of a database in this process, begun where there is none, once it has the experiment."""
    with owner.lock:
        host = owner.host = owner.host or Host(owner.store)
        try:
            begin(host, row)
        except BaseException:
            _stop_if_idle(owner, host)
            raise
    return host


def _end(transport: Within, host: Host, share: Share, name: str) -> None:
    """Let the service work for an experiment no more, and end it where it has no other."""
    transport.is_closed = True
    if not host.is_of_this_process:
        return
    if host.is_at_work_here:  # where memory is cleared up, which may be in any thread
        threading.Thread(target=_end, args=(transport, host, share, name), name="onearm-end").start()
        return
    try:
        with share.owner.lock:
            host.let_go(name)
            _stop_if_idle(share.owner, host)
    finally:
        share.give_up()


def _stop_if_idle(owner: Owner, host: Host) -> None:
    if not host.names:
        owner.host = None
        host.stop()
