"""`onearm evaluate`: the figures of the issue, every method and interval, what is said where one does not apply."""

from __future__ import annotations

import gzip
import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_convert_command import make_database

from onearm.api.offline.options import INTERVALS, METHODS
from onearm.engine.errors import installing

EVERY = [word for name in METHODS if name != "mips" for word in ("--method", name)]


def campaign(folder: Path, log: str) -> str:
    return str(folder / "obd" / log / "men" / "men.csv.gz")


def rewarded(tmp_path: Path, n: int = 60, **more: Any) -> Path:
    """Write a table of decisions by (0.5, 0.3, 0.2) in turn, of contexts that say something of the reward."""
    rng = np.random.default_rng(5)
    law = np.array([0.5, 0.3, 0.2])
    rows = []
    for action, x in zip(rng.choice(3, n, p=law).tolist(), rng.random(n).round(3).tolist(), strict=True):
        reward = float(rng.random() < 0.2 + 0.2 * action + 0.2 * x)
        rows.append({"action": action, "reward": reward, "propensity": law[action], "context": [x]} | more)
    file = tmp_path / "table.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.jit  # ten thousand rows take plain Python longer than compiling
def test_the_figures_of_the_open_bandit_sample(onearm: Any, data_folder: Path) -> None:
    log = campaign(data_folder, "bts")
    methods = ("--method", "ips", "--method", "snips", "--method", "dr")
    intervals = ("--interval", "normal", "--interval", "confidence-sequence")
    done = onearm("evaluate", log, "--format", "obd", "--target", "uniform", *methods, *intervals, "--json")
    assert (done.code, done.err, done.json["events"], done.json["bad_lines"]) == (0, "", 10_000, {})
    found = {(each["method"], each["interval"]): each for each in done.json["estimates"]}
    assert len(found) == 6
    assert found["ips", "normal"]["value"] == pytest.approx(0.0030086263272564836, abs=1e-12)
    assert found["snips", "normal"]["value"] == pytest.approx(0.003189423162277392, abs=1e-12)
    assert all(each["low"] < each["value"] < each["high"] for each in found.values())
    assert {"uniform"} == set(done.json["diagnostics"])


def test_the_figures_of_the_dsjson_sample(onearm: Any, data_folder: Path) -> None:
    log = str(data_folder / "dsjson" / "dsjson_cb.json")
    asked = ("--target", "first", "--target", "logged", "--method", "ips", "--method", "snips")
    done = onearm("evaluate", log, "--format", "dsjson", *asked, "--json")
    values = {(each["target"], each["method"]): each["value"] for each in done.json["estimates"]}
    assert (done.json["events"], done.json["bad_lines"]) == (23, {})
    assert values["first", "ips"] == pytest.approx(0.306905, abs=5e-7)
    assert values["first", "snips"] == pytest.approx(0.666667, abs=5e-7)
    assert values["logged", "ips"] == pytest.approx(12 / 23, rel=1e-12)


def test_every_method_agrees_where_the_target_is_the_log(onearm: Any, tmp_path: Path) -> None:
    file = rewarded(tmp_path)
    mean = np.mean([json.loads(line)["reward"] for line in file.read_text().splitlines()])
    done = onearm("evaluate", str(file), "--target", "logged", *EVERY, "--json")
    values = {each["method"]: each["value"] for each in done.json["estimates"]}
    assert set(values) == set(METHODS) - {"mips"}
    rough = {"dm", "switch-dr", "dros"}  # the model alone, and those that trust it more the less it costs
    for method in set(values) - rough:
        assert values[method] == pytest.approx(mean, rel=1e-12), method
    assert [values[method] for method in rough] == pytest.approx([mean] * 3, abs=0.1)


