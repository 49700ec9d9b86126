"""Pages as a browser gets them: of every kind of decision, saying what may run, and nothing that names slip in."""

from __future__ import annotations

import asyncio
import html
import json
import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from support.meeting import at_once
from support.served import Served

from onearm.api.http.dashboard import overview
from onearm.api.http.dashboard.figures import mean, share
from onearm.api.http.dashboard.rendering import POLICY
from onearm.api.http.dashboard.running import interval
from onearm.api.http.routes import TABLE
from onearm.api.service.alarms import alarms_of
from onearm.engine.storage.tables import EVENT
from onearm.engine.vocabulary import DECIDE

HOSTILE = '<img src=x onerror="alert(1)">\'{{77777*77777}}'
SHAPES: dict[str, dict[str, Any]] = {
    "arms": {"arms": [{"id": "a"}, {"id": "b"}], "reward": {"range": [0, 1]}},
    "windows": {"arms": [{"id": "a"}, {"id": "b"}], "reward": {"wait_time": "1h", "default": 0}},
    "features": {"arms": [{"id": "a"}, {"id": "b"}], "problem": {"context": {"kind": "features", "bits": 8}}},
    "states": {"arms": [{"id": "a"}, {"id": "b"}], "problem": {"states": {"count": 2}}},
    "lists": {"arms": [{"id": "a"}, {"id": "b"}, {"id": "c"}], "problem": {"kind": "lists", "slots": {"max": 2}}},
    "stream": {"problem": {"kind": "arm_stream", "slots": 2, "reward_range": [0, 1], "horizon": 100}},
    "vector": {"problem": {"kind": "vector", "domain": {"kind": "ball", "dimension": 2}, "feedback": "gradient"}},
    "queries": {
        "problem": {"kind": "queries", "task": "arms", "queries": ["x", "y"], "horizon": 9},
        "policy": "successive_halving",
    },
}
ASKED: dict[str, Any] = {"features": {"context": {"x": 1}, "explain": True}, "states": {"unit_id": "u", "state": 0}}
TOLD: dict[str, Any] = {
    "stream": {"value": 1.0, "pulls": 1},
    "vector": {"value": -1.0, "detail": {"gradient": [1.0, 0.5]}},
    "states": {"value": 1.0, "next_state": 1},
}


