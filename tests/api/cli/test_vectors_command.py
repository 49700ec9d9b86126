"""Vectors on the command line: simulated, written to a file, verified, exported, replayed; and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import golden
import numpy as np
import pytest
from rich.console import Console
from support.direct import Direct

import onearm as onearm_python
from onearm.api.console import print_table
from onearm.api.experiment.spec import Spec
from onearm.api.experiment.warming import default_specs
from onearm.api.http.app import create_app
from onearm.engine import snapshot
from onearm.engine.errors import InvalidInput
from onearm.engine.replay.rehearsal import rehearse
from onearm.engine.simulation import Simulation, simulate
from onearm.engine.storage.formats import jsonl, parquet
from onearm.engine.storage.store import Store
from onearm.engine.task import best_arm, hypotheses
from onearm.engine.vocabulary import LEARN
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

URL = "sqlite:///run.db"
READERS = {"jsonl": jsonl.read, "parquet": parquet.read}
SEA = 'sea:{"dimension":4,"noise":0.2}'
EXPERTS = 'forecasts:{"experts":3}'
LATE = 'delayed:{"env":{"name":"forecasts","params":{"experts":3}},"delay":4,"law":"geometric"}'
EXAMPLES = 'online_regression:{"dimension":3,"loss":"absolute","feedback":"example"}'
SHUFFLED = 'random_order:{"losses":40}'  # its 10,000 take a second to draw in plain Python, three times a test
WORLDS = (SEA, EXPERTS, LATE, EXAMPLES, 'forecasts:{"combine":true}', "label_shift", "portfolio", SHUFFLED)
CAUTIOUS = 'optimistic_omd:{"hint":"zero","caution":2.0}'


def text_of(name: str) -> str:
    """Return a policy as it is written on the command line."""
    return f"{name}:{json.dumps(golden.SPECIMENS.get(name, {}))}"


def fitting() -> list[tuple[str, str]]:
    return [(world, name) for world in WORLDS for name in golden.names("vector") if fits(world, name)]


def fits(world: str, name: str) -> bool:
    return envs.parse(world).problem.feedback in golden.specimen(name).feedbacks


def ran(onearm: Any, *arguments: str) -> Any:
    done = onearm(*arguments)
    assert (done.code, done.err) == (0, "")
    return done


@pytest.mark.covering
@pytest.mark.parametrize(("world", "name"), fitting())
def test_every_policy_in_every_world_gives_the_figures_of_the_experiment(onearm: Any, world: str, name: str) -> None:
    common = ("simulate", "--env", world, "--policy", text_of(name), "--horizon", "14", "--replications", "2")
    (run,) = ran(onearm, *common, "--seed", "3", "--json").json["runs"]
    curves = simulate(golden.specimen(name), envs.parse(world), horizon=14, replications=2, seed=3)
    assert run["reward_mean"] == curves.reward[:, -1].mean() / 14
    assert run["regret_mean"] == (curves.regret[:, -1].mean() if curves.regret_kind else None)
    assert run["certificate_mean"] == curves.bound[:, -1].mean()
    assert run["variation_mean"] == curves.variation.mean() > 0.0


def test_what_a_certificate_supposes_of_the_losses_is_told_beside_it(
    onearm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["simulate", "--env", SEA, "--policy", "ftrl", "--policy", 'optimistic_ftrl:{"convexity":0.5}']
    command += ["--horizon", "9"]
    leader, curved = ran(onearm, *command, "--json").json["runs"]
    assert "certificate_supposes" not in leader
    assert curved["certificate_supposes"] == "losses that are 0.5-strongly convex"
    monkeypatch.setattr("onearm.api.terminal.console", Console(width=100))
    assert "that of optimistic_ftrl supposes losses that are 0.5-strongly convex" in ran(onearm, *command).out


def test_every_policy_of_vectors_but_those_of_points_has_a_world() -> None:
    """No world of the catalogue reveals the rewards of points alone."""
    assert set(golden.names("vector")) - {name for _, name in fitting()} == {"point_gradient"}


@pytest.mark.parametrize(
    ("world", "policy", "said"),
    [
        (SEA, "ucb1", "policy 'ucb1' decides on arms that are all there, but this problem has vectors in a domain"),
        ("bernoulli", "ftrl", "policy 'ftrl' decides on vectors in a domain, but this problem has arms that are all"),
        (SEA, "optimistic_hedge", "learns from the loss of every coordinate, but this problem reveals the gradient"),
        (EXAMPLES, "ftrl", "learns from the gradient of the loss, but this problem reveals an example"),
        (SEA, "implicit_omd", "learns from an example, (a, b), of a known loss, but this problem reveals the gradient"),
        (EXPERTS, 'ftrl:{"gradient_max":0}', "gradient_max is 0: it must be a number"),
        (EXPERTS, 'ftrl:{"hint":"last"}', "policy 'ftrl' has no param 'hint': its params are gradient_max"),
        ('sea:{"domain":{"kind":"ball","dimension":0}}', "ftrl", "the dimension is 0: it must be from 1 to"),
        ('sea:{"domain":"sphere"}', "ftrl", "sphere"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(onearm: Any, world: str, policy: str, said: str) -> None:
    for more in ((), ("--log", "x.jsonl")):
        done = onearm("simulate", "--env", world, "--policy", policy, "--horizon", "5", *more)
        assert (done.code, done.out) == (2, "")
        assert said in done.err
        assert not Path("x.jsonl").exists()


def test_a_table_fits_a_terminal_and_shows_what_is_proven(onearm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    common = ["simulate", "--env", SEA, "--horizon", "20", "--replications", "2"]
    for name in (CAUTIOUS, "optimistic_ftrl", text_of("optimistic_ensemble"), "gradient_descent"):
        common += ["--policy", name]
    runs = {run["policy"]: run for run in ran(onearm, *common, "--json").json["runs"]}
    for width in (80, 200):
        monkeypatch.setattr("onearm.api.terminal.console", Console(width=width))
        lines = ran(onearm, *common).out.splitlines()
        assert max(map(len, lines)) <= width
        assert not any("…" in line for line in lines)
        heads = next(line.split() for line in lines if "certificate" in line and "V_T" in line)
        assert heads[:3] == ["policy", "reward", "regret"]
        assert any("▇" in line for line in lines) == (width == 200)  # the curve is what a narrow terminal leaves out
        for name, run in runs.items():
            row = next(line.split() for line in lines if line.split()[:1] == [name])
            figures = [*row[1:3], *(row[-3:-1] if width == 200 else row[-2:])]
            fields = ("reward_mean", "regret_mean", "certificate_mean", "variation_mean")
            assert list(map(float, figures)) == pytest.approx([run[field] for field in fields], rel=1e-4)
        table = lines[: next(i for i, line in enumerate(lines) if line.startswith("reward per trial;"))]
        params = sorted(line.strip() for line in table if "=" in line)
        assert params == ["caution=2.0", "gradient_max=8.0", "hint=zero", "smoothness=1.0"]
    assert "certificate" not in ran(onearm, "simulate", "--env", "bernoulli", "--policy", "ucb1", "--horizon", "9").out


@pytest.mark.parametrize(("width", "shown"), [(44, {1, 2, 3}), (34, {1, 3}), (22, {1})])
def test_spare_columns_are_left_out_one_by_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, shown: set[int]
) -> None:
    monkeypatch.setattr("onearm.api.terminal.console", Console(width=width))
    print_table("title", ["name", "a", "b", "c"], [["n", 1_111_111, 2_222_222, 3_333_333]], spare=("b", "c"))
    out = capsys.readouterr().out
    assert {digit for digit in (1, 2, 3) if f"{digit},{str(digit) * 3},{str(digit) * 3}" in out} == shown
    assert "…" not in out


@pytest.mark.parametrize("ending", READERS)
@pytest.mark.parametrize("world", [SEA, EXPERTS, LATE, EXAMPLES])
def test_a_log_holds_every_point_and_verifies(
    onearm: Any, world: str, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onearm.engine.simulation.LOG_CHUNK", 7)
    name = "implicit_omd" if world == EXAMPLES else "ftrl"
    common = ("simulate", "--env", world, "--policy", name, "--horizon", "40", "--seed", "3")
    assert onearm(*common, "--log", f"out.{ending}").code == 0
    run = Simulation(policies.make(name), envs.parse(world), horizon=40, seed=3)
    log, found = run.advance_logged(40), READERS[ending](Path(f"out.{ending}"))
    assert found.problem == run.problem and found.bad_lines.count == {}
    for column, other in zip(found.events, log, strict=True):
        assert np.array_equal(*np.broadcast_arrays(column, other), equal_nan=column.dtype.kind == "f")
    assert found.events.action.tobytes() == log.action.tobytes()
    done = ran(onearm, "verify", f"out.{ending}", "--json")
    digest = snapshot.digest(run.state)
    about = {"id": f"out.{ending}", "decides": "vector", "events": len(log.kind), "decisions": 40}
    assert done.json["experiments"] == [about | {"first_difference": None, "digest": digest}]
    table = ran(onearm, "verify", f"out.{ending}").out
    assert "bit for bit" in table and "vectors" in table


def test_one_bit_of_a_point_is_found_and_feedback_that_was_changed(onearm: Any) -> None:
    common = ("simulate", "--env", SEA, "--policy", "optimistic_omd", "--horizon", "30", "--log", "out.jsonl")
    assert onearm(*common).code == 0
    whole = Path("out.jsonl").read_text().splitlines()
    for row, field, change, first in ((41, "action", 0.0, 20), (42, "detail", 1e-9, 21)):
        lines = list(map(json.loads, whole))
        lines[row][field][1] = math.nextafter(lines[row][field][1] + change, math.inf)
        Path("out.jsonl").write_text("\n".join(map(json.dumps, lines)))
        done = onearm("verify", "out.jsonl", "--json")
        assert (done.code, done.json["experiments"][0]["first_difference"]) == (1, first)


def served(feedback: str, told: Any, policy: Any = None) -> str:
    """Decide 25 points in an experiment of a service, some told late or never; return the digest of its state."""
    domain = {"kind": "ball", "dimension": 3} if "reward" in feedback else {"kind": "simplex", "dimension": 3}
    problem = {"kind": "vector", "domain": domain, "feedback": feedback, "horizon": 100}
    body = {"experiment_id": feedback, "problem": problem, "seed": 5} | ({"policy": policy} if policy else {})
    with Direct(create_app(Store.open(URL))) as client:
        made = client.post("/v1/experiments", json=body)
        assert made.status_code == 201, made.text
        path, late = f"/v1/experiments/{feedback}/decisions", []
        for t in range(25):
            hint = {"hint": [0.1 * t, -0.1, 0.0]} if policy and "hint" in policy["params"] else {}
            late.append(client.post(path, json=hint).json()["decision_id"])
            if t % 4 == 3:
                for known in (late.pop(), late.pop(0)):
                    answer = client.post(f"{path}/{known}/reward", json=told(int(known[1:])))
                    assert answer.json() == {"status": "accepted"}, answer.text
        digest: str = client.get(f"/v1/experiments/{feedback}").json()["digest"]
        return digest


NUMBERS = [[math.sin(t + j) / 3 for j in range(3)] for t in range(25)]
KINDS: dict[str, tuple[Any, Any]] = {
    "gradient": (lambda t: {"value": t / 7, "detail": {"gradient": NUMBERS[t]}}, None),
    "losses": (
        lambda t: {"detail": {"losses": NUMBERS[t]}},
        {"name": "optimistic_hedge", "params": {"hint": "context"}},
    ),
    "example": (
        lambda t: {"value": -t / 3, "detail": {"example": {"a": NUMBERS[t], "b": t / 9}}},
        {"name": "implicit_omd", "params": {}},
    ),
    "reward": (lambda t: {"value": t / 3}, {"name": "point_gradient", "params": golden.SPECIMENS["point_gradient"]}),
    "two_rewards": (
        lambda t: {"values": [t / 3, 0.1]},
        {"name": "point_gradient", "params": golden.SPECIMENS["point_gradient"]},
    ),
}


@pytest.mark.parametrize("feedback", KINDS)
def test_a_database_verifies_and_its_exports_read_back_to_the_bit(onearm: Any, feedback: str) -> None:
    digest = served(feedback, *KINDS[feedback])
    experiments = ran(onearm, "verify", "--database", URL, "--json").json["experiments"]
    (found,) = (one for one in experiments if one["id"] == feedback)
    about = {"id": feedback, "decides": "vector", "events": 37, "decisions": 25}
    assert found == about | {"first_difference": None, "digest": digest}
    read = {}
    for ending, reader in READERS.items():
        assert onearm("export", feedback, f"out.{ending}", "--database", URL, "--json").json["events"] == 37
        read[ending] = reader(Path(f"out.{ending}"))
        assert read[ending].bad_lines.count == {}
        (again,) = ran(onearm, "verify", f"out.{ending}", "--json").json["experiments"]
        assert again == found
    store = Store.open(URL, write=False)
    (key,) = (row.key for row in store.experiments() if row.id == feedback)
    (columns, _, _) = next(store.columns(key, read["jsonl"].problem))
    store.close()
    for log in read.values():
        assert log.events is not None
        for column, other in zip(log.events, columns, strict=True):
            assert np.array_equal(*np.broadcast_arrays(column, other), equal_nan=column.dtype.kind == "f")
        assert log.events.action.tobytes() == columns.action.tobytes()


def test_replay_is_what_the_policies_would_have_done_at_work(onearm: Any) -> None:
    common = ("--env", LATE, "--horizon", "90", "--seed", "6")
    assert onearm("simulate", *common, "--policy", "ftrl", "--log", "out.parquet").code == 0
    names = ("ftrl", "optimistic_hedge", CAUTIOUS)
    chosen = [part for name in names for part in ("--policy", name)]
    found = ran(onearm, "replay", "out.parquet", *chosen, "--seed", "6", "--segments", "3", "--json").json
    log = parquet.read(Path("out.parquet"))
    learned = log.events.kind == LEARN
    assert (found["events"], found["segments"], found["bad_lines"]) == (learned.sum(), 3, {})
    assert found["events_per_second"] > 0
    assert [run["policy"] for run in found["runs"]] == ["ftrl", "optimistic_hedge", "optimistic_omd"]
    for text, run in zip(names, found["runs"], strict=True):
        policy = policies.parse(text)
        work = Simulation(policy, envs.parse(LATE), horizon=90, seed=6)
        work.advance(90)
        assert (run["certificate"], run["variation"]) == work.certificate
        expected = rehearse(policy, log.problem, log.events, segments=3).losses
        assert (run["regret"], run["regret_by_segment"]) == (expected.regret, expected.regret_by_segment)
        assert run["loss_mean"] == expected.lost / learned.sum()
        assert run["params"] == policy.spec["params"]
    logged = found["logged"]
    assert logged["loss_mean"] == pytest.approx(-log.events.reward[learned].mean(), rel=1e-12)
    assert {field: logged[field] for field in found["runs"][0] if field not in ("certificate", "variation")} == {
        field: value for field, value in found["runs"][0].items() if field not in ("certificate", "variation")
    }
    assert (logged["certificate"], logged["variation"]) == (None, None)


def test_replay_hands_on_the_seed(onearm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No policy of losses draws anything yet."""
    assert onearm("simulate", "--env", EXPERTS, "--policy", "ftrl", "--horizon", "5", "--log", "out.jsonl").code == 0
    seen = []

    def recorded(*args: Any, seed: int, **options: Any) -> Any:
        seen.append(seed)
        return rehearse(*args, seed=seed, **options)

    monkeypatch.setattr("onearm.api.cli.rehearsing.rehearse", recorded)
    ran(onearm, "replay", "out.jsonl", "--policy", "ftrl", "--seed", "12", "--json")
    assert seen == [12]


