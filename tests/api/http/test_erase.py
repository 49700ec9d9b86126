"""Who is erased is on record nowhere any more, and the log counts, folds and goes on as if nothing had happened."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from support.every_run import every_run
from support.keyed import NEW, Keyed
from support.meeting import at_once
from support.people import EVERY_SHAPE, SORTS, create, visit
from support.served import Served, assert_refused, assert_sound

from onearm.api.cli.verify import has_fault, verified
from onearm.api.service import chores, erasing
from onearm.api.service.archives import Archives
from onearm.api.service.experiment_log import opened_log
from onearm.engine.errors import Unavailable
from onearm.engine.storage.formats import jsonl, parquet
from onearm.engine.storage.rows import Wanted
from onearm.engine.storage.source import Source
from onearm.engine.storage.store import Store
from onearm.engine.storage.tables import ERASED, SNAPSHOT, SNAPSHOT_PART
from onearm.engine.vocabulary import CHANGE, LEARN

ANN, BOB = "Ann of 12 High Street", "Bob"
FILES = ("run.db", "run.db-wal")


def erase(served: Served, experiment_id: str = "p", **said: Any) -> httpx.Response:
    return served.post(f"/v1/experiments/{experiment_id}:erase", said)


def erased(served: Served, **said: Any) -> tuple[int, int, int]:
    answer = erase(served, **said)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told.pop("experiment_id") == "p"
    return tuple(told.values())


def visits(served: Served, sort: str, n: int, start: int = 0, experiment_id: str = "p") -> list[Any]:
    """Let every third decision be for Ann, and others for Bob; of every fourth nobody hears any more."""
    made = []
    for i in range(start, start + n):
        name = ANN if i % 3 == 0 else BOB
        made.append(visit(served, sort, name, f"{name} visits {i}", experiment_id, rewarded=i % 4 != 3))
    return made


def told(served: Served, experiment_id: str = "p") -> Any:
    """Return what the experiment says of itself and its results, and what it recorded of Bob."""
    path = f"/v1/experiments/{experiment_id}"
    found = [served.get(f"{path}{what}").json() for what in ("", "/report", f"/units/{BOB}/decisions?limit=1000")]
    for one in found:
        one.pop("experiment_id", None)
        one.pop("created_at", None)
    return found


def mentions(folder: Path, *texts: str) -> int:
    return sum(Path(folder, file).read_bytes().count(text.encode()) for file in FILES for text in texts)


@pytest.mark.parametrize("sort", every_run(SORTS, EVERY_SHAPE))
def test_who_is_erased_is_nowhere_on_record_and_nothing_else_changes(tmp_path: Path, sort: str) -> None:
    with Served(tmp_path) as served:
        create(served, sort)
        create(served, sort, "twin")
        for name in ("p", "twin"):
            visits(served, sort, 12, experiment_id=name)
        before, events = told(served), served.events("p")
        mine = {event.number for event in events if event.unit_id == ANN}
        rewards = sum(event.number in mine and event.reward is not None for event in events)
        assert 0 < rewards < len(mine) == 4
        twins = mentions(tmp_path, ANN)
        assert erased(served, unit_id=ANN) == (4, 4 + rewards, 4 - rewards)
        assert erased(served, unit_id=ANN) == (0, 0, 0)
        assert mentions(tmp_path, ANN) < twins, "the twin goes on to know her"
        served.client.delete("/v1/experiments/twin?confirm=twin")
        served.client.portal.call(served.service.chores.done)
        assert mentions(tmp_path, ANN, f"of {ANN}") == 0
        for again in range(2):
            assert told(served) == before
            assert served.get(f"/v1/experiments/p/units/{ANN}/decisions").json() == {"decisions": [], "next": None}
            for number in sorted(mine):
                assert_refused(served.record(f"~{number}", "p"), 404, "unknown_decision")
            for i in (0, 3):  # rewarded, and open
                late = served.reward(f"{ANN} visits {i}", SORTS[sort].reward({"pulls": 1}), "p")
                assert_refused(late, 404, "unknown_decision")
            if not again:
                served.restart()
        after = served.events("p")
        assert_sound(after)
        for old, new in zip(events, after, strict=True):
            kept = old if old.number not in mine else old._replace(
                context=None, available=None, detail=None, sent=None, decision_id=None, reward_id=None,
                body_hash=None, actions=None, vector=None, unit_id=None,
            )  # fmt: skip
            assert new == kept
        visits(served, sort, 6, start=100)  # some of them are for her: what is new is on record
        served.stop()
        (found,) = (one for one in verified(served.url) if one["id"] == "p")
        assert not has_fault(found) and (found["blank"], found["decisions"] > 0) == (4, True)
        assert "4 decisions are blank" in found["note"]
        served.start()


@pytest.mark.parametrize("sort", every_run(SORTS, EVERY_SHAPE[1::2]))
def test_it_goes_on_as_one_of_which_nobody_was_erased(tmp_path: Path, sort: str) -> None:
    with Served(tmp_path, cache_bytes=3000) as served:
        for name in ("p", "twin"):
            create(served, sort, name)
            visits(served, sort, 20, experiment_id=name)
        erased(served, unit_id=ANN)
        for start in (20, 26):
            assert visits(served, sort, 6, start) == visits(served, sort, 6, start, "twin")
            served.stop()
            with closing(Store.open(served.url)) as store, store._transaction() as connection:
                for table in (SNAPSHOT, SNAPSHOT_PART):
                    connection.execute(sa.delete(table))
            served.start()
        assert served.digest("p") == served.digest("twin")


def test_decisions_are_erased_by_their_ids_and_what_is_unknown_counts_nothing(served: Served) -> None:
    create(served, "contexts")
    visits(served, "contexts", 6)
    served.decide({"context": [1, 2]}, "p")
    ids = [f"{ANN} visits 0", "~6", f"{BOB} visits 1", "~1", "nobody", "~99", "~x", ".."]
    assert erased(served, decision_ids=ids) == (3, 5, 1)
    assert erased(served, decision_ids=ids) == (0, 0, 0)
    assert [served.record(name, "p").status_code for name in ("~0", "~1", "~2", "~6")] == [404, 404, 200, 404]
    assert erased(served, decision_ids=[]) == (0, 0, 0)


def test_of_nobody_nothing_is_erased_and_nothing_is_written(served: Served) -> None:
    create(served, "arms")
    visits(served, "arms", 4)
    before = served.everything()
    assert erased(served, unit_id="nobody") == (0, 0, 0)
    assert served.everything() == before and served.service.live("p").base == 0


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({}, "one_of_two"),
        ({"unit_id": "u", "decision_ids": []}, "one_of_two"),
        ({"unit_id": "~u"}, "bad_id"),
        ({"unit_id": 7}, "bad_body"),
        ({"decision_ids": ["d"] * 10_001}, "bad_body"),
        ({"who": "u"}, "bad_body"),
    ],
)
def test_an_erasure_names_a_unit_or_decisions(served: Served, said: Any, code: str) -> None:
    create(served, "arms")
    visits(served, "arms", 4)
    before = served.everything()
    assert_refused(erase(served, **said), 422, code)
    assert_refused(erase(served, "nobody", unit_id="u"), 404, "unknown_experiment")
    assert served.everything() == before


def test_what_a_stream_read_is_for_nobody(served: Served) -> None:
    create(served, "stream")
    visits(served, "stream", 4)
    before = served.everything()
    assert "for nobody" in assert_refused(erase(served, decision_ids=["~0", "~1"]), 422, "not_a_pull")["detail"]
    assert served.everything() == before


def test_a_retry_of_what_was_erased_decides_anew(served: Served) -> None:
    create(served, "arms")
    first = visits(served, "arms", 1)[0]
    number = served.record(f"{ANN} visits 0", "p").json()["number"]
    erased(served, unit_id=ANN)
    again = visit(served, "arms", ANN, f"{ANN} visits 0", rewarded=True)
    assert again["model_version"] > first["model_version"]
    assert served.record(f"{ANN} visits 0", "p").json()["number"] == number + 1
    assert erased(served, unit_id=ANN) == (1, 2, 0)


def test_others_go_on_meanwhile_and_nothing_is_told_or_learned_of_who_is_being_erased(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(served, "arms")
    visits(served, "arms", 8)
    monkeypatch.setattr("onearm.engine.storage.erasures.NAMED_MAX", 1)
    path = "/v1/experiments/p"

    async def ask(client: httpx.AsyncClient) -> tuple[httpx.Response, set[int], list[int]]:
        erasure = asyncio.ensure_future(client.post(f"{path}:erase", json={"unit_id": ANN}))
        live, refused, others = served.service.live("p"), set[int](), []
        while not live.erasing and not erasure.done():
            await asyncio.sleep(0)
        n = 0
        while not erasure.done():
            body = {"decision_id": f"other {n}", "unit_id": BOB}
            others.append((await client.post(f"{path}/decisions", json=body)).status_code)
            others.append((await client.post(f"{path}/decisions/other {n}/reward", json={"value": 1})).status_code)
            if live.erasing:
                late = await client.post(f"{path}/decisions/{ANN} visits 3/reward", json={"value": 1})
                read = await client.get(f"{path}/decisions/~0")
                refused |= {late.status_code, read.status_code}
                retry = {"decision_id": f"{ANN} visits 0", "unit_id": ANN}  # once it is blank it is a new decision
                assert (await client.post(f"{path}/decisions", json=retry)).status_code in (503, 201, 200)
                page = await client.get(f"{path}/units/{ANN}/decisions")
                assert all(one["number"] not in live.erasing for one in page.json()["decisions"])
            n += 1
        return await erasure, refused, others

    erasure, refused, others = at_once(served, ask)
    assert erasure.status_code == 200 and erasure.json()["decisions"] == 3
    assert {503} <= refused <= {503, 404}
    assert set(others) <= {201, 200}
    assert_sound(served.events("p"))
    before = served.digest("p")
    served.restart()
    assert served.digest("p") == before


def test_what_a_process_left_is_blank_before_the_next_one_answers(served: Served, tmp_path: Path) -> None:
    create(served, "contexts")
    visits(served, "contexts", 9)
    live = served.service.live("p")
    assert served.client.portal is not None
    served.client.portal.call(served.service.compactions.move_base, live)
    served.store.erase(live.row.key, [0, 3, 6])  # and there it ended
    assert [*served.store.unblanked()] == [live.row.key]
    served.stop()
    assert Path(tmp_path, "run.db").read_bytes().count(ANN.encode()) > 0
    served.start()
    assert served.store.unblanked() == {}
    assert [served.record(name, "p").status_code for name in ("~0", "~1", f"{ANN} visits 3")] == [404, 200, 404]
    assert mentions(tmp_path, ANN) == 0


def test_a_database_that_does_not_answer_for_a_while_is_asked_again(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(served, "arms")
    visits(served, "arms", 5)
    failures = ["blank", "erase", "erase"]
    for name in ("erase", "blank"):
        real = getattr(served.store, name)

        def failing(*given: Any, real: Any = real, name: str = name) -> Any:
            if failures and failures[-1] == name:
                failures.pop()
                raise Unavailable("commit_failed", "the disk is full: make room")
            return real(*given)

        monkeypatch.setattr(served.store, name, failing)
    monkeypatch.setattr(chores, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(erasing, "RETRY_SECONDS", 0.01)
    assert erased(served, unit_id=ANN)[0] == 2
    assert failures == []


def test_a_base_that_cannot_be_made_erases_nothing_and_hides_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*given: Any) -> None:
        raise Unavailable("commit_failed", "the disk is full: make room")

    create(served, "arms")
    visits(served, "arms", 5)
    with monkeypatch.context() as patch:
        patch.setattr(served.service.compactions, "move_base", failing)
        assert_refused(erase(served, unit_id=ANN), 503, "commit_failed")
    assert served.record(f"{ANN} visits 0", "p").status_code == 200
    assert served.reward(f"{ANN} visits 3", {"value": 1}, "p").json() == {"status": "accepted"}
    assert erased(served, unit_id=ANN) == (2, 4, 0)


def test_of_an_archived_experiment_people_are_erased_as_well(served: Served, tmp_path: Path) -> None:
    create(served, "contexts")
    visits(served, "contexts", 9)
    digest = served.digest("p")
    served.post("/v1/experiments/p:archive")
    assert erased(served, unit_id=ANN)[0] == 3
    assert mentions(tmp_path, ANN) == 0 and served.digest("p") == digest
    served.post("/v1/experiments/p:restore")
    assert served.reward(f"{BOB} visits 7", {"value": 1}, "p").json() == {"status": "accepted"}
    served.restart()
    visits(served, "contexts", 3, start=20)


@pytest.mark.parametrize("sort", every_run(SORTS, EVERY_SHAPE[1:3]))
def test_exports_and_evaluations_leave_out_what_is_blank(served: Served, tmp_path: Path, sort: str) -> None:
    create(served, sort)
    visits(served, sort, 12)
    numbers = {event.number for event in served.events("p") if event.unit_id == ANN}
    mine = [event.seq for event in served.events("p") if event.number in numbers]
    whole = served.get("/v1/experiments/p/log").content.splitlines(keepends=True)
    erased(served, unit_id=ANN)
    left = served.get("/v1/experiments/p/log").content
    assert left == b"".join(line for seq, line in enumerate(whole) if seq not in mine)
    file = tmp_path / "log.parquet"
    file.write_bytes(served.get("/v1/experiments/p/log?format=parquet").content)
    read = parquet.read(file)
    assert not read.bad_lines.count and read.events is not None
    assert len(read.events.kind) == sum(event.kind != CHANGE for event in served.events("p")) - len(mine)
    (tmp_path / "log.jsonl").write_bytes(left)
    of_database = rows(served.url, "p")
    assert of_database == rows(str(tmp_path / "log.jsonl"))
    joined = tmp_path / "joined.jsonl"
    joined.write_bytes(served.get("/v1/experiments/p/log?rows=decisions").content)
    assert not jsonl.read(joined).bad_lines.count, "events that are erased are not missing"
    assert of_database == rows(str(joined))
    assert len(of_database) == sum(e.kind == LEARN and e.number not in numbers for e in served.events("p")) > 5
    refused = served.client.post("/v1/experiments:import?experiment_id=again", content=left)
    assert_refused(refused, 422, "missing_events")


@pytest.mark.parametrize("sort", ["contexts", "vector"])
def test_erasures_and_compactions_follow_each_other(served: Served, tmp_path: Path, sort: str) -> None:
    create(served, sort)
    visits(served, sort, 12)
    path = "/v1/experiments/p"
    erased(served, unit_id=ANN)
    bob = served.record(f"{BOB} visits 1", "p").json()
    assert "sent" in bob and "compacted" not in bob, "an erasure leaves others as they were"
    visits(served, sort, 6, start=20)
    first = served.post(f"{path}:compact").json()
    assert served.service.live("p").base == first["base"] and first["archive"] is not None
    served.client.portal.call(served.service.chores.done)
    assert served.record(f"{BOB} visits 1", "p").json()["compacted"]
    visits(served, sort, 6, start=30)
    assert erased(served, unit_id=ANN)[0] == 4
    visits(served, sort, 3, start=40)
    digest = served.digest("p")
    served.restart()
    assert served.digest("p") == digest and served.service.live("p").base == first["base"]
    left = served.get(f"{path}/log")
    assert (left.status_code, left.headers["x-log-begins"]) == (200, str(first["base"]))
    whole = {event.number for event in served.events("p") if event.unit_id is not None and event.context is not None}
    lines = [json.loads(line) for line in left.content.splitlines()[1:]]
    assert {line["number"] for line in lines if line["kind"] == "decide"} >= {n for n in whole if n >= 18}
    second = served.post(f"{path}:compact").json()
    served.stop()
    found = next(one for one in verified(served.url, Archives.beside(served.store.url)) if one["id"] == "p")
    assert not has_fault(found), found
    assert [(link["seq"], link["state"]) for link in found["archives"]] == [
        (first["base"], "blank"),
        (second["base"], "blank"),
    ]
    served.start()


def rows(source: str, experiment: str | None = None) -> Any:
    """Return the rewarded decisions of a log as an evaluation reads them."""
    if experiment is None:
        found = jsonl.read_rows(Source(Path(source)), Wanted())
    else:
        with opened_log(source, experiment) as log:
            found = log.rows(Wanted())
    with found:
        columns = found.columns()
        return [*zip(columns.action.tolist(), columns.reward.tolist(), columns.propensity.tolist(), strict=True)]


def test_a_deletion_takes_its_erasures_with_it(served: Served) -> None:
    create(served, "arms")
    visits(served, "arms", 5)
    erased(served, unit_id=ANN)
    served.client.delete("/v1/experiments/p?confirm=p")
    served.client.portal.call(served.service.chores.done)
    with closing(Store.open(served.url, write=False)) as store:
        assert store._read_core(sa.select(ERASED)) == [] and store.unpurged() == []


def test_each_tenant_erases_its_own_and_the_audit_log_says_how_many_and_not_whom(tmp_path: Path) -> None:
    with Keyed(tmp_path) as keyed:
        shop, news = (keyed.asking("admin", tenant=tenant) for tenant in ("shop", "news"))
        for client in (shop, news):
            assert client.post("/v1/experiments", json={"experiment_id": "mine", **NEW}).status_code == 201
            for n in range(2):
                body = {"unit_id": ANN, "decision_id": f"{ANN} {n}"}
                assert client.post("/v1/experiments/mine/decisions", json=body).status_code == 201
        assert keyed.asking("write", tenant="shop").post("/v1/experiments/mine:erase", json={}).status_code == 403
        answer = shop.post("/v1/experiments/mine:erase", json={"unit_id": ANN})
        assert answer.json() == {"experiment_id": "mine", "decisions": 2, "events": 2, "open": 2}
        assert len(news.get(f"/v1/experiments/mine/units/{ANN}/decisions").json()["decisions"]) == 2
        deeds = shop.get("/v1/audit").json()["deeds"]
        assert (deeds[0]["action"], deeds[0]["subject"]) == ("units.erase", "mine 2 decisions")
        assert ANN not in str(deeds)
        assert keyed.operator.get("/v1/audit").json()["deeds"][0]["subject"] == "~shop~mine 2 decisions"


@pytest.mark.parametrize("how", ["erase", "start"])
def test_an_archive_that_was_elsewhere_is_named_and_blanked_when_it_is_back(
    served: Served, tmp_path: Path, how: str
) -> None:
    create(served, "contexts")
    visits(served, "contexts", 9)
    name = served.post("/v1/experiments/p:compact").json()["archive"]
    file, away = tmp_path / "run.db.archives" / name, tmp_path / "away"

    def found() -> Any:
        return next(one for one in verified(served.url, Archives.at(file.parent)) if one["id"] == "p")

    assert file.read_bytes().count(ANN.encode()) > 0
    file.rename(away)
    done = erase(served, unit_id=ANN).json()
    assert (done["decisions"], done["archives_left"]) == (3, [name])
    assert erase(served, unit_id=ANN).json()["archives_left"] == [name], "it is said again"
    away.rename(file)
    assert [link["state"] for link in found()["archives"]] == ["not erased"]
    assert has_fault(found()) and name in found()["bad_archive"]
    if how == "erase":
        assert erased(served, unit_id=ANN) == (0, 0, 0)
    else:
        served.restart()
    assert file.read_bytes().count(ANN.encode()) == 0
    assert [link["state"] for link in found()["archives"]] == ["blank"] and not has_fault(found())


def test_while_rows_become_blank_another_log_is_compacted(served: Served, tmp_path: Path) -> None:
    """And this one too: its archive has nothing of whoever is on record as erased, blank yet or not."""
    for name in ("p", "other"):
        create(served, "contexts", name)
        visits(served, "contexts", 9, experiment_id=name)
    free, waited = threading.Event(), threading.Event()
    blank = served.store.blank

    def slow(key: int, events: int) -> bool:
        waited.set()
        return blank(key, events) if free.is_set() else True

    served.store.blank = slow  # type: ignore[method-assign]

    async def ask(client: httpx.AsyncClient) -> tuple[httpx.Response, list[httpx.Response]]:
        erasure = asyncio.ensure_future(client.post("/v1/experiments/p:erase", json={"unit_id": ANN}))
        await asyncio.to_thread(waited.wait, 60)
        await client.post("/v1/experiments/p/decisions", json={"context": [1, 2]})
        asked = [client.post(f"/v1/experiments/{name}:compact", json={}) for name in ("other", "p")]
        try:
            made = await asyncio.wait_for(asyncio.gather(*asked), 20)
        finally:
            free.set()
        return await erasure, made

    erasure, made = at_once(served, ask)
    assert erasure.json()["decisions"] == 3 and [one.status_code for one in made] == [200, 200]
    folder = tmp_path / "run.db.archives"
    assert ANN.encode() in (folder / made[0].json()["archive"]).read_bytes(), "the other one goes on to know her"
    assert ANN.encode() not in (folder / made[1].json()["archive"]).read_bytes()


def test_no_weight_has_the_name_of_what_somebody_wrote_who_is_erased(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        create(served, "named")
        for i in range(16):
            made = visit(served, "named", ANN if i % 2 else BOB, f"d{i}", rewarded=False)
            served.reward(made["decision_id"], {"value": float(made["action_id"] == "a")}, "p")
        before = served.get("/v1/experiments/p/weights").text
        assert ANN in before and BOB in before
        assert erased(served, unit_id=ANN)[0] == 8
        after = served.get("/v1/experiments/p/weights").text
        assert ANN not in after and BOB in after
