"""The first page, and those of five minutes for each reader: their Python, commands and calls run in their order."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.every_run import every_run
from support.listening import Listening
from support.needs import needed
from test_readme import CALL, ROOT, SAID, blocks, commands, wrong

from onearm.api.cli.main import run

PAGES = [ROOT / "docs" / "README.md", *sorted((ROOT / "docs").glob("for-*.md"))]
WEB = ROOT / "docs" / "for-web-developers.md"
HOST = "http://127.0.0.1:8080"
MEASURED = ("sizes", "regret")


def test_there_is_one_for_each_reader() -> None:
    assert [page.stem.removeprefix("for-") for page in PAGES[1:]] == [
        "data-scientists",
        "numerical-analysts",
        "researchers",
        "web-developers",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_it_is_five_minutes_long_and_leads_on(page: Path) -> None:
    text = page.read_text()
    assert [wrong(block) for block in blocks(text) if wrong(block)] == []
    read = text.partition("\n## All other pages\n")[0]
    assert len(read.split()) < 900  # a reader takes some 200 words a minute
    assert text.count("\n## ") >= 2 and text.count("](") >= 5


def say_and_show(code: str, page: Path, namespace: dict[str, Any]) -> None:
    """Run Python, which must print what its comments say."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, str(page), "exec"), namespace)
    assert printed.getvalue().splitlines() == SAID.findall(code.replace("    print", "print"))


@pytest.mark.usefixtures("nothing_is_compiled")
@pytest.mark.parametrize(
    "page", every_run([page for page in PAGES if page != WEB], PAGES[:1]), ids=lambda page: page.stem
)
def test_it_runs_from_top_to_bottom(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests")  # the commands are typed at the root
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONEARM_DATABASE_URL", raising=False)
    namespace: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page.read_text()):
        if block.language == "python":
            say_and_show(block.text, page, namespace)
        for command in commands(block) if block.language == "console" and block.mark is None else []:
            assert run(shlex.split(command)[1:]) == 0, f"{command}\n{capsys.readouterr().err}"
            assert capsys.readouterr().out


@pytest.mark.usefixtures("nothing_is_compiled")
def test_the_calls_and_the_client_of_web_developers_get_what_the_page_says(tmp_path: Path) -> None:
    shown = blocks(WEB.read_text())
    created, *asked = [block.text for block in shown if block.language == "bash" and block.text.startswith("curl ")]
    calls = [call for block in asked for call in CALL.findall(block)]
    assert len(calls) == len(asked) == 2
    with Listening(tmp_path) as service:
        _, _, body, path = shlex.split(created)
        assert service.client.post(path.removeprefix(HOST), content=body).status_code == 201
        for sent, path, answer in calls:
            assert service.client.post(path, content=sent).json() == json.loads(answer)
        for block in shown:
            if block.language == "python":
                say_and_show(block.text.replace(HOST, service.url), WEB, {})


@pytest.mark.usefixtures("nothing_is_compiled")
def test_fetch_of_web_developers_decides_with_a_context_and_without(tmp_path: Path) -> None:
    node = needed("node")
    shown = blocks(WEB.read_text())
    created = next(block.text for block in shown if block.text.startswith("curl "))
    code = "".join(block.text for block in shown if block.language == "javascript")
    with Listening(tmp_path) as service:
        assert service.client.post("/v1/experiments", content=shlex.split(created)[2]).status_code == 201
        command = [node, "--input-type=module", "--eval", code.replace(HOST, service.url)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        assert [line in ("spring", "sale") for line in ran.stdout.splitlines()] == [True, True]
        for experiment, decision, learned in (("home", "view-2", 0), ("front", "view-3", 1)):
            path = f"/v1/experiments/{experiment}"
            told = service.client.get(f"{path}/decisions/{decision}").json()
            rewards = service.client.get(path).json()["rewards"]
            assert (told["decision_id"], rewards) == (decision, learned), "that of home waits for its window"
        bare = code.replace('headers: { "Content-Type": "application/json" },', "").replace(HOST, service.url)
        refused = subprocess.run([*command[:-1], bare], capture_output=True, text=True, timeout=60)
        assert refused.returncode == 1 and "set the header Content-Type: application/json" in refused.stderr


def test_what_it_costs_to_try_is_what_was_measured() -> None:
    row = next(line for line in PAGES[0].read_text().splitlines() if line.startswith("| What does it cost to try?"))
    measured = {name: json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text()) for name in MEASURED}
    lost = measured["regret"]
    assert f"{measured['sizes']['started_bytes'] / 1e6:.0f} MB of memory" in row
    best = max(lost["means"]) * lost["horizon"]
    assert f"[{lost['policies']['thompson_beta']['last']:.0f} of {best:,.0f}]" in row
    assert f"in {lost['horizon']:,} decisions" in row
