"""The client has no lists yet: it says so before anything is sent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.both_doors import InProcess
from support.served import Served

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


def test_who_asks_an_experiment_of_lists_for_an_arm_is_told_what_it_decides(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        served.create("shelf", problem={"kind": "lists", "slots": {"max": 2}})
        with Client("http://service", transport=InProcess(served)) as client:
            with pytest.raises(InvalidInput, match=r"its answer has .*slots.*client\.call for lists") as told:
                client.decide("shelf")
            assert told.value.code == "other_decisions"
