"""Rewards that wait for the service, in a file of SQLite: they are there after a restart.

A process that dies loses none of them; where the machine itself loses power the last moments may be lost.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ...engine.errors import InvalidInput, OnearmError, Unavailable, as_seen
from .decided import Shown

MOST = 100_000  # rewards that wait
FORMAT = 2
TABLES = """
CREATE TABLE IF NOT EXISTS rewards (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    experiment TEXT NOT NULL,
    decision_id TEXT NOT NULL,
    body BLOB NOT NULL,
    asked BLOB,
    action_id TEXT,
    propensity REAL,
    filled BLOB,
    time REAL NOT NULL,
    code TEXT,
    detail TEXT
);
CREATE INDEX IF NOT EXISTS waiting ON rewards (number) WHERE code IS NULL;
CREATE TABLE IF NOT EXISTS service (base_url TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS counts (waiting INTEGER NOT NULL, refused INTEGER NOT NULL, sent INTEGER NOT NULL);
INSERT INTO counts SELECT 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM counts);
CREATE TRIGGER IF NOT EXISTS came AFTER INSERT ON rewards BEGIN UPDATE counts SET waiting = waiting + 1; END;
CREATE TRIGGER IF NOT EXISTS went AFTER DELETE ON rewards BEGIN
    UPDATE counts SET waiting = waiting - (old.code IS NULL), refused = refused - (old.code IS NOT NULL);
END;
CREATE TRIGGER IF NOT EXISTS judged AFTER UPDATE OF code ON rewards BEGIN
    UPDATE counts SET waiting = waiting + (new.code IS NULL) - (old.code IS NULL),
        refused = refused + (new.code IS NOT NULL) - (old.code IS NOT NULL);
