"""The log as a stream is the export, in parts too; and an experiment that is made of it has the same state."""

from __future__ import annotations

import functools
import json
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.every_run import every_run
from support.keyed import Keyed
from support.listening import Listening
from support.old_logs import FIXTURES, Reader, command, once_read
from support.served import Served, rewarded_database, served_again

from onearm.api.log_files import ROWS
from onearm.api.service import importing, pools
from onearm.engine.errors import Unavailable
from onearm.engine.storage.records import Event
from onearm.engine.vocabulary import DECIDE

EXPERIMENTS = "/v1/experiments"
IMPORT = f"{EXPERIMENTS}:import"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the database of a service that ended, with 150 decisions and their rewards."""
    return rewarded_database(tmp_path_factory.mktemp("written"), 150)


@pytest.fixture
def served(tmp_path: Path, written: Path) -> Iterator[Served]:
    """Yield a service over a copy of that."""
    with served_again(written, tmp_path) as served:
        yield served


def export(url: str, experiment: str, file: Path, *options: str) -> bytes:
    assert command("export", experiment, str(file), "--database", url, *options)[0] == 0
    return file.read_bytes()


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_the_stream_is_what_the_command_writes(served: Served, tmp_path: Path, form: str, rows: str) -> None:
    answer = served.get(f"{EXPERIMENTS}/e/log?format={form}&rows={rows}")
    assert (answer.status_code, answer.headers["x-log-until"]) == (200, "300")
    assert (
        answer.headers["content-type"]
        == {
            "jsonl": "application/jsonl",
            "parquet": "application/vnd.apache.parquet",
        }[form]
    )
    assert answer.content == export(served.url, "e", tmp_path / f"e.{form}", "--rows", rows)
    assert len(answer.content) > 10_000


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_both_forms_have_the_digest_of_the_database(served: Served, tmp_path: Path, form: str) -> None:
    """A changed propensity is found in the joined form too."""
    digest = command("verify", "--database", served.url)[1]["experiments"][0]["digest"]
    for rows in ROWS:
        export(served.url, "e", tmp_path / f"{rows}.{form}", "--rows", rows)
        code, found = command("verify", str(tmp_path / f"{rows}.{form}"))
        assert (code, found["experiments"][0]["digest"]) == (0, digest), found
    file = tmp_path / f"decisions.{form}"
    if form == "jsonl":
        lines = file.read_text().splitlines(keepends=True)
        assert len(lines) == 1 + 150
        line = json.loads(lines[41])
        lines[41] = json.dumps(line | {"propensity": line["propensity"] * 0.9}) + "\n"
        file.write_text("".join(lines))
    else:
        table = pq.read_table(file)
        assert table.num_rows == 150
        propensity = table["propensity"].to_pylist()
        propensity[40] *= 0.9
        place = table.schema.get_field_index("propensity")
        pq.write_table(table.set_column(place, table.schema.field(place), pa.array(propensity)), file)
    code, found = command("verify", str(file))
    assert (code, found["experiments"][0]["first_difference"]) == (1, 40)


def test_formats_of_others_have_no_rows_of_decisions(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "e.dsjson"
    assert command("export", "e", str(file), "--database", served.url, "--rows", "decisions") == (2, None)
    assert "--rows is for jsonl and parquet" in capsys.readouterr().err and not file.exists()


def test_an_experiment_is_made_of_either_form(served: Served) -> None:
    for rows in ROWS:
        exported = served.get(f"{EXPERIMENTS}/e/log?rows={rows}").content
        answer = served.post(f"{IMPORT}?experiment_id={rows}", exported)
        assert answer.status_code == 201, answer.text
        assert served.get(f"{EXPERIMENTS}/{rows}").json()["digest"] == served.get(f"{EXPERIMENTS}/e").json()["digest"]


@pytest.mark.parametrize("seen", [1, 99, 100, 101, 299, 300])
def test_who_was_cut_off_goes_on_with_the_next_event(served: Served, seen: int) -> None:
    whole = served.get(f"{EXPERIMENTS}/e/log").content
    served.decide()  # what comes meanwhile is no part of it
    had = whole.split(b"\n")[: 1 + seen]
    rest = served.get(f"{EXPERIMENTS}/e/log?after={seen}&until=300")
    assert b"\n".join([*had, b""]) + rest.content == whole
    assert rest.headers["x-log-until"] == "300"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("format=csv", "bad_format"),
        ("rows=all", "bad_rows"),
        ("rows=decisions&after=5", "bad_after"),
        ("after=-1", "bad_after"),
        ("after=1.5", "bad_after"),
        ("until=9999999999999999999", "bad_until"),
        ("after=1&after=2", "repeated_parameter"),
    ],
)
def test_what_is_no_part_of_a_log_is_refused(served: Served, query: str, code: str) -> None:
    answer = served.get(f"{EXPERIMENTS}/e/log?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_beyond_its_end_a_log_has_no_line(served: Served) -> None:
    assert served.get(f"{EXPERIMENTS}/e/log?after=300").content == b""
    assert served.get(f"{EXPERIMENTS}/e/log?until=10000").headers["x-log-until"] == "300"


def test_whoever_asks_only_for_the_head_gets_that(served: Served) -> None:
    answer = served.client.request("HEAD", f"{EXPERIMENTS}/e/log")
    assert (answer.status_code, answer.content, answer.headers["x-log-until"]) == (200, b"", "300")
    assert served.service.exports._open.total() == 0


class Slow(Listening):
    """The service with a log of some MB, and clients that take none of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.taken: list[socket.socket] = []

    def ask(self) -> None:
        asking = socket.create_connection(("127.0.0.1", self.port))
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asking.sendall(b"GET /v1/experiments/e/log HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.taken.append(asking)

    @property
    def open(self) -> int:
        return self.service.exports._open.total()


@pytest.mark.usefixtures("empty_database")
def test_who_reads_nothing_hurts_nobody_and_whoever_leaves_is_forgotten(tmp_path: Path) -> None:
    with Slow(tmp_path) as slow:
        client, large = slow.client, "x" * 100_000
        key = next(row.key for row in slow.store.experiments() if row.id == "e")
        some = {"kind": DECIDE, "action": 0, "propensity": 0.5, "sent": large, "time": 1}
        slow.store.append([Event(key, i + 1, number=i, **some) for i in range(200)])
        for _ in range(pools.EXPORTS_EACH):
            slow.ask()
        slow.wait_until(lambda: slow.open == pools.EXPORTS_EACH)
        refused = client.get(f"{EXPERIMENTS}/e/log")
        assert (refused.status_code, refused.json()["code"]) == (503, "busy")
        assert refused.headers["retry-after"] == "1"
        assert client.post(f"{EXPERIMENTS}/hello/decisions", json={}).status_code == 201
        assert client.get(f"{EXPERIMENTS}/hello/report").status_code == 200
        for one in slow.taken:
            one.close()
        slow.wait_until(lambda: slow.open == 0)
        assert client.get(f"{EXPERIMENTS}/e/log?after=199").status_code == 200


# Import


def leave_every(file: Path, nth: int) -> None:
    """Leave every nth experiment of an old database, for a start folds the logs of all that there are."""
    with closing(sqlite3.connect(file)) as database:
        keys = [key for (key,) in database.execute("SELECT key FROM experiment ORDER BY key")]
        assert len(keys) > 30
        kept = ", ".join(map(str, keys[::nth]))
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = {column for _, column, *_ in database.execute(f"PRAGMA table_info({table})")}
            if "experiment" in columns:
                database.execute(f"DELETE FROM {table} WHERE experiment NOT IN ({kept})")
        database.execute(f"DELETE FROM experiment WHERE key NOT IN ({kept})")
        database.commit()


@pytest.mark.parametrize("every", every_run([18, 1], [18]))
def test_a_log_of_any_kind_and_policy_becomes_an_experiment_with_the_same_state(tmp_path: Path, every: int) -> None:
    url = f"sqlite:///{tmp_path}/run.db"
    shutil.copy(FIXTURES / "old.db", tmp_path / "run.db")
    leave_every(tmp_path / "run.db", every)
    with Reader(url) as reader:
        client = reader._client
        for number, name in enumerate(reader.experiments()):
            found = once_read(functools.partial(client.get, f"{EXPERIMENTS}/{name}/log")).content
            made = client.post(f"{IMPORT}?experiment_id=again-{number}", content=found)
            assert made.status_code == 201, (name, made.text)
            assert reader.digest(f"again-{number}") == reader.digest(name), name
            again = client.get(f"{EXPERIMENTS}/again-{number}/log").content
            assert again.split(b"\n")[1:] == found.split(b"\n")[1:], name
            for path in ("/report", "/recommendation"):
                told = [client.get(f"{EXPERIMENTS}/{one}{path}").json() for one in (name, f"again-{number}")]
                assert told[0] | {"experiment_id": ""} == told[1] | {"experiment_id": ""} or told[0]["status"], name


def test_it_goes_on_as_the_first_one_does(served: Served) -> None:
    log = served.get(f"{EXPERIMENTS}/e/log").content
    made = served.post(f"{IMPORT}?experiment_id=f", log)
    assert made.json()["decisions"] == 150
    asked = [served.decide({"decision_id": "next"}, name).json() for name in ("e", "f")]
    assert asked[0] == asked[1]
    assert served.decide({"decision_id": "d7"}, "f").headers["idempotency-replayed"] == "true"
    served.restart()
    assert served.digest("f") == served.digest("e")
    served.assert_consistent("f")


def test_an_id_that_is_taken_is_refused(served: Served) -> None:
    before = served.everything()
    answer = served.post(IMPORT, served.get(f"{EXPERIMENTS}/e/log").content)
    assert (answer.status_code, answer.json()["code"]) == (409, "experiment_exists")
    assert served.everything() == before


def test_a_log_is_written_in_parts_and_one_that_breaks_off_leaves_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it was one transaction, and every other request of the service waited for it."""
    exported = served.get(f"{EXPERIMENTS}/e/log").content
    monkeypatch.setattr(importing, "TOGETHER", 70)
    store, append, sizes = served.store, served.store.append, []

    def breaks_off(events: list[Event], *rest: Any) -> None:
        sizes.append(len(events))
        assert f"{EXPERIMENTS}/f" not in served.get(EXPERIMENTS).text
        if len(sizes) == 3:
            raise Unavailable("commit_failed", "the disk is full")
        append(events, *rest)

    rows = count_rows(served)
    monkeypatch.setattr(store, "append", breaks_off)
    answer = served.post(f"{IMPORT}?experiment_id=f", exported)
    assert (answer.status_code, sizes) == (503, [70, 70, 70])
    monkeypatch.undo()
    assert served.get(f"{EXPERIMENTS}/f").status_code == 404
    assert served.client.portal is not None
    served.client.portal.call(served.service.chores.done)
    assert count_rows(served) == rows
    assert served.post(f"{IMPORT}?experiment_id=f", exported).status_code == 201
    assert served.digest("f") == served.digest("e")


def test_a_log_whose_service_was_killed_on_the_way_is_taken_away_at_the_next_start(served: Served) -> None:
    rows = count_rows(served)
    key = served.store.reserve(0)
    served.store.append([event._replace(experiment=key) for event in served.events()])
    assert count_rows(served) == 2 * rows
    served.restart()
    served.client.portal.call(served.service.chores.done)  # type: ignore[union-attr]
    assert count_rows(served) == rows
    assert [one["experiment_id"] for one in served.get(EXPERIMENTS).json()["experiments"]] == ["e"]


def test_nothing_is_taken_from_an_experiment_that_is_there(served: Served) -> None:
    """The commit that made it may have been lost sight of."""
    rows = count_rows(served)
    while served.store.purge(served.service.live("e").row.key, 1000):
        pass
    assert count_rows(served) == rows > 0


def count_rows(served: Served) -> int:
    """Return how many events the database holds, of whatever experiment."""
    with sqlite3.connect(served.url.removeprefix("sqlite:///")) as database:
        return int(database.execute("SELECT count(*) FROM event").fetchone()[0])


def broken(lines: list[bytes], fault: str) -> list[bytes]:
    """Return the lines of an export with one fault."""
    one = json.loads(lines[3])
    match fault:
        case "not JSON":
            return [*lines[:3], b"{nonsense", *lines[4:]]
        case "one is missing":
            return [*lines[:3], *lines[4:]]
        case "a reward is missing":
            return [*lines[:4], *lines[5:]]
        case "another action":
            return [*lines[:3], json.dumps(one | {"action": 99}).encode(), *lines[4:]]
        case "twice":
            return [*lines[:4], *lines[3:]]
        case "a reward of nothing":
            learn = {"kind": "learn", "seq": len(lines), "number": 5000, "reward": 1.0}
            return [*lines, json.dumps(learn).encode()]
        case "an impossible propensity":
            return [*lines[:3], json.dumps(one | {"propensity": 7.5}).encode(), *lines[4:]]
        case "no header":
            return lines[1:]
        case "a change that nobody knows":
            change = {"kind": "change", "seq": len(lines), "detail": '{"change": "moved to Mars"}'}
            return [*lines, json.dumps(change).encode()]
        case "another policy":
            header = json.loads(lines[0])
            header["experiment"]["policy"] = {"name": "nobody", "params": {}}
            return [json.dumps(header).encode(), *lines[1:]]
        case _:
            return []


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("not JSON", "line 4 is bad (not_json), one of 2 bad lines: it is '{nonsense'"),
        ("one is missing", "line 4 is bad (unknown_decision)"),
        ("a reward is missing", "line 5 has the seq 5, and must have 4"),
        ("another action", "line 4 is bad"),
        ("twice", "line 5 "),
        ("a reward of nothing", "line 302 is bad"),
        ("an impossible propensity", "line 4 is bad"),
        ("no header", "holds not one good line"),
        ("a change that nobody knows", "cannot be read"),
        ("another policy", "there is no policy 'nobody'"),
        ("nothing", "is empty"),
    ],
)
def test_a_log_that_is_not_in_order_says_where_and_writes_nothing(served: Served, fault: str, says: str) -> None:
    lines = served.get(f"{EXPERIMENTS}/e/log").content.splitlines()
    before = served.everything()
    answer = served.post(f"{IMPORT}?experiment_id=f", b"\n".join(broken(lines, fault)))
    assert answer.status_code == 422, answer.text
    assert says in answer.json()["detail"]
    assert served.everything() == before
    assert served.get(f"{EXPERIMENTS}/f").status_code == 404


@pytest.mark.parametrize(
    ("place", "said", "says"),
    [
        (0, {"time": 2**62}, "line 2: the time is"),
        (0, {"time": -1}, "the year 9999"),
        (0, {"time": 10**30}, "line 2"),
        (1, {"time": 253_402_300_800 * 10**6}, "line 3: the time is"),
        (0, {"decision_id": "~5"}, "line 2: decision_id is '~5'"),
        (0, {"decision_id": ""}, "line 2: decision_id"),
        (0, {"decision_id": "a\nb"}, "line 2: decision_id"),
        (2, {"decision_id": "d0"}, "line 4: there is a decision 'd0' before"),
        (0, {"unit_id": "x" * 300}, "line 2: unit_id"),
        (1, {"reward_id": "a\nb"}, "line 3: reward_id"),
        (0, {"detail": "zz"}, "line 2"),
        (0, {"sent": "no JSON"}, "line 2"),
    ],
)
def test_what_no_client_could_have_said_is_not_imported(
    served: Served, place: int, said: dict[str, Any], says: str
) -> None:
    """It was taken, and reads of these decisions were 500 from then on; an id of the service reached another one."""
    lines = served.get(f"{EXPERIMENTS}/e/log").content.splitlines()
    lines[1 + place] = json.dumps(json.loads(lines[1 + place]) | said).encode()
    before = served.everything()
    answer = served.post(f"{IMPORT}?experiment_id=f", b"\n".join(lines))
    assert answer.status_code == 422, answer.text
    assert says in answer.json()["detail"] and "/tmp" not in answer.json()["detail"]
    assert served.everything() == before


def test_a_log_that_begins_at_a_base_says_why_it_is_not_imported(served: Served) -> None:
    assert served.post(f"{EXPERIMENTS}/e:compact", {"before": 100}).status_code == 200
    answer = served.post(f"{IMPORT}?experiment_id=f", served.get(f"{EXPERIMENTS}/e/log").content)
    assert (answer.status_code, "begins at its base" in answer.json()["detail"]) == (422, True), answer.text


def test_a_state_that_would_be_too_large_is_refused_before_it_is_made(tmp_path: Path) -> None:
    header = {
        "onearm": 1,
        "problem": {"n_arms": 2, "context_shape": [14000], "horizon": None},
        "experiment": {
            "experiment_id": "large",
            "problem": {"kind": "arms", "context": {"kind": "dense", "length": 14000}},
            "policy": {"name": "linucb", "params": {}},
            "arms": [{"id": "a"}, {"id": "b"}],
            "seed": "0",
        },
    }
    with Served(tmp_path) as served:
        answer = served.post(IMPORT, json.dumps(header).encode() + b"\n")
        assert (answer.status_code, answer.json()["code"]) == (422, "state_too_large")


@pytest.mark.parametrize("seed", ["9" * 5000, "1_0", "\u0661", "18446744073709551616", ""])
def test_a_seed_that_is_none_is_refused(served: Served, seed: str) -> None:
    header, _, events = served.get(f"{EXPERIMENTS}/e/log").text.partition("\n")
    told = json.loads(header)
    told["experiment"]["seed"] = seed
    answer = served.post(f"{IMPORT}?experiment_id=f", f"{json.dumps(told)}\n{events}".encode())
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_seed"), answer.text


def test_it_belongs_to_whose_key_it_is(tmp_path: Path) -> None:
    with Keyed(tmp_path) as keyed:
        log = keyed.operator.get(f"{EXPERIMENTS}/~news~banner/log").content
        shop, reader = keyed.asking("admin", tenant="shop"), keyed.asking("read", tenant="shop")
        made = shop.post(f"{IMPORT}?experiment_id=second", content=log)
        assert (made.status_code, made.json()["experiment_id"]) == (201, "second")
        assert keyed.operator.get(f"{EXPERIMENTS}/~shop~second").status_code == 200
        assert shop.post(f"{IMPORT}?experiment_id=~news~third", content=log).status_code == 422
        assert reader.post(IMPORT, content=log).status_code == 403
        assert reader.get(f"{EXPERIMENTS}/banner/log").status_code == 200
        assert reader.get(f"{EXPERIMENTS}/~news~banner/log").status_code == 404
        deeds = keyed.operator.get("/v1/audit").json()["deeds"]
        assert [one["subject"] for one in deeds if one["action"] == "logs.import_log"] == ["~shop~second"]


# Epochs


def test_who_reads_on_after_a_restore_hears_that_it_is_another_log(tmp_path: Path) -> None:
    copy = str(tmp_path / "copy.db")
    with Served(tmp_path) as served:
        served.create()
        served.decide()
        before = served.get(f"{EXPERIMENTS}/e/log").headers["x-log-epoch"]
        assert command("backup", copy, "--database", served.url)[0] == 0
        served.decide()
        assert served.get(f"{EXPERIMENTS}/e/log?after=2&epoch={before}").status_code == 200
        served.stop()
        assert command("restore", copy, "--database", served.url)[0] == 0
        served.start()
        answer = served.get(f"{EXPERIMENTS}/e/log?after=1&epoch={before}")
        assert (answer.status_code, answer.json()["code"]) == (409, "another_epoch")
        beyond = served.get(f"{EXPERIMENTS}/e/log?after=2")
        assert (beyond.status_code, beyond.json()["code"]) == (409, "ahead_of_log")
        assert served.service.exports._open.total() == 0
        again = served.get(f"{EXPERIMENTS}/e/log").headers["x-log-epoch"]
        assert int(again) > int(before)
        served.restart()
        assert served.get(f"{EXPERIMENTS}/e/log?after=1&epoch={again}").status_code == 200


def test_a_service_on_a_copy_without_its_newest_commits_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Served(tmp_path) as served:
        served.create()
        shutil.copy(tmp_path / "run.db", tmp_path / "copy.db")
    shutil.copy(tmp_path / "copy.db", tmp_path / "run.db")
    assert "was in use and not ended" not in caplog.text
    served.start()
    assert "was in use and not ended" in caplog.text
    served.stop()
