"""The pages in a browser, as people use them: with a mouse and with keys, at every size and in both themes."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from support.keyed import Keyed
from support.listening import PATIENCE, Listening
from support.nodes import Nodes

from onearm.api.service.worths import FIRST_STRIDE
from onearm.engine.storage.shards import SHARDS

AXE = Path(__file__).resolve().parents[1] / "fixtures" / "axe"
# sha256 of the files of axe-core 4.14.1 (MPL-2.0)
AXE_FILES = {
    "LICENSE": "af175b9d96ee93c21a036152e1b905b0b95304d4ae8c2c921c7609100ba8df7e",
    "axe.min.js": "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
}
HOSTILE = "<img src=x onerror=alert(1)>'\"{{7*7}}</script><script>alert(2)</script>"
BANNER = {"experiment_id": "banner", "arms": [{"id": "cat"}, {"id": "dog"}], "reward": {"range": [0, 1]}}
Open = Callable[..., Any]


def learn(site: Listening, n: int, experiment_id: str = "banner", **asked: Any) -> list[str]:
    """Let an experiment make decisions, each with a reward; return their ids."""
    one = f"/v1/experiments/{quote(experiment_id, safe='')}"
    made = site.client.post(f"{one}/decisions:batch", json={"decisions": [asked] * n}).json()["decisions"]
    rewards = [{"decision_id": one["decision_id"], "value": i % 2} for i, one in enumerate(made)]
    assert site.client.post(f"{one}/rewards:batch", json={"rewards": rewards}).status_code == 200
    return [one["decision_id"] for one in made]


def banner(site: Listening) -> None:
    assert site.client.post("/v1/experiments", json=BANNER).status_code == 201


def tile(page: Any, label: str) -> str:
    text: str = page.locator(".tile", has=page.locator(f"dt:text-is('{label}')")).locator("dd").inner_text()
    return text.split("\n")[0]


def until(page: Any, label: str, value: str) -> None:
    """Wait until a tile has a value, without a reload."""
    page.wait_for_function(
        "([label, value]) => [...document.querySelectorAll('.tile')].some((one) => "
        "one.querySelector('dt').textContent === label && one.querySelector('dd').firstChild.textContent === value)",
        arg=[label, value],
    )


def test_what_is_vendored_to_judge_pages_is_the_published_one() -> None:
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in AXE.iterdir()}
    assert found == AXE_FILES


@pytest.mark.slow
def test_an_experiment_is_made_by_the_form_decides_and_its_curve_moves(site: Listening, open_page: Open) -> None:
    page = open_page()
    page.goto(f"{site.url}/")
    page.get_by_role("link", name="New experiment").click()
    page.get_by_label("Id", exact=True).press_sequentially("banner")
    page.get_by_label("Actions").press_sequentially("cat\ndog\ndog")
    page.locator("#wrong-arms").wait_for()
    page.get_by_label("Actions").press("Backspace")
    page.locator("#as-json", has_text='"do"').wait_for()
    assert json.loads(page.locator("#as-json").inner_text())["experiment_id"] == "banner"
    assert page.get_by_label("Actions").input_value() == "cat\ndog\ndo"
    assert page.locator("#wrong-arms").count() == 0
    page.get_by_role("button", name="Create").click()
    page.wait_for_url("**/experiments/banner?done=created")
    until(page, "Decisions", "0")
    learn(site, 7)
    until(page, "Decisions", "7")
    page.locator("#plot-rewards canvas").wait_for()
    learn(site, 5)
    legend = page.locator("#plot-rewards .u-legend .u-value")
    legend.first.filter(has_text=re.compile(r"^12$")).wait_for()  # the newest, while nothing is hovered
    assert float(legend.nth(1).inner_text()) == 0.4167, "5 of 12 rewards are 1"
    before = page.locator("#plot-rewards").get_attribute("data-plot")
    page.evaluate("document.querySelector('#plot-rewards canvas').kept = true")
    learn(site, 20)
    until(page, "Decisions", "32")
    assert page.locator("#plot-rewards").get_attribute("data-plot") != before
    legend.first.filter(has_text=re.compile(r"^32$")).wait_for()
    assert page.evaluate("document.querySelector('#plot-rewards canvas').kept"), "the curve was not made anew"


INK = """id => {
  const canvas = document.querySelector(`#${id} canvas`), probe = document.createElement("canvas").getContext("2d");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return [...Array(8).keys()].filter((i) => {
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--s${i}`).trim();
    probe.fillRect(0, 0, 1, 1);
    const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
    let n = 0;
    const near = (at, value) => Math.abs(data[at] - value) < 8;
    for (let at = 0; at < data.length; at += 4) n += near(at, r) && near(at + 1, g) && near(at + 2, b);
    return n > 100;
  });
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 900, 1400])
@pytest.mark.slow
def test_what_nobody_watched_is_drawn_within_a_second(
    site: Listening, open_page: Open, tmp_path: Path, width: int, theme: str
) -> None:
    """Of 500 decisions with rewards: the lines of the mean and of late, and one for each action, in their colours."""
    banner(site)
    learn(site, 500)
    page = open_page(width, theme)
    page.goto(f"{site.url}/experiments/banner")
    page.wait_for_timeout(1000)
    page.screenshot(path=tmp_path / f"course-{width}-{theme}.png", full_page=True)
    assert page.evaluate(INK, "plot-rewards") == page.evaluate(INK, "plot-shares") == [0, 1]
    assert page.locator("#plot-rewards .u-legend .u-value").all_inner_texts()[:2] == ["500", "0.5"]
    cells = page.locator("#arms tbody tr").first.locator("td.n:not(.mid)")
    for cell in cells.all():
        box = cell.bounding_box()
        assert box["x"] + box["width"] <= width, "share and mean are seen without moving the table"


@pytest.mark.slow
def test_a_decision_is_opened_explained_and_made_again(site: Listening, open_page: Open) -> None:
    body = BANNER | {"problem": {"context": {"kind": "features"}}}
    assert site.client.post("/v1/experiments", json=body).status_code == 201
    learn(site, 20, context={"hour": 7, "device": "phone"})
    learn(site, 10, context={"hour": 7, "device": "phone"}, explain=True)
    page = open_page()
    page.goto(f"{site.url}/experiments/banner")
    page.get_by_role("link", name="~29").click()
    page.get_by_role("heading", name="Decision ~29").wait_for()
    assert page.locator("#law tbody tr").count() == 2
    assert page.locator("#why tbody tr", has_text="device=phone").count() >= 1
    page.get_by_role("button", name="Make it again").click()
    page.get_by_text("The same, bit for bit.").wait_for()
    page.get_by_role("link", name="Earlier").click()
    page.wait_for_url("**/decisions/~28")


@pytest.mark.slow
def test_a_policy_is_promoted_and_what_was_learned_rolled_back(site: Listening, open_page: Open) -> None:
    banner(site)
    learn(site, 10)
    shadow = {"policy": "exp3_ix", "role": "shadow"}
    assert site.client.post("/v1/experiments/banner/policies", json=shadow).status_code == 201
    page = open_page()
    page.goto(f"{site.url}/experiments/banner")
    page.get_by_text("Promote exp3_ix #1").first.click()
    learn(site, 5)
    until(page, "Decisions", "15")
    assert page.get_by_text("decides from the next decision on").is_visible(), "what was opened stays open"
    page.get_by_role("button", name="Promote exp3_ix #1").click()
    page.get_by_text("Done: it is live now.").wait_for()
    row = page.locator("#policies tbody tr", has_text="exp3_ix")
    assert "live" in row.inner_text()
    page.get_by_text("Roll back what was learned").first.click()
    page.get_by_label("To after event").fill("0")
    page.get_by_role("button", name="Roll back what was learned").click()
    page.get_by_text("Done: policies know what they knew then.").wait_for()


@pytest.mark.slow
def test_a_browser_signs_in_with_a_key_and_out(tmp_path: Path, open_page: Open) -> None:
    with Keyed(tmp_path) as keyed:
        key = keyed.key("admin")
        page = open_page()
        page.goto(f"{keyed.url}/experiments/e")
        assert page.get_by_role("heading", name="Sign in").is_visible()
        assert page.locator(":focus").get_attribute("id") == "key"
        page.keyboard.type("oa_wrong")
        page.keyboard.press("Enter")
        page.get_by_text("This key is unknown").wait_for()
        page.get_by_label("Key", exact=True).fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/experiments/e")
        assert page.locator("#pulse", has_text="live").is_visible()
        assert page.evaluate("document.cookie") == "", "no script reads the session"
        page.get_by_text("Archive", exact=True).first.click()
        page.get_by_role("button", name="Archive").click()
        page.get_by_text("Done: it is archived.").wait_for()
        page.goto(f"{keyed.url}/docs")
        page.locator(".opblock").first.wait_for()
        page.goto(f"{keyed.url}/")
        page.get_by_role("button", name="Sign out").click()
        page.goto(f"{keyed.url}/")
        assert page.get_by_role("heading", name="Sign in").is_visible()


@pytest.mark.slow
def test_a_link_of_another_site_leads_into_the_session(tmp_path: Path, open_page: Open) -> None:
    """The cookie is strict and does not come with it; what another site sends as a form still changes nothing."""
    with Keyed(tmp_path) as keyed:
        page = open_page()
        page.goto(f"{keyed.url}/sign-in")
        page.get_by_label("Key", exact=True).fill(keyed.key("admin"))
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{keyed.url}/")
        other = keyed.url.replace("127.0.0.1", "localhost")  # another site, for a browser
        page.goto(f"{other}/sign-in")
        page.evaluate(
            "(to) => { const a = document.createElement('a'); a.href = to; a.textContent = 'there'; "
            "document.querySelector('main').append(a); }",
            f"{keyed.url}/experiments/e",
        )
        page.get_by_role("link", name="there").click()
        page.get_by_role("heading", name="e", exact=True).wait_for()
        assert keyed.operator.get("/v1/experiments/e").json()["archived"] is False


@pytest.mark.slow
def test_no_id_and_no_label_runs_as_a_script(site: Listening, open_page: Open) -> None:
    body = {"experiment_id": HOSTILE, "arms": [{"id": HOSTILE}, {"id": "b"}]}
    assert site.client.post("/v1/experiments", json=body).status_code == 201
    one = quote(HOSTILE, safe="")
    asked = {"decision_id": HOSTILE, "unit_id": HOSTILE, "eligible_actions": [HOSTILE]}
    assert site.client.post(f"/v1/experiments/{one}/decisions", json=asked).status_code == 201
    learn(site, 4, HOSTILE)
    page = open_page()
    for path in ("/", f"/experiments/{one}", f"/experiments/{one}/decisions/{one}", f"/?search={one}"):
        page.goto(f"{site.url}{path}")
        page.wait_for_timeout(300)
        assert HOSTILE in page.inner_text("body") or HOSTILE in page.content().replace("&lt;", "<"), path
    page.goto(f"{site.url}/create")
    page.get_by_label("Id", exact=True).fill(HOSTILE)
    page.get_by_label("Actions").fill(HOSTILE)
    page.locator("#as-json", has_text="onerror").wait_for()


@pytest.mark.slow
def test_everything_is_done_with_keys_alone(site: Listening, open_page: Open) -> None:
    page = open_page()
    page.goto(f"{site.url}/")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to content"
    assert page.locator(":focus").bounding_box()["x"] >= 0, "it is seen once it has the focus"
    page.keyboard.press("Enter")
    assert page.locator(":focus").get_attribute("id") == "main"
    reach(page, "New experiment")
    page.keyboard.press("Enter")
    page.wait_for_url("**/create")
    reach(page, "", "in-experiment_id")
    page.keyboard.type("by keys")
    page.keyboard.press("Tab")
    page.keyboard.type("a\nb")
    reach(page, "Create")
    page.keyboard.press("Enter")
    page.wait_for_url("**/experiments/by%20keys**")
    reach(page, "Archive")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.locator(":focus").evaluate("e => [e.tagName, e.innerText]") == ["BUTTON", "Archive"]
    page.keyboard.press("Enter")
    page.get_by_text("Done: it is archived.").wait_for()


def reach(page: Any, text: str, id: str = "") -> None:
    """Press Tab until something has the focus; whatever had it before was seen to have it."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focus = page.locator(":focus")
        if focus.count() == 0:
            continue
        said = focus.evaluate("e => [e.innerText, e.id, getComputedStyle(e).outlineStyle]")
        assert said[2] != "none", f"nobody sees that {said[0] or said[1]} has the focus"
        if (id and said[1] == id) or (text and said[0].strip() == text):
            return
    pytest.fail(f"{text or id} cannot be reached with Tab")


def evaluated(site: Listening) -> str:
    """Evaluate the log of the experiment `banner`; return the path of the report."""
    form = {"target.logged": "on", "target.uniform": "on", "target.action:1": "on", "method.snips": "on"}
    body = form | {"interval.normal": "on", "interval.confidence-sequence": "on", "baseline": "logged"}
    address: str = site.client.post("/experiments/banner/evaluations", data=body).headers["location"]
    site.wait_until(lambda: site.client.get(f"{address}/progress").headers.get("hx-refresh") == "true")
    return address


def fits_and_says_all(page: Any, url: str, shown: Path) -> None:
    """Look at a page with all of its details open: nothing is too wide for the window, nor hidden from readers."""
    page.goto(url)
    page.wait_for_timeout(400)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.screenshot(path=shown, full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{url} is wider than the window"
    page.evaluate((AXE / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == [], url


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.slow
def test_pages_fit_and_nobody_is_left_out(
    site: Listening, open_page: Open, tmp_path: Path, width: int, theme: str
) -> None:
    banner(site)
    learn(site, 40)
    assert site.client.post("/v1/experiments/banner/policies", json={"policy": "exp3_ix"}).status_code == 201
    report = evaluated(site)
    page = open_page(width, theme)
    paths = (
        "/",
        "/experiments/banner",
        "/experiments/banner/decisions/~3",
        "/experiments/banner/evaluations",
        report,
        "/create?kind=vectors",
        "/keys",
        "/sign-in",
    )
    for path in (*paths, "/experiments/nowhere"):
        fits_and_says_all(page, f"{site.url}{path}", tmp_path / f"{path.replace('/', '_')[:40]}-{width}-{theme}.png")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).slice(0, 3).map(Number)")
    assert (sum(light) > 380) == (theme == "light")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.slow
def test_the_page_of_nodes_fits_and_nobody_is_left_out(
    postgres_url: str, open_page: Open, tmp_path: Path, width: int, theme: str
) -> None:
    with Nodes(postgres_url, "a", "node-with-a-long-name." * 2) as nodes:
        page = open_page(width, theme)
        fits_and_says_all(page, f"{nodes.all[0].url}/nodes", tmp_path / f"nodes-{width}-{theme}.png")
        assert tile(page, "Nodes") == "2" and tile(page, "Shards") == str(SHARDS)
        page.goto("about:blank")  # before the nodes end: it asks them every 2 s


@pytest.mark.slow
def test_a_node_that_comes_is_shown_without_a_reload(postgres_url: str, open_page: Open) -> None:
    with Nodes(postgres_url, "a") as nodes:
        page = open_page()
        page.goto(f"{nodes.all[0].url}/nodes")
        until(page, "Nodes", "1")
        nodes.add("b")
        until(page, "Nodes", "2")
        page.locator("#members tbody tr", has_text="b").locator("td", has_text=re.compile("^8$")).wait_for()
        assert page.locator("#shards .warn").count() == 0
        page.goto("about:blank")


@pytest.mark.slow
def test_one_process_says_how_there_may_be_several(site: Listening, open_page: Open, tmp_path: Path) -> None:
    page = open_page(390)
    fits_and_says_all(page, f"{site.url}/nodes", tmp_path / "one.png")
    page.get_by_text("One process serves this database").wait_for()


@pytest.mark.slow
def test_a_page_goes_on_where_the_service_was_started_again(tmp_path: Path, open_page: Open) -> None:
    with Listening(tmp_path) as first:
        banner(first)
        learn(first, 3)
        page = open_page()
        page.goto(f"{first.url}/experiments/banner")
        page.locator("#pulse[data-state=on]").wait_for()
        until(page, "Decisions", "3")
    page.locator("#pulse[data-state=lost]").wait_for()
    second = Listening(tmp_path)
    second.listener.close()
    second.listener, second.port, second.url = socket.create_server(("127.0.0.1", first.port)), first.port, first.url
    second.thread.start()
    with httpx.Client(base_url=second.url, timeout=PATIENCE) as second.client:
        second.wait_until(lambda: second.client.get("/health/ready").status_code == 200)
        learn(second, 4)
        page.locator("#pulse[data-state=on]").wait_for()
        until(page, "Decisions", "7")
    second.stop()


@pytest.mark.slow
def test_what_breaks_the_policy_of_a_page_does_not_run(site: Listening, chromium: Any) -> None:
    """This is what the other tests rely on: the browser says so, and they hear it."""
    context = chromium.new_context()
    page, said = context.new_page(), []
    page.on("console", lambda one: said.append(one.text))
    page.goto(f"{site.url}/")
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
    )
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\" onclick=\"ran = 1\">x</p>')")
    page.get_by_text("x", exact=True).click()
    assert page.evaluate("window.ran") is None
    assert sum("Content Security Policy" in one for one in said) >= 3
    context.close()


@pytest.mark.slow
def test_the_page_without_scripts_tells_the_same(site: Listening, open_page: Open) -> None:
    banner(site)
    learn(site, 12)
    page = open_page(java_script_enabled=False)
    page.goto(f"{site.url}/experiments/banner")
    assert tile(page, "Decisions") == "12"
    page.get_by_text("Archive", exact=True).first.click()
    page.get_by_role("button", name="Archive").click()
    assert page.get_by_text("Done: it is archived.").is_visible()


@pytest.mark.slow
def test_a_log_is_evaluated_from_the_page_and_the_report_opens_in_place(site: Listening, open_page: Open) -> None:
    body = BANNER | {"problem": {"context": {"kind": "features"}}}
    assert site.client.post("/v1/experiments", json=body).status_code == 201
    for device in ("phone", "desk"):
        learn(site, 30, context={"device": device})
    page = open_page()
    page.goto(f"{site.url}/experiments/banner")
    page.get_by_role("link", name="Evaluate").click()
    page.get_by_label("always dog").check()
    page.get_by_label("With params of their own").fill("no_such")
    page.get_by_role("button", name="Evaluate").click()
    page.locator("#wrong-targets", has_text="there is no policy 'no_such'").wait_for()
    assert page.get_by_label("always dog").is_checked(), "what was chosen stays"
    page.get_by_label("With params of their own").fill("")
    page.get_by_label("By segments of").fill("device")
    page.get_by_role("button", name="Evaluate").click()
    page.get_by_role("heading", name="What would have been earned on banner").wait_for()
    assert re.fullmatch(r".*/experiments/banner/evaluations/\d+", page.url)
    assert page.evaluate("getComputedStyle(document.querySelector('.verdict')).borderLeftStyle") == "solid"
    assert page.locator("#segments tbody td.name").all_inner_texts() == ["phone", "desk"]
    values = page.locator("#estimates tbody tr td:nth-child(4)")
    page.locator("#estimates").get_by_role("button", name="value", exact=True).click()
    shown = [float(text) for text in values.all_inner_texts()]
    assert shown == sorted(shown, reverse=True), "its script sorts"
    drawn = page.locator("figure .wide svg path").first.evaluate("e => getComputedStyle(e).fill")
    assert drawn == "none", "its pictures have their own colours"
    page.get_by_role("link", name="Ask again").click()
    page.get_by_role("link", name="report 1").wait_for()


@pytest.mark.slow
def test_a_log_is_evaluated_without_scripts_as_well(site: Listening, open_page: Open) -> None:
    banner(site)
    learn(site, 30)
    page = open_page(java_script_enabled=False)
    page.goto(f"{site.url}/experiments/banner/evaluations")
    page.get_by_role("button", name="Evaluate").click()
    assert re.fullmatch(r".*/experiments/banner/evaluations/1", page.url)
    assert '<noscript><meta http-equiv="refresh"' in page.content() or page.locator("#estimates").count()

    def opened() -> bool:
        page.reload()  # as that line does where a browser has no scripts; this one only runs none
        shown: bool = page.get_by_role("heading", name="What would have been earned on banner").is_visible()
        return shown

    site.wait_until(opened)


@pytest.mark.slow
def test_what_each_policy_is_worth_is_drawn_and_times_stand_apart(site: Listening, open_page: Open) -> None:
    banner(site)
    assert site.client.post("/v1/experiments/banner/policies", json={"policy": "exp3_ix"}).status_code == 201
    page = open_page(390)
    page.goto(f"{site.url}/experiments/banner")
    for _ in range(3):
        learn(site, 10)
        page.wait_for_timeout(1000 * (FIRST_STRIDE + 0.2))
    page.locator("#plot-values canvas").wait_for()
    assert "exp3_ix #1" in page.locator("#plot-values .u-legend").inner_text()
    assert "live has no floor" in page.locator("#policies").inner_text()
    for plot in ("#plot-rewards", "#plot-values"):
        said = json.loads(page.locator(plot).get_attribute("data-plot"))
        assert said["within"] == [0.0, 1.0]
        edges = [value for one in said["series"] for value in one["y"] if value is not None]
        assert min(edges) >= 0.0 and max(edges) <= 1.0


@pytest.mark.slow
def test_the_lines_that_create_and_try_an_experiment_do_so(site: Listening, open_page: Open) -> None:
    page = open_page()
    page.goto(f"{site.url}/create?kind=arms")
    page.get_by_label("Id", exact=True).fill("tried")
    page.get_by_label("Actions").fill("cat\ndog")
    page.locator("#as-python", has_text="dog").wait_for()
    exec(page.locator("#as-python").inner_text(), {})
    for _ in range(3):
        assert site.client.post("/v1/experiments/tried/decisions", json={}).status_code == 201
    page.goto(f"{site.url}/experiments/tried")
    page.locator("#try pre", has_text="decisions/~2/reward").wait_for()
    page.get_by_label("Decision", exact=True).fill("~1")
    page.get_by_label("Reward", exact=True).fill("0.25")
    line = page.locator("#try pre", has_text="decisions/~1/reward")
    line.filter(has_text="0.25").wait_for()
    words = shlex.split(line.inner_text().splitlines()[-1])
    assert site.client.post(words[3], content=words[2]).status_code == 200
    assert site.client.get("/v1/experiments/tried/decisions/~1").json()["reward"]["value"] == 0.25
