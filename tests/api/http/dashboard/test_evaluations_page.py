"""Logs are evaluated from a page: asked for, at work, cancelled, refused at a field, and the report in its place."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from support.pictures import leave_empty
from support.served import RANDOM, Served

from onearm.api.http.dashboard import asking
from onearm.api.http.dashboard.rendering import POLICY
from onearm.api.offline import evaluation
from onearm.api.service import evaluating
from onearm.api.service.room import StateLimits

ASKED = {
    "target.logged": "on",
    "target.uniform": "on",
    "target.action:0": "on",
    "method.snips": "on",
    "interval.normal": "on",
    "baseline": "logged",
    "learn": "matched",
    "segment": "",
    "targets": "",
}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PATIENCE = 60.0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        yield served


def filled(served: Served, n: int = 60, name: str = "e", **fields: object) -> None:
    """Make an experiment whose devices and arms differ in what they earn."""
    served.create(name, problem={"context": {"kind": "features"}}, policy="uniform", **fields)
    asked = [{"context": {"device": "phone" if i % 2 else "desk"}} for i in range(n)]
    made = served.post(f"/v1/experiments/{name}/decisions:batch", {"decisions": asked}).json()["decisions"]
    rewards = [
        {"decision_id": one["decision_id"], "value": float(one["action_id"] == "a" and i % 2)}
        for i, one in enumerate(made)
    ]
    assert served.post(f"/v1/experiments/{name}/rewards:batch", {"rewards": rewards}).status_code == 200


def ask(served: Served, name: str = "e", **fields: str | None) -> httpx.Response:
    """Send the form; a field that is None is left out."""
    body = {key: value for key, value in (ASKED | fields).items() if value is not None}
    return sent(served, f"/experiments/{name}/evaluations", body)


def sent(served: Served, address: str, body: dict[str, str]) -> httpx.Response:
    return served.client.post(address, content=urlencode(body).encode(), headers=FORM, follow_redirects=False)


def ended(served: Served, address: str) -> httpx.Response:
    """Wait until an evaluation has ended, and return what its page shows then."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if served.get(f"{address}/progress").headers.get("hx-refresh") == "true":
            return served.get(address)
        time.sleep(0.05)
    raise AssertionError("it did not end")


