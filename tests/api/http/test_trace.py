"""What a request goes by is in its answer, and in what the log says of it; contexts and secrets never are."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.keyed import Keyed
from support.served import Served

from onearm.api.http import service_log
from onearm.api.http.trace import SANE
from onearm.api.service.live import Live
from onearm.engine.errors import Unavailable

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        served.create()
        yield served


@pytest.fixture
def said() -> Iterator[list[str]]:
    """Collect what the log says, a JSON text for each line."""
    lines: list[str] = []

    class Collecting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Collecting()
    handler.addFilter(service_log.about_request)
    handler.setFormatter(service_log.InJson())
    before = service_log.access.level
    service_log.log.addHandler(handler)
    service_log.access.setLevel(logging.INFO)
    yield lines
    service_log.log.removeHandler(handler)
    service_log.access.setLevel(before)


@pytest.mark.parametrize(
    "path",
    ["/v1/experiments/e/decisions", "/v1/experiments/none/decisions", "/no/such/path", "/v1/experiments/e", "/version"],
)
def test_every_answer_says_what_the_request_goes_by(served: Served, path: str) -> None:
    ask = served.post if path.endswith("decisions") else served.client.get
    given = ask(path, headers={"X-Request-ID": "web-1:7", "traceparent": PARENT})
    assert (given.headers["x-request-id"], given.headers["traceparent"]) == ("web-1:7", PARENT)
    made = [ask(path) for _ in range(2)]
    assert "traceparent" not in made[0].headers
    ids = [answer.headers["x-request-id"] for answer in made]
    assert ids[0] != ids[1]
    assert all(SANE.fullmatch(one.encode()) for one in ids)


def test_who_is_refused_at_the_door_hears_it_too(served: Served) -> None:
    answer = served.client.get("/version", headers={"Host": "evil.example", "X-Request-ID": "a-1"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (421, "a-1")


@pytest.mark.parametrize("name", ["", "a b", "a" * 129, 'x"y', "a,b", "{}", "a\x7f"])
def test_an_id_that_would_break_a_log_is_replaced(served: Served, name: str) -> None:
    answer = served.client.get("/version", headers={"X-Request-ID": name})
    assert answer.headers["x-request-id"] != name


@pytest.mark.parametrize(
    "span",
    [PARENT.upper(), PARENT[:-1], "01" + PARENT[2:], f"00-{'0' * 32}-00f067aa0ba902b7-01", PARENT + "-x", "none"],
)
def test_a_span_that_is_none_is_not_repeated(served: Served, span: str) -> None:
    assert "traceparent" not in served.client.get("/version", headers={"traceparent": span}).headers


def test_a_line_for_each_request_says_what_came_of_it(served: Served, said: list[str]) -> None:
    served.decide({"decision_id": "d-1"}, headers={"X-Request-ID": "a-1"})
    served.client.get("/no/such/path", headers={"X-Request-ID": "a-2"})
    first, second = map(json.loads, said)
    assert first["milliseconds"] > 0
    assert {name: first[name] for name in ("logger", "level", "message", "request_id", "method", "route")} == {
        "logger": "onearm.access",
        "level": "info",
        "message": "answered",
        "request_id": "a-1",
        "method": "POST",
        "route": "/v1/experiments/{experiment_id}/decisions",
    }
    assert (first["experiment"], first["status"], first["origin"]) == ("e", 201, "testclient")
    assert (second["request_id"], second["status"], "route" in second) == ("a-2", 404, False)


def test_without_that_nothing_is_said_of_requests(served: Served, said: list[str]) -> None:
    service_log.access.setLevel(logging.WARNING)
    served.decide()
    served.get("/no/such/path")
    assert said == []


def test_an_error_says_of_which_request_it_is(served: Served, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    service_log.access.setLevel(logging.WARNING)

    async def fail(self: Live, name: int | str) -> Any:
        raise Unavailable("read_failed", "run.db could not be read (disk I/O error): try again")

    monkeypatch.setattr(Live, "find", fail)
    secret = "her-phone-is-5551234"
    path, headers = "/v1/experiments/e/decisions/d/reward", {"X-Request-ID": "a-9"}
    answer = served.post(path, {"value": 1.0, "reward_id": secret}, headers=headers)
    assert answer.status_code == 503
    (line,) = said
    found = json.loads(line)
    assert (found["level"], found["request_id"], found["experiment"]) == ("error", "a-9", "e")
    assert "disk I/O error" in found["message"]
    assert secret not in line


def test_an_exception_is_told_with_its_request(
    served: Served, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service_log.access.setLevel(logging.WARNING)
    monkeypatch.setattr(type(served.service), "live", lambda self, name: 1 / 0)
    answer = served.client.get("/v1/experiments/e", headers={"X-Request-ID": "a-3"})
    assert answer.status_code == 500
    found = json.loads(said[0])
    assert (found["request_id"], found["route"]) == ("a-3", "/v1/experiments/{experiment_id}")
    assert found["exception"].endswith("ZeroDivisionError: division by zero")


def test_the_key_is_told_by_its_id_and_the_experiment_by_its_name(tmp_path: Path, said: list[str]) -> None:
    with Keyed(tmp_path) as keyed:
        key = keyed.key("write", tenant="shop")
        said.clear()
        keyed.client_of(key).post("/v1/experiments/banner/decisions", json={})
        keyed.client_of("oa_nobody_x").get("/version")
    taken, refused = map(json.loads, said)  # of requests, so much is only sure once the service has ended
    assert (taken["experiment"], taken["key"], taken["status"]) == ("~shop~banner", key.split("_")[1], 201)
    assert refused["status"] == 401
    assert key.split("_", 2)[2] not in "".join(said)


def test_text_names_the_request_behind_the_message() -> None:
    record = logging.LogRecord("onearm", logging.ERROR, "", 0, "a commit failed: %s", ("full",), None)
    record.about = {"request_id": "a-1", "route": "/version"}
    assert service_log.InText().format(record).endswith("ERROR a commit failed: full request_id=a-1 route=/version")
