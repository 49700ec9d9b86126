"""The calls of the service that a page shows with curl."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
from support.served import Served

DOCS = Path(__file__).resolve().parents[2] / "docs"
CALL = re.compile(r"^curl (?:-X (POST|PUT) )?(?:-d '(.*)' )?http://127\.0\.0\.1:8080(\S+)$", re.MULTILINE)


def answers(served: Served, page: str) -> list[httpx.Response]:
    """Make the calls of a page in their order, and return the answers, none of which is an error."""
    found = []
    for method, body, path in CALL.findall((DOCS / page).read_text()):
        verb = method or ("POST" if body else "GET")
        sent = body.encode() if body else b"{}" if verb == "POST" else None
        found.append(served.client.request(verb, path, content=sent))
        assert found[-1].status_code < 300, found[-1].text
    return found
