"""`onearm serve --workers N` as processes: one is killed under clients, all are ended, what cannot begin is refused.

What has to do with the database is tried on both kinds, and all else on a file.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from support.forked import Forked
from support.nodes import Nodes, until
from support.ports import free_ports
from support.served import ARMS, RANDOM, folded, log_of

from onearm.api.cli.main import run
from onearm.api.cluster.workers import _bound
from onearm.engine.storage.shards import SHARDS
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE, LEARN

LEASE = 2.0
PATIENCE = 60.0  # a busy machine is no bug
NAMES = [f"e{number}" for number in range(6)]
TLS = Path(__file__).resolve().parents[2] / "fixtures" / "tls"
POSTGRES = "postgresql://nobody@127.0.0.1:1/nothing"


def copied(arguments: list[str], complained: IO[str]) -> Forked:
    """Run the command in a copy of a process that has imported all."""
    return Forked(run, arguments, complained)


def started(arguments: list[str], complained: IO[str]) -> subprocess.Popen[str]:
    """Run the command as everybody does."""
    command = [sys.executable, "-m", "onearm", *arguments]
    plain = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complained, text=True, env=plain)


Start = Callable[[list[str], IO[str]], Any]


class Command:
    """The command at work, with two workers."""

    def __init__(self, database: str, folder: Path, *options: str, scheme: str = "http", start: Start = copied) -> None:
        self.port = free_ports(3)
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.said, self.complained = "", folder / "complained"
        command = ["serve", "--workers", "2", "--node", "w", "--lease", str(LEASE)]
        with self.complained.open("w") as complained:
            self.process = start([*command, "--port", str(self.port), "--database", database, *options], complained)

    @property
    def workers(self) -> list[int]:
        """The processes of the workers, the oldest first."""
        pid = self.process.pid
        return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

    def settle(self) -> list[dict[str, Any]]:
        """Wait until both have their shares, and return what is said of them."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(httpx.TransportError):
                nodes: list[dict[str, Any]] = self.get("/v1/cluster").json()["nodes"]
                if [one["shards"] for one in nodes] == [SHARDS // 2, SHARDS // 2]:
                    return nodes
            assert self.process.poll() is None and time.monotonic() < deadline, self.complained.read_text()
            time.sleep(0.05)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=PATIENCE, verify=False, **more)

    def digest(self, name: str) -> str:
        """Return the digest of an experiment; while its shard moves, or is folded, it is asked for again."""
        deadline = time.monotonic() + PATIENCE
        while (answer := self.get(f"/v1/experiments/{name}")).status_code == 503:
            assert time.monotonic() < deadline
            time.sleep(0.03)
        digest: str = answer.json()["digest"]
        return digest

    def create(self) -> None:
        for name in NAMES:
            body = {"experiment_id": name, "arms": ARMS, "policy": RANDOM, "seed": 3}
            deadline = time.monotonic() + PATIENCE
            while httpx.post(f"{self.url}/v1/experiments", json=body).status_code not in (200, 201):
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def listen(self) -> None:
        """Wait until it says that it decides."""
        while "stop with Ctrl-C" not in self.said:
            line = self.process.stdout.readline()
            assert line, self.complained.read_text()
            self.said += line

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Wait for its end, and return the exit code."""
        code: int = self.process.wait(PATIENCE)
        self.said += self.process.stdout.read()
        self.process.stdout.close()
        return code


@contextmanager
def at_work(
    database: str, folder: Path, *options: str, scheme: str = "http", start: Start = copied
) -> Iterator[Command]:
    command = Command(database, folder, *options, scheme=scheme, start=start)
    try:
        command.settle()
        yield command
    finally:
        workers = command.workers if command.process.poll() is None else []
        command.process.kill()
        command.process.wait()
        command.process.stdout.close()
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)


class Asking(threading.Thread):
    """Decides and rewards, and asks again until it is answered."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(daemon=True)
        self.url, self.number = url, number
        self.over = threading.Event()
        self.told: dict[tuple[str, str], Any] = {}
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.over.is_set():
                asked = len(self.told)
                name, decision = NAMES[asked % len(NAMES)], f"{self.number}-{asked}"
                answer = self.ask(f"/v1/experiments/{name}/decisions", {"decision_id": decision})
                self.told[name, decision] = answer.json()
                self.ask(f"/v1/experiments/{name}/decisions/{decision}/reward", {"value": 1.0})
        except BaseException as error:
            self.error = error

    def ask(self, path: str, body: Any) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(httpx.TransportError):
                answer = httpx.post(f"{self.url}{path}", json=body, timeout=5)
                if answer.status_code != 503:
                    assert answer.status_code in (200, 201), answer.text
                    return answer
            assert time.monotonic() < deadline
            time.sleep(0.03)


