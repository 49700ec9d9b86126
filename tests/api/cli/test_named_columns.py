"""`onearm evaluate` and `replay` on tables of people: columns by name, and none dropped in silence."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

OFFERS = ("mug", "hat", "cup")


def shop(tmp_path: Path, n: int = 3000) -> Path:
    """Write a log of three offers drawn evenly, of which each country buys another one; age says nothing."""
    rng = np.random.default_rng(7)
    path = tmp_path / "log.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["offer", "bought", "chance", "country", "device", "age", "margin"])
        for country, device, offer in zip(*rng.integers(0, 3, (3, n)).tolist(), strict=True):
            bought = int(rng.random() < (0.6 if offer == country else 0.1))
            age = "" if rng.random() < 0.1 else int(rng.integers(18, 80))
            writer.writerow([OFFERS[offer], bought, 1 / 3, f"land {country}", f"device {device}", age, 2 * bought])
    return path


ROLES = ("--action", "offer", "--reward", "bought", "--propensity", "chance")


@pytest.mark.jit  # three thousand rows of a regression
def test_features_by_name_are_learned(onearm: Any, tmp_path: Path) -> None:
    log = str(shop(tmp_path))
    features = ("--features", "country,device,age")
    done = onearm("evaluate", log, *ROLES, *features, "--target", "linucb", "--target", "action:0", "--json")
    value = {each["target"]: each["value"] for each in done.json["estimates"]}
    assert value["linucb"] > 0.5  # of .6; whoever does not know the country gets .27
    assert value["action:0"] == pytest.approx(0.27, abs=0.04)
    assert done.json["unused_columns"] == ["margin"]
    contexts = "contexts are 8 numbers: country (3 labels), device (3 labels), age (number, "
    assert any(note.startswith(contexts) for note in done.json["notes"])
    told = onearm("evaluate", log, *ROLES, *features, "--target", "linucb", "--segment", "country")
    assert contexts in " ".join(told.err.split())
    assert "columns that were not read: margin" in " ".join(told.err.split())


def test_a_target_that_reads_contexts_is_refused_where_nobody_named_them(onearm: Any, tmp_path: Path) -> None:
    log = str(shop(tmp_path, 30))
    done = onearm("evaluate", log, *ROLES, "--target", "linucb")
    assert done.code == 2
    said = " ".join(done.err.split())
    assert "linucb decides by the context" in said
    assert "choose among 'country', 'device', 'age', 'margin' by --features A,B,C" in said
    replayed = onearm("replay", log, *ROLES, "--policy", "linucb")
    assert (replayed.code, "--features" in replayed.err) == (2, True)


def test_targets_that_read_no_contexts_need_no_features(onearm: Any, tmp_path: Path) -> None:
    done = onearm("evaluate", str(shop(tmp_path, 30)), *ROLES, "--target", "uniform", "--target", "action:1", "--json")
    assert done.code == 0
    assert done.json["unused_columns"] == ["country", "device", "age", "margin"]


def test_columns_of_what_is_no_table_are_refused(onearm: Any, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    made = onearm("simulate", "--env", "bernoulli", "--policy", "uniform", "--horizon", "20", "--log", str(log))
    assert made.code == 0
    done = onearm("evaluate", str(log), "--target", "uniform", "--features", "a")
    assert (done.code, "is no table of decisions" in " ".join(done.err.split())) == (2, True)
    lists = onearm("evaluate", str(log), "--target", "uniform", "--method", "cascade", "--features", "a")
    assert (lists.code, "single decisions" in " ".join(lists.err.split())) == (2, True)


def table(tmp_path: Path, header: str, *lines: str, encoding: str = "utf-8") -> str:
    (tmp_path / "table.csv").write_text("\n".join([header, *lines, ""]), encoding=encoding)
    return str(tmp_path / "table.csv")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("a;1;0,25", "line 2: 'propensity' is '0,25': it must be a number in (0, 1], with a point in place of a comma"),
        ("a;1;25%", "line 2: 'propensity' is '25%': it must be a number in (0, 1], as 0.5 for 50 %"),
        ("a;1;0", "line 2: 'propensity' is '0': it must be a number in (0, 1]"),
        ("a;yes;0.5", "line 2: 'reward' is 'yes': it must be a number from -1e+100 to 1e+100, or true and false"),
        ("a;1_0;0.5", "line 2: 'reward' is '1_0': it must be a number"),
    ],
)
def test_a_cell_that_cannot_be_read_is_told_with_its_value(onearm: Any, tmp_path: Path, cells: str, said: str) -> None:
    asked = ("--target", "uniform", "--method", "snips")
    done = onearm("evaluate", table(tmp_path, "action;reward;propensity", cells), *asked)
    assert (done.code, said in done.err) == (2, True), done.err
    good = "b;0;0.5"
    done = onearm("evaluate", table(tmp_path, "action;reward;propensity", cells, good, good), *asked, "--json")
    assert (done.code, done.json["events"]) == (0, 2)
    assert any(reason.startswith(said) for reason in done.json["bad_line_reasons"].values())


def test_a_feature_that_cannot_be_read_is_told_with_its_value(onearm: Any, tmp_path: Path) -> None:
    lines = [f"a,{place % 2},0.5,{20 + place}" for place in range(8)]
    log = table(tmp_path, "action,reward,propensity,age", *lines, "b,1,0.5,30-40")
    done = onearm("evaluate", log, "--features", "age", "--target", "uniform", "--method", "dr", "--json")
    reason = "the feature 'age' is '30-40' in a line, and a number in most: mend or empty it"
    assert done.json["bad_line_reasons"] == {"bad_context": reason}


@pytest.mark.parametrize(("when", "kind"), [("31.1.2026", "2 labels, and no times: "), ("2026-01-31", "time")])
def test_dates_that_are_not_in_iso_8601_are_told(onearm: Any, tmp_path: Path, when: str, kind: str) -> None:
    lines = [f"a,{place % 2},0.5,{when.replace('31', f'3{place % 2}', 1)}" for place in range(8)]
    log = table(tmp_path, "action,reward,propensity,when", *lines)
    done = onearm("evaluate", log, "--features", "when", "--target", "uniform", "--method", "dr", "--json")
    (note,) = (note for note in done.json["notes"] if note.startswith("contexts are"))
    assert f"when ({kind}" in note and "1 label of" in done.json["notes"][0]


def test_of_many_columns_that_were_not_read_the_note_names_some(onearm: Any, tmp_path: Path) -> None:
    more = [f"c{place}" for place in range(200)]
    log = table(tmp_path, ",".join(["action,reward,propensity", *more]), ",".join(["0,1,0.5", *["7"] * 200]))
    done = onearm("evaluate", log, "--target", "uniform", "--method", "snips", "--json").json
    assert done["unused_columns"] == more
    assert done["notes"][-1] == f"columns that were not read: {', '.join(more[:20])} and 180 more"


def test_one_of_two_columns_of_a_name_is_not_read_in_silence(onearm: Any, tmp_path: Path) -> None:
    log = table(tmp_path, "action,reward,propensity,reward,age,age", "a,1,0.5,0,1,2", "b,0,0.5,1,3,4")
    done = onearm("evaluate", log, "--target", "uniform")
    assert (done.code, "has two columns 'reward': rename one of them" in done.err) == (2, True)
    log = table(tmp_path, "action,reward,propensity,age,age", "a,1,0.5,1,2", "b,0,0.5,3,4")
    assert onearm("evaluate", log, "--target", "uniform", "--method", "snips").code == 0
    done = onearm("evaluate", log, "--features", "age", "--target", "uniform", "--method", "dr")
    assert (done.code, "has two columns 'age'" in done.err) == (2, True)


def test_a_table_in_utf_16_is_told_so_and_one_of_bars_is_read(onearm: Any, tmp_path: Path) -> None:
    log = table(tmp_path, "action,reward,propensity", "a,1,0.5", encoding="utf-16-le")
    done = onearm("evaluate", log, "--target", "uniform")
    assert (done.code, "is no text in UTF-8: save it as such" in done.err) == (2, True)
    log = table(tmp_path, "action|reward|propensity", "a|1|0.5", "b|0|0.5")
    assert onearm("evaluate", log, "--target", "logged", "--method", "snips", "--json").json["events"] == 2


def lines_of(tmp_path: Path, text: str, name: str = "log.jsonl", encoding: str = "utf-8") -> str:
    (tmp_path / name).write_text(text, encoding=encoding)
    return str(tmp_path / name)


ROWS = [{"action": "ab"[place % 2], "reward": 1, "propensity": 0.5} for place in range(150)]


def test_a_mark_before_json_lines_loses_no_row(onearm: Any, tmp_path: Path, log: Path) -> None:
    table = lines_of(tmp_path, "".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8-sig")
    done = onearm("evaluate", table, "--target", "uniform", "--method", "snips", "--json")
    assert (done.json["events"], done.json["bad_lines"]) == (150, {})
    assert onearm("convert", table, "back.jsonl", "--json").json["decisions"] == 150
    export = lines_of(tmp_path, log.read_text(), "export.jsonl", encoding="utf-8-sig")
    assert onearm("verify", export).code == 0


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_is_told_from_lines(onearm: Any, tmp_path: Path, indent: int | None) -> None:
    done = onearm("evaluate", lines_of(tmp_path, json.dumps(ROWS, indent=indent), "log.json"), "--target", "uniform")
    assert (done.code, "log.json is one JSON array: write a line for each of its rows" in done.err) == (2, True)
    done = onearm("evaluate", lines_of(tmp_path, json.dumps(ROWS[0]), encoding="utf-16"), "--target", "uniform")
    assert (done.code, "begins as text in UTF-16 does: save it in UTF-8" in done.err) == (2, True)


def test_a_key_that_comes_late_is_found_where_it_is_named(onearm: Any, tmp_path: Path) -> None:
    rows = [*ROWS, *({**row, "age": 20 + place} for place, row in enumerate(ROWS))]
    table = lines_of(tmp_path, "".join(json.dumps(row) + "\n" for row in rows))
    done = onearm("evaluate", table, "--features", "age", "--target", "uniform", "--method", "dr", "--json")
    assert "contexts are 2 numbers: age (number, 150 missing)" in done.json["notes"], done.err
    done = onearm("evaluate", table, "--features", "size", "--target", "uniform", "--method", "dr")
    assert "has no column 'size': it has action, reward, propensity, age" in done.err
