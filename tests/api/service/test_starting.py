"""The service as a process that listens before its logs are folded, and is killed and stopped meanwhile."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import httpx
import sqlalchemy as sa
from support.forked import Forked
from support.served import assert_refused

from onearm.api.cli.main import run
from onearm.engine.storage.tables import SNAPSHOT, SNAPSHOT_PART

PATIENCE = 120.0  # seconds: a busy machine is no bug
REWARDS = 5
WAITING = '''"""Waiting: as ucb1, but it learns only while there is a file, so that a short log may be as a long one."""

import time
from pathlib import Path
from typing import NamedTuple

from onearm.engine.kernel import kernel
from onearm.engine.protocol import register_policy
from onearm.engine.rewards import UNIT
from onearm.engine.vocabulary import Policy, RewardRange
from onearm.policies.arms import ucb1


class WaitingParams(NamedTuple):
    alpha: float
    wait: int
    rewards: RewardRange


def waiting():
    return Policy("waiting", WaitingParams(2.0, 0, UNIT), lambda params, problem: ucb1.init(params, problem))


@kernel
def select(params, state, instance, key):
    return ucb1.select(params, state, instance, key)


@kernel
def update(params, state, instance, decision, feedback, key):
    while not Path("go").exists():
        time.sleep(0.01)
    ucb1.update(params, state, instance, decision, feedback, key)


register_policy(WaitingParams, select=select, update=update)
'''


class Serving(NamedTuple):
    """The service as a process that is killed or stopped."""

    process: Forked
    stderr: IO[str]

    def end(self, how: signal.Signals) -> str:
        """Send a signal, let the policy go on, and wait for the end; return what was written to stderr."""
        self.process.send_signal(how)
        Path("go").touch()
        self.process.wait(PATIENCE)
        self.stderr.seek(0)
        return self.stderr.read()


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Serving, httpx.Client]]:
    """Run the service over the folder's database until the block ends; a kernel that looks for a file is Python."""
    (folder / "waiting.py").write_text(WAITING)
    arguments = ["serve", "--port", "0", "--database", "sqlite:///run.db", "--policy-file", "waiting.py"]
    with chdir(folder), tempfile.TemporaryFile("w+") as stderr:
        served = Serving(Forked(run, arguments, stderr), stderr)
        try:
            line = served.process.stdout.readline()
            assert "http://" in line, served.end(signal.SIGKILL)
            address = next(word for word in line.split() if word.startswith("http://"))
            with httpx.Client(base_url=address, timeout=PATIENCE) as client:
                yield served, client
        finally:
            served.process.kill()
            served.process.communicate()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(httpx.TransportError):  # it listens a moment before it answers
            if true():
                return
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ready(client: httpx.Client) -> Any:
    """Return what the service says of how ready it is."""
    return client.get("/health/ready").json()


def decide(client: httpx.Client, experiment: str, **body: Any) -> httpx.Response:
    return client.post(f"/v1/experiments/{experiment}/decisions", json=body)


def forget_snapshots(folder: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{folder}/run.db")
    with engine.begin() as connection:
        connection.execute(sa.delete(SNAPSHOT))
        connection.execute(sa.delete(SNAPSHOT_PART))
    engine.dispose()


def fill(folder: Path) -> dict[str, str]:
    """Let two experiments decide and learn; return the digests of their states."""
    (folder / "go").touch()
    with serving(folder) as (served, client):
        until(lambda: ready(client) == {"status": "ready"})
        for name, policy in (("quick", "ucb1"), ("slow", "waiting")):
            body = {"experiment_id": name, "arms": [{"id": "a"}, {"id": "b"}], "policy": {"name": policy}}
            client.post("/v1/experiments", json=body).raise_for_status()
            for i in range(REWARDS):
                decide(client, name, decision_id=f"d{i}").raise_for_status()
                reward = {"value": i / REWARDS}
                client.post(f"/v1/experiments/{name}/decisions/d{i}/reward", json=reward).raise_for_status()
        digests = {name: client.get(f"/v1/experiments/{name}").json()["digest"] for name in ("quick", "slow")}
        assert served.end(signal.SIGTERM) == ""
    forget_snapshots(folder)
    return digests


def test_a_service_that_is_killed_or_stopped_while_it_recovers_has_lost_nothing(tmp_path: Path) -> None:
    digests = fill(tmp_path)
    for blow in (signal.SIGKILL, signal.SIGTERM):
        (tmp_path / "go").unlink()
        with serving(tmp_path) as (served, client):
            until(lambda: client.get("/health/live").json() == {"status": "alive"})
            until(lambda: decide(client, "quick").status_code == 201)
            assert ready(client) == {"status": "recovering", "recovering": 1, "of": 3}
            assert_refused(decide(client, "slow", decision_id="d0"), 503, "recovering")
            again = client.post("/v1/experiments/quick/decisions/d0/reward", json={"value": 0.0})
            assert again.json() == {"status": "duplicate"}
            assert served.end(blow) == ""
            assert served.process.returncode == (0 if blow == signal.SIGTERM else -blow)
    with serving(tmp_path) as (served, client):
        until(lambda: ready(client) == {"status": "ready"})
        assert {name: client.get(f"/v1/experiments/{name}").json()["digest"] for name in digests} == digests
        assert decide(client, "slow", decision_id="d0").headers["idempotency-replayed"] == "true"
        assert decide(client, "slow").json()["decision_id"] == f"~{REWARDS}"
        assert served.end(signal.SIGTERM) == ""
        said = served.process.stdout.read()
    assert "recovering   reading the logs of 3 experiments; one that is asked for goes first\n" in said
    assert "recovered    3 of 3 experiments in " in said.splitlines()[-1]
