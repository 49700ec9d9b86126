"""What docs/http.md shows runs, against a service."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path

from support.listening import Listening
from support.served import Served

from onearm.api.http.routes import TABLE

PAGE = Path(__file__).resolve().parents[3] / "docs" / "http.md"
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HOST = "http://127.0.0.1:8080"
ROW = re.compile(r"^\| (`.*?`) \| (\w+) \|", re.MULTILINE)
CALL = re.compile(rf"^curl (?:-d '(.*)' )?{HOST}(\S+)\n((?:# .*\n)*)", re.MULTILINE)


def test_the_page_names_the_role_of_every_call() -> None:
    said = {}
    for calls, role in ROW.findall(PAGE.read_text().partition("\n| call |")[2].partition("\n\n")[0]):
        for method, path in re.findall(r"`(GET|POST|PUT|DELETE) ([^`?]+)[^`]*`", calls):
            assert said.setdefault((method, path), role) == role
    table = {(entry.method, entry.path.replace("experiment_id", "id")): entry for entry in TABLE}
    assert said == {call: entry.role for call, entry in table.items() if call in said or not entry.page}


def test_the_first_calls_of_the_page_are_answered_as_it_says(tmp_path: Path) -> None:
    calls = CALL.findall(PAGE.read_text().partition("\n| call |")[0])
    assert [bool(answer) for *_, answer in calls] == [False, True, True, True, True, True]
    with Served(tmp_path) as served:
        for body, path, answer in calls:
            found = served.post(path, json.loads(body)) if body else served.get(path)
            assert found.status_code < 300, found.text
            assert not answer or found.json() == json.loads(re.sub("^# ", "", answer, flags=re.MULTILINE))


def test_the_visitor_with_features_is_decided_for(tmp_path: Path) -> None:
    experiment, decision = re.findall(r"^```json\n(.*)\n(.*)\n```$", PAGE.read_text(), re.MULTILINE)[0]
    with Served(tmp_path) as served:
        assert served.post("/v1/experiments", json.loads(experiment)).status_code == 201
        found = served.decide(json.loads(decision), "front")
        assert (found.status_code, found.json()["decision_id"]) == (201, "visit-1")


def test_the_python_of_the_page_runs(tmp_path: Path) -> None:
    block, of_vectors = FENCE.findall(PAGE.read_text())
    assert HOST in block and HOST in of_vectors
    for many, few in (("range(200)", "range(40)"), ('"arms": 200, "horizon": 20_000', '"arms": 40, "horizon": 4_000')):
        assert many in block
        block = block.replace(many, few)
    with Listening(tmp_path) as service, contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(block.replace(HOST, service.url), str(PAGE), "exec"), {})
        exec(compile(of_vectors.replace(HOST, service.url), str(PAGE), "exec"), {})
    why, committed, *points, certificate = printed.getvalue().splitlines()
    assert why == "horizon_reached"
    assert re.match(r"{'arm_id': 'advert-\d+', 'pulls': \d+, 'mean': 0.9\d+, 'interval': \[", committed), committed
    assert f"# {', '.join(points)}\n" in of_vectors and 0.0 < float(certificate) < 1.5
