"""The worked examples of active learning keep what they promise; what docs/queries.md shows runs and prints it."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import golden
import numpy as np
import pytest
from support.served import Served
from test_readme import ROOT, blocks, commands, wrong

import onearm
from onearm.api.cli.main import run
from onearm.api.http.creation_schemas import NewProblem
from onearm.api.kinds.queries.recommendation_schemas import RecommendedHypothesis
from onearm.policies import catalog

EXAMPLES = ROOT / "docs" / "examples"
PAGE = ROOT / "docs" / "queries.md"
TEXT = PAGE.read_text()
HTTP = (ROOT / "docs" / "http.md").read_text().partition("## Queries: ")[2]
BLOCKS = blocks(TEXT)
SAID = re.compile(r"^ *print\(.*\)  # (.+)$", re.MULTILINE)
CURL = re.compile(r"^curl (?:-d '(.*)' )?http://127\.0\.0\.1:8080(\S+)$", re.MULTILINE)


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_facts_tell_all_numbers_apart_and_are_true() -> None:
    script = example("twenty_questions")
    assert script.TABLE.shape == (100, len(script.FACTS)) and len(np.unique(script.TABLE, axis=0)) == 100
    facts = dict(zip(script.FACTS, script.TABLE[72], strict=True))  # of 73
    yes = {question for question, fact in facts.items() if fact}
    assert {"Is it a prime number?", "Is it above 50?", "Is there a 7 in it?", "Can it be divided by 3?"} & yes == {
        "Is it a prime number?",
        "Is it above 50?",
        "Is there a 7 in it?",
    }
    assert script.PRIMES[:5] == [2, 3, 5, 7, 11] and len(script.PRIMES) == 25


@pytest.mark.parametrize("number", [1, 42, 100])
def test_who_never_errs_is_understood(number: int) -> None:
    script = example("twenty_questions")
    assert script.game(lambda question: script.FACTS[question](number)) == number


@pytest.mark.slow
@pytest.mark.jit
def test_binary_search_names_more_numbers_than_asking_all_alike() -> None:
    script = example("twenty_questions")
    (found, stderr), (alike, other) = map(script.share_found, ("generalised_binary_search", "uniform_budget"))
    assert found - alike > 3.0 * np.hypot(stderr, other) and 0.005 < stderr < 0.03


@pytest.mark.slow
@pytest.mark.jit
def test_a_few_questions_are_worth_more_than_what_everybody_likes() -> None:
    script = example("recommend_item")
    weights = script.weights()
    residual = script.KNOWN - script.KNOWN[:, : script.ASKED] @ weights.T
    assert np.abs(residual[:, : script.ASKED]).max() == 0.0
    assert np.abs(script.KNOWN[:, : script.ASKED].T @ residual).max() < 0.1  # least squares: no trait is left
    few = list(range(script.ASKED))
    (short, error), (long, _) = (script.loss("uniform_budget", questions, few) for questions in (8, 32))
    assert 0.0 < long < short - 3.0 * error and short < 0.5 * script.unasked()
    items = [script.recommend(ratings, questions=32, seed=seed) for seed, ratings in enumerate(script.NEW[:20])]
    assert max(items) >= script.ASKED, "items that nobody was asked about are recommended as well"
    lost = np.mean([ratings.max() - ratings[item] for item, ratings in zip(items, script.NEW, strict=False)])
    assert lost < short


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("name", ["twenty_questions", "recommend_item"])
def test_a_script_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    example(name).main()
    out = capsys.readouterr().out
    assert {"twenty_questions": "It is 73. (It was 73.)", "recommend_item": "lucb_budget"}[name] in out


def test_every_block_of_the_page_is_run_or_says_why_not() -> None:
    assert [wrong(block) for block in BLOCKS if wrong(block)] == []
    assert sum(block.language == "python" for block in BLOCKS) >= 4
    (calls,) = (block for block in BLOCKS if block.language == "bash")
    assert len(CURL.findall(calls.text)) == len(calls.text.splitlines())


def test_the_python_of_the_page_prints_what_it_says() -> None:
    namespace: dict[str, Any] = {"__name__": "active"}
    said = []
    with contextlib.redirect_stdout(io.StringIO()) as out:
        for block in (block for block in BLOCKS if block.language == "python"):
            said += SAID.findall(block.text)
            exec(compile("\n" * block.line + block.text, str(PAGE), "exec"), namespace)
    assert out.getvalue().splitlines() == said and len(said) >= 6


@pytest.mark.slow
@pytest.mark.jit
def test_the_commands_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = [command for block in BLOCKS if block.language == "console" for command in commands(block)]
    assert len(shown) >= 2
    for command in shown:
        assert run(shlex.split(command)[1:]) == 0, f"{command}\n{capsys.readouterr().err}"


@pytest.mark.parametrize(("text", "asked", "found"), [(TEXT, "flies", "bat"), (HTTP, None, None)])
def test_the_calls_of_the_pages_are_answered(text: str, asked: str | None, found: str | None, tmp_path: Path) -> None:
    calls = CURL.findall(text)
    assert len(calls) >= 4
    with Served(tmp_path) as served:
        answers = [served.post(path, json.loads(body)) if body else served.get(path) for body, path in calls]
        codes = [answer.status_code for answer in answers]
        assert codes[:4] == [201, 201, 200, 200] and set(codes[4:]) <= {200}, [one.text for one in answers]
        assert asked in (None, answers[1].json()["query_id"])
        assert found in (None, answers[3].json()["hypothesis_id"])
        assert "asked early: 1 of 6" in answers[3].json()["warning"]
        assert served.decide({}, calls[1][1].split("/")[3]).status_code == (409 if found else 201)  # one committed


def test_every_policy_that_asks_and_every_kind_of_task_is_in_the_tables() -> None:
    which = TEXT.partition("## Which policy")[2].partition("## mapo")[0]
    assert [name for name in golden.names("query") if f"`{name}`" not in which] == []
    named = set(re.findall(r"`(\w+)`", which)) - {"simulate", "a", "noise"}
    assert named <= set(catalog.names())
    tasks = re.findall(r"^\| `onearm\.(\w+)\((\w+)\)` .*?\| `\"(\w+)\"`, `\"(\w+)\"` \|$", TEXT, re.MULTILINE)
    assert [name for name, *_ in tasks] == ["best_arm", "thresholds", "hypotheses"]
    for name, size, answers, loss in tasks:
        task = getattr(onearm, name)([[0, 1], [1, 0]] if size == "table" else int(size))
        assert (task.answers, task.loss) == (answers, loss)


def test_the_page_of_http_tells_every_field() -> None:
    fields = {"task", "queries", "hypotheses", "answers", "loss", "horizon"}
    assert fields <= set(NewProblem.__struct_fields__)
    assert set(re.findall(r"^\| `(\w+)` \|", HTTP, re.MULTILINE)) == {"problem", *fields}
    assert [field for field in RecommendedHypothesis.__struct_fields__ if field not in HTTP] == []


def test_names_and_links_of_the_page_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT)
    assert links and [link for link in links if not (PAGE.parent / link).exists()] == []
    assert "## Queries: a few questions, then an answer" in (PAGE.parent / "http.md").read_text()
    named = set(re.findall(r"(?:tests|benchmarks)/[\w/]+\.py", TEXT))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
