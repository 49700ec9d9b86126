"""`onearm verify` and `onearm export`: every decision made again, from a database or from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.direct import Direct
from support.witness import witness
from support.worlds import BERNOULLI

from onearm.api.http.app import create_app
from onearm.engine import snapshot
from onearm.engine.simulation import Simulation
from onearm.engine.storage.formats import jsonl, parquet
from onearm.engine.storage.schema import VERSION_TABLE
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE, EXTERNAL, LEARN
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

URL = "sqlite:///run.db"
ARMS = [{"id": "a"}, {"id": "b"}, {"id": "c"}]


def serve_some(steps: int = 20) -> dict[str, str]:
    """Decide and reward in three experiments, some rewards late or missing; return their digests."""
    specs: dict[str, dict[str, Any]] = {
        "plain": {"policy": {"name": "exp3_ix"}},
        "masked": {"policy": {"name": "uniform"}},
        "dense": {"policy": {"name": "ucb1"}, "problem": {"context": {"kind": "dense", "length": 2}}},
    }
    with Direct(create_app(Store.open(URL))) as client:
        for name, spec in specs.items():
            body = {"experiment_id": name, "arms": ARMS, "seed": 5, **spec}
            assert client.post("/v1/experiments", json=body).status_code == 201
            path, late = f"/v1/experiments/{name}/decisions", []
            for t in range(steps):
                asked: dict[str, Any] = {"context": [t / 3, -t]} if name == "dense" else {}
                if name == "masked" and t % 3:
                    asked["eligible_actions"] = ["a", "c"]
                decided = client.post(path, json=asked).json()
                late.append(decided["decision_id"])
                if t % 4 == 3:
                    for known in (late.pop(), late.pop(0)):
                        answer = client.post(f"{path}/{known}/reward", json={"value": 0.5})
                        assert answer.json() == {"status": "accepted"}
        return {name: client.get(f"/v1/experiments/{name}").json()["digest"] for name in specs}


def test_a_simulated_log_verifies_and_its_digest_is_that_of_the_simulation(onearm: Any, log: Path) -> None:
    done = onearm("verify", str(log), "--json")
    run = Simulation(policies.make("uniform"), envs.parse(BERNOULLI), horizon=40, seed=3)
    run.advance(40)
    assert done.code == 0
    assert done.json == {
        "experiments": [
            {
                "id": "out.jsonl",
                "decides": "arm",
                "events": 80,
                "decisions": 40,
                "first_difference": None,
                "digest": snapshot.digest(run.state),
            }
        ]
    }


@pytest.mark.parametrize("policy", ["exp3_ix", "ucb1", "moss"])
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_exports_of_both_formats_verify(onearm: Any, policy: str, ending: str) -> None:
    common = ("simulate", "--env", BERNOULLI, "--policy", policy, "--horizon", "30", "--log", f"out.{ending}")
    assert onearm(*common).code == 0
    done = onearm("verify", f"out.{ending}", "--json")
    assert (done.code, done.json["experiments"][0]["first_difference"]) == (0, None)


@pytest.mark.parametrize(("field", "value"), [("action", 1), ("propensity", 0.25)])
def test_a_tampered_decision_is_named_and_ends_with_1(onearm: Any, log: Path, field: str, value: float) -> None:
    lines = log.read_text().splitlines()
    decision = json.loads(lines[2 * 17 + 1])
    assert (decision["number"], decision["kind"]) == (17, "decide")
    decision[field] = (decision["action"] + 1) % 3 if field == "action" else value
    lines[2 * 17 + 1] = json.dumps(decision)
    log.write_text("\n".join(lines) + "\n")
    done = onearm("verify", str(log), "--json")
    assert done.code == 1
    (found,) = done.json["experiments"]
    assert (found["first_difference"], found["decisions"], found["events"]) == (17, 17, 34)
    shown = onearm("verify", str(log))
    assert (shown.code, "decision 17" in shown.out) == (1, True)


def test_a_tampered_reward_shows_in_a_later_decision(onearm: Any) -> None:
    common = ("simulate", "--env", BERNOULLI, "--policy", "exp3_ix", "--horizon", "30", "--log", "out.jsonl")
    assert onearm(*common).code == 0
    lines = Path("out.jsonl").read_text().splitlines()
    changed = next(i for i, line in enumerate(lines) if '"reward":0' in line)
    lines[changed] = lines[changed].replace('"reward":0.0', '"reward":1.0')
    Path("out.jsonl").write_text("\n".join(lines) + "\n")
    done = onearm("verify", "out.jsonl", "--json")
    assert done.code == 1
    assert done.json["experiments"][0]["first_difference"] == json.loads(lines[changed])["number"] + 1


def test_an_export_with_bad_lines_is_not_verified_and_they_are_named(onearm: Any, log: Path) -> None:
    lines = log.read_text().splitlines()
    lines[80] = lines[80][:-3]  # the last reward: no decision depends on it
    log.write_text("\n".join(lines))
    done = onearm("verify", str(log), "--json")
    (found,) = done.json["experiments"]
    assert (done.code, found["first_difference"], found["bad_lines"]) == (1, None, {"truncated": 1})
    assert found["note"] == "1 bad lines: truncated in lines 81"
    shown = onearm("verify", str(log)).out  # in a column that may be narrow
    assert shown.strip().startswith("NOT all in order: out.jsonl; see the note")
    assert "truncated" in shown and "lines 81" in shown


def test_a_database_verifies_with_the_digests_of_the_service(onearm: Any) -> None:
    digests = serve_some()
    done = onearm("verify", "--database", URL, "--json")
    assert done.code == 0
    found = {one["id"]: one for one in done.json["experiments"]}
    assert set(found) == {"hello", *digests}
    assert {name: found[name]["digest"] for name in digests} == digests
    assert all(one["first_difference"] is None for one in found.values())
    assert (found["plain"]["events"], found["plain"]["decisions"]) == (30, 20)
    told = onearm("verify", "--database", URL)
    assert (told.code, told.out.strip().startswith("Every decision made again, bit for bit")) == (0, True)
    assert f"digest of plain: {digests['plain'][:16]}" in told.out


def test_the_database_may_come_from_the_environment(onearm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_some(4)
    monkeypatch.setenv("ONEARM_DATABASE_URL", URL)
    assert len(onearm("verify", "--json").json["experiments"]) == 4


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_an_export_of_a_database_verifies_with_the_same_digest(onearm: Any, ending: str) -> None:
    digests = serve_some()
    for name, digest in digests.items():
        file = f"{name}.{ending}"
        exported = onearm("export", name, file, "--database", URL, "--json")
        assert exported.json == {"experiment": name, "file": file, "events": 30}
        done = onearm("verify", file, "--json")
        assert done.code == 0, done
        (found,) = done.json["experiments"]
        assert (found["id"], found["digest"], found["events"]) == (name, digest, 30)
        assert onearm("replay", file, "--policy", "uniform", "--json").json["events"] == 10
    assert "30 events of plain in p.jsonl" in onearm("export", "plain", "p.jsonl", "--database", URL).err


def test_an_export_in_pages_is_the_export(onearm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_some(8)
    assert onearm("export", "dense", "whole.jsonl", "--database", URL).code == 0
    monkeypatch.setattr("onearm.engine.storage.database.PAGE", 5)
    monkeypatch.setattr("onearm.engine.storage.database.PAGE_FIRST", 2)
    assert onearm("export", "dense", "pages.jsonl", "--database", URL).code == 0
    assert Path("pages.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


def test_a_tampered_row_of_a_database_is_named(onearm: Any) -> None:
    serve_some()
    engine = sa.create_engine(URL)
    with engine.begin() as connection:
        changed = connection.exec_driver_sql(
            "UPDATE event SET propensity = propensity * 0.5 WHERE number = 7 AND kind = 0 AND experiment = "
            "(SELECT key FROM experiment WHERE id = 'plain')"
        )
        assert changed.rowcount == 1
    engine.dispose()
    done = onearm("verify", "--database", URL, "--json")
    assert done.code == 1
    differing = {one["id"]: one["first_difference"] for one in done.json["experiments"]}
    assert differing == {"hello": None, "plain": 7, "masked": None, "dense": None}
    told = onearm("verify", "--database", URL)
    assert told.code == 1 and told.out.strip().startswith("NOT the same: plain differs at decision 7")
    assert "bit for bit" not in told.out


def test_a_log_of_another_version_is_reported_not_failed(onearm: Any) -> None:
    serve_some(4)
    engine = sa.create_engine(URL)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'UPDATE experiment SET versions = replace(versions, \'"numba": "\', \'"numba": "9\')'
        )
    engine.dispose()
    done = onearm("verify", "--database", URL, "--json")
    assert done.code == 0
    assert all("created with numba 9" in one["note"] for one in done.json["experiments"])


def test_a_database_that_is_missing_or_newer_or_something_else_is_explained(onearm: Any, tmp_path: Path) -> None:
    missing = onearm("verify", "--database", "sqlite:///nowhere.db")
    said = "there is no file nowhere.db: name a database that exists by --database"
    assert (missing.code, said in missing.err) == (2, True)
    assert not (tmp_path / "nowhere.db").exists()
    assert onearm("export", "hello", "x.jsonl", "--database", "sqlite:///nowhere.db").code == 2
    (tmp_path / "words.db").write_text("these are words, and more of them than a header of SQLite has bytes in it")
    words = onearm("verify", "--database", "sqlite:///words.db")
    assert (words.code, "words.db cannot be used" in words.err) == (2, True)
    assert "names no database" in onearm("verify", "--database", "run.db").err
    assert "must be sqlite or postgresql" in onearm("verify", "--database", "mysql://h/d").err
    serve_some(1)
    engine = sa.create_engine(URL)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    engine.dispose()
    for command in (["verify"], ["export", "plain", "x.jsonl"], ["serve", "--port", "0"]):
        newer = onearm(*command, "--database", URL)
        assert newer.code == 2
        assert "has the schema '9999', which this version of onearm does not know" in newer.err
    assert not (tmp_path / "x.jsonl").exists()


@pytest.mark.parametrize(
    "words",
    [["verify", URL], ["verify", "--json", URL], ["export", "plain", URL], ["export", URL, "plain"], ["serve", URL]],
)
def test_a_database_without_its_option_is_told_what_to_type(onearm: Any, words: list[str]) -> None:
    done = onearm(*words)
    assert (done.code, done.err) == (2, f"onearm: {URL} is a database: say --database {URL}\n")


def test_what_cannot_be_exported_or_verified_is_explained(onearm: Any, tmp_path: Path) -> None:
    serve_some(1)
    unknown = onearm("export", "nobody", "x.jsonl", "--database", URL)
    assert unknown.code == 2
    assert "there is no experiment 'nobody': there are hello, plain, masked, dense" in unknown.err
    assert "does not end in .jsonl" in onearm("export", "plain", "x.csv", "--database", URL).err
    (tmp_path / "table.jsonl").write_text('{"action": 0, "reward": 1}\n')
    table = onearm("verify", "table.jsonl")
    assert (table.code, "is a table of decisions, not an export of events" in table.err) == (2, True)
    assert onearm("verify", "nothing.jsonl").code == 2


def test_a_log_of_a_policy_from_outside_needs_its_file(onearm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "_outside", {"witness": witness})
    common = ("simulate", "--env", BERNOULLI, "--policy", "witness", "--horizon", "20", "--log", "out.jsonl")
    assert onearm(*common).code == 0
    assert onearm("verify", "out.jsonl").code == 0
    monkeypatch.setattr(policies, "_outside", {})
    without = onearm("verify", "out.jsonl")
    assert (without.code, "there is no policy 'witness'" in without.err) == (2, True)


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_log_of_named_features_is_simulated_verified_and_replayed(onearm: Any, ending: str) -> None:
    world = 'named:{"env":{"name":"linear","params":{"arms":4,"dimension":3,"min_actions":2}},"bits":8}'
    common = ("--policy", "squarecb", "--seed", "3")
    assert onearm("simulate", "--env", world, *common, "--horizon", "40", "--log", f"out.{ending}").code == 0
    done = onearm("verify", f"out.{ending}", "--json")
    (one,) = done.json["experiments"]
    assert (done.code, one["decisions"], one["first_difference"]) == (0, 40, None)
    found = onearm("replay", f"out.{ending}", *common, "--policy", "uniform", "--json")
    assert (found.code, found.json["events"]) == (0, 40)
    refused = onearm("replay", f"out.{ending}", "--policy", "ucb1")
    assert (refused.code, "a row of numbers for each action" in refused.err) == (2, True)
    dense = onearm("replay", f"out.{ending}", "--policy", "linucb", "--dimension", "8", "--json")
    assert (dense.code, dense.json["events"]) == (0, 40)


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_decisions_of_others_are_exported_verified_and_replayed(onearm: Any, tmp_path: Path, ending: str) -> None:
    """A warm start, then decisions of its own: verified from the file as from the database, and read as a table."""
    body = {"experiment_id": "e", "arms": ARMS, "policy": {"name": "ucb1"}, "problem": DENSE, "seed": 5}
    with Direct(create_app(Store.open(URL))) as client:
        assert client.post("/v1/experiments", json=body).status_code == 201
        examples = [
            {"action_id": "abc"[i % 3], "value": i / 6, "propensity": 0.25, "context": [i, 1]} for i in range(6)
        ]
        answer = client.post("/v1/experiments/e/examples:batch", json={"examples": examples}).json()
        assert [one["status"] for one in answer["examples"]] == ["accepted"] * 6
        for i in range(4):
            made = client.post("/v1/experiments/e/decisions", json={"context": [i, 2]}).json()
            client.post(f"/v1/experiments/e/decisions/{made['decision_id']}/reward", json={"value": 1.0})
        digest = client.get("/v1/experiments/e").json()["digest"]
    file = tmp_path / f"out.{ending}"
    assert onearm("export", "e", str(file), "--database", URL).code == 0
    done = onearm("verify", str(file), "--json")
    (found,) = done.json["experiments"]
    assert done.code == 0
    assert (found["events"], found["decisions"], found["first_difference"]) == (20, 4, None)
    assert found["digest"] == digest == onearm("verify", "--database", URL, "--json").json["experiments"][-1]["digest"]
    replayed = onearm("replay", str(file), "--policy", "uniform", "--json").json
    assert (replayed["events"], replayed["bad_lines"]) == (10, {})
    log = {"jsonl": jsonl, "parquet": parquet}[ending].read(file)
    assert log.events is not None
    assert log.events.kind.tolist() == [EXTERNAL, LEARN] * 6 + [DECIDE, LEARN] * 4
    assert log.table.propensity[:6].tolist() == [0.25] * 6
    assert log.table.reward[:6].tolist() == [i / 6 for i in range(6)]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_an_export_to_which_arms_joined_says_what_to_verify_instead(onearm: Any, tmp_path: Path, ending: str) -> None:
    with Direct(create_app(Store.open(URL))) as client:
        client.post("/v1/experiments", json={"experiment_id": "e", "arms": ARMS, "policy": {"name": "ucb1"}})
        client.post("/v1/experiments/e/decisions", json={})
        assert client.post("/v1/experiments/e/arms", json={"id": "d"}).status_code == 201
        client.post("/v1/experiments/e/decisions", json={})
    file = tmp_path / f"out.{ending}"
    assert onearm("export", "e", str(file), "--database", URL).code == 0
    done = onearm("verify", str(file))
    assert done.code == 2
    assert "began with 3 arms and ends with 4" in done.err
    assert "onearm verify --database URL" in done.err
    assert onearm("verify", "--database", URL).code == 0


DENSE = {"context": {"kind": "dense", "length": 2}}


def test_where_there_is_no_experiment_it_says_so(onearm: Any) -> None:
    Store.open(URL).close()
    done = onearm("verify", "--database", URL)
    assert (done.code, done.out) == (0, f"there is no experiment in {URL}: nothing was verified\n")