class Page(HTMLParser):
    """What stands in a page: its text, and what a browser would run or load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.loaded: list[str] = []
        self.text = ""
        self.ids: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.inline += [name for name in named if name.startswith("on") or name == "style"]
        self.loaded += [named["src"] or ""] if "src" in named else []
        self.ids += [named["id"] or ""] if "id" in named else []
        self._in_script = tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.inline.append(data)
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False


def page_of(served: Served, path: str, status: int = 200) -> Page:
    """Return a page, which holds to what all of them do."""
    answer = served.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY.decode()
    page = Page(answer.text)
    assert page.inline == []
    assert all(address.startswith("/static/") for address in page.loaded)
    assert len(page.ids) == len(set(page.ids)), "ids are told apart"
    return page


def make(served: Served, name: str, experiment_id: str, n: int = 4) -> list[str]:
    """Create an experiment of a shape with decisions, of which all but the last have rewards; return their ids."""
    made = served.post("/v1/experiments", {"experiment_id": experiment_id} | SHAPES[name])
    assert made.status_code == 201, made.text
    if name == "stream":
        for i in range(3):
            assert served.post(f"/v1/experiments/{experiment_id}/arms", {"id": f"s{i}"}).status_code == 201
    ids = []
    for i in range(n):
        answer = served.decide(ASKED.get(name, {}), experiment_id)
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["decision_id"])
        if i < n - 1:
            told = served.reward(ids[-1], TOLD.get(name, {"value": float(i % 2)}), experiment_id)
            assert told.status_code in (200, 202), told.text
    return ids


@pytest.mark.parametrize("name", SHAPES)
def test_there_is_a_page_of_every_kind_and_of_its_decisions(served: Served, name: str) -> None:
    ids = make(served, name, "x")
    page = page_of(served, "/experiments/x")
    live = served.get("/experiments/x").text
    n = served.get("/v1/experiments/x").json()["decisions"]
    assert f"<dt>{'Slots filled' if name == 'lists' else 'Decisions'}</dt><dd>{n}" in live
    assert f'href="/experiments/x/decisions/{ids[-1]}"' in live
    assert "x" in page.text and served.get("/experiments/x/live").text.strip() in live
    for decision_id in ids:
        told = page_of(served, f"/experiments/x/decisions/{decision_id}")
        assert "What came when" in told.text and "it was decided" in told.text
    again = served.post(f"/experiments/x/decisions/{ids[-1]}/again")
    assert again.status_code == 200 and "The same, bit for bit." in again.text
    assert 'href="/experiments/x"' in served.get("/").text


def test_every_page_says_what_may_run(served: Served) -> None:
    for entry in TABLE:
        if entry.page and entry.method == "GET" and entry.path != "/events":
            path = entry.path.format(experiment_id="nowhere", decision_id="~0", number="1")
            answer = served.get(path)
            assert answer.headers["content-security-policy"] == POLICY.decode(), entry
            assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in POLICY.decode() and "unsafe" not in POLICY.decode()
    assert "no experiment 'nowhere'" in page_of(served, "/experiments/nowhere", 404).text


def test_ids_and_labels_stay_text_wherever_they_stand(served: Served) -> None:
    made = served.post("/v1/experiments", {"experiment_id": HOSTILE, "arms": [{"id": HOSTILE}, {"id": "b"}]})
    assert made.status_code == 201
    one = f"/experiments/{_quoted(HOSTILE)}"
    decide = f"/v1{one}/decisions"
    made = served.post(decide, {"decision_id": HOSTILE, "unit_id": HOSTILE, "eligible_actions": [HOSTILE]})
    assert made.status_code == 201, made.text
    for path in ("/", one, f"{one}/decisions/{_quoted(HOSTILE)}", f"/?search={_quoted(HOSTILE)}"):
        page = page_of(served, path)
        assert HOSTILE in page.text, path
        assert str(77777**2) not in page.text, "a template in an id is none"
    assert "alert(1)" in page_of(served, f"/experiments/{_quoted('no' + HOSTILE)}", 404).text


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


@pytest.mark.usefixtures("empty_database")
def test_experiments_with_alarms_come_first(served: Served) -> None:
    served.create("silent")
    for _ in range(100):
        served.decide({}, "silent")
    served.create("fine")
    text = served.get("/").text
    assert re.findall(r'<th scope="row"><a href="/experiments/([^"]*)"', text) == ["silent", "fine", "e", "hello"]
    assert "no reward has come for 100 decisions" in text and "1 needs a look" in text
    alarms = {one["experiment_id"]: one.get("alarms") for one in served.get("/v1/experiments").json()["experiments"]}
    said = "no reward has come for 100 decisions: see that rewards are sent"
    assert alarms == {"e": None, "hello": None, "silent": [said], "fine": None}, "the list tells the same"
    newest = served.get("/overview?sort=newest").text
    assert re.findall(r'<th scope="row"><a href="/experiments/([^"]*)"', newest) == ["fine", "silent", "e", "hello"]


def test_others_go_on_between_the_alarms_of_many_experiments(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(5):
        served.create(f"e{i}")
    turns, seen = [0], []

    def alarms(*given: Any) -> list[str]:
        seen.append(turns[0])
        return alarms_of(*given)

    monkeypatch.setattr(overview, "AT_ONCE", 1)
    monkeypatch.setattr(overview, "alarms_of", alarms)

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        page = asyncio.create_task(client.get("/"))
        while not page.done():
            await asyncio.sleep(0)
            turns[0] += 1
        return await page

    assert at_once(served, ask).status_code == 200
    assert len(set(seen)) == len(seen) >= 6, "one at a time"


def test_the_list_is_searched_sorted_and_has_pages(served: Served) -> None:
    for i in range(30):
        served.create(f"banner {i:02}")
    first = served.get("/?sort=name&search=BANNER").text
    assert "30 experiments" in first and "Page 1 of 2" in first
    second = html.unescape(re.findall('rel="next" href="([^"]*)"', first)[0])
    rows = re.findall(r'<th scope="row"><a href="/experiments/([^"]*)"', served.get(second).text)
    assert rows == [f"banner%20{i}" for i in range(25, 30)]
    assert "Nothing here has" in served.get("/?search=nothing").text
    assert "epsilon_greedy" in served.get("/overview?search=epsilon").text
    for wrong in ("page=0", "page=x", "sort=&page=-1"):
        assert served.get(f"/?{wrong}").status_code == 422


@pytest.mark.usefixtures("empty_database")
def test_where_nothing_is_the_page_says_what_to_do_next(served: Served) -> None:
    for name in ("hello", "e"):
        assert served.client.delete(f"/v1/experiments/{name}?confirm={name}").status_code == 200
    page = page_of(served, "/")
    assert "No experiments yet" in page.text and "Create the first one" in page.text and "curl" in page.text


def test_a_decision_that_does_not_come_out_again_is_told(served: Served) -> None:
    ids = make(served, "arms", "x", n=6)
    first = [event for event in served.events("x") if event.kind == DECIDE][2]
    other = 1 - (first.action or 0)
    with served.store._transaction() as connection:
        mine = (EVENT.c.experiment == first.experiment) & (EVENT.c.seq == first.seq)
        connection.execute(sa.update(EVENT).where(mine).values(action=other))
    again = served.post(f"/experiments/x/decisions/{ids[-1]}/again")
    assert "Not the same" in again.text and "decision 2" in again.text


def test_the_law_and_the_reasons_of_an_explained_decision_are_told(served: Served) -> None:
    ids = make(served, "features", "x", n=8)
    record = served.get(f"/v1/experiments/x/decisions/{ids[-1]}").json()
    text = served.get(f"/experiments/x/decisions/{ids[-1]}").text
    for one in record["ranking"]:
        assert f'<rect class="part" width="{round(100 * one["probability"], 2)}"' in text
    for part in record["explanation"][0]["features"]:
        assert f'<th scope="row">{html.escape(part["name"])}</th>' in text
    assert text.count('<tr class="chosen">') == 1


def test_the_curve_holds_what_the_report_tells(served: Served) -> None:
    make(served, "arms", "x", n=1)
    text = served.get("/experiments/x/live").text
    assert text.count("Not enough yet") == 2 and "data-plot" not in text
    for i in range(8):
        decision = served.decide({}, "x").json()["decision_id"]
        assert served.reward(decision, {"value": float(i % 2)}, "x").status_code in (200, 202)
    served.service.glances.clear()
    text = served.get("/experiments/x/live").text
    plots = [json.loads(html.unescape(plot)) for plot in re.findall('data-plot="([^"]*)"', text)]
    report = served.get("/v1/experiments/x/report").json()
    rewards, shares = plots
    assert rewards["series"][0]["y"][-1] == pytest.approx(report["reward_mean"], rel=1e-5)
    low, high = rewards["series"][1]["y"][-1], rewards["series"][2]["y"][-1]
    assert low < report["interval"][0] < report["interval"][1] < high, "at all moments is less sure than at one"
    assert [one["label"] for one in shares["series"]] == ["a", "b"]
    assert [sum(moment) for moment in zip(*(one["y"] for one in shares["series"]), strict=True)] == [100.0] * 9


@pytest.mark.parametrize(("name", "said"), [("arms", 0), ("features", 1), ("states", 1)])
def test_arms_have_shares_and_intervals_for_every_look_and_none_is_called_the_best(
    served: Served, name: str, said: int
) -> None:
    make(served, name, "x", n=25)
    served.service.glances.clear()
    text = served.get("/experiments/x").text
    assert text.count("The means do not tell which action is best for whom: each was chosen in other contexts.") == said
    table = text.split('<section class="card" id="arms">')[1].split("</section>")[0]
    for arm in served.get("/v1/experiments/x/report").json()["arms"]:
        row = table.split(f'<th scope="row">{arm["arm_id"]}</th>')[1].split("</tr>")[0]
        limits = (0.0, 1.0) if name == "arms" else None
        low, high = interval(arm["reward_mean"], arm["rewards"], arm["reward_stderr"], limits) or (None, None)
        told = f"<small>{mean(low, arm['reward_stderr'])} to {mean(high, arm['reward_stderr'])}</small>"
        assert (told in row) == (low is not None) == (arm["reward_stderr"] is not None)
        assert share(arm["decisions"] / 25) in row
    assert not re.search("most so far|best so far|ahead of", text)


def test_a_decision_is_found_by_its_id(served: Served) -> None:
    served.decide({"decision_id": "visit/7"})
    answer = served.client.get("/experiments/e/decision?id=visit/7", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/experiments/e/decisions/visit%2F7")
    assert "visit/7" in page_of(served, answer.headers["location"]).text


def test_the_lines_to_try_are_about_the_decision_and_the_reward_that_one_chooses(served: Served) -> None:
    assert "decisions/try-0/reward" in served.get("/experiments/e").text, "there is none yet"
    ids = make(served, "windows", "x", n=3)
    text = html.unescape(served.get("/experiments/x").text)
    assert f"decisions/{ids[-1]}/reward" in text and f'<option value="{ids[-1]}">' in text, (
        "the newest without a reward"
    )
    assert "It is learned when its window of 1\u202fh is over." in text
    chosen = html.unescape(served.get("/experiments/x/try?decision=~1&value=0.5").text)
    assert """'{"value": 0.5}'""" in chosen and "/v1/experiments/x/decisions/~1/reward" in chosen
    assert "decisions/~1/reward" in served.get("/experiments/x?decision=~1&value=0.5").text, "without scripts as well"
    wrong = served.get("/experiments/x/try?value=much").text
    assert 'class="wrong"' in wrong and "must be a number" in wrong
    assert "a%27%24%28x%29" in served.get("/experiments/x/try?decision=a%27%24(x)").text, "no shell runs it"


def test_rewards_that_wait_for_their_windows_are_counted_and_said(served: Served) -> None:
    arms = [{"id": "a"}, {"id": "b"}]
    served.post("/v1/experiments", {"experiment_id": "x", "arms": arms, "reward": {"wait_time": "30m", "default": 0}})
    for i in range(5):
        name = served.decide({}, "x").json()["decision_id"]
        if i:
            served.reward(name, 1, "x")
    text = page_of(served, "/experiments/x").text
    assert "0 rewards are learned, and 4 came that wait for their windows" in text
    assert "Rewards44 wait for their windows" in text


def test_the_table_of_actions_names_the_features_that_weigh_most(served: Served) -> None:
    context = {"kind": "features", "bits": 10}
    served.create("words", policy="squarecb", problem={"context": context}, arms=[{"id": "a"}, {"id": "b"}])
    for step in range(30):
        body = {"context": {"q": {"_text": ["red", "blue"][step % 2]}}}
        decided = served.decide(body, "words").json()
        paid = float((step % 2 == 0) == (decided["action_id"] == "a"))
        served.reward(decided["decision_id"], paid, "words")
    served.create("plain")
    text = served.get("/experiments/words").text
    assert "Features that weigh most" in text and "q.red*id=a" in text and "q.blue*id=b" in text
    assert "Features that weigh most" not in served.get("/experiments/plain").text
