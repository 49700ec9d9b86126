"""The nodes that serve the database: which are there, what each has, and which shards move."""

from __future__ import annotations

from ...service.service import Service
from ..call import Call
from ..cluster import seen_by
from ..endpoint import Answer
from .rendering import page


async def show(service: Service, call: Call) -> Answer:
    """Show nodes and shards."""
    return page(call, "nodes.html", cluster=seen_by(call.scope["app"].nodes))


async def part(service: Service, call: Call) -> Answer:
    """Show the tables alone, as they are now."""
    return page(call, "nodes_part.html", cluster=seen_by(call.scope["app"].nodes))
