"""How far logs were published to the streams of brokers, in SQL. The log itself is what is to be published.

The table is written beside the writer of the log, as keys are: by one publisher of a stream, in any process.

>>> import tempfile
>>> from .store import Store
>>> folder = tempfile.TemporaryDirectory()
>>> service = Store.open(f"sqlite:///{folder.name}/run.db")
>>> hello = service.add_experiment("hello", "{}", b"", "{}", 0)
>>> outbox = Outbox.open(f"sqlite:///{folder.name}/run.db")
>>> outbox.advance(Published("nats://here/onearm", hello.key, 7, time=1))
>>> outbox.advance(Published("nats://here/onearm", hello.key, 9, time=2))
>>> [(row.seq, row.time) for row in outbox.published()]
[(9, 2)]
>>> outbox.close()
>>> service.close()
>>> folder.cleanup()
"""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from . import schema
from .beside import Beside
from .connections import Connections
from .records import Published
from .tables import EXPERIMENT, PUBLISHED


class Gone(NamedTuple):
    """An experiment that was deleted after some of its log was published."""

    experiment: int  # its key
    id: str
    created_at: int  # microseconds since 1970 UTC
    deleted_at: int  # microseconds since 1970 UTC
    seq: int  # of the last event that was published


class Places(Connections):
    """How far every log was published, of a database of this schema; raises `Unavailable` as `Store`."""

    def published(self) -> list[Published]:
        """Return how far every log was published, to every stream."""
        query = sa.select(PUBLISHED).order_by(PUBLISHED.c.stream, PUBLISHED.c.experiment)
        return [Published._make(row) for row in self._read_core(query)]


class Outbox(Beside, Places):
    """The same, to be written by whoever publishes."""

    revision_read = schema.PUBLISHED

    def advance(self, row: Published) -> None:
        """Write how far a log was published to a stream."""
        place = (PUBLISHED.c.stream == row.stream) & (PUBLISHED.c.experiment == row.experiment)
        with self._transaction() as connection:
            done = connection.execute(sa.update(PUBLISHED).where(place).values(seq=row.seq, time=row.time))
            if not done.rowcount:
                connection.execute(sa.insert(PUBLISHED).values(row._asdict()))

    def gone(self, stream: str) -> list[Gone]:
        """Return the experiments that were deleted, of those that were published to a stream."""
        row = EXPERIMENT.c
        query = (
            sa.select(row.key, row.id, row.created_at, row.deleted_at, PUBLISHED.c.seq)
            .join(PUBLISHED, PUBLISHED.c.experiment == row.key)
            .where(PUBLISHED.c.stream == stream, row.deleted_at.is_not(None))
            .order_by(row.key)
        )
        return [Gone._make(found) for found in self._read_core(query)]

    def forget(self, stream: str, experiment: int) -> None:
        """Forget how far a log was published to a stream, as nothing more will come of it."""
        place = (PUBLISHED.c.stream == stream) & (PUBLISHED.c.experiment == experiment)
        with self._transaction() as connection:
            connection.execute(sa.delete(PUBLISHED).where(place))