def test_every_interval_covers_its_value_or_says_why_it_cannot(onearm: Any, tmp_path: Path) -> None:
    file = rewarded(tmp_path, 100)
    intervals = [word for name in INTERVALS for word in ("--interval", name)]
    done = onearm("evaluate", str(file), "--target", "action:1", *EVERY, *intervals, "--json")
    assert len(done.json["estimates"]) == (len(METHODS) - 1) * len(INTERVALS)
    told = 0
    for each in done.json["estimates"]:
        if each["low"] is None:
            assert each["note"], each
        else:
            told += 1
            assert each["low"] <= each["high"], each
            # That of a likelihood under which weights average 1 lies around the likeliest value, near the estimate.
            assert each["low"] <= each["value"] <= each["high"] or each["interval"] == "weighted-likelihood", each
    assert told >= 45
    shown = onearm("evaluate", str(file), "--target", "action:1", "--method", "snips", "--interval", "clopper-pearson")
    assert "snips weights its rewards" in shown.err
    exact = {each["method"] for each in done.json["estimates"] if each["interval"] == "clopper-pearson" and each["low"]}
    assert exact == {"match"}, "a model of the reward is no share of two values"


def test_a_baseline_is_what_the_others_are_compared_with(onearm: Any, tmp_path: Path) -> None:
    file = rewarded(tmp_path, 150)
    intervals = [word for name in INTERVALS for word in ("--interval", name)]
    asked = ("--target", "action:2", "--method", "ips", "--baseline", "logged", *intervals)
    done = onearm("evaluate", str(file), *asked, "--json")
    values = {each["target"]: each["value"] for each in done.json["estimates"]}
    found = {each["interval"]: each for each in done.json["differences"]}
    gap = values["action:2"] - values["logged"]
    for name in ("normal", "bootstrap", "empirical-likelihood"):
        assert found[name]["value"] == pytest.approx(gap, rel=1e-12)
        assert found[name]["low"] < gap < found[name]["high"]
    sequence = found["confidence-sequence"]
    assert sequence["low"] < gap < sequence["high"]
    assert sequence["high"] - sequence["low"] > found["normal"]["high"] - found["normal"]["low"]
    assert "compare two" in found["clopper-pearson"]["note"]
    # By hand: the terms are (w - 1) r, with w = 1 / 0.2 at action 2.
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    terms = np.array([((row["action"] == 2) / row["propensity"] - 1.0) * row["reward"] for row in rows])
    reach = 1.959963984540054 * terms.std() / math.sqrt(len(terms))
    assert found["normal"]["low"] == pytest.approx(terms.mean() - reach, rel=1e-9)


