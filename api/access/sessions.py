"""Sessions of browsers: who signed in with a key goes on with a cookie, which says nothing of the key.

A session is in memory alone, for twelve hours, and ends with the service, with its key, or when its owner signs out.
The cookie is HttpOnly and SameSite=Strict, so no script reads it and no page of another site sends it.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie

from .caller import Caller
from .keyring import Keyring

SECONDS = 12 * 3600
SESSIONS_MAX = 10_000
NAME = "onearm"


class Sessions:
    """The sessions of a service. Its methods belong to the event loop's thread."""

    def __init__(self, keyring: Keyring, clock: Callable[[], float] = time.monotonic) -> None:
        self._keyring = keyring
        self._clock = clock
        self._headers: OrderedDict[str, tuple[float, bytes]] = OrderedDict()  # by token: end, and header

    def caller_of(self, key: str) -> Caller | None:
        """Return who has a key; None where there is no such one, or it has ended."""
        return self._keyring.caller({b"authorization": _header(key)}) if key.isascii() else None

    def begin(self, key: str) -> str:
        """Return the token of a new session with a key that is valid."""
        while len(self._headers) >= SESSIONS_MAX:
            self._headers.popitem(last=False)
        token = secrets.token_urlsafe(32)
        self._headers[token] = self._clock() + SECONDS, _header(key)
        return token

    def end(self, fields: Mapping[bytes, bytes]) -> None:
        """End the session of a request, if it has one."""
        self._headers.pop(token_of(fields), None)

    def caller(self, fields: Mapping[bytes, bytes]) -> Caller | None:
        """Return whose session a request is of; None where it is of none, or the key is not valid any more."""
        until, header = self._headers.get(token_of(fields), (0.0, b""))
        if not header or self._clock() >= until:
            return None
        return self._keyring.caller({b"authorization": header})


def _header(key: str) -> bytes:
    return b"Bearer " + key.strip().encode()


def token_of(fields: Mapping[bytes, bytes]) -> str:
    """Return the token that a request sends, empty where it sends none.

    >>> token_of({b"cookie": b"other=1; onearm=abc"}), token_of({})
    ('abc', '')
    """
    sent = fields.get(b"cookie")
    if sent is None:
        return ""
    try:
        morsel = SimpleCookie(sent.decode("latin-1")).get(NAME)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def cookie_of(token: str, path: str, secure: bool) -> bytes:
    """Return what sets the cookie of a session; of an empty token what takes it away.

    >>> cookie_of("abc", "/", True)
    b'onearm=abc; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200; Secure'
    """
    seconds = SECONDS if token else 0
    said = f"{NAME}={token}; Path={path}; HttpOnly; SameSite=Strict; Max-Age={seconds}{'; Secure' if secure else ''}"
    return said.encode("latin-1")
