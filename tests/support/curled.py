"""The calls of the service that a page shows with curl."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
from support.served import Served

DOCS = Path(__file__).resolve().parents[2] / "docs"
CALL = re.compile(r"^curl (?:-X (POST) )?(?:-d '(.*)' )?http://127\.0\.0\.1:8080(\S+)$", re.MULTILINE)


def answers(served: Served, page: str) -> list[httpx.Response]:
    """Make the calls of a page in their order, and return the answers, none of which is an error."""
    found = []
    for method, body, path in CALL.findall((DOCS / page).read_text()):
        found.append(served.post(path, json.loads(body or "{}")) if method or body else served.get(path))
        assert found[-1].status_code < 300, found[-1].text
    return found
