"""Explanations and rankings that are asked for while another policy takes over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.lives import Life, law
from support.meeting import at_once
from support.served import Served
from support.slow_steps import begun_in

from onearm.api.cli.verify import has_fault, verified
from onearm.api.experiment.compiling import compile_explain, compile_law
from onearm.api.service.policies import Wanted

PROMOTE, DECIDE = "/v1/experiments/e/policies/1:promote", "/v1/experiments/e/decisions"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Yield a service whose experiment has a shadow of another sort than the policy that decides."""
    with Served(tmp_path) as served:
        life = Life(served, law("ucb1"))
        life.join(law("epsilon_greedy"), role="shadow", start="empty")
        life.play(4)
        yield served


def test_a_decision_behind_a_promotion_is_explained_by_who_makes_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = served.service.live("e").turns

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        free = asyncio.Event()
        first = asyncio.create_task(turns.alone(free.wait))
        await asyncio.sleep(0)
        promoted = await begun_in(turns, client.post(PROMOTE, json={}), monkeypatch)
        decided = await begun_in(turns, client.post(DECIDE, json={"explain": True}), monkeypatch)
        free.set()
        await first
        return [await promoted, await decided]

    promoted, decided = at_once(served, ask)
    assert promoted.status_code == 200, promoted.text
    assert decided.status_code == 201, decided.text
    assert decided.json()["explanation"]
    assert served.record("~4").json()["policy"] == "epsilon_greedy"
    assert not any(map(has_fault, verified(served.url)))


@pytest.mark.parametrize(("asked", "compiling"), [("explain", compile_explain), ("rank", compile_law)])
def test_what_was_compiled_for_a_policy_that_is_replaced_meanwhile_is_not_kept(
    served: Served, monkeypatch: pytest.MonkeyPatch, asked: str, compiling: Callable[..., Any]
) -> None:
    live, policies, creations = served.service.live("e"), served.service.policies, served.service.pools.creations
    run, made = creations.run, list[tuple[Any, Any]]()

    async def promoted_then(work: Callable[..., Any], *given: Any) -> Any:
        found = await run(work, *given)
        if work is compiling and not made:
            made.append((live.spec, found))
            await policies.assign(live, 1, Wanted("live"))
        return found

    monkeypatch.setattr(creations, "run", promoted_then)
    assert served.decide({asked: True}).status_code == 201
    [(spec, entry)] = made
    assert live.spec is not spec
    assert entry is not live.explainer
    assert entry is not live.tell_law
    assert not any(map(has_fault, verified(served.url)))