END;
"""  # counted as they come and go: a put then takes as long however many wait
# Format 1 had what was in the slots of a list in place of what was asked, and told that by a missing action.
FROM_1 = (
    "ALTER TABLE rewards ADD COLUMN filled BLOB",
    "UPDATE rewards SET filled = asked, asked = x'' WHERE asked IS NOT NULL AND action_id IS NULL",
)


class Waiting(NamedTuple):
    """A reward that waits."""

    number: int
    experiment: str
    decision_id: str
    body: bytes  # as an item of a batch
    shown: Shown | None  # where the service was away when the decision was made


class Refused(NamedTuple):
    """A reward that the service refused for good, and why."""

    number: int
    experiment: str
    decision_id: str
    body: bytes
    code: str
    detail: str


class Standing(NamedTuple):
    """How many rewards wait, were refused and are kept aside, and were sent since the file was made."""

    waiting: int
    refused: int
    sent: int
    trouble: str | None  # why nothing can be sent now


class RewardQueue:
    """The file. Threads may share it, and so may processes: one of them sends."""

    def __init__(self, path: Path, base_url: str, most: int = MOST) -> None:
        """Open a file, or make it; it holds rewards for the service at one address.

        Raises `InvalidInput` ("bad_queue") where it is none, or for the service at another address.
        """
        self.path = path.absolute()  # also where the process goes to another directory
        self.most = most
        self.trouble: str | None = None
        self.news = threading.Event()  # that something was put in
        self._lock = threading.Lock()
        self._is_open = True
        try:
            self._file = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
            try:
                self._begin(base_url.rstrip("/"))
            except BaseException:
                self._file.close()
                raise
        except sqlite3.Error as error:
            raise InvalidInput(
                "bad_queue",
                f"the queue {str(path)!r} cannot be opened ({error}), and is left as it is: name a file of a queue, or "
                "a new one; of a damaged file `sqlite3 FILE .recover` saves the rewards that can be read",
            ) from None
        self._is_at = _place(self.path)

    def _begin(self, base_url: str) -> None:
        """Make a new file a queue; raises `InvalidInput` for one that is something else, or damaged, and leaves that
        as it is.
        """
        ((found, tables),) = self._file.execute(
            "SELECT user_version, (SELECT group_concat(name) FROM sqlite_master WHERE type = 'table') "
            "FROM pragma_user_version"
        )
        ((sound,),) = self._file.execute("PRAGMA quick_check(1)")
        if sound != "ok":
            raise sqlite3.DatabaseError(f"it is damaged: {' '.join(sound.split())}")
        held = set((tables or "").split(","))
        if held != {""} if found == 0 else not {"rewards", "counts"} <= held:
            raise InvalidInput(
                "bad_queue",
                f"the queue {str(self.path)!r} is a database of something else (it has the tables {tables}): name a "
                "file of a queue, or a new one",
            )
        if found > FORMAT:
            raise InvalidInput(
                "bad_queue",
                f"the queue {str(self.path)!r} was written by a newer onearm (format {found}, this one reads "
                f"{FORMAT}): take that one, or name another file",
            )
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = NORMAL")
        if found == 0:
            self._file.executescript(f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")
            self._file.execute("INSERT INTO service SELECT ? WHERE NOT EXISTS (SELECT 1 FROM service)", (base_url,))
        elif found < FORMAT:
            self._bring_up()
        ((known,),) = self._file.execute("SELECT base_url FROM service")
        if known != base_url:
            raise InvalidInput(
                "bad_queue",
                f"the queue {str(self.path)!r} holds rewards for the service at {known}, and base_url is {base_url}: "
                "name another file, or, where that service has moved, say so with onearm.client.move_queue",
            )

    def _bring_up(self) -> None:
        """Bring a file of format 1 to this one; another process may have done so just now."""
        self._file.execute("BEGIN IMMEDIATE")
        try:
            ((found,),) = self._file.execute("PRAGMA user_version")
            for statement in (*FROM_1, f"PRAGMA user_version = {FORMAT}") if found < FORMAT else ():
                self._file.execute(statement)
        except BaseException:
            self._file.execute("ROLLBACK")
            raise
        self._file.execute("COMMIT")

    def put(self, experiment: str, decision_id: str, body: bytes, shown: Shown | None = None) -> None:
        """Let a reward wait. Raises `Unavailable` where too many do ("queue_full"), or the file fails or is gone
        ("queue_failed"): it is not in the file then.
        """
        if _place(self.path) != self._is_at:
            raise Unavailable(
                "queue_failed",
                f"the file of the queue {str(self.path)!r} was deleted or replaced: what waited in it is sent as long "
                "as this client is open; close it, and open another one",
            )
        was = (None, None, None, None) if shown is None else _columns(shown)
        with self._lock:
            put = self._do(
                "INSERT INTO rewards (experiment, decision_id, body, asked, action_id, propensity, filled, time) "
                "SELECT ?, ?, ?, ?, ?, ?, ?, ? WHERE (SELECT waiting FROM counts) < ?",
                *(experiment, decision_id, body, *was, time.time(), self.most),
            )
        if not put.rowcount:
            raise Unavailable(
                "queue_full",
                f"{self.most} rewards wait in {str(self.path)!r}{self._why()}: bring the service back, or allow more "
                "(queue_max)",
            )
        self.news.set()

    def waiting(self, most: int, but: Collection[str] = ()) -> list[Waiting]:
        """Return those that wait, the oldest first, `but` for those of some experiments."""
        held = ", ".join("?" * len(but))
        rows = self._rows(
            "SELECT number, experiment, decision_id, body, asked, action_id, propensity, filled FROM rewards "
            f"WHERE code IS NULL AND experiment NOT IN ({held}) ORDER BY number LIMIT ?",
            *but,
            most,
        )
        return [
            Waiting(number, experiment, decision_id, body, None if asked is None else _shown(asked, *was))
            for number, experiment, decision_id, body, asked, *was in rows
        ]

    def sent(self, numbers: Sequence[int]) -> None:
        """Take out what the service has."""
        with self._lock:
            self._do("BEGIN IMMEDIATE")
            try:
                for number in numbers:
                    gone = self._do("DELETE FROM rewards WHERE number = ?", number).rowcount
                    self._do("UPDATE counts SET sent = sent + ?", gone)
            except BaseException:
                self._do("ROLLBACK")
                raise
            self._do("COMMIT")

    def refuse(self, number: int, error: OnearmError) -> None:
        """Keep aside what the service refuses for good."""
        with self._lock:
            self._do("UPDATE rewards SET code = ?, detail = ? WHERE number = ?", error.code, str(error), number)

    def refused(self) -> list[Refused]:
        """Return what the service refused for good, and why, the oldest first."""
        rows = self._rows(
            "SELECT number, experiment, decision_id, body, code, detail FROM rewards "
            "WHERE code IS NOT NULL ORDER BY number"
        )
        return [Refused(*row) for row in rows]

    def retry_refused(self) -> int:
        """Let all that was refused wait again, once what was wrong is mended; return how many."""
        with self._lock:
            changed = self._do("UPDATE rewards SET code = NULL, detail = NULL WHERE code IS NOT NULL").rowcount
        self.news.set()
        return changed

    def drop_refused(self) -> int:
        """Forget all that was refused; return how many."""
        with self._lock:
            return self._do("DELETE FROM rewards WHERE code IS NOT NULL").rowcount

    def standing(self) -> Standing:
        """Return how many wait, were refused and were sent."""
        ((waiting, refused, sent),) = self._rows("SELECT waiting, refused, sent FROM counts")
        return Standing(waiting, refused, sent, self.trouble)

    def flush(self, seconds: float) -> bool:
        """Wait until nothing waits, for so many seconds at most; return whether that is so."""
        until = time.monotonic() + seconds
        while self.standing().waiting:
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True

    def close(self) -> None:
        """Close the file; what waits stays in it."""
        with self._lock:
            self._is_open = False
            self._file.close()

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._do(statement, *values).fetchall()

    def _do(self, statement: str, *values: object) -> sqlite3.Cursor:
        """Run a statement; the caller has the lock. Raises `Unavailable` ("queue_failed") where the file fails."""
        if not self._is_open:
            raise InvalidInput("queue_closed", f"the queue {as_seen(str(self.path))} is closed: open a new client")
        try:
            return self._file.execute(statement, values)
        except sqlite3.Error as error:
            raise Unavailable(
                "queue_failed",
                f"the queue {str(self.path)!r} cannot be read or written ({error}): see that the disk has room, that "
                "nothing else holds or changes the file, and that it is whole (sqlite3 FILE 'PRAGMA quick_check')",
            ) from error

    def _why(self) -> str:
        return "" if self.trouble is None else f" ({self.trouble})"


def _columns(shown: Shown) -> tuple[bytes, str | None, float | None, bytes | None]:
    """Return what was shown as columns."""
    filled = None if shown.filled is None else msgspec.json.encode(shown.filled)
    return shown.asked, shown.action_id, shown.propensity, filled


def _shown(asked: bytes, action_id: str | None, propensity: float | None, filled: bytes | None) -> Shown:
    """Return what was shown, of its columns."""
    slots = None if filled is None else msgspec.json.decode(filled, type=dict[str, str])
    return Shown(asked, action_id, propensity, slots)


def move_queue(path: str | Path, base_url: str) -> None:
    """Let what waits in a file go to a service that has moved to another address; no client may have the file open."""
    if not Path(path).is_file():
        raise InvalidInput("bad_queue", f"there is no queue {str(path)!r}: name its file")
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            file.execute("UPDATE service SET base_url = ?", (base_url.rstrip("/"),))
    except sqlite3.Error as error:
        raise InvalidInput("bad_queue", f"{str(path)!r} is no queue ({error}): name its file") from None


def _place(path: Path) -> tuple[int, int] | None:
    """Return which file is at a path: its device and its number there; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
