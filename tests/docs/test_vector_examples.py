"""The worked examples of vectors keep what they promise; what docs/vectors.md shows runs and prints what it says."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import math
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
from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.policies import catalog

EXAMPLES = ROOT / "docs" / "examples"
PAGE = ROOT / "docs" / "vectors.md"
TEXT = PAGE.read_text()
BLOCKS = blocks(TEXT)
SAID = re.compile(r"^print\(.*\)  # ([^:]+?)(?::.*)?$", re.MULTILINE)
CURL = re.compile(r"^curl (?:-d '(.*)' )?http://127\.0\.0\.1:8080(\S+)$", re.MULTILINE)


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def printed(name: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    example(name).main()
    return capsys.readouterr().out.splitlines()


def test_mixtures_of_pollsters_are_nearly_the_best_and_certified() -> None:
    script = example("combine_forecasts")
    forecast, truth = script.polls()
    assert forecast.shape == (1001, 5) and truth.shape == (1001,)
    alone = 0.5 * ((forecast - truth[:, None]) ** 2).mean(axis=0)
    equal = 0.5 * float(((forecast.mean(axis=1) - truth) ** 2).mean())
    weights, least = script.best_mixture(forecast, truth)
    for other in np.vstack([np.eye(5), np.full(5, 0.2)]):  # no mixture is better
        moved = 0.999 * weights + 0.001 * other
        assert 0.5 * float(((forecast @ moved - truth) ** 2).sum()) >= least - 1e-9
    judged, mixed = script.run("optimistic_hedge", "losses", 7), script.run("optimistic_ftrl", "gradient", 7)
    for found in (judged, mixed):
        assert found.regret <= found.bound and abs(found.weights.sum() - 1.0) < 1e-12
    assert least / len(truth) <= mixed.loss < equal < judged.loss < alone.min() < alone.mean()


def test_a_later_truth_costs_more_and_is_certified_all_the_same() -> None:
    script = example("combine_forecasts")
    soon, late = (script.run("optimistic_ftrl", "gradient", delay) for delay in (0, 30))
    assert soon.loss < late.loss
    forecast, truth = script.polls()
    once = script.run("optimistic_ftrl", "gradient", len(truth) - 1)  # one truth comes, on the last day
    first = 0.5 * float((forecast[0].mean() - truth[0]) ** 2)
    assert once.regret == pytest.approx(first - script.best_mixture(forecast[:1], truth[:1])[1], rel=1e-9)
    assert soon.regret <= soon.bound and late.regret <= late.bound


@pytest.mark.slow
def test_a_portfolio_is_certified_and_newton_makes_more_than_equal_parts() -> None:
    script = example("online_portfolio")
    days = script.relatives()
    assert days.shape == (1257, 10) and 0.8 < days.min() < days.max() < 1.2
    assert (np.linalg.norm(days, axis=1) / days.min(axis=1)).max() <= script.GRADIENT_MAX
    descent = script.simulated("gradient_descent", days)
    newton = script.simulated(f'optimistic_newton:{{"gradient_max":{script.GRADIENT_MAX}}}', days)
    hedge = script.weighed('optimistic_hedge:{"scale":0.05}', days)
    for found in (descent, newton, hedge):
        assert found.regret <= found.bound
    assert newton.bound < hedge.bound < descent.bound
    assert min(newton.wealth, hedge.wealth) > days.mean(axis=1).prod()
    assert newton.wealth > days.prod(axis=0).mean()
    mix = newton.wealth * math.exp(newton.regret)
    assert mix == pytest.approx(descent.wealth * math.exp(descent.regret), rel=1e-9)
    assert mix >= days.prod(axis=0).max() * (1.0 - 1e-9)  # one stock alone is a mix


@pytest.mark.jit
@pytest.mark.slow
def test_the_python_door_makes_the_wealth_of_the_simulation() -> None:
    script = example("online_portfolio")
    days = script.relatives()
    engine, growth = onearm.open("optimistic_ftrl", domain=simplex(10)), 0.0
    for day in days:
        decision = engine.decide()
        grown = float(day @ decision.point)
        growth += math.log(grown)
        engine.learn(decision, loss=-math.log(grown), gradient=-day / grown)
    found = script.simulated("optimistic_ftrl", days)
    assert found.wealth == pytest.approx(math.exp(growth), rel=1e-9)
    assert found.bound == pytest.approx(engine.certificate.bound, rel=1e-9)


def test_the_ensemble_follows_what_drifts_and_a_forecast_helps_it() -> None:
    script = example("drifting_regression")
    features, target, yesterday = script.table()
    fixed, least = script.best_fixed(features, target)
    free = np.linalg.lstsq(features, target)[0]
    assert np.abs(free).max() < 0.5 and np.abs(fixed - free).max() < 1e-9  # the box does not hold it back
    pieces, path = script.best_of_pieces(features, target)
    assert pieces < least and path > 0.0
    plain = script.run("optimistic_ftrl")
    ensemble = script.run(f"optimistic_ensemble:{{{script.KNOWN}}}")
    hinted = script.run(f'optimistic_ensemble:{{{script.KNOWN},"hint":"context"}}', yesterday)
    for found in (plain, ensemble, hinted):
        assert found.regret <= found.bound and found.moving <= found.moving_bound
        assert found.loss - found.regret == pytest.approx(least) and found.loss - found.moving == pytest.approx(pieces)
    assert hinted.loss < ensemble.loss < least < plain.loss < 0.5 * float((target**2).sum())
    assert math.isinf(plain.moving_bound) and ensemble.bound < ensemble.moving_bound < math.inf  # a path costs


@pytest.mark.slow
@pytest.mark.parametrize("name", ["combine_forecasts", "online_portfolio", "drifting_regression"])
def test_a_script_prints_the_figures_that_the_page_tells(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(name, capsys)
    shown = {figure for line in lines for figure in re.findall(r"(?<=\s)-?\d+\.\d+", line)}
    told = re.findall(r"\d+\.\d+", TEXT.partition(f"(examples/{name}.py)")[2].partition("\n\n")[0])
    assert len(told) >= 4 and [figure for figure in told if figure not in shown] == []


@pytest.mark.slow
def test_the_picture_is_of_certificates_above_regrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    script = example("certificate_picture")
    found = script.runs(horizon=3000)
    for curves in found.values():
        assert (curves.regret <= curves.bound + 1e-9).all()
    for file in ("a.svg", "b.svg"):
        script.draw(found, tmp_path / file)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    monkeypatch.setattr(script.plt, "close", lambda figure: None)
    script.draw(found, tmp_path / "c.svg")
    lines = [(line.get_linestyle(), line.get_ydata()) for line in script.plt.gca().lines]
    monkeypatch.undo()
    script.plt.close("all")
    drawn = [curve for curves in found.values() for curve in (("--", curves.bound[0]), ("-", curves.regret[0]))]
    assert [style for style, _ in lines] == [style for style, _ in drawn]
    assert all(np.array_equal(seen, curve) for (_, seen), (_, curve) in zip(lines, drawn, strict=True))
    picture = script.PICTURE.read_text()
    assert [name for name in found if f"{name}, certificate" not in picture] == []


def test_every_block_of_the_page_is_run_or_says_why_not() -> None:
    assert [wrong(block) for block in BLOCKS if wrong(block)] == []
    assert sum(block.language == "python" for block in BLOCKS) >= 4


@pytest.mark.slow
def test_the_python_of_the_page_prints_what_it_says() -> None:
    namespace: dict[str, Any] = {"__name__": "vectors"}
    said = []
    with contextlib.redirect_stdout(io.StringIO()) as out:
        for block in (block for block in BLOCKS if block.language == "python"):
            said += SAID.findall(block.text)
            exec(compile("\n" * block.line + block.text, str(PAGE), "exec"), namespace)
    assert out.getvalue().splitlines() == said and len(said) >= 8


@pytest.mark.jit
@pytest.mark.slow
def test_the_commands_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = [command for block in BLOCKS if block.language == "console" for command in commands(block)]
    assert len(shown) >= 4
    for command in shown:
        assert run(shlex.split(command)[1:]) == 0, f"{command}\n{capsys.readouterr().err}"


def test_the_calls_of_the_page_are_answered(tmp_path: Path) -> None:
    calls = CURL.findall(TEXT)
    with Served(tmp_path) as served:
        answers = [served.post(path, json.loads(body)) if body else served.get(path) for body, path in calls]
        assert [answer.status_code for answer in answers] == [201, 201, 200, 200], [one.text for one in answers]
        assert answers[1].json()["point"] == pytest.approx([1 / 3] * 3)
        assert {"certificate", "variation", "constants"} <= set(answers[3].json())
        assert served.decide({}, "mix").json()["point"][2] > 0.4  # the one that lost least gets more


def test_domains_of_the_page_are_the_same_in_python_and_as_json() -> None:
    makers = {"ball": ball, "box": box, "product": product, "simplex": simplex}
    rows = re.findall(
        r"^\| [^|]* \| [^|]*?`((?:ball|box|product|simplex)\([^|`]*)`[^`|]* \| `(\{.*\})` \|$", TEXT, re.M
    )
    assert {json.loads(body)["kind"] for _, body in rows} == set(makers)
    for python, body in rows:
        assert eval(python, dict(makers)) == Domain.from_json(json.loads(body)), python


POLICY_OF = {
    "example": {"name": "implicit_omd", "params": {}},
    "reward": {"name": "point_gradient", "params": golden.SPECIMENS["point_gradient"]},
}
POLICY_OF["two_rewards"] = POLICY_OF["reward"]


def test_what_the_table_says_is_told_alike_in_python_and_over_http(tmp_path: Path) -> None:
    rows = re.findall(r'^\| `"(\w+)"`.* \| `([^`]+)` \| `(\{.*\})` \|$', TEXT, re.MULTILINE)
    assert [kind for kind, _, _ in rows] == ["gradient", "losses", "example", "two_rewards", "reward"]
    given = {"g": [0.5, -1.0], "l": [0.5, -1.0], "a": [0.5, -1.0], "b": 1, "f": 0.25, "f1": 0.25, "f2": 0.75}
    with Served(tmp_path) as served:
        for kind, told, body in rows:
            problem = {"kind": "vector", "domain": ball(2).to_json(), "feedback": kind, "horizon": 100}
            spec = {"experiment_id": kind, "problem": problem, "seed": 3}
            spec |= {"policy": POLICY_OF[kind]} if kind in POLICY_OF else {}
            assert served.post("/v1/experiments", spec).status_code == 201
            policy = {"policy": POLICY_OF[kind]} if kind in POLICY_OF else {}
            engine = onearm.open(**policy, domain=ball(2), feedback=kind, horizon=100, seed=3)  # type: ignore[call-overload]
            for _ in range(2):
                made = served.decide({}, kind).json()
                sent = re.sub(r"\bf([12]?)(?=[,}\]])", lambda f: str(given[f[0]]), body.replace("[...]", "[0.5, -1.0]"))
                assert served.reward(made["decision_id"], json.loads(sent), kind).json() == {"status": "accepted"}
                engine.learn(engine.decide(), **eval(f"dict({told})", dict(given)))
            assert served.digest(kind) == engine.digest(), kind


def test_every_policy_of_vectors_and_every_feedback_is_in_the_tables() -> None:
    which = TEXT.partition("## Which policy")[2].partition("## Hints")[0]
    assert [name for name in golden.names("vector") if f"`{name}`" not in which] == []
    told = TEXT.partition("## What you tell")[2].partition("## Which policy")[0]
    kinds = {kind for name in golden.names("vector") for kind in golden.specimen(name).feedbacks}
    assert [kind for kind in sorted(kinds) if f'`"{kind}"`' not in told] == []


def test_names_and_links_of_the_page_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT)
    assert links and [link for link in links if not (PAGE.parent / link).exists()] == []
    named = set(re.findall(r"(?:tests|benchmarks)/[\w/]+\.py", TEXT))
    assert named and [name for name in sorted(named) if not (ROOT / name).exists()] == []
    policies = set(re.findall(r"`((?:optimistic|implicit|gradient|point|log)_\w+)(?:\(.*?\))?`", TEXT))
    assert len(policies) >= 8 and policies <= {*catalog.names(), "gradient_max"}
