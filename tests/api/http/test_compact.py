"""`:compact` over HTTP: what it answers and refuses, and what readers of the log are told afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from support.compacted import Run
from support.served import Served, assert_refused

from onearm.api.cli.main import run as command
from onearm.api.cli.verify import verify_file
from onearm.api.log_files import ROWS
from onearm.api.service import archives as archives_module
from onearm.api.service.archives import Archives
from onearm.engine.errors import InvalidInput

E = "/v1/experiments/e"


@pytest.fixture
def played(tmp_path: Path) -> Iterator[tuple[Served, Run]]:
    """Yield a service whose experiment `e` has dense contexts and forty decisions."""
    with Served(tmp_path) as served:
        run = Run(served, "dense", "e")
        run.play(40)
        yield served, run


def compact(served: Served, body: Any = None, name: str = "e") -> httpx.Response:
    answer = served.post(f"/v1/experiments/{name}:compact", body)
    served.client.portal.call(served.service.chores.done)
    return answer


def test_it_tells_of_the_base_and_the_archive(played: tuple[Served, Run]) -> None:
    served, run = played
    digest, seq = served.digest(), served.service.live("e").seq
    made = compact(served)
    assert made.status_code == 200, made.text
    told = made.json()
    file = Path(served.url.removeprefix("sqlite:///") + ".archives") / told["archive"]
    assert told == {
        "experiment_id": "e",
        "base": seq,
        "events": seq,
        "archive": file.name,
        "archive_bytes": file.stat().st_size,
        "archive_sha256": archives_module.sha256_of(file),
        "digest": digest,
        "time": told["time"],
    }
    assert file.name.startswith(f"e.{served.service.live('e').row.key}.1-{seq}.")
    assert compact(served, {"before": seq}).json() == told, "the same again"
    run.play(10)
    more = compact(served, {"archive": False}).json()
    assert (more["archive"], more["archive_bytes"], more["events"]) == (None, None, more["base"] - seq)
    assert compact(served, {"before": seq}).json() == told, "an earlier one again"
    deeds = served.get("/v1/audit").json()["deeds"]
    assert [(one["action"], one["subject"]) for one in deeds].count(("experiments.compact", "e")) == 4


def test_what_it_refuses(played: tuple[Served, Run], tmp_path: Path) -> None:
    served, _ = played
    before = served.everything()
    for body, status, code in (
        ({"before": 10**6}, 422, "ahead_of_log"),
        ({"before": 0}, 409, "nothing_before"),
        ({"before": "1999-01-01T00:00:00Z"}, 409, "nothing_before"),
        ({"before": "2026-01-31T00:00:00"}, 422, "bad_before"),
        ({"before": "yesterday"}, 422, "bad_before"),
        ({"before": "9999-12-31T23:59:59-01:00"}, 422, "bad_before"),
        ({"before": "0001-01-01T00:00:00+01:00"}, 422, "bad_before"),
        ({"before": 1.5}, 422, "bad_body"),
        ({"until": 3}, 422, "bad_body"),
    ):
        assert_refused(served.post(f"{E}:compact", body), status, code)
    assert_refused(served.post("/v1/experiments/nobody:compact"), 404, "unknown_experiment")
    assert served.everything() == before
    assert compact(served, {"before": 30}).status_code == 200
    assert_refused(served.post(f"{E}:compact", {"before": 29}), 409, "before_base")
    served.stop()
    served.options = {"archives": Archives(None)}
    served.start()
    assert_refused(served.post(f"{E}:compact"), 409, "no_archives")
    served.service.compactions._archives = Archives.at(tmp_path / "missing")
    assert_refused(served.post(f"{E}:compact"), 503, "archive_failed")


def test_a_time_names_the_last_event_before_it(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        times = iter(range(10**15, 2 * 10**15, 10**6))
        served.service.clock = lambda: next(times)
        run = Run(served, "arms", "e")
        run.play(20)
        events = served.events()
        at = events[11].time
        told = compact(served, {"before": datetime.fromtimestamp(at / 1e6, UTC).isoformat()}).json()
        assert told["base"] == 11
        later = datetime.fromtimestamp((at + 1) / 1e6, UTC).isoformat()
        assert compact(served, {"before": later}).json()["base"] == 12
        assert compact(served, {"before": "2999-01-01T00:00:00Z"}).json()["base"] == len(events)


def test_the_record_of_a_decision_says_what_is_gone(played: tuple[Served, Run]) -> None:
    served, _ = played
    before = [served.record(name).json() for name in ("d1", "~8", "d7", "d39")]
    assert compact(served).status_code == 200
    gone = {"compacted": True, "context": None, "eligible_actions": None, "sent": None}
    for _ in range(2):
        after = [served.record(name).json() for name in ("d1", "~8", "d7", "d39")]
        assert after == [before[0] | gone, before[1] | gone, *before[2:]], "the last two are open"
        served.restart()
    assert not any("compacted" in one for one in before)


def test_the_log_begins_after_the_base_and_says_so(played: tuple[Served, Run], capsys: Any, tmp_path: Path) -> None:
    served, run = played
    whole = served.events()
    told = compact(served).json()
    base = told["base"]
    run.play(10)
    answer = served.get(f"{E}/log")
    assert answer.headers["x-log-begins"] == str(base)
    header, *lines = map(json.loads, answer.text.splitlines())
    assert "kind" not in header, "it has a first line as every export"
    carried = [event.seq for event in whole if event.number in {37, 38, 39} and event.kind == 0]
    assert [line["seq"] for line in lines] == [*carried, *range(base + 1, len(served.events()) + 1)]
    assert all(len(line["context"]) == 4 for line in lines if line["kind"] == 0)
    rest = served.get(f"{E}/log?after={base}")
    assert json.loads(rest.text.splitlines()[0])["seq"] == base + 1
    refused = assert_refused(served.get(f"{E}/log?after={base - 1}"), 409, "compacted")
    assert told["archive"] in refused["detail"] and f"after={base}" in refused["detail"]
    assert_refused(served.get(f"{E}/log?until={base - 1}"), 409, "compacted")
    for name, *arguments in (
        ("export", "e", str(tmp_path / "e.jsonl"), "--database", served.url),
        ("convert", served.url, str(tmp_path / "e.parquet"), "--experiment", "e"),
        ("evaluate", served.url, "--experiment", "e", "--target", "uniform", "--method", "ips"),
    ):
        capsys.readouterr()
        assert command([name, *arguments]) == 0, capsys.readouterr().err
        said = capsys.readouterr()
        assert f"begins after event {base}" in " ".join((said.out + said.err).split()), name
    assert pq.read_table(tmp_path / "e.parquet").num_rows == len(lines)
    assert (tmp_path / "e.jsonl").read_text() == answer.text


def test_what_is_compacted_to_its_end_is_neither_imported_nor_called_clean(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        served.create()
        for _ in range(3):
            assert served.reward(served.decide().json()["decision_id"], 1.0).status_code == 200
        assert compact(served).status_code == 200
        export = served.get(f"{E}/log")
        assert export.headers["x-log-begins"] == "6"
        for form, rows in product(("jsonl", "parquet"), ROWS):
            file = tmp_path / f"e.{form}"
            file.write_bytes(served.get(f"{E}/log?format={form}&rows={rows}").content)
            with pytest.raises(
                InvalidInput, match=r"nothing of .* was verified: .* begins behind event 6, .*--database"
            ):
                verify_file(file, None)
        before = served.everything()
        answer = served.post("/v1/experiments:import?experiment_id=copy", export.content)
        assert_refused(answer, 422, "missing_events")
        assert served.everything() == before


def test_an_evaluation_takes_what_was_learned_since_and_nothing_else(
    played: tuple[Served, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    served, run = played
    compact(served)
    learned = served.get(E).json()["rewards"]
    run.play(20)
    since = served.get(E).json()["rewards"] - learned
    capsys.readouterr()
    arguments = ["evaluate", served.url, "--experiment", "e", "--target", "uniform", "--method", "ips", "--json"]
    assert command(arguments) == 0
    assert json.loads(capsys.readouterr().out)["events"] == since


def test_regret_by_segments_is_that_of_the_whole_log(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        run = Run(served, "vectors", "e")
        run.play(40)
        before = served.get(f"{E}/report?segments=3").json()
        compact(served)
        assert served.get(f"{E}/report?segments=3").json() == before
        assert before["regret_by_segment"] is not None


def test_diagnostics_and_metrics_tell_of_it(played: tuple[Served, Run]) -> None:
    served, run = played
    assert "base" not in served.get(f"{E}/diagnostics").json()
    base = compact(served).json()["base"]
    run.play(5)
    since = served.service.live("e").seq - base
    assert served.get(f"{E}/diagnostics").json()["base"] == base
    text = served.get("/metrics").text
    assert f'onearm_base_seq{{experiment="e",tenant="default"}} {base}.0' in text
    assert f'onearm_base_events{{experiment="e",tenant="default"}} {since}.0' in text
    assert "onearm_chores 0.0" in text


def test_others_and_itself_go_on_meanwhile(played: tuple[Served, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """The fold of the compaction decides and rewards on the way, through the event loop, as clients do."""
    served, run = played
    fold, hits = type(served.service.compactions)._fold, []

    def folding(self: Any, live: Any, seq: int) -> Any:
        hits.append(run.play(5))  # from a worker thread: the event loop is free
        return fold(self, live, seq)

    monkeypatch.setattr(type(served.service.compactions), "_fold", folding)
    seq = served.service.live("e").seq
    assert compact(served).json()["base"] == seq
    assert hits and served.service.live("e").seq > seq
    served.restart()
    run.assert_retries()
