"""Who must wait outside: those who have no key, once keys are asked for, and those who ask too often."""

from __future__ import annotations

import math

from starlette.types import Scope

from ..access.caller import NOBODY, OPEN
from .call import Call
from .dashboard.session import sign_in
from .endpoint import Answer, problem
from .routes import TABLE, is_page

OPEN_PATHS = frozenset(entry.path for entry in TABLE if entry.role == OPEN)
FILES = "/static/"  # vendored, the same in every service
BEARER = (b"www-authenticate", b'Bearer realm="onearm"')


def is_open(path: str) -> bool:
    """Tell whether a path is answered without a key."""
    return path in OPEN_PATHS or path.startswith(FILES)


def key_needed(scope: Scope) -> Answer:
    """Return what a request without a valid key gets: of a page one that asks a person for a key."""
    if scope["method"] in ("GET", "HEAD") and is_page(scope["path"]):
        asked = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
        answer = sign_in(Call({}, scope["fields"], scope["query_string"], b"", NOBODY, scope), 401, asked)
        return answer._replace(headers=(*answer.headers, BEARER))
    if b"authorization" in scope["fields"]:
        code, seen = "invalid_key", "the key is unknown, has ended or was revoked"
    else:
        code, seen = "key_needed", "the request has no key"
    says = f"{seen}: send one that is valid, as Authorization: Bearer oa_... (onearm keys create makes one)"
    answer = problem(401, code, says)
    return answer._replace(headers=(BEARER,))


def too_many_requests(per_second: float, seconds: float) -> Answer:
    """Return what a key gets that asked too often; it may ask again after so many seconds."""
    says = f"the key asks more than {per_second:g} times a second (--max-requests-per-second): wait, or send batches"
    answer = problem(429, "too_many_requests", says)
    return answer._replace(headers=((b"retry-after", b"%d" % math.ceil(seconds)),))
