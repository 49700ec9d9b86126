"""`onearm replay`: what a log is worth to another policy, and what is said about bad lines."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.worlds import BERNOULLI

from onearm.engine import estimate
from onearm.engine.replay.matching import match
from onearm.engine.simulation import simulate
from onearm.engine.storage.formats import jsonl
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

FIELDS = {
    "target",
    "policy",
    "params",
    "method",
    "interval",
    "value",
    "low",
    "high",
    "matched",
    "effective_sample_size",
}


def test_json_has_the_fields_and_figures_of_the_estimators(onearm: Any, log: Path) -> None:
    done = onearm("replay", str(log), "--policy", "ucb1", "--policy", "exp3_ix", "--seed", "5", "--json")
    assert (done.code, done.err) == (0, "")
    assert {"events", "estimates", "bad_lines", "events_per_second"} <= set(done.json)
    assert (done.json["events"], done.json["bad_lines"]) == (40, {})
    assert done.json["events_per_second"] > 0
    found = [(one["policy"], one["method"]) for one in done.json["estimates"]]
    assert found == [("ucb1", "match"), ("ucb1", "snips"), ("exp3_ix", "match"), ("exp3_ix", "snips")]
    assert all(set(one) >= FIELDS for one in done.json["estimates"])
    read = jsonl.read(log)
    for name, by_match, by_snips in (("ucb1", *done.json["estimates"][:2]), ("exp3_ix", *done.json["estimates"][2:])):
        ran = match(policies.make(name), read.problem, read.table, seed=5)
        expected = estimate.match(read.table.reward, ran.agrees)
        assert (by_match["value"], by_match["matched"]) == (expected.value, expected.matched)
        expected = estimate.snips(read.table.reward, read.table.propensity, ran.target)
        ends = estimate.normal(expected)
        assert (by_snips["value"], by_snips["low"], by_snips["high"]) == (expected.value, ends.low, ends.high)


def test_parquet_and_json_lines_give_the_same_estimates(onearm: Any, log: Path) -> None:
    common = ("simulate", "--env", BERNOULLI, "--policy", "uniform", "--horizon", "40", "--seed", "3")
    assert onearm(*common, "--log", "out.parquet").code == 0
    first, second = (onearm("replay", str(f), "--policy", "moss", "--json").json for f in (log, "out.parquet"))
    assert first["estimates"] == second["estimates"]


def test_a_table_shows_the_estimates_and_no_bar_when_piped(onearm: Any, log: Path) -> None:
    done = onearm("replay", str(log), "--policy", "ucb1")
    assert (done.code, "\r" in done.err) == (0, False)
    assert "match" in done.out and "snips" in done.out and "40 decisions" in done.out


@pytest.mark.jit  # ten thousand rows take plain Python longer than compiling
def test_the_open_bandit_sample_is_read_as_it_is(onearm: Any, data_folder: Path) -> None:
    file = data_folder / "obd" / "random" / "men" / "men.csv.gz"
    done = onearm("replay", str(file), "--format", "obd", "--policy", "uniform", "--seed", "1", "--json")
    assert (done.code, done.json["events"]) == (0, 10_000)
    by_match, by_snips = done.json["estimates"]
    # Uniform on a uniform log of 34 arms: snips is the mean click, and one row in 34 is matched.
    header, *lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    place = header.split(",").index("click")
    clicks = [float(line.split(",")[place]) for line in lines]
    assert math.isclose(by_snips["value"], np.mean(clicks), rel_tol=1e-9)
    assert abs(by_match["matched"] - 10_000 / 34) < 4 * math.sqrt(10_000 / 34)


def test_bad_lines_are_counted_and_named_and_the_rest_goes_on(onearm: Any, log: Path) -> None:
    """Line 1 is the header; decision n stands in line 2 n + 2 and its reward in the one below."""
    lines = log.read_text().splitlines()
    assert json.loads(lines[7]) == json.loads(lines[7]) | {"kind": "decide", "number": 3}
    lines[5] = "{not json"  # the decision 2: its reward in line 7 has none then
    lines[8] = lines[8].replace('"reward":', '"rewart":')
    lines[10] = json.dumps({**json.loads(lines[10]), "reward": "one"})
    lines[11] = json.dumps({**json.loads(lines[11]), "action": 7})
    lines[13] = json.dumps({**json.loads(lines[13]), "kind": "decree"})
    log.write_text("\n".join(lines)[:-4])  # the last line is cut short
    done = onearm("replay", str(log), "--policy", "ucb1", "--json")
    assert done.code == 0
    assert done.json["bad_lines"] == {
        "not_json": 1,
        "missing_field": 1,
        "wrong_type": 1,
        "bad_action": 1,
        "unknown_kind": 1,
        "truncated": 1,
        "unknown_decision": 3,
    }
    assert done.json["bad_line_numbers"] == {
        "not_json": [6],
        "missing_field": [9],
        "wrong_type": [11],
        "bad_action": [12],
        "unknown_kind": [14],
        "truncated": [81],
        "unknown_decision": [7, 13, 15],
    }
    assert done.json["events"] == 34
    shown = onearm("replay", str(log), "--policy", "ucb1")
    assert "bad lines, unknown_decision: 3 (lines 7, 13, 15)" in shown.err


def test_a_log_without_propensities_gets_match_alone_and_says_why(onearm: Any, tmp_path: Path) -> None:
    file = tmp_path / "table.jsonl"
    file.write_text("".join(f'{{"action": {i % 2}, "reward": {i % 3 / 2}}}\n' for i in range(12)))
    done = onearm("replay", str(file), "--policy", "ucb1", "--json")
    assert [one["method"] for one in done.json["estimates"]] == ["match"]
    assert "the propensity of 12 of 12 decisions is unknown" in done.json["notes"][0]
    assert "is unknown: no snips" in onearm("replay", str(file), "--policy", "ucb1").err


def test_a_log_that_was_not_uniform_is_said_to_be_for_snips(onearm: Any, tmp_path: Path) -> None:
    file = tmp_path / "table.jsonl"
    rows = [{"action": i % 2, "reward": 1, "propensity": 0.25 if i % 2 else 0.75} for i in range(12)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first = onearm("replay", str(file), "--policy", "ucb1", "--json").json["estimates"][0]
    assert "trust snips" in first["note"]


def test_nothing_matched_is_null_and_explained(onearm: Any, tmp_path: Path) -> None:
    file = tmp_path / "table.jsonl"
    file.write_text('{"action": 1, "reward": 1}\n')  # UCB1 asks for arm 0 first
    (one,) = onearm("replay", str(file), "--policy", "ucb1", "--json").json["estimates"]
    assert (one["value"], one["matched"]) == (None, 0)
    assert one["note"]
    assert onearm("replay", str(file), "--policy", "ucb1").code == 0


@pytest.mark.parametrize(
    ("name", "content", "more", "said"),
    [
        ("nothing.jsonl", None, [], "cannot be read (No such file or directory): name a file that you may read"),
        ("empty.jsonl", b"", [], "is empty"),
        ("words.jsonl", b"these are words\nand more\n", [], "holds not one good line ({'not_json': 2})"),
        ("words.parquet", b"these are words", [], "is not a Parquet file"),
        ("words.csv", b"a,b\n1,2\n", [], "its columns must name an action"),
        ("words.txt", b"{}", [], "does not end in .jsonl"),
        ("words.jsonl", b"\xff\xfe\x00", [], "begins as text in UTF-16 does"),
        ("words.jsonl", b'{"onearm": 99}\n', [], "is an export of the format 99: this version of onearm reads 1"),
        ("words.jsonl", b'{"onearm": 1}\n', [], "the header of"),
        ("words.jsonl", b'{"action": 0, "reward": 1}\n', ["--format", "parquet"], "is not a Parquet file"),
        ("words.jsonl", b'{"action": 0, "reward": 1}\n', ["--format", "xml"], "'xml' is not one of"),
        ("words.jsonl", b'{"action": 0, "reward": 1}\n', ["--policy", "ucb2"], "there is no policy 'ucb2'"),
    ],
)
def test_a_file_that_is_no_log_is_explained(
    onearm: Any, tmp_path: Path, name: str, content: bytes | None, more: list[str], said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = onearm("replay", str(tmp_path / name), "--policy", "ucb1", *more)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_folder_without_files_is_no_log(onearm: Any, tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    done = onearm("replay", str(tmp_path / "folder.jsonl"), "--policy", "ucb1")
    assert (done.code, "folder.jsonl holds no file of a log" in done.err) == (2, True)


def test_a_log_of_vowpal_wabbit_is_replayed_by_policies_of_every_kind(onearm: Any, data_folder: Path) -> None:
    """Uniform reads named features, linucb rows of numbers; snips of uniform is a sum that numpy does as well."""
    file = data_folder / "dsjson" / "dsjson_cb.json"
    done = onearm("replay", str(file), "--format", "dsjson", "--policy", "uniform", "--policy", "linucb", "--json")
    assert (done.code, done.json["events"], done.json["bad_lines"]) == (0, 23, {})
    events = [json.loads(line) for line in file.read_text().splitlines()]
    weight = np.array([0.25 / event["_label_probability"] for event in events])
    reward = np.array([-event["_label_cost"] for event in events])
    assert done.json["estimates"][1]["value"] == pytest.approx((weight * reward).sum() / weight.sum(), rel=1e-12)
    assert [one["policy"] for one in done.json["estimates"]] == ["uniform", "uniform", "linucb", "linucb"]
    fewer = onearm("replay", str(file), "--format", "dsjson", "--dimension", "8", "--policy", "linucb", "--json")
    assert fewer.code == 0
    assert fewer.json["estimates"] != done.json["estimates"][2:]


def test_a_dimension_is_for_named_features_only(onearm: Any, log: Path) -> None:
    done = onearm("replay", str(log), "--dimension", "8", "--policy", "uniform")
    assert (done.code, "--dimension is for these" in done.err) == (2, True)


def test_a_sweep_adds_policies_that_are_ranked_with_the_others(onearm: Any, log: Path) -> None:
    sweep = ("--sweep", "epsilon_greedy.epsilon=0.1,0.5")
    done = onearm("replay", str(log), "--policy", "ucb1", "--policy", "epsilon_greedy", *sweep, "--json")
    names = [each["target"] for each in done.json["estimates"] if each["method"] == "match"]
    assert names == ["ucb1", "epsilon_greedy(epsilon=0.1)", "epsilon_greedy(epsilon=0.5)"]
    assert {each["target"] for each in done.json["ranking"]} == set(names)
    alone = onearm("replay", str(log), "--policy", 'epsilon_greedy:{"epsilon":0.5}', "--json")
    assert alone.json["estimates"] == done.json["estimates"][4:]
    usual = onearm("replay", str(log), "--policy", "epsilon_greedy", *sweep, "--baseline", "epsilon_greedy", "--json")
    assert {each["baseline"] for each in usual.json["differences"]} == {"epsilon_greedy(epsilon=0.1)"}
    assert len(usual.json["ranking"]) == 2
    shown = onearm("replay", str(log), "--policy", "ucb1", *sweep)
    assert "ranking" in shown.out and "hold for all at once" in shown.out


def test_what_policies_learn_can_be_chosen(onearm: Any, log: Path) -> None:
    found = {}
    for learn in ("matched", "logged", "nothing", "0.5"):
        done = onearm("replay", str(log), "--policy", "ucb1", "--learn", learn, "--json")
        assert (done.code, done.json["events"]) == (0, 20 if learn == "0.5" else 40)
        found[learn] = [each["value"] for each in done.json["estimates"]]
    assert len({str(values) for values in found.values()}) == 4
    refused = onearm("replay", str(log), "--policy", "ucb1", "--learn", "half")
    assert (refused.code, "no share between 0 and 1" in refused.err) == (2, True)


def test_strict_stops_at_a_bad_line(onearm: Any, log: Path) -> None:
    with log.open("a") as file:
        file.write("no line\n")
    assert onearm("replay", str(log), "--policy", "ucb1").code == 0
    done = onearm("replay", str(log), "--policy", "ucb1", "--strict")
    assert (done.code, done.out) == (1, "")
    assert "bad lines, not_json: 1 (line 82)" in done.err and "--strict was said" in done.err


def test_a_replayed_policy_draws_apart_from_the_policy_that_made_the_log(onearm: Any) -> None:
    """Both have the default seed: uniform agrees with uniform in one row of three, by chance."""
    n, mean = 2000, [0.1, 0.5, 0.9]
    env = f'bernoulli:{{"mean":{mean}}}'
    assert onearm("simulate", "--env", env, "--policy", "uniform", "--horizon", str(n), "--log", "log.jsonl").code == 0
    names = ("uniform", "epsilon_greedy")
    chosen = [word for name in names for word in ("--policy", name)]
    found = onearm("replay", "log.jsonl", *chosen, "--json").json["estimates"]
    of = {(one["target"], one["method"]): one for one in found}
    for name in names:
        assert abs(of[name, "match"]["matched"] - n / 3) < 4.0 * math.sqrt(n * 2 / 9), name
    assert abs(of["uniform", "match"]["value"] - np.mean(mean)) < 4.0 * 0.47 / math.sqrt(n / 3)
    truth = simulate(
        policies.make("epsilon_greedy"), envs.make("bernoulli", mean=mean), horizon=n // 3, replications=20
    )
    played = truth.reward[:, -1] / (n // 3)
    assert abs(of["epsilon_greedy", "match"]["value"] - played.mean()) < 5.0 * played.std(ddof=1)
    assert abs(of["epsilon_greedy", "snips"]["value"] - played.mean()) < 5.0 * played.std(ddof=1)
