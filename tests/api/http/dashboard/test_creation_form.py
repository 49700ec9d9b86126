"""The form by which people create experiments: every kind of them, what it would send, and errors at the fields."""

from __future__ import annotations

import html
import json
import re
import shlex
from typing import Any
from urllib.parse import urlencode

import pytest
from support.served import Served

from onearm.api.http.dashboard.creation import SORTS

FILLED: dict[str, dict[str, str]] = {
    "arms": {"arms": "cat\ndog\n", "reward_low": "0", "reward_high": "1", "wait_time": "30m", "default": "0"},
    "contexts": {"arms": "cat\ndog", "context": "numbers", "length": "3"},
    "states": {"arms": "go\nstay", "states": "4"},
    "lists": {"arms": "cat\ndog\nfox", "slots": "2"},
    "streams": {"slots": "2", "horizon": "100", "low": "0", "high": "1"},
    "vectors": {"domain": "box", "low": "0 -1", "high": "1, 1", "feedback": "gradient"},
    "queries": {"queries": "pump\nvalve", "horizon": "20", "policy": "successive_halving"},
}


def send(served: Served, path: str, kind: str, **fields: str) -> Any:
    body = urlencode({"kind": kind} | FILLED[kind] | fields).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return served.client.post(path, content=body, headers=headers, follow_redirects=False)


def said(text: str, name: str) -> str:
    """Return what stands in one of the boxes beside the form."""
    found = re.search(f'<pre id="as-{name}"[^>]*>(.*?)</pre>', text, re.DOTALL)
    assert found is not None
    return html.unescape(found[1])


def wrong(text: str) -> list[str]:
    """Return the fields that something is said to be wrong with."""
    return re.findall('<p class="wrong" id="wrong-([a-z_]+)">', text)


def test_every_form_is_tried() -> None:
    assert set(SORTS) == set(FILLED)


@pytest.mark.parametrize("kind", FILLED)
def test_every_kind_is_created_by_its_form_as_it_says_beside(served: Served, kind: str) -> None:
    assert f"<h2>{SORTS[kind].form.title}</h2>" in served.get(f"/create?kind={kind}").text
    look = send(served, "/create/look", kind, experiment_id="new one")
    assert look.status_code == 200 and wrong(look.text) == [] and "Still missing" not in look.text
    answer = send(served, "/create", kind, experiment_id="new one")
    assert (answer.status_code, answer.headers["location"]) == (303, "/experiments/new%20one?done=created"), answer.text
    body = json.loads(said(look.text, "json"))
    assert served.post("/v1/experiments", body).status_code == 200, "it is the one that there is already"
    words = shlex.split(said(look.text, "curl"))
    assert (words[:2], json.loads(words[2]), words[3][-15:]) == (["curl", "-d"], body, "/v1/experiments")
    lines = said(look.text, "python")
    sent: list[Any] = []
    assert "from onearm.client import Client\n" in lines
    exec(lines.replace("from onearm.client import Client", ""), {"Client": lambda url: _Client(url, sent)})
    assert sent == ["http://testserver", body]


class _Client:
    """Stands for the client in lines that a page shows, and keeps what they would send; a browser runs them."""

    def __init__(self, url: str, sent: list[Any]) -> None:
        self._sent = sent
        sent.append(url)

    def __enter__(self) -> _Client:
        return self

    def __exit__(self, *error: object) -> None:
        """Close nothing."""

    def create(self, experiment_id: str, **fields: Any) -> None:
        self._sent.append({"experiment_id": experiment_id} | fields)


