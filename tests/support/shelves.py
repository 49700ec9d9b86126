"""Experiments whose decisions fill lists, for the tests of lists."""

from __future__ import annotations

from typing import Any

from support.served import RANDOM, Served

SHELF = [{"id": label} for label in "abcdefgh"]
LISTS = {"kind": "lists", "context": {"kind": "dense", "length": 2}, "slots": {"max": 4, "length": 1}}
FOUR = [{"id": f"s{place}", "features": [place / 2]} for place in range(4)]


def create_lists(served: Served, policy: Any = RANDOM, **fields: Any) -> None:
    """Create the experiment `e`, whose lists have up to four slots, with two numbers of context and one of a slot."""
    body = {"experiment_id": "e", "arms": SHELF, "problem": LISTS, "policy": policy, "seed": 5} | fields
    answer = served.post("/v1/experiments", body)
    assert answer.status_code == 201, answer.text


def fill(served: Served, **body: Any) -> dict[str, Any]:
    """Ask for a list, of four slots where none are said."""
    answer = served.decide({"context": [1.0, 0.5], "slots": FOUR} | body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made
