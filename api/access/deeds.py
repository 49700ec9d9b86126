"""What was done is noted in the audit log: at once, or where that fails as soon as the database takes it.

A change is committed where it belongs, and its deed in a transaction of its own afterwards: only then is known what was
made, or how many decisions were erased. Where the deed alone cannot be written the change was made all the same, so
whoever asked for it is told so; nothing else that needs a deed is done until it is written. So a deed that waits is no
secret, and no more of them wait than calls were at work at once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from contextlib import suppress

from ...engine.errors import OnearmError, Unavailable
from ...engine.storage.access import Access
from ...engine.storage.records import Deed

log = logging.getLogger("onearm")

AGAIN_SECONDS = 1.0


class Deeds:
    """The deeds that are not written yet. Its public methods belong to the event loop's thread."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._waiting: deque[Deed] = deque()
        self._writing = threading.Lock()
        self._again: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Raise `Unavailable` where what was done before still cannot be noted: nothing may be done then."""
        if not self._waiting:
            return
        try:
            await asyncio.to_thread(self._write)
        except OnearmError as error:
            raise Unavailable(
                "audit_unwritten",
                f"nothing was done, as the audit log lacks what was done before and cannot be written: {error}",
            ) from error

    async def note(self, deed: Deed) -> None:
        """Write what was done, or see that it is written later."""
        self._waiting.append(deed)
        try:
            await asyncio.to_thread(self._write)
        except Exception as error:  # whatever it is: it was done
            log.error("the audit log lacks %s until it can be written: %s", deed, error)
            if self._again is None or self._again.done():
                self._again = asyncio.get_running_loop().create_task(self._write_later())

    async def stop(self) -> None:
        """Write what waits; what still cannot be written is in the log of the service alone."""
        if self._again is not None:
            self._again.cancel()
        try:
            await asyncio.to_thread(self._write)
        except Exception as error:
            for deed in self._waiting:
                log.critical("%s is not in the audit log, which could not be written: %s", deed, error)

    async def _write_later(self) -> None:
        while self._waiting:
            await asyncio.sleep(AGAIN_SECONDS)
            with suppress(Exception):  # it was said
                await asyncio.to_thread(self._write)
        log.warning("the audit log has all that was done again")

    def _write(self) -> None:
        """Write all that waits, in order. Runs in a worker thread, which nothing cancels."""
        with self._writing:
            while self._waiting:
                self._access.note(self._waiting[0])
                self._waiting.popleft()