def test_values_are_shown_by_segment(onearm: Any, tmp_path: Path) -> None:
    file = tmp_path / "table.jsonl"
    rows = [
        {"action": i % 2, "reward": float(i % 3 == 0), "propensity": 0.5, "city": "paris" if i % 5 else "rome"}
        for i in range(60)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = onearm("evaluate", str(file), "--target", "action:1", "--segment", "city", "--json")
    for name in ("paris", "rome"):
        (found,) = [each for each in done.json["segments"] if each["segment"] == name]
        some = [row["reward"] for row in rows if row["city"] == name and row["action"] == 1]
        assert found["value"] == pytest.approx(np.mean(some))
        assert found["events"] == sum(row["city"] == name for row in rows)
    assert "by segment" in onearm("evaluate", str(file), "--target", "action:1", "--segment", "city").out


def test_false_propensities_raise_an_alarm(onearm: Any, tmp_path: Path) -> None:
    """The log takes action 0 nine times of ten, and says that it drew evenly."""
    file = tmp_path / "table.jsonl"
    rows = [{"action": int(i % 10 == 0), "reward": 1.0, "propensity": 0.5} for i in range(2000)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = onearm("evaluate", str(file), "--target", "action:1", "--json")
    told = done.json["diagnostics"]["action:1"]
    assert told["weights"]["alarm_at"] < 2000 and told["warnings"]
    assert "action:1: " in onearm("evaluate", str(file), "--target", "action:1").err


def test_rewards_beyond_their_range_have_no_sequence_until_it_is_stated(onearm: Any, tmp_path: Path) -> None:
    file = rewarded(tmp_path)
    rows = [json.loads(line) | {"reward": 5.0 * json.loads(line)["reward"]} for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = (
        "evaluate",
        str(file),
        "--target",
        "uniform",
        "--method",
        "dr",
        "--interval",
        "confidence-sequence",
        "--json",
    )
    (each,) = onearm(*asked).json["estimates"]
    assert each["low"] is None and "--reward-range" in each["note"]
    (each,) = onearm(*asked, "--reward-range", "0:5").json["estimates"]
    assert each["low"] < each["value"] < each["high"] and "--weight-max" in each["note"]
    (stated,) = onearm(*asked, "--reward-range", "0:5", "--weight-max", "2").json["estimates"]
    assert stated["note"] is None and stated["high"] - stated["low"] != each["high"] - each["low"]
    refused = onearm(*asked, "--reward-range", "5:0")
    assert (refused.code, "it must ascend" in refused.err) == (2, True)


def test_what_learns_only_from_a_share_is_judged_on_the_rest(onearm: Any, tmp_path: Path) -> None:
    file = rewarded(tmp_path, 100)
    done = onearm("evaluate", str(file), "--target", "linucb", "--target", "logged", "--learn", "0.6", "--json")
    values = {each["target"]: each["value"] for each in done.json["estimates"]}
    rest = [json.loads(line)["reward"] for line in file.read_text().splitlines()[60:]]
    assert (done.json["events"], values["logged"]) == (40, pytest.approx(np.mean(rest)))


def test_mips_weighs_categories(onearm: Any, tmp_path: Path) -> None:
    """Of one category for all, every action is as good as another: the mean weight, and so about the mean reward."""
    file, categories = rewarded(tmp_path, 300), tmp_path / "categories.csv"
    categories.write_text("arm,category\n2,b\n0,a\n1,b\n")
    asked = ("evaluate", str(file), "--target", "action:2", "--method", "mips", "--json")
    (each,) = onearm(*asked, "--embedding", str(categories)).json["estimates"]
    assert 0.3 < each["value"] < 1.2
    by_dr, by_mips = onearm(*asked, "--method", "dr", "--embedding", str(categories)).json["estimates"][::-1]
    assert by_mips["value"] == each["value"] and by_mips["low"] == each["low"]
    assert each["low"] <= min(by_dr["low"], each["value"]) and max(by_dr["high"], each["value"]) <= each["high"]
    (half,) = onearm(*asked, "--embedding", str(categories), "--learn", "0.5").json["estimates"]
    assert half["value"] != each["value"] and half["matched"] <= 150
    bad = {"a,b\n1,2\n": "has no columns", "arm,category\n0,a\n2,b\n": "must be there once"}
    bad["category,arm\nshoes\n"] = "line 2: the arm is ''"
    for content, words in (bad | {"arm,category\n0,a\n1_0,b\n": "line 3: the arm is '1_0'"}).items():
        categories.write_text(content)
        done = onearm(*asked, "--embedding", str(categories))
        assert (done.code, words in done.err) == (2, True)
    assert "--embedding" in onearm(*asked).err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--target", "action:7"], "there is no action 7"),
        (["--target", "uniform", "--target", "uniform"], "named 2 times"),
        (["--target", "nobody"], "there is no policy 'nobody'"),
        (["--target", "sale"], "; or did you mean action:sale?"),
        (["--target", "uniform", "--experiment", "x"], "--experiment is for a database"),
        (["--target", "uniform", "--method", "cascade"], "they are in logs of Vowpal Wabbit"),
        (["--target", "uniform", "--method", "cascade", "--method", "ips"], "ips is not for lists"),
        (["--target", "uniform", "--level", "1.5"], "is not in the range"),
        (["--target", "uniform", "--weight-max", "0.5"], "it is at least 1"),
        (["--target", "uniform", "--weight-max", "inf"], "'inf' is no finite number"),
        (["--target", "uniform", "--weight-max", "nan"], "'nan' is no finite number"),
        (["--target", "uniform", "--level", "0.9_0"], "'0.9_0' is no finite number"),
        (["--target", "uniform", "--weight-limit", "1_0"], "'1_0' is no finite number"),
        (["--target", "uniform", "--reward-range", "0:1_0"], "'0:1_0' is no range"),
        (["--target", "uniform", "--learn", "0.0_5"], "no share between 0 and 1"),
        (["--target", "uniform", "--weight-limit", "inf"], "'inf' is no finite number"),
        (["--target", "uniform", "--segment", "nothing"], "nothing"),
        (["--target", "uniform", "--report", "table.jsonl"], "does not end in .html"),
        (["--target", "uniform", "--plots", "table.jsonl"], "cannot be made (File exists)"),
        (["--target", "uniform", "--report", "no/where/x.html"], "there is no folder no/where: make it"),
        (["--target", "uniform", "--plots", "no/where"], "there is no folder no: make it"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(onearm: Any, tmp_path: Path, more: list[str], words: str) -> None:
    done = onearm("evaluate", str(rewarded(tmp_path, 20)), *more)
    assert (done.code, done.out, (tmp_path / "no").exists()) == (2, "", False)
    assert words in done.err


def test_lists_have_methods_of_their_own(onearm: Any, tmp_path: Path) -> None:
    """By hand: the weights are 1/3 / 0.8 and 1, then 1/3 / 0.1 and 1."""
    file = tmp_path / "slots.json"
    context = {"_multi": [{"i": {"x": i}} for i in range(3)], "_slots": [{"s": 1}, {"s": 2}]}
    outcomes = [
        [(-1.0, [2, 0, 1], [0.8, 0.1, 0.1]), (0.0, [0, 1], [0.5, 0.5])],
        [(0.0, [1, 0, 2], [0.1, 0.1, 0.8]), (-1.0, [0, 2], [0.5, 0.5])],
    ]
    lines = [
        {"c": context, "_outcomes": [{"_label_cost": cost, "_a": a, "_p": p} for cost, a, p in slots]}
        for slots in outcomes
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + "{}\n")
    methods = ("--method", "cascade", "--method", "independent", "--method", "pseudo-inverse")
    done = onearm("evaluate", str(file), "--format", "dsjson", "--target", "uniform", *methods, "--json")
    found = {each["method"]: each for each in done.json["estimates"]}
    assert (done.json["events"], sum(done.json["bad_lines"].values())) == (2, 1)
    assert found["cascade"]["value"] == pytest.approx((1 / 2.4 + 10 / 3) / 2)
    assert found["independent"]["value"] == pytest.approx((1 / 2.4 + 1) / 2)
    assert found["pseudo-inverse"]["value"] is None and "one reward" in found["pseudo-inverse"]["note"]
    assert onearm("evaluate", str(file), "--format", "dsjson", "--target", "linucb", *methods).code == 2
    assert onearm("evaluate", str(file), "--format", "dsjson", "--target", "first", *methods, "--strict").code == 1


def test_a_log_is_the_same_packed_piped_and_in_a_database(
    onearm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two decisions, of which the second alone has a reward, as `make_database` writes them."""
    policy, arms = {"name": "uniform", "params": {}}, [{"id": "a"}, {"id": "b"}]
    spec = {"experiment_id": "hello", "policy": policy, "arms": arms, "seed": 3}
    url = make_database(tmp_path / "run.db", spec)
    assert onearm("export", "hello", "log.jsonl", "--database", url).code == 0
    whole = (tmp_path / "log.jsonl").read_bytes()
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(whole))
    asked = ("--target", "action:0", "--target", "uniform", "--json")
    files = (["log.jsonl"], ["log.jsonl.gz"], ["-", "--format", "jsonl"], [url], [url, "--experiment", "hello"])
    with io.FileIO(tmp_path / "log.jsonl") as piped:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(piped)))
        found = [onearm("evaluate", *file, *asked) for file in files]
    assert [done.code for done in found] == [0] * len(files)
    assert all(done.json["estimates"] == found[0].json["estimates"] for done in found)
    assert (found[0].json["events"], found[0].json["estimates"][0]["value"]) == (1, 1.0)
    assert {done.json["diagnostics"]["uniform"]["rewarded"] for done in found} == {0.5}
    assert "has no --format" in onearm("evaluate", url, "--format", "jsonl", *asked).err


def test_what_was_never_seen_is_not_bounded(onearm: Any, tmp_path: Path) -> None:
    """All propensities are 1: they are equal, and yet the log was not drawn uniformly."""
    file = tmp_path / "table.csv"
    file.write_text("action,reward,propensity\n" + "0,1,1\n0,0,1\n" * 200)
    asked = ("--arms", "2", "--target", "action:1", "--method", "ips", "--interval", "confidence-sequence")
    done = onearm("evaluate", str(file), *asked, "--baseline", "logged", "--json")
    never, logged = done.json["estimates"]
    assert (never["low"], never["high"]) == (0.0, 1.0)
    assert logged["low"] < 0.5 < logged["high"]
    (gap,) = done.json["differences"]
    assert gap["high"] > 0.4 and gap["low"] <= -0.5


def test_standard_input_is_read_by_candidates_that_read_it_differently(
    onearm: Any, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = data_folder / "dsjson" / "dsjson_cb.json"
    asked = ("--format", "dsjson", "--target", "uniform", "--target", "squarecb", "--method", "dr", "--json")
    with io.FileIO(file) as piped:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(piped)))
        found = onearm("evaluate", "-", *asked)
    assert found.json["estimates"] == onearm("evaluate", str(file), *asked).json["estimates"]


def test_without_matplotlib_a_report_is_refused_in_words(
    onearm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("onearm.api.offline.report")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = onearm("evaluate", str(rewarded(tmp_path, 20)), "--target", "uniform", "--report", "page.html")
    assert (done.code, done.out, installing("report") in done.err) == (2, "", True)


def test_terms_made_part_by_part_are_those_of_the_whole(
    onearm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = rewarded(tmp_path, 100)
    asked = ("evaluate", str(file), "--target", "action:1", *EVERY, "--weight-limit", "3", "--json")
    whole = onearm(*asked).json["estimates"]
    monkeypatch.setattr("onearm.api.offline.methods.PART", 7)
    monkeypatch.setattr("onearm.engine.storage.room.MEMORY", 0)
    monkeypatch.setattr("onearm.engine.storage.rows.MEMORY", 0)
    parts = onearm(*asked).json["estimates"]
    for one, other in zip(whole, parts, strict=True):
        assert one == other | {name: pytest.approx(other[name], rel=1e-12) for name in ("value", "low", "high")}


def test_bounds_that_contradict_each_other_are_no_interval(onearm: Any, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    rows = [f"{i % 3},{i % 2},0.3" for i in range(30)] + ["0,1,1e-30", "0,1,1e-30"]
    file.write_text("\n".join(["action,reward,propensity", *rows, ""]))
    asked = ("evaluate", str(file), "--target", "uniform", "--method", "ips", "--json")
    (each,) = onearm(*asked, "--interval", "confidence-sequence").json["estimates"]
    assert (each["low"], each["high"], "contradict" in each["note"]) == (None, None, True)


def test_one_method_that_cannot_be_applied_leaves_the_others(onearm: Any, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("action,reward,propensity\n" + "0,1,0.5\n1,0,0.5\n" * 10 + "0,1,\n")
    done = onearm("evaluate", str(file), "--target", "action:0", *EVERY, "--json")
    found = {each["method"]: each for each in done.json["estimates"]}
    assert found["match"]["value"] == 1.0
    for name in ("ips", "mrdr", "dr"):
        assert found[name]["value"] is None and "is unknown" in found[name]["note"]
    usual = onearm("evaluate", str(file), "--target", "action:0", "--json")
    assert "the propensity of 1 of 21 decisions is unknown" in usual.json["notes"][0]


def test_equal_rewards_show_no_spread(onearm: Any, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("action,reward,propensity\n" + "0,1,0.3\n1,1,0.3\n2,1,0.3\n" * 10)
    asked = ("--target", "action:1", "--method", "ips", "--method", "snips", "--interval", "weighted-likelihood")
    for each in onearm("evaluate", str(file), *asked, "--json").json["estimates"]:
        assert each["low"] is None and "the same" in each["note"]


@pytest.mark.parametrize(("there", "said"), [(35, "5 of 40 decisions have"), (39, "1 of 40 decisions has")])
def test_decisions_without_a_reward_are_told_of(onearm: Any, log: Path, there: int, said: str) -> None:
    """The last rewards of forty never came."""
    lines = log.read_text().splitlines(keepends=True)
    kept = [line for line in lines if '"learn"' not in line or json.loads(line)["number"] < there]
    log.write_text("".join(kept))
    for options in ((), ("--no-diagnostics",)):
        done = onearm("evaluate", str(log), "--target", "uniform", "--target", "action:0", *options)
        assert (done.code, done.err.count(f"{said} no reward")) == (0, 1)


def test_of_many_decisions_one_without_a_reward_is_told_of(onearm: Any, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("action,reward,propensity\n" + "0,1,0.5\n1,0,0.5\n" * 500 + "1,,0.5\n")
    done = onearm("evaluate", str(file), "--target", "uniform")
    assert (done.code, "1 of 1,001 decisions has no reward and is left out" in done.err) == (0, True)


def test_decisions_whose_reward_is_a_default_are_not_said_to_be_left_out(
    onearm: Any, data_folder: Path, tmp_path: Path
) -> None:
    told = [json.loads(line) for line in (data_folder / "dsjson" / "dsjson_cb.json").read_text().splitlines() if line]
    for each in told[::2]:
        each["o"] = []
    file = tmp_path / "log.dsjson"
    file.write_text("".join(json.dumps(each) + "\n" for each in told))
    done = onearm("evaluate", str(file), "--target", "uniform")
    assert (done.code, "decisions without an outcome: 12 of 23" in done.err, "left out" in done.err) == (0, True, False)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_arms_are_counted_over_all_decisions_and_not_over_those_with_a_reward(
    onearm: Any, log: Path, tmp_path: Path, form: str
) -> None:
    """Only decisions for arm 0 were rewarded: that says nothing of the propensities."""
    whole = onearm("evaluate", str(log), "--target", "uniform", "--json").json["diagnostics"]["uniform"]["actions"]
    events = [json.loads(line) for line in log.read_text().splitlines()]
    action = {each["number"]: each["action"] for each in events if each.get("kind") == "decide"}
    if form == "jsonl":
        kept = [each for each in events if each.get("kind") != "learn" or action[each["number"]] == 0]
        file = log
        file.write_text("".join(json.dumps(each) + "\n" for each in kept))
    else:
        file = tmp_path / "table.csv"
        lines = [f"{arm},{'' if arm else 1},{1.0 / len(whole['counts'])}" for arm in action.values()]
        file.write_text("\n".join(["action,reward,propensity", *lines]) + "\n")
    done = onearm("evaluate", str(file), "--target", "uniform", "--json")
    found = done.json["diagnostics"]["uniform"]
    assert sum(whole["counts"]) == 40
    assert found["actions"]["counts"] == whole["counts"]
    assert (found["arms"]["alarm_at"], found["weights"]["alarm_at"]) == (None, None)
    assert any("no reward and are left out" in note for note in done.json["notes"])


def test_arms_that_a_format_tells_of_rewarded_decisions_alone_are_not_accused(onearm: Any, tmp_path: Path) -> None:
    file = tmp_path / "log.dsjson"
    lines = [
        {
            "_label_cost": 0,
            "_label_probability": 0.5,
            "_label_Action": 1 + i % 2,
            "_labelIndex": i % 2,
            "a": [1 + i % 2, 2 - i % 2],
            "p": [0.5, 0.5],
            "c": {"_multi": [{}, {}]},
        }
        for i in range(400)
    ]
    for line in lines[1::2]:
        del line["_label_cost"]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = onearm("evaluate", str(file), "--format", "dsjson", "--target", "uniform", "--method", "ips", "--json")
    found = done.json["diagnostics"]["uniform"]
    assert (found["actions"], found["arms"]) == (None, None)
    assert not any("mismatch" in warning or "not taken" in warning for warning in found["warnings"])


def test_events_dropped_unevenly_have_ratios_only(onearm: Any, tmp_path: Path, data_folder: Path) -> None:
    lines = (data_folder / "dsjson" / "dsjson_cb.json").read_text().splitlines()
    some = [json.loads(line) | {"pdrop": 0.9 if i % 2 else 0.0} for i, line in enumerate(lines)]
    (tmp_path / "log.dsjson").write_text("".join(json.dumps(line) + "\n" for line in some))
    asked = ("--target", "first", "--method", "ips", "--method", "snips", "--interval", "confidence-sequence")
    done = onearm("evaluate", "log.dsjson", *asked, "--json")
    ips, snips = done.json["estimates"]
    assert ips["value"] is None and "divide by the sum" in ips["note"]
    chosen = [(1 / (1 - line["pdrop"]), line) for line in some]
    weight = [kept * (line["_labelIndex"] == 0) / line["_label_probability"] for kept, line in chosen]
    total = sum(w * -line["_label_cost"] for w, line in zip(weight, some, strict=True))
    assert snips["value"] == pytest.approx(total / sum(weight)) and snips["low"] is None
    assert done.json["diagnostics"] == {"first": None}


@pytest.mark.parametrize("option", [("--learn", "0.5"), ("--model", "mean"), ("--weight-max", "3")])
def test_options_of_single_actions_are_not_for_lists(onearm: Any, option: tuple[str, str]) -> None:
    done = onearm("evaluate", "x.dsjson", "--target", "uniform", "--method", "cascade", *option)
    assert (done.code, f"{option[0]} is not for logs of lists" in done.err) == (2, True)


def test_of_a_log_that_never_draws_no_effective_sample_size_is_told(onearm: Any, tmp_path: Path) -> None:
    rows = [{"action": t % 3, "reward": t % 2, "propensity": 1.0, "context": [t % 3]} for t in range(60)]
    file = tmp_path / "sure.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = onearm("evaluate", str(file), "--target", "uniform", "--target", "logged", "--json")
    sizes = {each["target"]: each["effective_sample_size"] for each in done.json["estimates"]}
    assert sizes == {"uniform": None, "logged": 60.0}
    assert done.json["diagnostics"]["uniform"]["unreachable"] == pytest.approx(2 / 3)
    assert "66.7 % of what the target does was never tried" in done.json["diagnostics"]["uniform"]["warnings"][0]
    assert done.json["diagnostics"]["logged"]["warnings"] == [
        "the weights leave 60.0 decisions' worth of evidence: "
        "normal intervals are too short; use a confidence sequence or Clopper-Pearson"
    ]


def test_no_interval_goes_beyond_what_rewards_can_be_where_that_is_said(onearm: Any, tmp_path: Path) -> None:
    file = rewarded(tmp_path, 30)
    asked = ("--target", "action:2", "--method", "ips", "--interval", "normal", "--interval", "bootstrap", "--json")
    wide = onearm("evaluate", str(file), *asked).json["estimates"]
    assert any(each["low"] < 0.0 or each["high"] > 1.0 for each in wide)
    for each in onearm("evaluate", str(file), *asked, "--reward-range", "0:1").json["estimates"]:
        assert 0.0 <= each["low"] <= each["high"] <= 1.0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "cats.dsjson",
            '{"_label_ca":{"action":1.5,"cost":-1,"pdf_value":0.1},"c":{"x":1}}\n',
            "continuous actions, CATS",
        ),
        ("rl.dsjson", "VWFB\x01\x00\x00\x00binary", "binary log of Vowpal Wabbit's reinforcement learning library"),
    ],
)
def test_logs_of_vowpal_wabbit_that_are_not_read_are_named(
    onearm: Any, tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    done = onearm("evaluate", str(tmp_path / name), "--target", "uniform")
    assert (done.code, said in " ".join(done.err.split())) == (2, True)
    assert "cascade" not in done.err


@pytest.mark.parametrize(("option", "name"), [("--report", "page.html"), ("--plots", "pp")])
def test_what_is_drawn_takes_the_diagnostics_and_says_which_option_asked_for_it(
    onearm: Any, tmp_path: Path, option: str, name: str
) -> None:
    place = tmp_path / name
    done = onearm("evaluate", str(rewarded(tmp_path)), "--target", "uniform", "--no-diagnostics", option, str(place))
    assert (done.code, place.exists()) == (2, False)
    assert f"{option} shows how far the log can be trusted, which --no-diagnostics leaves out" in done.err


def drawn(file: Path, said: float, seed: int) -> Path:
    """Write a table of decisions of which 9 in 10 are for one of two arms, with a constant propensity."""
    rng = np.random.default_rng(seed)
    action = (rng.random(2000) < 0.1).astype(int)
    true = np.where(action == 1, 0.1, 0.9)
    rows = [
        {"action": a, "reward": r, "propensity": said if said > 0.0 else p, "age": 7 * r + a}
        for a, p, r in zip(action.tolist(), true.tolist(), rng.integers(0, 2, 2000).tolist(), strict=True)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_propensities_that_cannot_be_true_are_a_no_above_everything(onearm: Any, tmp_path: Path) -> None:
    log = str(drawn(tmp_path / "log.jsonl", 0.5, 1))
    asked = (log, "--target", "uniform", "--target", "action:1", "--baseline", "logged")
    page = tmp_path / "page.html"
    done = onearm("evaluate", *asked, "--report", str(page))
    assert done.code == 1
    first = done.out.splitlines()[0]
    assert first.startswith("NO: these propensities cannot be true (p = ")
    assert "no value below is to be trusted" in " ".join(done.out.split())
    assert "ranking" not in done.out and "worth more than" not in done.out
    html = page.read_text(encoding="utf-8")
    assert html.index("these propensities cannot be true") < html.index('class="facts"')
    assert (
        "Who is best" not in html
        and "would have earned" not in html[html.index('class="verdict"') : html.index('class="facts"')]
    )
    replayed = onearm("replay", log, "--policy", "ucb1", "--policy", "uniform", "--json")
    assert (replayed.code, replayed.json["ranking"]) == (1, [])
    assert replayed.json["verdict"].startswith("NO: ")
    named = onearm("evaluate", log, "--target", "squarecb", "--context", "named", "--json")
    assert (named.code, named.json["verdict"][:3]) == (1, "NO:")
    silent = onearm("evaluate", *asked, "--no-diagnostics", "--json")
    assert (silent.code, silent.json["verdict"]) == (0, None)


@pytest.mark.parametrize("seed", range(5))
def test_true_propensities_are_never_refuted(seed: int, onearm: Any, tmp_path: Path) -> None:
    log = str(drawn(tmp_path / "log.jsonl", 0.0, seed))
    done = onearm("evaluate", log, "--target", "uniform", "--target", "action:1", "--json")
    assert (done.code, done.json["verdict"], len(done.json["ranking"])) == (0, None, 2)