@pytest.fixture
def empty_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_empty(monkeypatch)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Hold evaluations before policies go through the log, until the event is set."""
    free, whole = threading.Event(), evaluation.evaluate

    def waiting(*given: Any) -> Any:
        free.wait(PATIENCE)
        return whole(*given)

    monkeypatch.setattr("onearm.api.service.evaluating.evaluate", waiting)
    yield free
    free.set()


def test_a_log_is_evaluated_and_its_report_opens_at_the_address_of_the_evaluation(served: Served) -> None:
    filled(served)
    assert 'href="/experiments/e/evaluations"' in served.get("/experiments/e").text
    form = served.get("/experiments/e/evaluations")
    assert form.status_code == 200
    assert 'name="target.action:0"' in form.text and "always a" in form.text and 'name="target.linucb"' in form.text
    begun = ask(served)
    assert begun.status_code == 303
    report = ended(served, begun.headers["location"])
    assert report.status_code == 200
    assert report.headers["content-security-policy"].encode() == POLICY
    assert "What would have been earned on" in report.text
    assert "always a would have earned" in report.text and "Against logged" in report.text
    assert re.findall(r"<style|\sstyle=|<script(?! src=)", report.text) == []
    for address in re.findall(r'(?:href|src)="(/[^"]*)"', report.text):
        assert served.get(address).status_code == 200, address
    assert "onearm evaluate DATABASE --experiment e --target logged --target uniform" in report.text
    assert "report 1" in served.get("/experiments/e/evaluations").text
    assert "This service made these decisions" in report.text
    assert "which holds for all targets at once); the log earned" in report.text
    assert "Each interval here is for one target alone" in report.text


@pytest.mark.usefixtures("empty_pictures")
def test_a_largest_weight_that_is_stated_is_taken(served: Served) -> None:
    served.create(policy=RANDOM)
    for i in range(20):
        served.reward(served.decide().json()["decision_id"], i % 2)
    asked = {"method.snips": None, "method.ips": "on", "interval.normal": None, "interval.empirical-bernstein": "on"}
    assert "is taken for the largest possible" in ended(served, ask(served, **asked).headers["location"]).text
    stated = ended(served, ask(served, **asked, weight_max="3").headers["location"]).text
    assert "is taken for the largest possible" not in stated and "--weight-max 3" in stated


@pytest.mark.usefixtures("empty_pictures")
def test_a_segment_without_a_value_says_so(served: Served) -> None:
    filled(served, 12)
    served.decide({"context": {}, "decision_id": "bare"})
    served.reward("bare", 1)
    report = ended(served, ask(served, segment="device").headers["location"]).text
    assert "without a value" in report[report.index('id="segments"') :]


@pytest.mark.usefixtures("empty_pictures")
def test_segments_are_the_values_of_a_named_feature(served: Served) -> None:
    filled(served)
    assert '<option value="device">' in served.get("/experiments/e/evaluations").text
    report = ended(served, ask(served, segment="device").headers["location"]).text
    table = report[report.index('id="segments"') :]
    assert re.findall(r'class="name" data-value="\d">([a-z]+)<', table) == ["desk", "phone"]
    desk, phone = re.findall(r'class="number" data-value="30">30</td><td class="number" data-value="([\d.]+)"', table)
    assert float(desk) == 0.0 < float(phone)


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"targets": "ucb2"}, "targets", "there is no policy &#39;ucb2&#39;"),
        ({"targets": "half_visit"}, "targets", "half_visit"),
        ({"targets": "action:9"}, "targets", "from 0 to 2"),
        ({"targets": "action:sale"}, "targets", "from 0 to 2"),
        ({"targets": "table:/etc/passwd"}, "targets", "is a target of tables"),
        ({"targets": 'linucb:{"alpha"'}, "targets", "are not JSON"),
        ({f"target.{name}": None for name in ("logged", "uniform", "action:0")}, "targets", "nobody is chosen"),
        ({"method.snips": None}, "methods", "no method is chosen"),
        ({"interval.normal": None}, "intervals", "no interval is chosen"),
        ({"reward_low": "1"}, "reward_low", "give both, or none"),
        ({"reward_low": "x", "reward_high": "1"}, "reward_low", "must be a number"),
        ({"weight_max": "0.5"}, "weight_max", "at least 1"),
        ({"learn": "all"}, "learn", "must be one of"),
    ],
)
def test_what_cannot_be_asked_is_said_at_its_field(
    served: Served, fields: dict[str, str | None], field: str, said: str
) -> None:
    filled(served, 4)
    answer = ask(served, **fields)
    assert answer.status_code == 422
    assert f'id="wrong-{field}">' in answer.text
    assert said in answer.text[answer.text.index(f'id="wrong-{field}">') :][:400]
    assert 'role="alert"' in answer.text
    for name in fields.keys() & {"targets"}:
        assert str(fields[name]).replace('"', "&#34;") in answer.text, "what was filled in stays"


def test_what_the_log_refuses_is_said_at_its_field_as_well(served: Served) -> None:
    filled(served)
    form = ended(served, ask(served, segment="colour").headers["location"])
    assert form.status_code == 200
    assert "stands in no row" in form.text[form.text.index('id="wrong-segment">') :][:200]
    assert 'value="colour"' in form.text


@pytest.mark.usefixtures("empty_pictures")
def test_a_range_that_is_too_narrow_is_widened_in_the_form(served: Served) -> None:
    """Not by the option of the command, which the message names as well."""
    filled(served)
    wide = ask(served, reward_low="0", reward_high="0.5", targets="logistic_thompson").headers["location"]
    narrow = ended(served, wide).text
    said = narrow[narrow.index('id="wrong-reward_low">') :][:400]
    assert "in the fields below" in said and "--reward" not in narrow


def test_every_refusal_that_has_a_field_is_one_that_is_raised() -> None:
    """A code that is called otherwise would fall to the top of the form without a word."""
    rooms = [Path(asking.__file__).parents[2] / room for room in ("offline", "experiment", "kinds", "service")]
    engine = Path(asking.__file__).parents[3] / "engine"
    sources = [file.read_text() for room in (*rooms, engine, engine.parent / "policies") for file in room.rglob("*.py")]
    lost = [code for code in asking.AT if not any(f'"{code}"' in source for source in sources)]
    assert lost == []


def test_a_log_that_tells_nothing_of_others_has_no_evaluation(served: Served) -> None:
    vector = {"kind": "vector", "domain": {"kind": "ball", "dimension": 2}, "feedback": "gradient"}
    served.post("/v1/experiments", {"experiment_id": "v", "problem": vector})
    assert "evaluations" not in served.get("/experiments/v").text
    answer = served.get("/experiments/v/evaluations")
    assert answer.status_code == 422 and "another policy decides another point" in answer.text


def test_it_is_offered_once_a_reward_has_come(served: Served) -> None:
    served.create("empty")
    served.decide({"decision_id": "x"}, "empty")
    assert "Evaluate" not in served.get("/experiments/empty").text
    for refused in (ask(served, "empty"), served.get("/experiments/empty/evaluations")):
        assert refused.status_code == 422 and "no decision of &#39;empty&#39; has a reward yet" in refused.text
        assert "sqlite" not in refused.text
    served.reward("x", 1, "empty")
    served.service.glances.clear()
    assert "Evaluate" in served.get("/experiments/empty/live").text


def test_an_evaluation_is_cancelled_and_its_form_comes_back(served: Served, held: threading.Event) -> None:
    filled(served)
    address = ask(served, targets="linucb").headers["location"]
    page = served.get(address).text
    assert "<progress" in page and f'hx-get="{address}/progress"' in page and "Cancel it" in page
    assert sent(served, f"{address}/cancel", {}).status_code == 303
    held.set()
    form = ended(served, address).text
    assert "It was cancelled." in form and ">linucb</textarea>" in form
    assert ask(served).status_code == 303, "there is room for the next one"


@pytest.mark.usefixtures("empty_pictures")
def test_an_experiment_has_one_at_a_time_and_others_go_on_beside_it(served: Served, held: threading.Event) -> None:
    filled(served)
    filled(served, name="other")
    first = ask(served).headers["location"]
    refused = ask(served)
    assert refused.status_code == 503 and refused.headers["retry-after"] == "1"
    assert "it has one at a time" in refused.text and 'name="target.action:0" checked' in refused.text
    beside = ask(served, "other")
    assert beside.status_code == 303
    assert served.decide({"context": {}}).status_code == 201, "decisions do not wait"
    held.set()
    assert "would have earned" in ended(served, first).text
    assert "would have earned" in ended(served, beside.headers["location"]).text


def test_a_tenant_has_some_at_a_time_and_what_waits_is_cancelled_at_once(served: Served, held: threading.Event) -> None:
    for name in "abcde":
        filled(served, 6, name)
    addresses = [ask(served, name).headers["location"] for name in "abcd"]
    refused = ask(served, "e")
    assert refused.status_code == 503 and "4 evaluations of one tenant" in refused.text
    assert "It waits for its turn" in served.get(addresses[3]).text
    sent(served, f"{addresses[3]}/cancel", {})
    assert "It was cancelled." in ended(served, addresses[3]).text
    assert ask(served, "e").status_code == 303


@pytest.mark.usefixtures("empty_pictures")
def test_the_states_of_all_policies_together_are_as_large_as_that_of_one_may_be(tmp_path: Path) -> None:
    limits = StateLimits(one=70_000, all=120_000)
    with Served(tmp_path, state_limits=limits) as served:
        served.create("e", arms=[{"id": f"arm {i}"} for i in range(1000)], policy="ucb1")
        served.decide({"decision_id": "x"})
        served.reward("x", 1)
        one = ask(served, targets='epsilon_greedy:{"epsilon":0.1}')
        assert one.status_code == 303
        ended(served, one.headers["location"])
        before = served.service.room.taken
        two = 'ucb1:{"alpha":2.0}\nucb1:{"alpha":3.0}'
        full = ask(served, targets=two, **{"method.dr": "on", "method.mrdr": "on"})
        assert full.status_code == 507 and 'id="wrong-targets"' in full.text
        assert served.service.room.taken == before
        many = "\n".join(f'epsilon_greedy:{{"epsilon":0.{i}}}' for i in range(1, 10))
        refused = ask(served, targets=many)
        assert refused.status_code == 422
        assert "bytes" in refused.text[refused.text.index('id="wrong-targets">') :][:300]


def test_one_that_takes_too_long_ends(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(served)
    monkeypatch.setattr("onearm.api.service.evaluating.SECONDS_MAX", -1.0)
    assert "it took more than" in ended(served, ask(served).headers["location"]).text


@pytest.mark.usefixtures("empty_pictures")
def test_the_last_ones_of_an_experiment_are_kept_and_none_of_one_that_is_gone(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluating, "KEPT_EACH", 2)
    filled(served, 12)
    addresses = [ask(served).headers["location"] for _ in range(1)]
    ended(served, addresses[0])
    for _ in range(2):
        addresses.append(ask(served).headers["location"])
        ended(served, addresses[-1])
    assert served.get(addresses[0]).status_code == 404
    assert [served.get(address).status_code for address in addresses[1:]] == [200] * 2
    filled(served, 12, "other")
    assert served.get(addresses[-1].replace("/e/", "/other/")).status_code == 404, "it is not that one's"
    assert served.post("/v1/experiments/e:erase", {"decision_ids": ["~0"]}).json()["decisions"] == 1
    assert served.get(addresses[-1]).status_code == 404, "a report may name who was erased"


def test_an_evaluation_at_work_keeps_no_service_from_its_end(served: Served, held: threading.Event) -> None:
    filled(served)
    ask(served)
    held.set()
    begun = time.monotonic()
    served.restart()
    assert time.monotonic() - begun < PATIENCE / 2
