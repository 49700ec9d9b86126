"""The service as a process that can be killed, and clients that retry until it answers."""

from __future__ import annotations

import json
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import httpx
import numpy as np
from support.forked import Forked
from support.served import ARMS, RANDOM, assert_sound

from onearm.api.cli.main import run
from onearm.engine.vocabulary import CHANGE, DECIDE, LEARN

SEED = 20
CLIENTS = 6
EXPERIMENTS: dict[str, dict[str, Any]] = {
    "e": {"arms": ARMS, "policy": RANDOM},  # arms join and retire meanwhile
    "x": {"arms": ARMS, "policy": {"name": "exp3_ix"}},
    "w": {  # a person says that the world has changed
        "arms": ARMS,
        "policy": {"name": "adaptive", "params": {"policy": {"name": "ucb1"}}},
    },
    "n": {
        "policy": {"name": "linear_greedy", "params": {"epsilon": 0.3}},
        "problem": {"context": {"kind": "features", "bits": 12}, "actions": {"kind": "listed", "max": 5}},
    },
    "r": {
        "policy": {"name": "linear_greedy", "params": {"epsilon": 0.3}},
        "problem": {"actions": {"kind": "listed", "length": 2, "max": 5}},
    },
    "c": {  # arms and a group have their shares
        "arms": ARMS,
        "policy": {"name": "exp3_ix"},
        "constraints": {
            "floors": {"a": 0.2},
            "caps": {"c": 0.4},
            "groups": [{"name": "new", "arms": ["b", "c"], "floor": 0.7}],
        },
    },
    "p": {  # policies join, take parts and retire; all of them keep to a floor
        "arms": ARMS,
        "policy": {"name": "epsilon_greedy", "params": {}},
        "constraints": {"floors": 0.1},
    },
    "v": {"problem": {"kind": "vector", "domain": {"kind": "simplex", "dimension": 3}}},  # is told gradients
}
VECTORS, POLICIES = "v", "p"
READY_SECONDS = 180.0  # a busy machine is no bug


class Process:
    """The service as a process that can be killed and started again on the same port."""

    def __init__(self, database: str, *options: str, port: int = 0) -> None:
        self.database = database
        self.options = options
        self.port = port
        self.start()

    def start(self, program: Callable[[list[str]], int] = run) -> None:
        """Start it, or a program that takes the same arguments."""
        arguments = ["serve", "--port", str(self.port), "--database", self.database, *self.options]
        self.stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115  `end` closes it; a pipe fills, where nobody reads it
        self.process = Forked(program, arguments, self.stderr)
        self.answers = False

    def wait(self) -> None:
        """Wait until it answers."""
        if self.answers:
            return
        line = self.process.stdout.readline()
        assert "http://" in line, f"the service did not start: {line}{self.stop(signal.SIGKILL)}"
        self.port = int(line.split("http://", 1)[1].split()[0].rsplit(":", 1)[1])
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                if httpx.get(f"{self.url}/health/ready").status_code == 200:
                    self.answers = True
                    return
            except httpx.TransportError:
                assert time.monotonic() < deadline and self.process.poll() is None, self.stop(signal.SIGKILL)
            time.sleep(0.02)

    def stop(self, how: signal.Signals) -> str:
        """Send a signal, wait for the end, and return what was written to stderr."""
        self.process.send_signal(how)
        self.process.communicate(timeout=60)
        self.stderr.seek(0)
        said = self.stderr.read()
        self.stderr.close()
        return said

    def end(self) -> None:
        """Kill it, where it is still there."""
        self.process.kill()
        self.process.communicate()
        self.stderr.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Decided(NamedTuple):
    """A decision that a client was told of."""

    experiment: str
    body: dict[str, Any]
    answer: dict[str, Any]


