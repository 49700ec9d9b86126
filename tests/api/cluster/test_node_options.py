"""What a node cannot be started with is said at the start, and nothing is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from support.nodes import Nodes
from support.served import Served

from onearm.api.cli.main import run
from onearm.api.cluster.clock import DatabaseClock
from onearm.api.cluster.opening import open_node
from onearm.api.service.refusals import INCOMPLETE
from onearm.engine.errors import InvalidInput, Unavailable
from onearm.engine.storage.files import IN_USE
from onearm.engine.storage.store import Store

ADDRESS = "http://127.0.0.1:8080"
POSTGRES = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--node", "a", "--database", POSTGRES], "no --advertise"),
        (["--advertise", ADDRESS], "--advertise is of no use alone"),
        (["--node", "a b", "--advertise", ADDRESS, "--database", POSTGRES], "is no name"),
        (["--node", "a", "--advertise", "10.0.0.5:8080", "--database", POSTGRES], "is no address of a node"),
        (["--node", "a", "--advertise", "http://127.0.0.1:99999", "--database", POSTGRES], "is no address of a node"),
        (["--node", "a", "--advertise", "http://127.0.0.1:0", "--database", POSTGRES], "is no address of a node"),
        (["--node", "a", "--advertise", "http://[::1", "--database", POSTGRES], "is no address of a node"),
        (["--node", "a", "--advertise", f"{ADDRESS}/bandit", "--database", POSTGRES], "is no address of a node"),
        (["--node", "a", "--advertise", ADDRESS, "--personalizer", "--database", POSTGRES], "do not go together"),
        (["--node", "a", "--advertise", ADDRESS, "--lease", "0.1", "--database", POSTGRES], "0.1"),
        (["--node", "a", "--advertise", ADDRESS, "--database", POSTGRES], "does not answer"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", "--port", "0", *options]) != 0
    assert says in capsys.readouterr().err


def test_a_node_by_itself_refuses_a_file_of_sqlite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = f"sqlite:///{tmp_path}/run.db"
    options = ["--node", "a", "--advertise", ADDRESS, "--database", database]
    assert run(["serve", "--port", "0", *options]) != 0
    assert "several nodes need a database of PostgreSQL" in capsys.readouterr().err
    assert not (tmp_path / "run.db").exists()


def test_workers_of_a_copy_that_lacks_commits_say_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"sqlite:///{tmp_path}/run.db"
    Store.open(url).close()
    with closing(sqlite3.connect(tmp_path / "run.db")) as connection:
        connection.execute(f"PRAGMA user_version = {IN_USE}")
    with Nodes(url, "a", "b"):
        pass
    assert [record.getMessage() for record in caplog.records].count(INCOMPLETE) == 1


def test_a_second_node_of_a_name_is_refused_and_the_first_goes_on(postgres_url: str) -> None:
    with Nodes(postgres_url, "a") as nodes:
        nodes.all[0].create("e")
        with pytest.raises(InvalidInput, match="give each --node a name of its own") as refused:
            open_node(postgres_url, "a", ADDRESS, 1.0)
        assert refused.value.code == "node_in_use"
        assert nodes.all[0].client.post("/v1/experiments/e/decisions", json={}).status_code == 201


def test_a_user_who_may_not_write_is_told_so(postgres_url: str) -> None:
    Store.open(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA public TO reader")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    try:
        with pytest.raises(Unavailable, match="permission denied"):
            open_node(postgres_url.replace("postgres@", "reader@"), "a", ADDRESS, 5.0)
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("DROP OWNED BY reader")
            connection.execute("DROP ROLE reader")


def test_one_process_says_that_it_is_one(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        answer = served.get("/v1/cluster")
        assert answer.json() == {"node": None, "seen_seconds_ago": 0.0, "nodes": [], "shards": []}
        forged = {"x-onearm-node": "secret", "x-onearm-caller": "[]"}
        assert served.client.get("/v1/experiments", headers=forged).status_code == 200


def test_the_clock_of_a_node_never_goes_back() -> None:
    clock = DatabaseClock()
    clock.set(5_000_000, 10.0, 10.0)
    first = clock.now()
    clock.set(4_000_000, 10.0, 10.0)
    assert clock.now() == first
    clock.set(first + 9_000_000, 0.0, 0.0)
    assert clock.now() > first + 9_000_000
