"""The client has no lists yet: it says so before anything is sent."""

from __future__ import annotations

import asyncio

import pytest

from onearm.client import AsyncClient, Client
from onearm.engine.errors import InvalidInput

NOWHERE = "http://127.0.0.1:9"  # nobody answers there


def test_lists_are_refused_by_name_before_an_experiment_is_made() -> None:
    with Client(NOWHERE) as client, pytest.raises(InvalidInput, match="lists are not in the client yet"):
        client.open("shelf", "ucb1", ["a", "b"], slots=2)  # type: ignore[call-overload]


def test_and_so_they_are_by_tasks() -> None:
    async def ask() -> None:
        async with AsyncClient(NOWHERE) as client:
            with pytest.raises(InvalidInput, match="lists are not in the client yet"):
                await client.open("shelf", "ucb1", ["a", "b"], slots=2)  # type: ignore[call-overload]

    asyncio.run(ask())
