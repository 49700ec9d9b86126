"""Experiments of every kind, driven by the same requests: one that is compacted has a twin that is not."""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from support.query_service import TASK, UNIFORM
from support.served import ARMS, RANDOM, Served

from onearm.api.experiment.ids import in_url
from onearm.engine.storage.records import Base

BOX = {"kind": "box", "low": [-1.0, 0.0, -0.5], "high": [1.0, 0.5, 0.25]}
ADAPTIVE = {"name": "adaptive", "params": {"policy": {"name": "epsilon_greedy", "params": {"epsilon": 0.1}}}}
GREEDY = {"name": "linear_greedy", "params": {"epsilon": 0.25}}


class Spec(NamedTuple):
    """What an experiment is created with."""

    policy: Any
    problem: Any = None
    arms: Any = None


SPECS: dict[str, Spec] = {
    "arms": Spec(RANDOM, None, ARMS),
    "joining": Spec(RANDOM, None, ARMS),
    "adaptive": Spec(ADAPTIVE, None, ARMS),
    "dense": Spec(GREEDY, {"context": {"kind": "dense", "length": 4}}, ARMS),
    "rows": Spec(GREEDY, {"actions": {"kind": "listed", "length": 2, "max": 6}}, []),
    "named": Spec(GREEDY, {"context": {"kind": "features", "bits": 10}, "actions": {"kind": "listed", "max": 6}}, []),
    "vectors": Spec(None, {"kind": "vector", "domain": BOX}),
    "forecast": Spec(
        {"name": "optimistic_omd", "params": {"hint": "context"}},
        {"kind": "vector", "domain": BOX, "context": {"kind": "dense", "length": 3}},
    ),
    "queries": Spec(UNIFORM, {"kind": "queries", "horizon": 400} | TASK),
    "stream": Spec(None, {"kind": "arm_stream"}),
}

# Of every shape one, so that what is left to `make test-all` differs in less than these do: arms, dense, rows, vectors.
EVERY_SHAPE = ("joining", "adaptive", "named", "forecast", "queries", "stream")


def asked(kind: str, t: int) -> dict[str, Any]:
    """Return the body of decision t; every third has no id of the client's."""
    body: dict[str, Any] = {} if t % 3 == 2 else {"decision_id": f"d{t}"}
    if kind == "dense":
        body["context"] = [math.sin(t), math.cos(t), t % 3 - 1.0, 0.25]
        if t % 4 == 0:
            body["excluded_actions"] = ["a"]
    if kind == "rows":
        body["actions"] = [{"id": f"a{a}", "features": [math.sin(a * t), a - 1.5]} for a in range(2 + t % 4)]
    if kind == "named":
        body["context"] = {"user": {"age": 20 + t % 7, "city": "paris"}}
        body["actions"] = [{"id": f"a{a}", "item": {"price": a + 0.5}} for a in range(2 + t % 4)]
        body["explain"] = t % 5 == 0
    if kind == "forecast":
        body["hint"] = [math.sin(t), 0.5, -0.25]
    return body


def said(kind: str, made: dict[str, Any], t: int) -> dict[str, Any]:
    """Return the body of the reward of decision t."""
    if kind in ("vectors", "forecast"):
        return {"detail": {"gradient": [math.sin(t), math.cos(2 * t) / 3, 0.5 - t % 3], "value": t / 7}}
    if kind == "queries":
        return {"value": 1 if t % 2 else -1}
    if kind == "stream":
        return {"value": made["pulls"] * (int(made["arm_id"][1:]) % 5) / 4, "pulls": made["pulls"]}
    if kind == "adaptive":
        return {"value": float(made["action_id"] == ("a" if t < 40 else "b"))}
    return {"value": (len(made["action_id"]) + t % 5) / 8}


@dataclass
class Run:
    """An experiment at work: its requests depend on nothing but the number of the decision."""

    served: Served
    kind: str
    name: str
    late: int = 3  # a reward comes so many decisions later; of every seventh decision never

    def __post_init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        spec = SPECS[self.kind]
        body = {"experiment_id": self.name, "seed": 5} | {k: v for k, v in spec._asdict().items() if v is not None}
        answer = self.served.post("/v1/experiments", body)
        assert answer.status_code == 201, answer.text
        if self.kind == "stream":
            for arm in range(40):
                assert self.served.post(f"{self.path}/arms", {"id": f"a{arm}"}).status_code == 201

    @property
    def path(self) -> str:
        return f"/v1/experiments/{in_url(self.name)}"

    def play(self, n: int) -> None:
        """Decide n times, and reward what is due."""
        for t in range(len(self.made), len(self.made) + n):
            self._change(t)
            answer = self.served.post(f"{self.path}/decisions", asked(self.kind, t))
            assert answer.status_code == 201, answer.text
            self.made.append(answer.json())
            late = 0 if self.kind == "stream" else self.late
            if t >= late and (t - late) % 7:
                assert self.reward(t - late) == {"status": "accepted"}

    def reward(self, t: int) -> Any:
        """Say what came of decision t."""
        made = self.made[t]
        return self.served.post(
            f"{self.path}/decisions/{in_url(made['decision_id'])}/reward", said(self.kind, made, t)
        ).json()

    def assert_retries(self) -> None:
        """Ask and reward everything again: each decision has the same answer, each reward was there."""
        for t, made in enumerate(self.made):
            body = asked(self.kind, t)
            if "decision_id" in body:
                again = self.served.post(f"{self.path}/decisions", body)
                assert (again.status_code, again.json()) == (200, made)
            if self.is_learned(t):
                assert self.reward(t) == {"status": "duplicate"}, t

    def is_learned(self, t: int) -> bool:
        """Whether decision t has its reward."""
        return bool(t % 7) and t < len(self.made) - (0 if self.kind == "stream" else self.late)

    def told(self) -> dict[str, Any]:
        """Return what the experiment says of itself, and its report."""
        text = [self.served.get(f"{self.path}{what}").text.replace(f"'{self.name}'", "") for what in ("", "/report")]
        found = list(map(json.loads, text))
        for one in found:
            for field in ("experiment_id", "created_at", "time", "versions"):
                one.pop(field, None)
        return {"experiment": found[0], "report": found[1]}

    def compact(self, seq: int | None = None, *, archive: bool = False) -> Base:
        """Make the state at a seq the base, and wait until what lies before is slim."""
        service, call = self.served.service, self.served.client.portal.call
        made = call(functools.partial(service.compactions.compact, service.live(self.name), seq, archive=archive))
        call(service.chores.done)
        base: Base = made.base
        return base

    def _change(self, t: int) -> None:
        if self.kind == "joining" and t in (12, 36):
            assert self.served.post(f"{self.path}/arms", {"id": f"new{t}"}).status_code == 201
        if self.kind == "adaptive" and t in (20, 40):
            assert self.served.post(f"{self.path}/world", {"change": "known"}).status_code < 300
