"""`/v1/policies` says what `onearm policies --json` says, and what it says of params is what is checked."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from support.served import Served

from onearm.api.cli import main
from onearm.api.http.policy_schemas import Policies
from onearm.engine.errors import InvalidInput
from onearm.policies import catalog


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    with Served(tmp_path_factory.mktemp("policies")) as served:
        answer = served.get("/v1/policies")
        assert answer.status_code == 200
        msgspec.json.decode(answer.content, type=Policies)  # it is as documented
        yield answer.json()["policies"]


def test_it_is_what_the_command_prints(listed: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["policies", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == listed
    assert [one["name"] for one in listed] == catalog.names()


def test_a_policy_is_told_whole(listed: list[dict[str, Any]]) -> None:
    found = next(one for one in listed if one["name"] == "epsilon_greedy")
    assert found["decides"] == ["arm"]
    assert found["params"][0] == {
        "name": "epsilon",
        "type": "number",
        "required": False,
        "default": 0.1,
        "low": 0.0,
        "high": 1.0,
        "low_open": False,
        "high_open": False,
    }


def test_beyond_what_is_told_of_a_number_it_is_refused(listed: list[dict[str, Any]]) -> None:
    """Also just within, where nothing else is asked of it: a limit that is told is the one that holds."""
    tried = 0
    for one in listed:
        if any(param["required"] for param in one["params"]):
            continue
        for param in one["params"]:
            for end, outwards in ((param["low"], -math.inf), (param["high"], math.inf)):
                if end is None:
                    continue
                with pytest.raises(InvalidInput, match=r"must|needs"):
                    catalog.make(one["name"], **{param["name"]: math.nextafter(end, outwards)})
                tried += 1
    assert tried > 60
