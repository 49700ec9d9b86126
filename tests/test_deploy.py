"""The files of docs/deploy: nginx takes its own and hands requests on as they were, and what is watched is there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from support.direct import Direct
from support.forked import ran
from support.keyed import Keyed
from support.needs import needed

from onearm.api.cli.main import run
from onearm.api.http.app import create_app
from onearm.engine.storage.store import Store

HOST = "shop.example"
NAMES = re.compile(r"\b(?:onearm|process|python)_\w+")
FOLDER = Path(__file__).resolve().parent.parent / "docs" / "deploy"


# systemd


def test_the_unit_is_exposed_less_than_3_of_10() -> None:
    command = [needed("systemd"), "security", "--offline=true", "--no-pager", str(FOLDER / "onearm.service")]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    exposed = re.search(r"Overall exposure level for onearm.service: ([\d.]+)", said)
    assert exposed is not None, said
    assert float(exposed[1]) < 3.0


def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    unit = (FOLDER / "onearm.service").read_text().replace("/opt/onearm/bin/onearm", "/bin/true")
    (tmp_path / "onearm.service").write_text(unit)
    command = [needed("systemd"), "verify", "--man=no", str(tmp_path / "onearm.service")]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "onearm.service" not in said.stderr, said.stderr


def test_what_the_unit_starts_is_understood(tmp_path: Path) -> None:
    line = next(line for line in (FOLDER / "onearm.service").read_text().splitlines() if line.startswith("ExecStart="))
    options = line.split(" ", 2)[2].removesuffix("$ONEARM_OPTIONS").split()
    nginx = (FOLDER / "nginx.conf").read_text()
    behind = re.search(r"started with (--.*)\.$", nginx, re.M)
    assert behind is not None
    options[options.index("--port") + 1] = "0"
    with chdir(tmp_path):
        done = ran(run, "serve", *options, *behind[1].split(), "--database", "run.db")
    assert "names no database" in done.stderr  # all that stands before it was read


# nginx


@contextmanager
def behind_nginx(folder: Path, port: int) -> Iterator[str]:
    """Run nginx with its file of docs/deploy in front of a port; yield its address."""
    server = (FOLDER / "nginx.conf").read_text()
    socket = folder / "nginx.sock"
    for said, meant in (("127.0.0.1:8080", f"127.0.0.1:{port}"), ("listen 80;", f"listen unix:{socket};")):
        assert server.count(said) == 1
        server = server.replace(said, meant)
    # A socket has no address to be told of: that of a client is made up.
    server = server.replace("$remote_addr", "192.0.2.7")
    paths = " ".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = f"user root;\ndaemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
    config += f"http {{\naccess_log off;\n{paths}\n{server}\n}}\n"
    if os.getuid() != 0:
        config = config.removeprefix("user root;\n")
    (folder / "nginx.conf").write_text(config)
    command = [needed("nginx"), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 30.0
            while not socket.exists():
                assert process.poll() is None, (folder / "error.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield str(socket)
        finally:
            process.terminate()
            process.wait(30)


def test_behind_nginx_it_answers_as_without(tmp_path: Path) -> None:
    options = {"prefix": "/bandit"}
    with Keyed(tmp_path, options=options, hosts=[HOST]) as keyed, behind_nginx(tmp_path, keyed.port) as path:
        headers = {"Authorization": f"Bearer {keyed.key('admin', tenant='shop')}"}
        transport = httpx.HTTPTransport(uds=path)
        with httpx.Client(transport=transport, base_url=f"http://{HOST}/bandit", headers=headers, timeout=60) as client:
            body = {"experiment_id": "a/b", "arms": [{"id": "x/y"}, {"id": "z"}], "policy": {"name": "ucb1"}}
            assert client.post("/v1/experiments", json=body).status_code == 201
            made = client.post("/v1/experiments/a%2Fb/decisions", json={}, headers={"X-Request-ID": "web-7"})
            assert (made.status_code, made.headers["x-request-id"]) == (201, "web-7")
            assert len(client.get("/version").headers["x-request-id"]) == 32  # nginx made one
            assert client.post("/v1/experiments/a%2Fb/arms/x%2Fy:retire").json() == {"arm_id": "x/y", "retired": True}
            assert client.get("/v1/audit").json()["deeds"][0]["origin"] == "192.0.2.7"
            page = client.get("/").text
            assert f"http://{HOST}/bandit/v1/experiments" in page
            assert client.get("/static/favicon.svg").status_code == 200
            lines = client.get("/v1/experiments/a%2Fb/log").content.splitlines()
            assert [json.loads(line).get("seq") for line in lines] == [None, 1, 2]
            assert client.get("/metrics").status_code == 404
            large = client.post("/v1/experiments/a%2Fb/decisions", content=b"x" * 5_000_000)
            assert large.status_code == 413
            del client.headers["Authorization"]
            assert client.get("/version").status_code == 401
            assert client.get("/health/ready").status_code == 200


# What is watched


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return the names of all series that are served."""
    file = tmp_path_factory.mktemp("watched") / "run.db"
    with Direct(create_app(Store.open(f"sqlite:///{file}"))) as client:
        body = {"experiment_id": "e", "arms": [{"id": "a"}, {"id": "b"}], "policy": {"name": "uniform"}}
        assert client.post("/v1/experiments", json=body).status_code == 201
        families = list(text_string_to_metric_families(client.get("/metrics").text))
    names = {family.name for family in families}
    counted = {f"{family.name}_total" for family in families if family.type == "counter"}
    parts = {f"{f.name}_{part}" for f in families if f.type == "histogram" for part in ("bucket", "sum", "count")}
    return names | counted | parts


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((FOLDER / "alarms.yml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_alarms_look_at_what_is_served_and_a_page_says_what_to_do(served: set[str], root: Path) -> None:
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert set(NAMES.findall(rule["expr"])) <= served, rule["alert"]
        assert rule["expr"].count("(") == rule["expr"].count(")")
    page = (root / "docs" / "deploy.md").read_text()
    assert re.findall(r"^\| `(Onearm\w+)` \|", page, re.M) == [rule["alert"] for rule in rules()]


def test_the_dashboard_shows_what_is_served(served: set[str]) -> None:
    board = json.loads((FOLDER / "dashboard.json").read_text())
    shown: set[str] = set()
    for panel in board["panels"]:
        for target in panel["targets"]:
            names = set(NAMES.findall(target["expr"]))
            assert names and names <= served, target["expr"]
            shown |= names
    assert len(shown) > 15
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_a_name_that_nobody_serves_would_be_noticed(served: set[str]) -> None:
    assert not set(NAMES.findall("rate(onearm_decisionz_total[5m])")) <= served
