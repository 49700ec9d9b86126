"""States take no more memory than they may: it is known before they are made, and what is archived takes none."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.meeting import at_once
from support.served import ARMS, Served, assert_refused

from onearm.api.experiment import sizes
from onearm.api.experiment.sizes import made_within
from onearm.api.service.room import StateLimits
from onearm.engine import snapshot
from onearm.engine.domain import ball
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import fitted
from onearm.engine.vocabulary import Problem
from onearm.policies import catalog

MB = 1_000_000
PROBLEMS = {
    "linucb": Problem(2, (400,)),
    "bag": Problem(3, (150,)),
    "squarecb": Problem(40, (100,)),
    "fourier_softmax": Problem(300, (8,)),
    "ucb1": Problem(300_000),
    "optimistic_newton": Problem(0, (0,), domain=ball(300), feedback="gradient"),
    "linear_greedy": Problem(100, (100, 2**18), None, 1000),
    "adaptive": Problem(40, (60,)),
}


def made(name: str, problem: Problem) -> Any:
    spec: dict[str, Any] = {"name": name, "params": {}}
    if name == "adaptive":
        spec["params"] = {"policy": {"name": "linucb", "params": {}}}
    if name == "linear_greedy":
        spec["params"] = {"epsilon": 0.1}
    return fitted(catalog.from_spec(spec), problem)


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_state_of_at_most_the_limit_is_made_and_a_larger_one_is_not(name: str) -> None:
    problem = PROBLEMS[name]
    policy = made(name, problem)
    size = snapshot.size(policy.init(policy.params, problem))
    assert snapshot.size(made_within(policy, problem, size)) == size
    with pytest.raises(InvalidInput, match="--state-bytes"):
        made_within(policy, problem, size - 1)


def test_a_state_that_is_much_too_large_is_refused_before_there_is_room_for_it() -> None:
    """A body of 200 bytes took 6.9 GB."""
    problem = Problem(2, (14_000,))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match=r"'linucb' would take about [3-9],[0-9]{3} MB") as refused:
            made_within(made("linucb", problem), problem, 1_000 * MB)
        _, highest = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused.value.code == "state_too_large"
    assert highest < 2 * sizes.PROBE_BYTES


def test_a_policy_that_fits_no_smaller_problem_is_made_and_then_measured() -> None:
    policy = fitted(
        catalog.from_spec({"name": "thompson_any", "params": {"expected": [0.5] * 200}}), problem := Problem(200)
    )
    size = snapshot.size(policy.init(policy.params, problem))
    assert snapshot.size(made_within(policy, problem, size)) == size
    with pytest.raises(InvalidInput):
        made_within(policy, problem, size - 1)


def served_with(folder: Path, one: int = 2 * MB, together: int = 5 * MB) -> Served:
    return Served(folder, state_limits=StateLimits(one, together))


def wide(length: int) -> dict[str, Any]:
    return {"policy": {"name": "linucb"}, "problem": {"context": {"kind": "dense", "length": length}}}


def test_a_creation_that_takes_too_much_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with served_with(tmp_path) as served:
        detail = assert_refused(served.create("large", **wide(3000)), 422, "state_too_large")["detail"]
        assert "--state-bytes" in detail and "2 MB" in detail
        assert served.get("/v1/experiments/large").status_code == 404
        assert served.create("large", **wide(10)).status_code == 201, "the id is free"


@pytest.mark.usefixtures("empty_database")
def test_all_states_together_have_a_limit_and_archived_ones_take_nothing(tmp_path: Path) -> None:
    with served_with(tmp_path) as served:
        room = served.service.room
        before = room.taken
        names = []
        for i in range(9):
            answer = served.create(f"w{i}", **wide(150))
            if answer.status_code != 201:
                break
            names.append(f"w{i}")
        detail = assert_refused(answer, 507, "no_room")["detail"]
        assert 2 < len(names) < 9 and "--state-bytes-all" in detail
        assert room.taken == sum(served.service.live(name).state_bytes for name in (*names, "hello"))
        served.reward(served.decide({"context": [1.0] * 150}, "w0").json()["decision_id"], 1.0, "w0")
        digest = served.digest("w0")
        assert served.post("/v1/experiments/w0:archive").status_code == 200
        settle(served)
        assert served.service.live("w0").state is None
        assert served.create("after", **wide(150)).status_code == 201
        assert_refused(served.get("/v1/experiments/w0"), 507, "no_room")  # to tell its digest the state is read again
        served.post("/v1/experiments/after:archive")
        served.post("/v1/experiments/w1:archive")
        settle(served)
        assert served.digest("w0") == digest
        settle(served)
        assert served.service.live("w0").state is None
        for name in ("w0", *names[2:], "hello"):
            if name != "hello":
                served.post(f"/v1/experiments/{name}:archive")
        settle(served)
        assert room.taken == before


def settle(served: Served) -> None:
    """Wait until all that is queued is written."""
    assert served.client.portal is not None
    served.client.portal.call(served.service.writer.drain)


def test_what_is_archived_tells_the_same_as_before(served: Served) -> None:
    for i in range(12):
        served.reward(served.decide({"decision_id": f"d{i}"}).json()["decision_id"], i / 7)
    paths = [f"/v1/experiments/e{path}" for path in ("", "/report", "/diagnostics", "/decisions/d3")]

    def told() -> list[Any]:
        found = [served.get(path).json() for path in paths]
        for one in found:
            one.pop("loop_lag_ms", None)
            one.pop("archived", None)
            one.pop("seq", None)
        return found

    at_work = told()
    assert served.post("/v1/experiments/e:archive").status_code == 200
    settle(served)
    live = served.service.live("e")
    assert live.state is None
    assert told() == at_work
    settle(served)
    assert live.state is None
    assert served.decide({"decision_id": "d3"}).status_code == 200, "what was decided is answered again"
    assert_refused(served.decide(), 409, "archived")
    assert served.reward("d3", 3 / 7).json() == {"status": "duplicate"}
    assert_refused(served.reward("d3", 5.0), 409, "reward_exists")
    served.assert_consistent()
    served.restart()
    assert served.service.live("e").state is None
    assert told() == at_work
    served.assert_consistent()


def test_two_that_read_an_archived_state_at_once_read_it_together(served: Served) -> None:
    served.reward(served.decide().json()["decision_id"], 1.0)
    served.post("/v1/experiments/e:archive")
    settle(served)

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        paths = ("", "/report", "/diagnostics") * 3
        return list(await asyncio.gather(*(client.get(f"/v1/experiments/e{path}") for path in paths)))

    assert [answer.status_code for answer in at_once(served, ask)] == [200] * 9
    settle(served)
    assert served.service.live("e").state is None


def test_arms_join_only_as_long_as_there_is_room(tmp_path: Path) -> None:
    with served_with(tmp_path, one=900_000) as served:
        assert served.create("grows", **wide(80)).status_code == 201
        for i in range(20):
            answer = served.post("/v1/experiments/grows/arms", {"id": f"j{i}"})
            if answer.status_code != 201:
                break
        assert_refused(answer, 422, "state_too_large")
        live = served.service.live("grows")
        assert len(ARMS) < len(live.roster.arms) < 20 and live.state_bytes <= 900_000
        assert served.decide({"context": [1.0] * 80}, "grows").status_code == 201
        served.assert_consistent("grows")
