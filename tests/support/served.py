"""What the tests of the service share: the service in this process, and its log folded by another hand."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import numpy as np
from support.direct import Direct
from support.stored import used_database

from onearm.api.experiment.ids import in_url
from onearm.api.experiment.spec import Spec
from onearm.api.http.app import create_app
from onearm.api.service.service import Service
from onearm.engine import loop, snapshot
from onearm.engine.storage.records import Event, Experiment
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import (
    CHANGE,
    DECIDE,
    EXTERNAL,
    LEARN,
    Array,
    Decision,
    Features,
    Feedback,
    Instance,
    Key,
    Turn,
)

ARMS = [{"id": "a"}, {"id": "b"}, {"id": "c"}]
RANDOM = {"name": "epsilon_greedy", "params": {"epsilon": 0.5}}


class Served:
    """The service over an SQLite file, in this process. It can be stopped and started again, and looked behind."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.url = used_database(folder / "run.db")
        self.options = options
        self.start()

    def start(self, *, wait: bool = True) -> None:
        """Start it, and wait until all experiments are recovered, archived ones too: these are asked for."""
        self.store = Store.open(self.url)
        self.app = create_app(self.store, **self.options)
        self.client = Direct(self.app, raise_server_exceptions=False).__enter__()
        if wait:
            self.recover()
            self.wake()

    def recover(self) -> None:
        assert self.client.portal is not None
        self.client.portal.call(self.service.recovered)

    def wake(self) -> None:
        """Ask for every experiment that rests, and wait until all are recovered."""
        for name, one in self.service.listed(None).items():
            if isinstance(one, Experiment):
                self.get(f"/v1/experiments/{in_url(name)}")
        self.recover()

    def stop(self) -> None:
        self.client.__exit__(None, None, None)

    def restart(self) -> None:
        self.stop()
        self.start()

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def service(self) -> Service:
        service: Service = self.app.state.service
        return service

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Post bytes as they are, and anything else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        return self.client.post(path, content=content, **options)

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def create(self, experiment_id: str = "e", **fields: Any) -> httpx.Response:
        body = {"experiment_id": experiment_id, "arms": ARMS, "policy": RANDOM, "seed": 5} | fields
        return self.post("/v1/experiments", body)

    def decide(self, body: Any = None, experiment_id: str = "e", **options: Any) -> httpx.Response:
        return self.post(f"/v1/experiments/{experiment_id}/decisions", body, **options)

    def reward(self, decision_id: str, body: Any, experiment_id: str = "e") -> httpx.Response:
        body = body if isinstance(body, (bytes, dict)) else {"value": body}
        return self.post(f"/v1/experiments/{experiment_id}/decisions/{decision_id}/reward", body)

    def decide_all(self, bodies: Sequence[Any], experiment_id: str = "e") -> list[dict[str, Any]]:
        """Ask for many decisions in one request, which is a fifth of the work of as many requests."""
        answer = self.post(f"/v1/experiments/{experiment_id}/decisions:batch", {"decisions": bodies})
        assert answer.status_code == 200, answer.text
        made: list[dict[str, Any]] = answer.json()["decisions"]
        return made

    def reward_all(self, values: Mapping[str, float], experiment_id: str = "e") -> None:
        """Reward many decisions in one request, by their ids."""
        bodies = [{"decision_id": decision_id, "value": value} for decision_id, value in values.items()]
        answer = self.post(f"/v1/experiments/{experiment_id}/rewards:batch", {"rewards": bodies})
        assert answer.json() == {"rewards": [{"status": "accepted"}] * len(bodies)}, answer.text

    def record(self, decision_id: str, experiment_id: str = "e") -> httpx.Response:
        return self.get(f"/v1/experiments/{experiment_id}/decisions/{decision_id}")

    def events(self, experiment_id: str = "e") -> list[Event]:
        return log_of(self.store, experiment_id)[1]

    def everything(self) -> Any:
        """Return all that is in the log, of all experiments."""
        rows = self.store.experiments()
        return rows, [self.store.read_events(row.key, 0, 1_000_000) for row in rows]

    def digest(self, experiment_id: str = "e") -> str:
        digest: str = self.get(f"/v1/experiments/{experiment_id}").json()["digest"]
        return digest

    def assert_consistent(self, experiment_id: str = "e") -> None:
        """Check the log, and that the state and the counters are what it folds to."""
        row, events = log_of(self.store, experiment_id)
        assert_sound(events)
        kinds = Counter(event.kind for event in events)
        found = self.get(f"/v1/experiments/{experiment_id}").json()
        decided = kinds[DECIDE] + kinds[EXTERNAL]
        assert (found["seq"], found["decisions"], found["rewards"]) == (len(events), decided, kinds[LEARN])
        assert found["pending"] == decided - kinds[LEARN]
        assert found["digest"] == folded(row, events)


def rewarded_database(folder: Path, decisions: int) -> Path:
    """Return the database of a service that ended, with decisions and the reward of each."""
    with Served(folder) as served:
        served.create()
        for number in range(decisions):
            served.reward(served.decide({"decision_id": f"d{number}"}).json()["decision_id"], 0.5)
    return folder / "run.db"


@contextmanager
def served_again(database: Path, folder: Path) -> Iterator[Served]:
    """Yield a service over a copy of a database."""
    shutil.copy(database, folder / "run.db")
    with Served(folder) as served:
        yield served


