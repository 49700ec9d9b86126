"""Streams of arms over HTTP as their tests use them: arms whose rewards are all their mean, offered and pulled."""

from __future__ import annotations

from typing import Any

import golden
import httpx
import sqlalchemy as sa
from support.served import Served

from onearm.engine.errors import Damaged
from onearm.engine.storage.tables import SNAPSHOT

EIGHTHS = [4, 2, 6, 3, 5, 7, 1, 6, 0, 5, 3, 2]  # the arms' means: sums of such rewards are exact
NAMES = golden.names("move")
SLOTS = 8


def create(served: Served, experiment_id: str = "s", policy: Any = None, **problem: Any) -> httpx.Response:
    body = {"experiment_id": experiment_id, "problem": {"kind": "arm_stream", **problem}, "seed": 5}
    return served.post("/v1/experiments", body | ({} if policy is None else {"policy": policy}))


def offer(served: Served, *arms: Any, experiment_id: str = "s") -> httpx.Response:
    for arm in arms:
        answer = served.post(f"/v1/experiments/{experiment_id}/arms", {"id": arm} if isinstance(arm, str) else arm)
    return answer


def post(served: Served, what: str, experiment_id: str = "s") -> httpx.Response:
    """Post to `:commit` or `/arms:close`."""
    return served.post(f"/v1/experiments/{experiment_id}{what}")


def recommendation(served: Served, experiment_id: str = "s") -> httpx.Response:
    return served.get(f"/v1/experiments/{experiment_id}/recommendation")


def stream(served: Served, experiment_id: str = "s") -> Any:
    return served.get(f"/v1/experiments/{experiment_id}").json()["stream"]


def ask(served: Served, **body: Any) -> dict[str, Any]:
    answer = served.decide(body, "s")
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def mean_of(made: dict[str, Any]) -> float:
    return EIGHTHS[int(made["arm_id"][1:]) % len(EIGHTHS)] / 8


def told(made: dict[str, Any], pulls: int | None = None) -> dict[str, Any]:
    """Return the reward of a decision about an arm like a7, whose rewards are all its mean."""
    pulls = made["pulls"] if pulls is None else pulls
    return {"value": pulls * mean_of(made), "pulls": pulls}


def pull(served: Served, n: int) -> list[dict[str, Any]]:
    """Decide and reward n times."""
    made = []
    for _ in range(n):
        made.append(ask(served))
        assert served.reward(made[-1]["decision_id"], told(made[-1]), "s").json() == {"status": "accepted"}
    return made


def forget_snapshots(served: Served) -> None:
    with served.store._transaction() as connection:
        connection.execute(sa.delete(SNAPSHOT))


def refold(served: Served) -> None:
    """Throw the state away, and fold the log from the newest snapshot on."""
    live = served.service.live("s")
    live.stop(Damaged("test", "thrown away by the test"))
    live.open(live.recover())


def labels(n: int) -> list[str]:
    return [f"a{i}" for i in range(n)]
