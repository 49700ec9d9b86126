"""What is answered to those who have no key, once keys are asked for: probes, files of pages, and how to get in."""

from __future__ import annotations

from starlette.types import Scope

from ..access.caller import OPEN
from .endpoint import Answer, problem
from .routes import PAGES, TABLE

OPEN_PATHS = frozenset(entry.path for entry in TABLE if entry.role == OPEN)
FILES = "/static/"  # vendored, the same in every service
BEARER = (b"www-authenticate", b'Bearer realm="onearm"')
BASIC = (b"www-authenticate", b'Basic realm="onearm", charset="UTF-8"')  # a browser then asks its user


def is_open(path: str) -> bool:
    """Tell whether a path is answered without a key."""
    return path in OPEN_PATHS or path.startswith(FILES)


def key_needed(scope: Scope) -> Answer:
    """Return what a request without a valid key gets."""
    if any(name == b"authorization" for name, _ in scope["headers"]):
        code, seen = "invalid_key", "the key is unknown, has ended or was revoked"
    else:
        code, seen = "key_needed", "the request has no key"
    says = f"{seen}: send one that is valid, as Authorization: Bearer oa_... (onearm keys create makes one)"
    answer = problem(401, code, says)
    return answer._replace(headers=(BEARER, BASIC) if scope["path"] in PAGES else (BEARER,))