def log_of(store: Store, experiment_id: str) -> tuple[Experiment, list[Event]]:
    """Return an experiment's row and all its events."""
    row = next(row for row in store.experiments() if row.id == experiment_id)
    return row, store.read_events(row.key, after=0, limit=10_000_000)


def assert_sound(events: Iterable[Event]) -> None:
    """Check what holds for every log: seq and number have no gap, an id one decision, a decision one later reward."""
    number = 0
    rewarded: set[int | None] = set()
    ids: set[str] = set()
    for seq, event in enumerate(events, start=1):
        assert event.seq == seq, "seq has no gaps"
        if event.kind in (DECIDE, EXTERNAL):
            assert event.number == number, "decisions are numbered without gaps"
            number += 1
            assert event.decision_id not in ids, "an id is decided once"
            if event.decision_id is not None:
                ids.add(event.decision_id)
        elif event.kind == LEARN:
            assert event.number is not None and event.number < number, "a reward comes after its decision"
            assert event.number not in rewarded, "a decision is rewarded once"
            rewarded.add(event.number)


def folded(row: Experiment, events: Iterable[Event]) -> str:
    """Make every decision of a log again, one at a time, and return the digest of the state after the last event.

    Contexts are read from the bytes here, and arms that join are added, by another hand than the service's.
    """
    spec = Spec.from_stored(json.loads(row.spec))
    params, k, arms = spec.policy.params, len(spec.arms), list(spec.arms)
    state = spec.policy.init(params, spec.problem)
    open_decisions: dict[int, tuple[Instance, Decision]] = {}
    for event in events:
        if event.kind == CHANGE:
            change = json.loads(event.detail or "{}")
            if change["change"] == "arm_added":
                k += 1
                arms.append(change["arm"])
                assert spec.policy.grow is not None
                tags = tuple(tuple(arm.get("tags", ())) for arm in arms) if spec.problem.tags else ()
                larger = dataclasses.replace(spec.intake.problem(k, spec.problem.horizon), tags=tags)
                state = spec.policy.grow(params, state, larger)
            elif change["change"] in ("world_changed", "change_taken_back"):
                assert spec.policy.turn is not None
                known = change["change"] == "world_changed"
                spec.policy.turn(params, state, Turn(change["number"], known, change.get("model")))
        elif event.kind in (DECIDE, EXTERNAL):
            assert event.number is not None
            there = k if event.actions is None else len(json.loads(event.actions))
            instance = Instance(event.number, read_context(event, spec, there), read_mask(event, there))
            key = Key(spec.run, event.number)
            propensity = math.nan if event.propensity is None else event.propensity
            if event.kind == DECIDE:
                decision = Decision(*loop.decide.python(params, state, instance, key))
                assert decision.action == event.action, f"decision {event.number} comes out differently"
                assert decision.propensity == propensity or (math.isnan(decision.propensity) and math.isnan(propensity))
            assert event.action is not None
            open_decisions[event.number] = (instance, Decision(event.action, propensity))
        elif event.kind == LEARN:
            assert event.number is not None and event.reward is not None
            instance, decision = open_decisions.pop(event.number)
            joined = k - len(instance.available)
            if spec.problem.layout == "dense" and joined:  # arms that joined later could not be chosen
                mask = np.pad(instance.available, (0, joined))
                instance = instance._replace(available=mask)
            call = (params, state, instance, decision, Feedback(event.reward, read_detail(event, spec)))
            loop.learn.python(*call, Key(spec.run, event.number))
    return snapshot.digest(state)


def read_context(event: Event, spec: Spec, k: int) -> Any:
    """Return the context of a DECIDE event, from its bytes."""
    data = event.context or b""
    if spec.problem.context_kind == "named":
        assert int.from_bytes(data[:8], "little") == k
        start = np.frombuffer(data, "<i4", k + 2, 8).astype(np.int64)
        m, after = int(start[-1]), 8 + 4 * (k + 2)
        index = np.frombuffer(data, "<u4", m, after).copy()
        return Features(start, index, np.frombuffer(data, "<f8", m, after + 4 * m).copy())
    shape = spec.problem.context_shape if spec.problem.layout == "dense" else (k, spec.problem.context_shape[1])
    return np.frombuffer(data, "<f8").reshape(shape).copy()


def read_detail(event: Event, spec: Spec) -> Array:
    """Return what was told beside a reward, in a list or with why a window closed; NaN where nothing was."""
    told = json.loads(event.detail or "null")
    told = told.get("beside") if isinstance(told, dict) else told
    return np.array(told if told else [math.nan] * spec.problem.detail_length)


def read_mask(event: Event, k: int) -> Array:
    """Return the mask of a DECIDE event, from its bytes."""
    if event.available is None:
        return np.ones(k, np.bool_)
    return np.unpackbits(np.frombuffer(event.available, np.uint8), count=k) == 1


def assert_refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is problem+json with this status and code, and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in answer.headers) == (status == 503)
    found: dict[str, Any] = answer.json()
    assert_problem(found, status, code)
    return found


def assert_problem(found: dict[str, Any], status: int, code: str) -> None:
    """Check the shape of a problem."""
    assert set(found) == {"title", "status", "detail", "code"}, found
    assert (found["status"], found["code"]) == (status, code), found
    assert found["title"] and len(found["detail"]) > 10
