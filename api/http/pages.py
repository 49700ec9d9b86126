"""The documentation of the API for people, without any request to the outside."""

from __future__ import annotations

from pathlib import Path

from ..service.service import Service
from .dashboard.rendering import page
from .endpoint import Answer, Call

STATIC = Path(__file__).parent / "static"
HELLO = "hello"  # the experiment of an empty database


async def docs(service: Service, call: Call) -> Answer:
    """Show the API's documentation from vendored files."""
    return page(call, "docs.html")
