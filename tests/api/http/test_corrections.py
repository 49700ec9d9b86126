"""What was learned of a decision is corrected or retracted: the record tells it at once, whoever reads it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from support import query_service
from support.corrected import Correcting
from support.served import Served, assert_refused, log_of

from onearm.api.cli.verify import has_fault, verified
from onearm.api.log_files import ROWS, module_of, read_log, source_of
from onearm.engine.errors import Unavailable
from onearm.engine.storage.database import read_rows
from onearm.engine.storage.rows import Wanted
from onearm.engine.vocabulary import Problem

E = "/v1/experiments/e"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Correcting(tmp_path) as served:
        served.create()
        yield served


def correct(served: Served, name: str, value: float) -> httpx.Response:
    return served.client.put(f"{E}/decisions/{name}/reward", content=f'{{"value": {value}}}'.encode())


def retract(served: Served, name: str) -> httpx.Response:
    return served.client.delete(f"{E}/decisions/{name}/reward")


def rewarded(served: Served, values: list[float]) -> list[str]:
    """Decide and reward so many times; return the ids."""
    names = []
    for value in values:
        names.append(served.decide().json()["decision_id"])
        assert served.reward(names[-1], value).status_code == 200
    return names


def status(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["status"]
    return found


def report(served: Served) -> dict[str, Any]:
    found: dict[str, Any] = served.get(f"{E}/report").json()
    return found


def test_a_correction_changes_the_record_and_the_same_again_changes_nothing(served: Served) -> None:
    names = rewarded(served, [1.0, 0.0, 5.0])
    assert status(correct(served, names[2], 0.5)) == "accepted"
    assert status(correct(served, names[2], 0.5)) == "duplicate"
    record = served.record(names[2]).json()
    assert record["reward"]["value"] == 5.0
    assert [one["value"] for one in record["corrections"]] == [0.5]
    assert "corrections" not in served.record(names[0]).json()
    assert (report(served)["rewards"], report(served)["reward_mean"]) == (3, 0.5)
    assert served.reward(names[2], 5.0).json() == {"status": "duplicate"}  # a retry of what was learned


def test_what_is_retracted_counts_no_more_until_it_is_corrected(served: Served) -> None:
    names = rewarded(served, [1.0, 0.0, 5.0])
    assert status(retract(served, names[2])) == "accepted"
    assert status(retract(served, names[2])) == "duplicate"
    assert (report(served)["rewards"], report(served)["reward_mean"]) == (2, 0.5)
    assert status(correct(served, names[2], 5.0)) == "accepted"
    assert (report(served)["rewards"], report(served)["reward_mean"]) == (3, 2.0)
    assert [one["value"] for one in served.record(names[2]).json()["corrections"]] == [None, 5.0]


def test_what_is_refused(served: Served) -> None:
    name = served.decide().json()["decision_id"]
    assert_refused(correct(served, name, 1.0), 409, "no_reward")
    assert_refused(retract(served, name), 409, "no_reward")
    assert_refused(correct(served, "~7", 1.0), 404, "unknown_decision")
    served.reward(name, 1.0)
    answer = served.client.put(f"{E}/decisions/{name}/reward", content=b'{"reward": 1}')
    assert_refused(answer, 422, "bad_body")
    served.create("ranged", reward={"range": [0, 1]})
    one = served.decide(experiment_id="ranged").json()["decision_id"]
    served.reward(one, 1.0, "ranged")
    path = f"/v1/experiments/ranged/decisions/{one}/reward"
    assert_refused(served.client.put(path, content=b'{"value": 7}'), 422, "bad_reward")
    served.post(f"{E}:archive")
    assert_refused(correct(served, name, 0.0), 409, "archived")


def test_other_kinds_of_decisions_have_no_corrections(served: Served) -> None:
    assert query_service.create(served).status_code == 201
    asked = served.decide(experiment_id="q").json()["decision_id"]
    served.reward(asked, 1.0, "q")
    answer = served.client.delete(f"/v1/experiments/q/decisions/{asked}/reward")
    assert_refused(answer, 422, "no_corrections")


def test_what_was_learned_before_the_base_cannot_be_corrected(served: Served) -> None:
    (early,) = rewarded(served, [1.0])
    assert served.post(f"{E}:compact", {"archive": False}).status_code == 200
    (late,) = rewarded(served, [1.0])
    assert_refused(correct(served, early, 0.0), 409, "compacted")
    assert status(correct(served, late, 0.0)) == "accepted"
    served.restart()
    assert_refused(retract(served, early), 409, "compacted")
    assert status(retract(served, late)) == "accepted"


def test_reports_curves_and_evaluation_take_the_corrected_value_after_a_start_too(served: Served) -> None:
    numbers = np.random.default_rng(3)
    names = rewarded(served, numbers.normal(size=40).tolist())
    curve = served.get(f"{E}/curve?by=day").json()
    for name in names[::3]:
        correct(served, name, float(numbers.normal()))
    for name in names[::7]:
        retract(served, name)
    rewards = dict(enumerate(by_hand(served)))
    known = np.array([reward for reward in rewards.values() if reward is not None])
    for _ in range(2):
        told = report(served)
        assert told["rewards"] == len(known)
        np.testing.assert_allclose(told["reward_mean"], known.mean(), rtol=1e-12)
        np.testing.assert_allclose(told["reward_stderr"], known.std(ddof=1) / np.sqrt(len(known)), rtol=1e-12)
        after = served.get(f"{E}/curve?by=day").json()
        assert after != curve
        (day,) = after["spans"]
        assert day["rewards"] == len(known)
        np.testing.assert_allclose(day["reward_mean"], known.mean(), rtol=1e-12)
        row, _ = log_of(served.store, "e")
        with read_rows(served.store, row.key, Problem(n_arms=3), Wanted()) as rows:
            np.testing.assert_array_equal(rows.columns().reward, known)
        served.restart()
    assert not any(map(has_fault, verified(served.url)))


def by_hand(served: Served) -> list[float | None]:
    """Return the reward of each decision, as its record tells it in the end."""
    row, _ = log_of(served.store, "e")
    found = []
    for number in range(served.store.last(row.key)[1]):
        record = served.record(f"~{number}").json()
        found.append(record.get("corrections", [record["reward"]])[-1]["value"])
    return found


@pytest.mark.parametrize("rows_of", ROWS)
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_exports_carry_corrections_and_are_read_with_them(
    served: Served, tmp_path: Path, form: str, rows_of: str
) -> None:
    names = rewarded(served, [1.0, 2.0, 3.0, 4.0])
    correct(served, names[1], 7.0)
    retract(served, names[2])
    file = tmp_path / f"log.{form}"
    answer = served.get(f"{E}/log?format={form}&rows={rows_of}")
    assert answer.status_code == 200, answer.text
    file.write_bytes(answer.content)
    with module_of(form).read_rows(source_of(file), Wanted()) as rows:
        assert rows.columns().reward.tolist() == [1.0, 7.0, 4.0]
    assert read_log(file, form).table.reward.tolist() == [1.0, 7.0, 4.0]
    again = [event._replace(experiment=1) for event in module_of(form).read_events(source_of(file)).rows]
    assert [(e.seq, e.kind, e.number, e.reward, e.time) for e in again] == [
        (e.seq, e.kind, e.number, e.reward, e.time) for e in served.events()
    ]


def test_an_import_has_the_corrections_of_its_export(served: Correcting) -> None:
    names = rewarded(served, [1.0, 2.0, 3.0])
    correct(served, names[1], 7.0)
    served.follow()
    rewarded(served, [0.5])
    assert served.rollback(4).status_code == 200
    rewarded(served, [0.25])
    retract(served, names[2])
    body = served.get(f"{E}/log").content
    answer = served.post("/v1/experiments:import?experiment_id=again", body)
    assert answer.status_code == 201, answer.text
    told, before = (served.get(f"/v1/experiments/{name}/report").json() for name in ("again", "e"))
    assert (told["rewards"], told["reward_mean"]) == (before["rewards"], before["reward_mean"])
    assert (told["rewards"], told["reward_mean"]) == (4, pytest.approx(2.1875))
    assert served.digest("again") == served.digest()
    served.follow()
    assert served.digest("again") == served.digest()
    served.restart()
    assert served.digest("again") == served.digest()
    served.assert_right()


def test_a_correction_of_what_was_never_learned_is_a_bad_line(served: Served, tmp_path: Path) -> None:
    rewarded(served, [1.0])
    file = tmp_path / "log.jsonl"
    whole = served.get(f"{E}/log").content
    bad = b'{"kind":"corrected","seq":3,"number":1,"reward":2.0}\n'
    file.write_bytes(whole + bad)
    with module_of("jsonl").read_rows(source_of(file), Wanted()) as rows:
        assert rows.columns().reward.tolist() == [1.0]
        assert dict(rows.bad_lines.count) == {"unknown_decision": 1}
    assert dict(read_log(file, "jsonl").bad_lines.count) == {"unknown_decision": 1}
    assert_refused(served.post("/v1/experiments:import?experiment_id=again", whole + bad), 422, "bad_line")


def test_what_becomes_the_base_is_not_corrected_meanwhile(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could never be learned again, and would be waited for without end."""
    names = [served.decide().json()["decision_id"] for _ in range(10)]
    for name in names:
        served.reward(name, 0.5)
    compactions = served.service.compactions
    inside, go, fold = threading.Event(), threading.Event(), compactions._fold

    def slow(live: Any, seq: int) -> Any:
        inside.set()
        assert go.wait(60)
        return fold(live, seq)

    monkeypatch.setattr(compactions, "_fold", slow)
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(served.post, "/v1/experiments/e:compact", {})
        assert inside.wait(60)
        answer = served.client.put(f"/v1/experiments/e/decisions/{names[3]}/reward", json={"value": 0.25})
        go.set()
        assert done.result(60).status_code == 200
    assert_refused(answer, 409, "compacted")
    assert "corrections_left" not in served.get("/v1/experiments/e").json()