def test_a_worker_that_is_killed_is_started_again_and_clients_lose_nothing(url: str, tmp_path: Path) -> None:
    with at_work(url, tmp_path) as command:
        command.create()
        clients = [Asking(command.url, number) for number in range(3)]
        for client in clients:
            client.start()
        for _ in range(2):
            until(lambda: all(len(client.told) > 10 for client in clients))
            before = command.workers
            os.kill(before[0], signal.SIGKILL)
            until(lambda: len(command.workers) == 2 and before[0] not in command.workers)  # noqa: B023
            command.settle()
        for client in clients:
            client.over.set()
        for client in clients:
            client.join(PATIENCE)
            assert client.error is None
        digests = {name: command.digest(name) for name in NAMES}
        assert command.end() == 0
        complained = command.complained.read_text()
        assert complained.count("ended by signal 9: it is started again") == 2 and "Traceback" not in complained
    told = [key for client in clients for key in client.told]
    store = Store.open(url)
    try:
        for name in NAMES:
            row, events = log_of(store, name)
            decided = [event.decision_id for event in events if event.kind == DECIDE]
            assert sorted(decided) == sorted(decision for one, decision in told if one == name)
            assert sum(event.kind == LEARN for event in events) == len(decided)
            assert digests[name] == folded(row, events)
    finally:
        store.close()


@pytest.mark.covering
@pytest.mark.parametrize(
    ("number", "code", "says", "start"),
    [(signal.SIGTERM, 0, "", started), (signal.SIGINT, 130, "\nstopped\n", copied)],
)
def test_what_is_told_to_end_drains_all_workers_and_leaves_as_one_process(
    url: str, tmp_path: Path, number: signal.Signals, code: int, says: str, start: Start
) -> None:
    """Both leave at once, and neither waits for the other to take what it has."""
    with at_work(url, tmp_path, start=start) as command:
        command.create()
        workers = command.workers
        begun = time.monotonic()
        assert command.end(number) == code
        assert time.monotonic() - begun < 7  # a node waits 8 s for others that could take its shards
        assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
        assert command.complained.read_text() == says
        assert command.said.count("stop with Ctrl-C") == 1
    with Nodes(url, "w-1") as nodes:  # the names are free at once
        assert nodes.all[0].ask("GET", "/v1/experiments/e0").status_code == 200


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_once_workers_say_that_they_decide_the_first_calls_are_done(url: str, tmp_path: Path) -> None:
    command = Command(url, tmp_path)
    try:
        command.listen()
        answers = [
            httpx.post(f"{command.url}/v1/experiments", json={"experiment_id": name, "arms": ARMS, "policy": RANDOM})
            for name in NAMES  # each over a connection of its own, so to either worker
        ]
        assert [answer.status_code for answer in answers] == [201] * len(NAMES), [one.text for one in answers]
    finally:
        command.end()
    assert command.said.count("decides at") == 1 and "w-1, w-2" in command.said
    assert "/decisions" not in command.said  # there is no experiment yet


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_workers_end_when_the_process_that_started_them_is_killed(url: str, tmp_path: Path) -> None:
    with at_work(url, tmp_path) as command:
        workers = command.workers
        command.process.kill()
        command.process.wait()
        until(lambda: not any(is_alive(worker) for worker in workers))
        with pytest.raises(httpx.TransportError):
            command.get("/health/live")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_both_workers_are_asked_and_each_answers_to_its_addresses_alone(url: str, tmp_path: Path) -> None:
    with at_work(url, tmp_path) as command:
        nodes = command.settle()
        assert [one["name"] for one in nodes] == ["w-1", "w-2"]
        asked: set[str] = set()
        until(lambda: asked.add(command.get("/v1/cluster").json()["node"]) or asked == {"w-1", "w-2"})
        assert [one["address"] for one in nodes] == [f"http://127.0.0.1:{command.port + number}" for number in (1, 2)]
        counts = [httpx.get(f"{one['address']}/metrics").text.count("onearm_build_info{") for one in nodes]
        assert counts == [1, 1]
        for address in (command.url, *(one["address"] for one in nodes)):
            assert httpx.get(f"{address}/v1/experiments").status_code == 200
            assert httpx.get(f"{address}/v1/experiments", headers={"host": "shop.example"}).status_code == 421
            forged = {"x-onearm-node": "secret", "x-onearm-caller": "[]"}
            assert httpx.get(f"{address}/v1/experiments", headers=forged).status_code == 503


