"""The engine of each kind that decides in memory; a stream is at a service, or in memory as `arms_once.Stream`."""

from __future__ import annotations

from typing import Any

from .arms.engine import Engine
from .arms.kind import ARMS
from .lists.engine import ListEngine
from .lists.kind import LISTS
from .queries.engine import QueryEngine
from .queries.kind import QUERIES
from .vectors.engine import VectorEngine
from .vectors.kind import VECTORS

ENGINES: dict[str, Any] = {
    ARMS.name: Engine,
    LISTS.name: ListEngine,
    VECTORS.name: VectorEngine,
    QUERIES.name: QueryEngine,
}