def test_what_becomes_the_base_is_not_corrected_either_where_a_commit_fails_meanwhile(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state is folded again then, from a log whose base is not there yet."""
    names = rewarded(served, [0.5] * 5)
    live, compactions = served.service.live("e"), served.service.compactions
    inside, go, fold = threading.Event(), threading.Event(), compactions._fold

    def slow(*given: Any) -> Any:
        inside.set()
        assert go.wait(60)
        return fold(*given)

    def failing(*given: Any) -> None:
        raise Unavailable("commit_failed", "the disk is full: make room")

    monkeypatch.setattr(compactions, "_fold", slow)
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(served.post, "/v1/experiments/e:compact", {})
        assert inside.wait(60)
        with monkeypatch.context() as patched:
            patched.setattr(served.store, "append", failing)
            assert_refused(served.decide(), 503, "commit_failed")
        served.client.portal.call(served.service._setting_back.done, live)
        answer = served.client.put(f"/v1/experiments/e/decisions/{names[3]}/reward", json={"value": 0.25})
        go.set()
        base = done.result(60).json()["base"]
    assert_refused(answer, 409, "compacted")
    assert (live.floor, live.base) == (base, base)
    assert "corrections_left" not in served.get("/v1/experiments/e").json()


def test_a_base_that_comes_while_the_log_is_folded_again_is_known_behind_that(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fold began without it: what it says of bases is old when it ends."""
    names = rewarded(served, [0.5] * 5)
    live, store = served.service.live("e"), served.store
    coming, folded, made = threading.Event(), threading.Event(), threading.Event()
    put_base, recover = store.put_base, live.recover

    def put(*given: Any) -> bool:
        coming.set()
        assert folded.wait(60)
        return put_base(*given)

    def recovered() -> Any:
        found = recover()
        folded.set()
        assert made.wait(60)
        return found

    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(store, "put_base", put)
        monkeypatch.setattr(live, "recover", recovered)
        done = pool.submit(served.post, "/v1/experiments/e:compact", {})
        assert coming.wait(60)
        served.client.portal.call(live.set_back)
        base = done.result(60).json()["base"]
        made.set()
        served.client.portal.call(served.service._setting_back.done, live)
    assert (live.floor, live.base) == (base, base)
    answer = served.client.put(f"/v1/experiments/e/decisions/{names[3]}/reward", json={"value": 0.25})
    assert_refused(answer, 409, "compacted")
