"""Connections that write beside the writer of the log: other tables than its, in any process, without its lock."""

from __future__ import annotations

from sqlalchemy.engine import URL, Connection

from .connections import Connections
from .turns import turns_where_others_take_some


class Beside(Connections):
    """The connections of who writes tables of its own of a database that its writer opened once, and made or migrated.

    SQLite lets one transaction write at a time, and others wait.
    """

    def __init__(self, url: URL, *, write: bool) -> None:
        super().__init__(url, write=write)
        if self._sqlite and write:
            self._turns = turns_where_others_take_some(self._path)

    def _open_to_write(self) -> None:
        """Look at the schema, and leave it and the lock to the writer of the log."""
        self._open_to_read()

    def _connect_writer(self) -> Connection:
        return self._opener.connect()
