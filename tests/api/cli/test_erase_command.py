"""`onearm erase`: whoever is named is erased from an experiment of a running service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.listening import DECIDE, Listening


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    """Yield a service at a real port, with the experiment `e`."""
    with Listening(tmp_path) as listening:
        yield listening


def test_a_person_or_decisions_are_erased(listening: Listening, onearm: Any) -> None:
    for n in range(4):
        listening.client.post(DECIDE, json={"unit_id": "ann" if n < 2 else "bob", "decision_id": f"d{n}"})
    done = onearm("erase", "e", "--unit", "ann", "--url", listening.url, "--json")
    assert (done.code, done.json) == (0, {"experiment_id": "e", "decisions": 2, "events": 2, "open": 2})
    done = onearm("erase", "e", "--decision", "d2", "--decision", "d9", "--url", listening.url)
    assert done.code == 0 and done.out == "1 decision is blank, of which open: 1\n"
    found = [listening.client.get(f"{DECIDE}/d{n}").status_code for n in range(4)]
    assert found == [404, 404, 404, 200]


@pytest.mark.parametrize("said", [[], ["--unit", "ann", "--decision", "d1"]])
def test_it_needs_one_of_the_two(onearm: Any, said: list[str]) -> None:
    done = onearm("erase", "e", *said)
    assert done.code == 2 and "--unit" in done.err