def posted(client: httpx.Client, path: str, body: Any) -> httpx.Response:
    """Post until the answer is not 503: a shard may still be on its way to another worker."""
    while (answer := client.post(path, json=body)).status_code == 503:
        time.sleep(0.05)
    return answer


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_clients_speak_tls_and_workers_among_themselves_do_not(url: str, tmp_path: Path) -> None:
    options = ["--tls-cert", str(TLS / "cert.pem"), "--tls-key", str(TLS / "key.pem")]
    with at_work(url, tmp_path, *options, scheme="https") as command:
        assert {one["address"][:5] for one in command.settle()} == {"http:"}
        trusting = httpx.Client(base_url=command.url, verify=ssl.create_default_context(cafile=TLS / "cert.pem"))
        with trusting as client:  # one connection, so one worker, which passes on what the other has
            for name in NAMES:
                body = {"experiment_id": name, "arms": ARMS, "policy": RANDOM}
                assert posted(client, "/v1/experiments", body).status_code == 201
                assert posted(client, f"/v1/experiments/{name}/decisions", {}).status_code == 201
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(command.url.replace("https", "http"))
        assert command.get("/health/live").status_code == 200


def test_where_a_port_beside_is_taken_or_none_a_worker_is_found_at_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for asked in (port, 65_536):
            with _bound(asked) as found:
                assert found.getsockname()[0] == "127.0.0.1" and found.getsockname()[1] not in (asked, 0)


def test_a_port_in_use_is_said_once_and_nothing_is_started(
    postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        options = ["--port", str(taken.getsockname()[1]), "--workers", "2", "--database", postgres_url]
        assert run(["serve", *options]) == 2
    assert capsys.readouterr().err.count("cannot listen on") == 1


def test_what_is_wrong_for_all_workers_is_said_once(tmp_path: Path) -> None:
    command = Command(POSTGRES, tmp_path)
    assert command.ended() == 2
    assert command.complained.read_text().count("does not answer") == 1


def test_workers_beside_nodes_of_another_command_are_refused(
    postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Nodes(postgres_url, "a"):
        options = ["--port", "0", "--workers", "2", "--node", "w", "--database", postgres_url]
        assert run(["serve", *options]) == 2
    assert "the database is served by 'a'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["w-1", "v-1"], ids=["of the same names", "of other names"])
def test_workers_of_a_file_that_other_workers_have_are_told_so(name: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/run.db"
    with Nodes(url, name):
        command = Command(url, tmp_path)
        assert command.ended() == 2
    complained = " ".join(command.complained.read_text().split())
    assert "run.db is in use by workers of another command: end the service" in complained
    assert "or name another database" in complained
    assert "--node" not in complained and "--advertise" not in complained


def test_workers_of_a_server_that_other_workers_have_are_told_so(postgres_url: str, tmp_path: Path) -> None:
    """They are not told to take other names: with these they would be refused too."""
    with Nodes(postgres_url, "w-1"):
        command = Command(postgres_url, tmp_path)
        assert command.ended() == 2
    complained = " ".join(command.complained.read_text().split())
    assert "is served by another command, which has the worker 'w-1'" in complained
    assert "--node" not in complained


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--workers", "0"], "0 is not in the range"),
        (["--workers", "17"], "17 is not in the range"),
        (["--workers", "two"], "two"),
        (["--workers", "2", "--advertise", "http://10.0.0.5:80", "--database", POSTGRES], "do not go together"),
        (["--workers", "2", "--personalizer", "--database", POSTGRES], "--personalizer and --workers"),
    ],
)
def test_workers_that_cannot_be_are_refused(
    options: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["serve", "--port", "0", *options]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def is_alive(process: int) -> bool:
    """Tell whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
