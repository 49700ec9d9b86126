"""Is it up, and can it answer?"""

from __future__ import annotations

from ..service.service import Service
from .endpoint import Answer, Call
from .schemas import Health


async def alive(service: Service, call: Call) -> Answer:
    """Say that the process runs."""
    return Answer(200, Health("alive"))


async def ready(service: Service, call: Call) -> Answer:
    """Say whether every experiment can answer; 503 while one folds its log."""
    return Answer(200, Health("ready")) if service.ready else Answer(503, Health("recovering"))
