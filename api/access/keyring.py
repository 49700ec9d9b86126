"""Whose request it is: the keys of a database in memory, read again twice a second.

A key is looked up by the bytes of its header, so that its digest is computed once. That a dictionary finds these bytes
tells nobody who measures how long it takes how many of them were right: it compares them where their keyed hashes of
64 bits are equal, and nowhere else.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from ...engine.errors import OnearmError
from ...engine.storage.access import Access
from ...engine.storage.records import StoredKey
from ..tasks import ended
from .caller import ANYONE, Caller
from .keys import caller_of, digest_of, id_of

log = logging.getLogger("onearm")

POLL_SECONDS = 0.5
CACHED_MAX = 10_000  # headers
NO_DIGEST = bytes(32)  # is compared with where there is no key of an id


class Keyring:
    """The keys of a database. Without any, everyone may do everything; once there is one, every call needs one.

    That keys have expired or were revoked makes nobody free to call without one. Its methods belong to the event
    loop's thread.
    """

    def __init__(self, access: Access, clock: Callable[[], int]) -> None:
        self._access = access
        self._clock = clock
        self._rows: list[StoredKey] = []
        self._by_id: dict[str, StoredKey] = {}
        self._cached: dict[bytes, Caller] = {}  # by the header
        self._polling: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "onearm-keys")  # asyncio's own may be full of folds for a minute

    async def start(self) -> None:
        """Read the keys, and go on to do so."""
        await self.read()
        self._polling = asyncio.get_running_loop().create_task(self._poll())

    async def stop(self) -> None:
        """Read them no more."""
        await ended(self._polling)
        self._thread.shutdown()

    async def read(self) -> None:
        """Read the keys now."""
        self.take(await asyncio.get_running_loop().run_in_executor(self._thread, self._access.all_keys))

    def take(self, rows: list[StoredKey]) -> None:
        """Go by these keys from now on. None at all where there were some is no database of ours: they stay."""
        if rows and rows != self._rows:
            self._rows, self._by_id, self._cached = rows, {row.id: row for row in rows}, {}

    @property
    def rows(self) -> list[StoredKey]:
        """Return all keys, in the order of their creation."""
        return self._rows

    def find(self, id: str) -> StoredKey | None:
        """Return a key by its id."""
        return self._by_id.get(id)

    def caller(self, fields: Mapping[bytes, bytes]) -> Caller | None:
        """Return whose request has these headers; None where it needs a key and has none that is valid; .5 us."""
        if not self._rows:
            return ANYONE
        if (sent := fields.get(b"authorization")) is None:
            return None
        found = self._cached.get(sent) or self._look_up(sent)
        return found if found is not None and self._clock() < found.until else None

    def caller_by_id(self, id: str | None) -> Caller | None:
        """Return who has the key of an id; None where there is no such one, or it has ended."""
        if not self._rows:
            return ANYONE
        row = None if id is None else self._by_id.get(id)
        found = None if row is None else caller_of(row)
        return found if found is not None and self._clock() < found.until else None

    def _look_up(self, header: bytes) -> Caller | None:
        """Return the caller of a header, and remember it; nothing of one that fits no key is remembered."""
        text = _sent(header)
        row = self._by_id.get(id_of(text) or "")
        if not hmac.compare_digest(digest_of(text), NO_DIGEST if row is None else row.digest) or row is None:
            return None
        if len(self._cached) >= CACHED_MAX:
            self._cached.clear()
        self._cached[header] = caller = caller_of(row)
        return caller

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.read()
            except RuntimeError:  # the one thread is there since the start, so it is the interpreter that ends
                return
            except OnearmError as error:  # the keys that are known stay valid until the database answers again
                log.error("the keys could not be read: %s", error)


def _sent(header: bytes) -> bytes:
    """Return the key in a header: `Bearer KEY`, or `Basic` as browsers send a name and a password, of any name.

    >>> _sent(b"Bearer oa_1_2"), _sent(b"basic " + base64.b64encode(b"me:oa_1_2")), _sent(b"oa_1_2")
    (b'oa_1_2', b'oa_1_2', b'')
    """
    scheme, _, rest = header.partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip()
    if scheme.lower() == b"basic":
        with suppress(binascii.Error):
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
    return b""
