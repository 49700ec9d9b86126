"""Is it up, and can it answer?"""

from __future__ import annotations

import platform
from importlib import metadata

import numba
import numpy as np

from ...engine.errors import Unavailable
from ..service.service import Service
from .call import Call
from .endpoint import Answer
from .schemas import Health, Version


async def alive(service: Service, call: Call) -> Answer:
    """Say that the process runs."""
    return Answer(200, Health("alive"))


async def ready(service: Service, call: Call) -> Answer:
    """Say whether every experiment can answer; 503 while some fold their logs, or where the database does not work.

    Then it says how many of how many, or what happened and what to do.
    """
    if (lost := service.lost()) is not None:
        return Answer(503, Health("lost", reason=str(lost)))
    try:
        service.writer.check()
    except Unavailable as error:
        return Answer(503, Health("slow", reason=str(error)))
    if recovering := service.recovering:
        return Answer(503, Health("recovering", recovering, service.known))
    return Answer(200, Health("ready"))


async def version(service: Service, call: Call) -> Answer:
    """Say which version this is, and of what decides with it."""
    return Answer(
        200, Version(metadata.version("onearm"), platform.python_version(), numba.__version__, np.__version__)
    )
