"""The actions of a decision over HTTP: read from their JSON by compiled code, or decoded first, they are the same."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest

import onearm
from onearm.api.experiment.context_intake import ContextIntake
from onearm.api.http.schemas import Decide
from onearm.api.kinds.arms.http import request
from onearm.engine.errors import InvalidInput
from onearm.engine.featuriser import number_rows
from onearm.engine.featuriser.desk import desk
from onearm.engine.kernel import Loop

ONE, TWO = {"id": "mug", "item": {"price": 9.5}}, {"id": "shirt", "item": {"price": 24, "tags": ["new"]}}
BODIES: list[dict[str, Any]] = [
    {"context": {"user": {"city": "paris"}}, "actions": [ONE, TWO]},
    {"actions": [ONE, TWO], "eligible_actions": ["shirt"]},
    {"actions": [ONE, TWO], "excluded_actions": ["mug", "shirt"]},
    {"actions": [ONE, TWO], "eligible_actions": ["hat"]},
    {"actions": [ONE, ONE]},
    {"actions": [ONE, {"item": {"price": 1}}]},
    {"actions": [{"id": 7}]},
    {"actions": [{"id": "~a"}]},
    {"actions": []},
    {"actions": [ONE] * 60},
    {"context": [1.0], "actions": [ONE]},
    {"context": {"a": {"b": 1e17}}, "actions": [ONE]},
    {"actions": [ONE, {"id": "x", "item": None, "rank": 1e17}]},
    {"actions": [ONE, TWO], "state": 3},
    {"actions": [ONE, TWO], "explain": True},
    {"actions": ONE},
]


def said(shop: Any, body: dict[str, Any]) -> Any:
    try:
        found = request(shop, msgspec.json.decode(json.dumps(body), type=Decide))
    except InvalidInput as error:
        return error.code, str(error)
    return [part.tolist() for part in found.context], found.available.tolist(), found.labels, found.names


@pytest.mark.jit
def test_what_reads_them_is_on_disk_for_the_next_process() -> None:
    for entry in desk().entries():
        entry.wait()
        assert isinstance(entry.loop, Loop)
        jitted = entry.loop._jitted
        assert jitted._cache.holds(entry.signature, jitted.targetctx), entry.name


@pytest.mark.jit
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_actions_in_json_are_those_that_are_decoded(monkeypatch: pytest.MonkeyPatch, body: dict[str, Any]) -> None:
    shop = onearm.open(policy="squarecb", context={"kind": "features"}, actions={"max": 50}, seed=1)
    for entry in desk().entries():
        entry.wait()
    read: list[Any] = []
    read_sent = ContextIntake.read_sent
    monkeypatch.setattr(ContextIntake, "read_sent", lambda *given: read.append(read_sent(*given)) or read[-1])
    fast = said(shop, body)
    monkeypatch.setattr(ContextIntake, "read_sent", lambda *given: None)
    assert fast == said(shop, body)
    if body is BODIES[0]:
        assert isinstance(read[0].value, np.ndarray)


ROW = {"id": "mug", "features": [0.5, -1, 1e-3]}
DENSE: list[dict[str, Any]] = [
    {"actions": [ROW, ROW | {"id": "shirt"}]},
    {"actions": [ROW, ROW]},
    {"actions": [ROW, {"id": "shirt", "features": [1, 2]}]},
    {"actions": [ROW, {"id": "shirt"}]},
    {"actions": [ROW | {"id": 7}]},
    {"actions": [ROW, ROW | {"id": "~a"}]},
    {"actions": [ROW | {"price": 1}]},
    {"actions": [ROW], "context": [1.0]},
    {"actions": [ROW], "explain": True},
    {"actions": []},
]
BESIDE = [None, [0.5, 2], [0.5], {"a": 1}]


@pytest.mark.jit
def test_rows_of_numbers_in_json_are_those_that_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = onearm.open(policy="linucb", actions={"kind": "listed", "length": 3, "max": 50}, seed=1)
    beside = onearm.open(
        policy="linucb",
        context={"kind": "dense", "length": 2},
        actions={"kind": "listed", "length": 3, "max": 50},
        seed=1,
    )
    asked = [(alone, body) for body in DENSE]
    asked += [(beside, body | {"context": context}) for body in DENSE for context in BESIDE]
    number_rows.entry().wait()
    read: list[Any] = []
    read_sent = ContextIntake.read_sent
    monkeypatch.setattr(ContextIntake, "read_sent", lambda *given: read.append(read_sent(*given)) or read[-1])
    fast = [said(shop, body) for shop, body in asked]
    monkeypatch.setattr(ContextIntake, "read_sent", lambda *given: None)
    for (shop, body), found in zip(asked, fast, strict=True):
        assert found == said(shop, body), body
    assert [rows is None for rows in read[:2]] == [False, False]
    assert sum(rows is not None and rows.shape[1] == 5 for rows in read) > 3
