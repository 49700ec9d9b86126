"""`onearm serve` and `onearm demo` as processes: what they say, and what they refuse."""

from __future__ import annotations

import json
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import chdir, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.forked import Forked, ran
from support.processes import Process

from onearm.api import console
from onearm.api.cli import serve
from onearm.api.cli.demo import ENV, _answer
from onearm.api.cli.main import run
from onearm.engine.errors import installing
from onearm.engine.storage.store import Store
from onearm.envs import catalog as envs

COMMAND = [sys.executable, "-m", "onearm"]
READY_SECONDS = 120.0  # a busy machine is no bug


@contextmanager
def serving(folder: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Run the service on a free port; yield the process, its address, and what it said."""
    arguments = ["serve", "--port", "0", "--database", "sqlite:///run.db", *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731 - a shell's background jobs ignore Ctrl-C
    with subprocess.Popen([*COMMAND, *arguments], cwd=folder, text=True, preexec_fn=heed, **pipes) as process:
        assert process.stdout is not None
        said = ""
        while "stop with Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            said += line
        try:
            yield process, next(word for word in said.split() if word.startswith("http://")), said
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


@contextmanager
def copied(folder: Path, *more: str) -> Iterator[Process]:
    """Run the service as `serving` does, by a copy of a process that has imported all; yield it when it is ready."""
    with chdir(folder):
        process = Process("sqlite:///run.db", *more)
    try:
        process.wait()
        yield process
    finally:
        process.end()


def until_ready(address: str) -> None:
    """Wait until every experiment answers."""
    deadline = time.monotonic() + READY_SECONDS
    while httpx.get(f"{address}/health/ready").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def open_files(pid: int) -> int:
    """Return how many files a process has open, once that stays: it closes connections when it comes to that."""
    seen: list[int] = []
    while len(seen) < 20 or len(set(seen[-20:])) > 1:
        seen.append(len(list(Path(f"/proc/{pid}/fd").iterdir())))
        time.sleep(0.01)
    return seen[-1]


def test_a_port_in_use_is_explained_before_anything_is_made(onearm: Any, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = onearm("serve", "--port", str(port), "--database", "sqlite:///run.db")
    assert done.code == 2
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use): stop what uses the port" in done.err
    assert not (tmp_path / "run.db").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "70000"], "70000 is not in the range"),
        (["--port", "http"], "'http' is no whole number"),
        (["--database", "run.db"], "names no database: write sqlite:///FILE"),
        (["--database", "sqlite:///no/such/folder/run.db"], "there is no folder"),
        (["--database", "sqlite:///"], "names no file"),
        (["--host", "nowhere.invalid", "--insecure"], "cannot listen on nowhere.invalid"),
        (["--host", "0.0.0.0"], "--host 0.0.0.0 is reached by others"),
        (["--host", "::"], "onearm keys create --role admin --name me"),
        (["--host", "example.com"], "--host example.com is reached by others"),
        (["--database", "sqlite:///file:u.db?uri=true"], "write sqlite:///FILE, and nothing behind it"),
        (["--allowed-host", ""], "the host '' is no name or address"),
        (["--tls-key", "key.pem"], "give its --tls-cert too"),
        (["--tls-cert", "nowhere.pem"], "nowhere.pem cannot be used"),
        (["--root-path", "bandit/"], "'bandit/' is no prefix"),
        (["--allowed-host", "http://shop.example"], "write it without http:// and port"),
        (["--cors-origin", "*"], "the origin '*' is none"),
        (["--max-connections", "0"], "0 is not in the range x>=1"),
        (["--max-connections", "100000000"], "connections need 100000200 open files"),
        (["--read-timeout", "0"], "0.0 is not in the range"),
        (["--policy-file", "nobody.py"], "there is no Python file nobody.py"),
    ],
)
def test_wrong_use_is_explained(onearm: Any, arguments: list[str], said: str) -> None:
    done = onearm("serve", *(["--port", "0"] if "--port" not in arguments else []), *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_service_whose_tables_cannot_be_read_at_its_start_says_so_and_shows_no_code(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/run.db"
    Store.open(url).close()
    with closing(sqlite3.connect(tmp_path / "run.db")) as driver:
        driver.execute("DROP TABLE api_key")
    done = ran(run, "serve", "--port", "0", "--database", url)
    assert done.returncode == 3
    assert "the service does not start: " in done.stderr and "no such table: api_key" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("called", "said"), [(".venv/bin/onearm", ".venv/bin/onearm"), ("/a/__main__.py", f"{sys.executable} -m onearm")]
)
def test_what_is_printed_calls_the_command_as_it_was_called(
    called: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [called, "serve"])
    assert serve._command() == said


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert (serve._address("::1", 81), serve._address("localhost", 82)) == ("http://[::1]:81", "http://localhost:82")


def test_demo_without_a_service_says_how_to_start_one(onearm: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    done = onearm("demo", "--url", address, "--steps", "1")
    assert (done.code, done.out) == (2, "")
    assert "no service answers" in done.err and "start one with `make run`" in done.err


@pytest.mark.jit
@pytest.mark.usefixtures("nothing_is_compiled")
def test_the_service_says_what_to_open_and_what_it_says_works_as_pasted(onearm: Any, tmp_path: Path) -> None:
    with serving(tmp_path) as (process, address, said):
        assert f"open         {address}/   and   {address}/docs" in said
        assert "experiments: hello" in said
        until_ready(address)
        (pasted,) = [line.removeprefix("try").strip() for line in said.splitlines() if line.startswith("try")]
        curl = subprocess.run(["bash", "-c", f"{pasted} --silent --fail"], capture_output=True, text=True, check=False)
        if curl.returncode == 127:  # no curl here: send what it would send
            url = pasted.split()[-1]
            with urllib.request.urlopen(urllib.request.Request(url, b"{}"), timeout=30) as answer:
                body = json.load(answer)
        else:
            body = json.loads(curl.stdout)
        assert body["action_id"] in ("red", "blue")
        assert f" {sys.executable} -m onearm demo --url {address} " in said
        second = onearm("serve", "--port", "0", "--database", "sqlite:///run.db")
        assert second.code == 2
        assert f"is in use by process {process.pid}: end the service or program" in second.err
        beside = onearm("verify", "--database", "sqlite:///run.db", "--json")
        assert beside.json["experiments"][0]["decisions"] == 1, beside.err
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr is not None and process.stderr.read().strip() == "stopped"


@pytest.mark.jit
def test_a_service_for_others_says_at_each_start_that_it_asks_nobody_who_they_are(tmp_path: Path) -> None:
    with copied(tmp_path, "--host", "0.0.0.0", "--insecure", "--allowed-host", "bandit.lan") as service:
        address = f"127.0.0.1:{service.port}"
        for host, status in (("bandit.lan", 200), (address, 200), ("evil.example", 421), ("0.0.0.0", 421)):
            found = httpx.get(f"http://{address}/v1/experiments", headers={"host": host})
            assert found.status_code == status, host
        said = service.stop(signal.SIGTERM)
    assert service.process.returncode == 0
    assert said == "--insecure   everyone who reaches 0.0.0.0 may read and write everything, until there is a key\n"


@pytest.mark.jit
def test_at_the_limit_of_open_files_a_creation_is_told_to_try_again(tmp_path: Path) -> None:
    """It was told to check its params."""
    with copied(tmp_path, "--max-connections", "300") as service:
        pid = service.process.pid
        with httpx.Client(base_url=service.url, timeout=60) as client:
            assert client.get("/health/live").status_code == 200
            body: dict[str, Any] = {"arms": [{"id": "a"}, {"id": "b"}], "policy": {"name": "linucb"}}
            body["problem"] = {"context": {"kind": "dense", "length": 2}}
            for name in range(20):  # what compiles beside it may have ended meanwhile, and left it a file or two
                body["experiment_id"] = f"e{name}"
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_files(pid), 4096))
                refused = client.post("/v1/experiments", json=body)
                if refused.status_code != 201:
                    break
            assert (refused.status_code, refused.headers.get("retry-after")) == (503, "1"), refused.text
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (1000, 4096))
            assert client.post("/v1/experiments", json=body).status_code == 201
        said = service.stop(signal.SIGTERM)
    assert service.process.returncode == 0
    assert "open" in said, said


def test_demo_needs_no_data_set_unless_one_is_named(onearm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("sklearn", "river", "mlxtend"):
        monkeypatch.setitem(sys.modules, package, None)
    done = onearm("demo", "--env", 'classification:{"dataset":"digits"}')
    assert done.code == 2
    assert f"comes with scikit-learn, which is not installed: {installing('examples')}" in done.err
    world = envs.parse(ENV)
    assert (world.problem.n_arms, world.problem.context_shape) == (5, (4,))


@pytest.mark.jit
@pytest.mark.usefixtures("nothing_is_compiled")
def test_demo_streams_a_world_through_the_service_and_a_policy_learns(
    onearm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = 'bernoulli:{"mean":[0.0,1.0]}'
    common = ("demo", "--env", world, "--policy", "ucb1", "--steps", "60")
    with copied(tmp_path) as service:
        address = service.url
        found = onearm(*common, "--url", address, "--experiment", "shown", "--json").json
        assert (found["experiment"], found["decisions"]) == ("shown", 60)
        assert found["reward_mean_second_half"] > 0.7
        assert sum(found["shares"].values()) == pytest.approx(1.0)
        other = onearm(*common, "--policy", "moss", "--url", address, "--experiment", "shown")
        assert other.code == 2
        assert "the service refused /v1/experiments" in other.err
        piped = onearm(*common, "--url", address)
        assert piped.out.startswith("60 decisions of demo-"), piped.err
        assert "\x1b" not in piped.out + piped.err
        monkeypatch.setattr(console.sys.stderr, "isatty", lambda: True)
        assert "60/60" in onearm(*common, "--url", address).err
    verified = onearm("verify", "--database", "sqlite:///run.db", "--json")
    assert verified.code == 0
    assert {one["id"]: one["decisions"] for one in verified.json["experiments"]}["shown"] == 60


def test_demo_waits_for_an_experiment_that_recovers() -> None:
    recovering = httpx.Response(503, json={"code": "recovering"}, headers={"retry-after": "0"})
    answers = [recovering, recovering, httpx.Response(201, json={"action_id": "a"})]
    assert _answer(lambda path, json: answers.pop(0), "/v1/experiments/e/decisions", {}) == {"action_id": "a"}
    assert answers == []


def test_with_json_every_line_of_the_log_is_an_object(tmp_path: Path) -> None:
    arguments = ["serve", "--port", "0", "--database", "sqlite:///run.db", "--log-format", "json", "--access-log"]
    with chdir(tmp_path), Path("said").open("w") as stderr, Path("said").open() as said:
        process = Forked(run, arguments, stderr)
        deadline = time.monotonic() + READY_SECONDS
        while not (line := said.readline()).endswith("\n"):
            assert not line and time.monotonic() < deadline
            time.sleep(0.02)
        told = json.loads(line)
        assert (told["message"], told["database"]) == ("onearm decides", "sqlite:///run.db")
        httpx.get(f"{told['address']}/version", headers={"X-Request-ID": "a-1"})
        process.send_signal(signal.SIGTERM)
        out = process.stdout.read()
        process.communicate(timeout=30)
        lines = [json.loads(line) for line in said]
    assert [line["request_id"] for line in lines if line["message"] == "answered"] == ["a-1"]
    assert out == ""