def test_replay_shows_a_table(onearm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert onearm("simulate", "--env", EXPERTS, "--policy", "ftrl", "--horizon", "50", "--log", "out.jsonl").code == 0
    chosen = ("--policy", CAUTIOUS, "--policy", "optimistic_hedge")
    monkeypatch.setattr("onearm.api.terminal.console", Console(width=80))
    for more in ((), ("--segments", "5")):
        runs = ran(onearm, "replay", "out.jsonl", *chosen, *more, "--json").json["runs"]
        out = ran(onearm, "replay", "out.jsonl", *chosen, *more).out
        assert max(map(len, out.splitlines())) <= 80
        assert "…" not in out
        assert "out.jsonl: 50 losses on record, decided by ftrl" in out
        assert "caution=2.0" in out
        assert ("segments" in out) == bool(more)
        row = next(line.split() for line in out.splitlines() if line.split()[:1] == ["optimistic_hedge"])
        fields = ["loss_mean", "regret", *(["regret_by_segment"] if more else []), "certificate", "variation"]
        assert [float(cell.replace(",", "")) for cell in row[1:]] == pytest.approx(
            [runs[1][field] for field in fields], rel=1e-4
        )


def test_replay_goes_on_where_lines_are_bad_and_says_which(onearm: Any) -> None:
    assert onearm("simulate", "--env", EXPERTS, "--policy", "ftrl", "--horizon", "20", "--log", "out.jsonl").code == 0
    lines = Path("out.jsonl").read_text().splitlines()
    lines[4] = json.dumps({**json.loads(lines[4]), "detail": [1.0]})
    lines[5] = json.dumps({**json.loads(lines[5]), "action": [1.0, 2.0]})
    Path("out.jsonl").write_text("\n".join(lines))
    done = onearm("replay", "out.jsonl", "--policy", "ftrl", "--json")
    assert done.json["bad_lines"] == {"bad_detail": 1, "bad_action": 1, "unknown_decision": 1}
    assert done.json["events"] == 18
    assert "bad lines, bad_detail: 1 (line 5)" in onearm("replay", "out.jsonl", "--policy", "ftrl").err


@pytest.mark.parametrize(
    ("world", "arguments", "said"),
    [
        (SEA, ["--policy", "ftrl"], "the log holds gradients, which are those at the points that were decided"),
        (EXAMPLES, ["--policy", "implicit_omd"], "the log holds examples, of which the log does not say"),
        (EXPERTS, ["--policy", "ucb1"], "policy 'ucb1' decides on arms that are all there"),
        (EXPERTS, ["--policy", "implicit_omd"], "policy 'implicit_omd' learns from an example"),
        (EXPERTS, ["--policy", "ftrl", "--segments", "0"], "segments is 0: it must be a whole number from 1 to 333333"),
        (
            "bernoulli",
            ["--policy", "ucb1", "--segments", "2"],
            "is no log of vectors: --segments is for regret against",
        ),
        ("bernoulli", ["--policy", "ftrl"], "policy 'ftrl' decides on vectors in a domain"),
    ],
)
def test_a_replay_that_would_say_nothing_true_is_refused(
    onearm: Any, world: str, arguments: list[str], said: str
) -> None:
    own = {SEA: "ftrl", EXPERTS: "ftrl", EXAMPLES: "implicit_omd", "bernoulli": "uniform"}[world]
    assert onearm("simulate", "--env", world, "--policy", own, "--horizon", "9", "--log", "out.jsonl").code == 0
    done = onearm("replay", "out.jsonl", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_the_demo_refuses_vectors_by_name(onearm: Any) -> None:
    done = onearm("demo", "--env", SEA, "--policy", "ftrl")
    assert done.code == 2
    assert "sea has vectors decided, and the demo has arms that are all there: name another one" in done.err


def test_catalogues_say_what_is_decided_and_what_is_revealed(onearm: Any) -> None:
    known = {one["name"]: one for one in ran(onearm, "policies", "--json").json}
    for name, one in known.items():
        policy = golden.specimen(name)
        assert (one["decides"], one["learns_from"]) == (list(policy.actions), list(policy.feedbacks)), name
    worlds = {one["name"]: one for one in ran(onearm, "envs", "--json").json}
    for name in ("sea", "forecasts", "bernoulli", "arm_stream", "normal", "piecewise", "logged_table"):
        one = worlds[name]
        needed = {
            "normal": {"mean": [0.1]},
            "piecewise": {"means": [[0.1]], "length": 1},
            "logged_table": {"reward": [[1.0]]},
        }
        problem = envs.make(name, **needed.get(name, {})).problem
        assert (one["decides"], one["reveals"]) == (problem.action_kind, problem.feedback)
        assert one["domain"] == (None if problem.domain is None else problem.domain.to_json())
    for name in (
        "delayed",
        "drifting",
        "named",
        "priced",
        "scaled",
        "seasonal",
        "switching",
        "linear_systems",
    ):  # what their params say
        assert (worlds[name]["decides"], worlds[name]["reveals"], worlds[name]["domain"]) == (None, None, None)


def test_catalogues_say_which_policies_are_taken_where_none_is_named(onearm: Any) -> None:
    marked = {one["name"]: one["default"] for one in ran(onearm, "policies", "--json").json if one["default"]}
    tasks = (best_arm(9, "bits"), hypotheses([[0, 1], [2, 0]]))
    bodies: list[dict[str, Any]] = [{"problem": {"kind": "queries", "horizon": 9, **of.fields()}} for of in tasks]
    bodies.append({"arms": [{"id": "a"}], "reward": {"range": [0, 1]}})
    specs = [*default_specs(), *(Spec.from_json({"experiment_id": "e", **body}) for body in bodies)]
    taken = [spec.policy.spec for spec in specs]
    inside = [spec["params"]["policy"] for spec in taken if spec["name"] == "adaptive"]
    assert set(marked) == {spec["name"] for spec in [*taken, *inside]}
    assert marked["fourier_softmax"] == "inside adaptive, with contexts"
    words = " ".join(ran(onearm, "policies").out.split())
    assert words.count("The default") == len(marked)


def test_catalogues_are_tables_by_what_is_decided(onearm: Any) -> None:
    out = ran(onearm, "policies").out
    arms, moves, vectors = (out.index(f"{words}: ") for words in ("there", "stream past", "in a domain"))
    assert arms < out.index("ucb1") < moves < out.index("early_drop") < vectors < out.index("optimistic_hedge")
    assert "learns from" in out[vectors:] and "learns from" not in out[:vectors]
    out = ran(onearm, "envs").out
    assert "`mean[arm]`" in out  # brackets are no markup
    vectors, others = out.index("vectors in a domain: "), out.index("what their params say: 8 envs")
    assert vectors < out.index("portfolio") < others < out.index("delayed")


def test_a_point_outside_is_told_with_how_far_by_all_that_read_logs(onearm: Any) -> None:
    """Taken as it is, four times the weight of the simplex on everything would show a regret that nobody had."""
    assert onearm("simulate", "--env", EXPERTS, "--policy", "ftrl", "--horizon", "20", "--log", "out.jsonl").code == 0
    lines = Path("out.jsonl").read_text().splitlines()
    lines[3] = json.dumps({**json.loads(lines[3]), "action": [4.0, 4.0, 4.0]})
    lines[6] = json.dumps({**json.loads(lines[6]), "detail": [1e200, 0.0, 0.0]})
    Path("out.jsonl").write_text("\n".join(lines))
    why = "line 4: the coordinates of the simplex add up to 12, 11 off 1"
    done = onearm("replay", "out.jsonl", "--policy", "ftrl", "--json")
    assert done.json["bad_lines"] == {"point_outside": 1, "bad_detail": 1, "unknown_decision": 1}
    assert done.json["bad_line_reasons"] == {"point_outside": why}
    assert (done.json["events"], done.json["runs"][0]["rounds"]) == (18, 18)
    assert f"bad lines, point_outside: 1 (line 4); {why}\n" in onearm("replay", "out.jsonl", "--policy", "ftrl").err
    done = onearm("verify", "out.jsonl", "--json")
    (found,) = done.json["experiments"]
    assert (done.code, found["bad_lines"]["point_outside"], found["first_difference"]) == (1, 1, 1)
    assert f"point_outside in lines 4 ({why}); bad_detail in lines 7" in found["note"]


def test_python_says_which_command_replays_vectors(onearm: Any) -> None:
    assert onearm("simulate", "--env", EXPERTS, "--policy", "ftrl", "--horizon", "5", "--log", "out.jsonl").code == 0
    for call, word in ((onearm_python.evaluate, "uniform"), (onearm_python.replay, "ftrl")):
        with pytest.raises(InvalidInput, match=r"the log is of vectors: .*`onearm replay FILE --policy NAME` plays"):
            call("out.jsonl", word)