@pytest.mark.parametrize(
    ("kind", "fields", "field"),
    [
        ("arms", {"arms": "cat\ncat"}, "arms"),
        ("arms", {"arms": ""}, "arms"),
        ("arms", {"experiment_id": "~x"}, "experiment_id"),
        ("arms", {"experiment_id": "e"}, "experiment_id"),
        ("arms", {"policy": "no_such"}, "policy"),
        ("arms", {"reward_low": "one"}, "reward_low"),
        ("arms", {"reward_low": "-inf"}, "reward_low"),
        ("arms", {"default": "nan"}, "default"),
        ("arms", {"default": "1e999"}, "default"),
        ("arms", {"default": "9" * 400}, "default"),
        ("lists", {"slots": "1.9"}, "slots"),
        ("arms", {"reward_high": ""}, "reward_low"),
        ("arms", {"reward_high": "-5"}, "reward_low"),
        ("arms", {"wait_time": "soon"}, "wait_time"),
        ("arms", {"default": "7"}, "default"),
        ("contexts", {"length": "0"}, "length"),
        ("states", {"states": ""}, "states"),
        ("states", {"states": "9" * 5000}, "states"),  # more digits than Python reads
        ("streams", {"slots": "0"}, "slots"),
        ("vectors", {"domain": "cube"}, "domain"),
        ("vectors", {"low": "0 x"}, "low"),
        ("queries", {"horizon": "0"}, "horizon"),
    ],
)
def test_what_is_wrong_stands_at_its_field(standing: Served, kind: str, fields: dict[str, str], field: str) -> None:
    before = len(standing.get("/v1/experiments").json()["experiments"])
    answer = send(standing, "/create", kind, **fields)
    assert answer.status_code in (409, 422)
    assert wrong(answer.text) == [field], answer.text
    assert re.search(f'name="{field}"[^>]*aria-invalid="true"', answer.text)
    assert len(standing.get("/v1/experiments").json()["experiments"]) == before


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("arms", {"arms": ""}, "name the actions, one a line."),
        ("arms", {"reward_low": "2"}, "rewards lie from 2 to 1: the lower one comes first."),
        ("arms", {"wait_time": "soon"}, "\u201cWait for a reward\u201d is 'soon': it must be a time"),
        (
            "arms",
            {"wait_time": ""},
            "\u201cIf none comes, learn\u201d is of no use without \u201cWait for a reward\u201d",
        ),
        ("arms", {"policy": 'ucb1:{"alpha":-1}'}, "alpha is -1"),
        ("contexts", {"length": ""}, "say how many numbers a context has."),
        ("states", {"states": ""}, "name the states, one a line"),
        ("states", {"states": "0"}, "\u201cStates\u201d is 0"),
        ("lists", {"slots": ""}, "say how many slots there are."),
        ("vectors", {"domain": "ball", "dimension": ""}, "say how many numbers a ball has."),
        ("queries", {"queries": ""}, "name what can be asked, one a line."),
    ],
)
def test_what_is_wrong_is_said_in_words_and_not_in_those_of_json(
    served: Served, kind: str, fields: dict[str, str], words: str
) -> None:
    text = html.unescape(send(served, "/create", kind, **fields).text)
    (told,) = re.findall('<p class="wrong" id="wrong-[a-z_]+">(.*?)</p>', text)
    assert words in told
    assert not re.search(r"(problem|reward)\.[a-z]|\[low, high\]|None|objects like", told)


def test_what_is_not_filled_in_yet_is_missing_and_not_wrong(served: Served) -> None:
    look = send(served, "/create/look", "arms", arms="")
    assert wrong(look.text) == [] and "Still missing" in look.text


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"states": ""}, {"arms": [{"id": "go"}, {"id": "stay"}]}),
        ({"default": "much"}, {"arms": [{"id": "go"}, {"id": "stay"}], "reward": {"wait_time": "30m"}}),
        ({"reward_low": "1"}, {"arms": [{"id": "go"}, {"id": "stay"}]}),
    ],
    ids=str,
)
def test_what_is_sent_keeps_what_can_be_read(served: Served, fields: dict[str, str], kept: dict[str, Any]) -> None:
    for path in ("/create", "/create/look"):
        shown = send(served, path, "states", experiment_id="stock", **{"wait_time": "30m"} | fields)
        body = json.loads(said(shown.text, "json"))
        assert body["experiment_id"] == "stock" and {name: body[name] for name in kept} == kept


def test_a_form_that_is_none_is_refused(served: Served) -> None:
    assert served.get("/create?kind=dice").status_code == 404
    for body in (b"\xff=1", b"kind=arms&kind=arms", b"no form"):
        assert served.client.post("/create", content=body).status_code == 422