class Client(threading.Thread):
    """Decides and rewards, retries until it is answered, and keeps what it was told."""

    def __init__(self, me: int, url: str, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.random = random.Random(SEED * 1000 + me)
        self.me, self.url, self.over = me, url, over
        self.decided: dict[str, Decided] = {}
        self.rewarded: dict[str, float] = {}
        self.open: list[str] = []
        self.joined: list[str] = []
        self.said = 0
        self.recasts = True  # whether it changes policies
        self.cast = 0  # how often it did
        self.canary: int | None = None
        self.retries = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with httpx.Client(base_url=self.url, timeout=20) as self.http:
                while not self.over.is_set():
                    self.random.choice([self.decide, self.decide, self.reward, self.reward, self.repeat])()
                    if self.me == 0 and self.random.random() < 0.1:
                        self.change()
                    time.sleep(0.01)  # as one that has something else to do: else all processors are theirs
        except BaseException as error:
            self.error = error

    def decide(self) -> None:
        name = f"{self.me}-{len(self.decided)}"
        body: dict[str, Any] = {"decision_id": name}
        experiment = self.random.choice(list(EXPERIMENTS))
        if experiment == "n":
            body["context"] = {"user": {"age": self.random.randrange(5)}}
            body["actions"] = [{"id": f"i{i}", "price": i / 2} for i in range(self.random.randint(1, 5))]
        elif experiment == "r":
            body["actions"] = [{"id": f"i{i}", "features": [i, 1]} for i in range(self.random.randint(1, 5))]
        elif experiment != "v" and self.random.random() < 0.3:
            body["eligible_actions"] = ["b", self.random.choice("ac")]
        answer, tries = self.post(experiment, "decisions", body)
        assert answer.status_code in ((201,) if tries == 1 else (200, 201)), answer.text
        self.decided[name] = Decided(experiment, body, answer.json())
        self.open.append(name)

    def reward(self) -> None:
        if self.open:
            name = self.open.pop(self.random.randrange(len(self.open)))
            value = self.random.choice([0.0, 0.25, 1.0])
            answer, tries = self.post(*self.reward_of(name, value))
            allowed = ("accepted",) if tries == 1 else ("accepted", "duplicate")
            assert answer.status_code == 200 and answer.json()["status"] in allowed, answer.text
            self.rewarded[name] = value

    def reward_of(self, name: str, value: float) -> tuple[str, str, dict[str, Any]]:
        """Return experiment, path and body of a reward; of a vector it is a gradient."""
        experiment = self.decided[name].experiment
        body = {"detail": {"gradient": [value, 0.5, -value]}} if experiment == "v" else {"value": value}
        return experiment, f"decisions/{name}/reward", body

    def repeat(self) -> None:
        """Ask again what was answered already, perhaps by another process."""
        if self.decided:
            name = self.random.choice(list(self.decided))
            experiment, body, first = self.decided[name]
            answer, _ = self.post(experiment, "decisions", body)
            assert (answer.status_code, answer.json()) == (200, first)
            if name in self.rewarded:
                answer, _ = self.post(*self.reward_of(name, self.rewarded[name]))
                assert answer.json() == {"status": "duplicate"}

    def change(self) -> None:
        """Let an arm join, retire the one that joined last, or say that the world is another one.

        Asked again, it has happened already.
        """
        if self.recasts and self.random.random() < 0.3:
            self.recast()
        elif self.random.random() < 0.3:
            self.say()
        elif len(self.joined) < 6 and self.random.random() < 0.7:
            name = f"j{len(self.joined)}"
            answer, tries = self.post("e", "arms", {"id": name})
            assert answer.status_code in ((201,) if tries == 1 else (200, 201)), answer.text
            self.joined.append(name)
        elif self.joined:
            answer, _ = self.post("e", f"arms/{self.joined[-1]}:retire", {})
            assert answer.json() == {"arm_id": self.joined[-1], "retired": True}

    def say(self) -> None:
        """Say that the world is another one now; said again under the same number, it is known already."""
        answer, tries = self.post("w", "world", {"change": "known", "number": self.said + 1})
        assert answer.status_code in ((201,) if tries == 1 else (200, 201)), answer.text
        self.said += 1
        assert len(answer.json()["changes"]) == min(self.said, 63)

    def recast(self) -> None:
        """Let a canary join, be promoted or retire; asked again, it has happened already."""
        if self.canary is None:
            policy = {"name": "epsilon_greedy", "params": {"epsilon": 0.2 + 0.001 * self.cast}}
            answer, tries = self.post("p", "policies", {"policy": policy, "role": "canary", "share": 0.3})
            assert answer.status_code in ((201,) if tries == 1 else (200, 201)), answer.text
            self.canary = answer.json()["policy"]
        else:
            deed, body = self.random.choice([("promote", {"former": "retired"}), ("retire", {})])
            answer, _ = self.post("p", f"policies/{self.canary}:{deed}", body)
            assert answer.status_code == 200, answer.text
            self.canary = None
        self.cast += 1

    def post(self, experiment: str, path: str, body: dict[str, Any]) -> tuple[httpx.Response, int]:
        """Try until there is an answer that is not 503; return it and how many times it took."""
        tries = 0
        deadline = time.monotonic() + READY_SECONDS
        while True:
            tries += 1
            assert time.monotonic() < deadline, "there is no answer"
            try:
                answer = self.http.post(f"/v1/experiments/{experiment}/{path}", json=body)
                if answer.status_code != 503:
                    return answer, tries
            except httpx.TransportError:
                pass
            self.retries += 1
            time.sleep(0.03)


def join(clients: Sequence[Client]) -> None:
    """Wait for clients that were told that it is over; raise what one of them met."""
    for client in clients:
        client.join(30)
        assert not client.is_alive()
        if client.error is not None:
            raise client.error


def assert_told(experiment: str, events: list[Any], clients: list[Client]) -> None:
    """Check that the log holds what the clients were told, once, and little else."""
    assert_sound(events)
    decided = {event.decision_id: event for event in events if event.kind == DECIDE}
    learned = {event.number: event for event in events if event.kind == LEARN}
    told = {name: one for client in clients for name, one in client.decided.items() if one.experiment == experiment}
    changes = [json.loads(event.detail) for event in events if event.kind == CHANGE]
    joined = [change["arm"]["id"] for change in changes if change["change"] == "arm_added"]
    if experiment == "e":
        assert joined == clients[0].joined and joined, "each arm joined once"
    if experiment == "w":
        assert len(changes) == clients[0].said, "each world began once"
    if experiment == POLICIES:
        assert len(changes) == clients[0].cast, "each change of policies happened once"
    for name, one in told.items():
        event = decided[name]
        assert experiment != POLICIES or one.answer.get("policy_number", 0) == (event.policy or 0)
        if experiment == VECTORS:
            assert one.answer["point"] == np.frombuffer(event.vector).tolist()
            continue
        labels = [*"abc", *joined] if event.actions is None else json.loads(event.actions)
        assert one.answer["action_id"] == labels[event.action]
        assert one.answer["propensity"] == event.propensity
        assert one.answer["model_version"] == event.seq - 1
    accepted = {name: value for client in clients for name, value in client.rewarded.items() if name in told}
    if experiment == VECTORS:
        gradients = {name: json.loads(learned[decided[name].number].detail) for name in accepted}
        assert gradients == {name: [-value, -0.5, value] for name, value in accepted.items()}  # as rewards: upwards
    else:
        assert {name: learned[decided[name].number].reward for name in accepted} == accepted
    assert len(decided) == len(told) and len(learned) == len(accepted), "all clients went on until they were answered"
