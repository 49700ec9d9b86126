"""Keys: oa_ID_SECRET, where the secret has 256 random bits. The database has the SHA-256 of the whole alone.

>>> import re
>>> made = new_key("web", "shop", ["write"], now=0)
>>> re.fullmatch("oa_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", made.text) is not None
True
>>> id_of(made.text.encode()) == made.row.id, digest_of(made.text.encode()) == made.row.digest
(True, True)
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from typing import NamedTuple

from ...engine.errors import Conflict, InvalidInput
from ...engine.storage.records import StoredKey
from ..experiment.tenants import check_tenant
from .caller import EVERY, FOREVER, ROLES, Caller, roles_of

ID_BYTES = 6
SECRET_BYTES = 32
NAME_MAX = 100  # characters, of a pattern as well
SECOND = 1_000_000  # microseconds
DAY_SECONDS = 86_400
SECONDS_MAX = 100 * 365 * DAY_SECONDS
KEY = re.compile(rb"oa_([0-9a-f]{%d})_[A-Za-z0-9_-]{43}" % (2 * ID_BYTES))


class NewKey(NamedTuple):
    """A key that was just made, and its row; the text is shown once and kept nowhere."""

    text: str
    row: StoredKey


def new_key(
    name: str,
    tenant: str | None,
    roles: Iterable[str],
    *,
    now: int,
    experiments: str = EVERY,
    seconds: float | None = None,
) -> NewKey:
    """Make a key, which ends `seconds` after `now` (microseconds since 1970 UTC), or never.

    A tenant of None makes it the operator's. Raises `InvalidInput` where a name, tenant, role or pattern is none.
    """
    named = sorted(set(roles))
    if not named or not set(named) <= set(ROLES):
        raise InvalidInput("bad_role", f"the roles are {', '.join(named)[:80] or 'none'}: take of {', '.join(ROLES)}")
    for what, text in (("name", name), ("pattern of experiments", experiments)):
        if not 1 <= len(text) <= NAME_MAX or not text.isprintable():
            raise InvalidInput(
                "bad_name", f"the {what} is {text[:80]!r}: it must have 1 to {NAME_MAX} printable characters"
            )
    expires = None if seconds is None else now + int(check_seconds("until the key ends", seconds) * SECOND)
    if tenant is not None:
        check_tenant(tenant)
    id = secrets.token_hex(ID_BYTES)
    text = f"oa_{id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    row = StoredKey(id, digest_of(text.encode()), name, tenant, ",".join(named), experiments, now, expires)
    return NewKey(text, row)


def key_like(old: StoredKey, *, now: int) -> NewKey:
    """Make a key that may do what another one may, for as long as that one was made for.

    Raises `Conflict` where that one has ended: nobody may do by it any more what it could.
    """
    if caller_of(old).until <= now:
        raise Conflict("key_ended", f"the key {old.id!r} has ended or was revoked: make a new one")
    seconds = None if old.expires_at is None else (old.expires_at - old.created_at) / SECOND
    roles = old.roles.split(",")
    return new_key(old.name, old.tenant, roles, now=now, experiments=old.experiments, seconds=seconds)


def check_seconds(what: str, seconds: float) -> float:
    """Return a number of seconds that is from 0 to a hundred years."""
    if not 0 <= seconds <= SECONDS_MAX:
        raise InvalidInput("bad_seconds", f"the seconds {what} are {seconds:g}: they must be from 0 to {SECONDS_MAX}")
    return seconds


def digest_of(text: bytes) -> bytes:
    """Return what is kept of a key."""
    return hashlib.sha256(text).digest()


def id_of(text: bytes) -> str | None:
    """Return the id in a key; None where it is no key."""
    found = KEY.fullmatch(text)
    return None if found is None else found[1].decode()


def caller_of(row: StoredKey) -> Caller:
    """Return who asks with a key."""
    until = min(row.expires_at or FOREVER, row.revoked_at or FOREVER)
    return Caller(row.id, row.tenant, roles_of(row.roles.split(",")), row.experiments, until)
