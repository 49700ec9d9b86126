"""Sessions of browsers: who signed in with a key goes on with a cookie, which says nothing of the key.

A session is in memory alone, for twelve hours, and ends with the service, with its key, or when its owner signs out.
Of a key there are twenty at most: with one more the oldest of that key ends, and none of another.
The cookie is HttpOnly and SameSite=Strict, so no script reads it and no page of another site sends it.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple

from .caller import Caller
from .keyring import Keyring

SECONDS = 12 * 3600
SESSIONS_MAX = 20  # of one key
NAME = "onearm"


class Session(NamedTuple):
    """Whose a session is, and until when."""

    key: str | None  # the id of the key; None where no key is asked for
    until: float


class Sessions:
    """The sessions of a service. Its methods belong to the event loop's thread."""

    def __init__(self, keyring: Keyring, clock: Callable[[], float] = time.monotonic) -> None:
        self._keyring = keyring
        self._clock = clock
        self._begun: dict[str, Session] = {}  # by token
        self._tokens: dict[str | None, deque[str]] = {}  # by key, the oldest first

    def caller_of(self, key: str) -> Caller | None:
        """Return who has a key; None where there is no such one, or it has ended."""
        if not key.isascii():
            return None
        return self._keyring.caller({b"authorization": b"Bearer " + key.strip().encode()})

    def begin(self, caller: Caller) -> str:
        """Return the token of a new session of who has a key that is valid."""
        tokens = self._tokens.setdefault(caller.key, deque())
        while len(tokens) >= SESSIONS_MAX:
            self._forget(tokens[0])
        token = secrets.token_urlsafe(32)
        self._begun[token] = Session(caller.key, self._clock() + SECONDS)
        tokens.append(token)
        return token

    def end(self, fields: Mapping[bytes, bytes]) -> None:
        """End the session of a request, if it has one."""
        if (token := token_of(fields)) in self._begun:
            self._forget(token)

    def caller(self, fields: Mapping[bytes, bytes]) -> Caller | None:
        """Return whose session a request is of; None where it is of none, or the key is not valid any more."""
        found = self._begun.get(token_of(fields))
        return None if found is None or self._clock() >= found.until else self._keyring.caller_by_id(found.key)

    def _forget(self, token: str) -> None:
        self._tokens[self._begun.pop(token).key].remove(token)


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
