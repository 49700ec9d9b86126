"""Tables as people have them: what cannot be read of them is said with its reason, and what may be meant otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest

import onearm
from onearm.engine.errors import InvalidInput

HEADER = "action,reward,propensity"
GOOD = ("a,1,0.5", "b,0,0.5", "a,0,0.5", "b,1,0.5")


def table(tmp_path: Path, *lines: str, end: str = "\n", name: str = "log.csv") -> str:
    (tmp_path / name).write_bytes("".join(line + end for line in lines).encode())
    return str(tmp_path / name)


def said_of(onearm: Any, log: str, *asked: str) -> str:
    done = onearm("evaluate", log, "--target", "uniform", "--method", "snips", *asked)
    return " ".join((done.out + done.err).split())


def test_a_header_without_a_row_is_told_so(onearm: Any, tmp_path: Path) -> None:
    said = said_of(onearm, table(tmp_path, HEADER))
    assert "log.csv has columns and not one row" in said
    assert "name its format" not in said


@pytest.mark.parametrize("library", [pandas.DataFrame, polars.DataFrame, pa.table])
def test_a_frame_without_a_row_is_told_so(library: Callable[[Any], Any]) -> None:
    empty = library({"action": pa.array([], pa.int64()), "reward": pa.array([], pa.float64())})
    with pytest.raises(InvalidInput, match=r"^the table has columns and not one row: ") as refused:
        onearm.evaluate(empty, "uniform")
    assert "docs/logs.md" not in str(refused.value)


def test_a_log_without_a_reward_is_told_so(onearm: Any, tmp_path: Path) -> None:
    said = said_of(onearm, table(tmp_path, HEADER, "a,,0.5", "b,,0.5"))
    assert "log.csv has 2 decisions, and no reward of any: its rewards are in the column 'reward'" in said


def test_lines_that_end_in_a_return_alone_are_told_so(onearm: Any, tmp_path: Path) -> None:
    said = said_of(onearm, table(tmp_path, HEADER, *GOOD, end="\r"))
    assert "the lines of" in said and "end in a return alone: save it with newlines" in said


def test_a_cell_with_a_line_break_is_told_so(onearm: Any, tmp_path: Path) -> None:
    lines = (f'{row},"one\ntwo"' for row in GOOD)
    said = said_of(onearm, table(tmp_path, f"{HEADER},note", *lines))
    assert (
        "line 2 does not have the 4 cells of the header: a row is one line, and no cell of it holds a line break"
        in said
    )
    said = said_of(onearm, table(tmp_path, HEADER, *GOOD, "a,1"))
    assert "bad lines, broken: 1 (line 6); line 6 does not have the 3 cells of the header" in said


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (("1,1,0.5", "0,0,0.5", "none,1,0.5"), "line 4: 'action' is 'none': it must be the number of an arm, from 0"),
        (("1,1,0.5", "0,0,0.5", "-1,1,0.5"), "line 4: 'action' is '-1': it must be the number of an arm, from 0"),
        (("a,1,0.5", "b,0,0.5", ",1,0.5"), "line 4: 'action' is '': it must name what was chosen"),
    ],
)
def test_an_action_that_cannot_be_read_is_told_with_its_cell(
    onearm: Any, tmp_path: Path, lines: tuple[str, ...], why: str
) -> None:
    assert why in said_of(onearm, table(tmp_path, HEADER, *lines))


def test_an_action_beyond_the_number_of_arms_is_told_with_it(onearm: Any, tmp_path: Path) -> None:
    said = said_of(onearm, table(tmp_path, HEADER, "1,1,0.5", "0,0,0.5", "2,1,0.5"), "--arms", "2")
    assert "line 4: 'action' is '2': it must be the number of an arm, from 0 to 1" in said


@pytest.mark.parametrize(
    ("reward", "hint"),
    [
        ("1,5", "with a point in place of a comma"),
        ("1,234.5", "as 1234.5"),
        ("1.234,5", "as 1234.5"),
        ("Yes", "as 1 for yes"),
        ("no", "as 1 for yes"),
    ],
)
def test_a_reward_in_other_writing_is_told_how_to_write_it(onearm: Any, tmp_path: Path, reward: str, hint: str) -> None:
    said = said_of(onearm, table(tmp_path, HEADER.replace(",", ";"), f"a;{reward};0.5", "b;0;0.5"))
    assert f"'reward' is '{reward}': " in said
    assert f", {hint}" in said


ARMS = [1, 3, 2, 3, 1, 2] * 5


@pytest.mark.parametrize("form", ["csv", "jsonl", "lists", "parquet", "frame"])
def test_arms_that_are_not_numbered_from_0_are_told(tmp_path: Path, form: str) -> None:
    frame = pandas.DataFrame({"action": ARMS, "reward": [1.0, 0.0] * 15, "propensity": 1 / 3})
    if form == "csv":
        frame.to_csv(tmp_path / "log.csv", index=False)
    if form == "jsonl":
        frame.to_json(tmp_path / "log.jsonl", orient="records", lines=True)
    if form == "lists":
        rows = [row | {"context": [1.0]} for row in frame.to_dict("records")]
        (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if form == "parquet":
        frame.to_parquet(tmp_path / "log.parquet")
    data: Any = frame if form == "frame" else next(tmp_path.iterdir())
    found = onearm.evaluate(data, "uniform", method="ips")
    note = (
        "no row has an action below 1, and the arms are 0 to 3: if they are numbered from 1, or are ids, "
        "call their column action_id"
    )
    assert note in found.notes
    named = frame.rename(columns={"action": "action_id"})
    assert onearm.evaluate(named, "uniform", method="ips").to_dict()["estimates"][0]["value"] == pytest.approx(0.5)


def test_arms_from_0_are_no_news(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"action": [2, 0, 2], "reward": [1.0, 0.0, 1.0], "propensity": 1 / 3})
    assert not any("no row has an action" in note for note in onearm.evaluate(frame, "uniform").notes)


def test_a_feature_of_numbers_in_other_writing_is_told() -> None:
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({"action": rng.integers(0, 2, 40), "reward": rng.random(40), "propensity": 0.5})
    for form in ("{}.50 €", "{}%", "1.1{:02},5", "1 000 {}"):
        cells = [form.format(x) for x in range(40)]
        found = onearm.evaluate(frame.assign(price=cells), "squarecb", features="price")
        assert any("price (40 labels, and no numbers: these are written as 1234.5)" in note for note in found.notes)
    for form in ("Q{}", "{}-99", "{} rooms"):
        cells = [form.format(x) for x in range(40)]
        found = onearm.evaluate(frame.assign(price=cells), "squarecb", features="price")
        assert any("price (40 labels)" in note for note in found.notes)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (pandas.cut(pandas.Series(range(4)), [-1, 1, 4]), "'age' of the type .*: a cell must hold a number, a text or"),
        ([b"\xff\xfe", b"a", b"b", b"c"], "'age' of bytes that are no text in UTF-8"),
    ],
)
def test_cells_that_are_no_texts_are_refused_in_words(cells: Any, said: str) -> None:
    frame = pandas.DataFrame({"action": [0, 1, 0, 1], "reward": 1.0, "propensity": 0.5, "age": cells})
    with pytest.raises(InvalidInput, match=said):
        onearm.evaluate(frame, "linucb", features="age")


def test_one_of_a_thing_is_told_as_one(onearm: Any, tmp_path: Path) -> None:
    log = table(tmp_path, HEADER, "a,1,0.5", "a,x,0.5")
    done = onearm("evaluate", log, "--target", "uniform", "--method", "snips")
    assert "1 decision, logged mean reward 1" in " ".join(done.out.split())
    assert "bad lines, bad_reward: 1 (line 3); line 3: " in done.err
    assert "contexts are 1 number: " in said_of(
        onearm,
        table(tmp_path, f"{HEADER},age", "a,1,0.5,3", "b,1,0.5,4", name="aged.csv"),
        "--features",
        "age",
        "--target",
        "linucb",
    )
    done = onearm("convert", log, str(tmp_path / "one.jsonl"))
    assert f"1 decision, 1 reward of {log} (csv)" in done.err
    done = onearm("convert", log, str(tmp_path / "one.jsonl"), "--strict")
    assert f"1 line is bad in {log}, so" in done.err
    assert onearm("evaluate", log, "--target", "uniform", "--strict").err.endswith(
        "onearm: 1 line is bad, and --strict was said: mend or leave them out\n"
    )
    world = ("--env", 'bernoulli:{"mean":[0.1,0.5]}', "--policy", "uniform", "--horizon", "1")
    assert "bernoulli, 1 trial, 1 replication" in onearm("simulate", *world).out
    assert "1 decision of uniform in" in onearm("simulate", *world, "--log", str(tmp_path / "run.jsonl")).err


def test_labels_in_other_letters_than_utf_8_are_told(onearm: Any, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(f"{HEADER}\ncaf\xe9,1,0.5\nth\xe9,0,0.5\n".encode("latin-1"))
    said = said_of(onearm, str(tmp_path / "log.csv"))
    assert "labels hold letters that are not in UTF-8, which stand as \ufffd: save the table in UTF-8" in said
    (tmp_path / "log.csv").write_text(f"{HEADER}\ncaf\xe9,1,0.5\nth\xe9,0,0.5\n", encoding="utf-8")
    assert "UTF-8" not in said_of(onearm, str(tmp_path / "log.csv"))


FUNCTION = """
def rule(batch):
    some = 0
    return 1 / some
"""


def test_a_function_that_fails_is_told_with_its_line(onearm: Any, tmp_path: Path) -> None:
    log = table(tmp_path, HEADER, *GOOD)
    rule = tmp_path / "rule.py"
    rule.write_text(FUNCTION)
    done = onearm("evaluate", log, "--policy-file", str(rule), "--target", "rule")
    assert "rule(batch) failed (ZeroDivisionError: division by zero, in line 4 of rule.py)" in done.err
    other = rule.rename(tmp_path / "other_rule.py")
    other.write_text(FUNCTION.replace("rule", "other_rule"))
    asked = ("--env", "bernoulli", "--policy-file", str(other), "--policy", "other_rule", "--horizon", "5")
    done = onearm("simulate", *asked)
    assert (done.code, "'other_rule' is a target for evaluate, and no policy" in done.err) == (2, True)


def test_a_function_that_returns_nothing_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nothing\(batch\) returns nothing: it must return float64\[n, k\]"):
        onearm.evaluate(table(tmp_path, HEADER, *GOOD), {"nothing": lambda batch: None})


@pytest.mark.parametrize("what", ["horizon", "passes", "replications", "seed"])
@pytest.mark.parametrize("given", [1.5, "100", [1]])
def test_what_must_be_whole_in_a_simulation_is_told(what: str, given: Any) -> None:
    asked = ({} if what == "passes" else {"horizon": 10}) | {what: given}
    with pytest.raises(InvalidInput, match=f"^{what} is .*: it must be a whole number$"):
        onearm.simulate("bernoulli", "uniform", **asked)


def test_numbers_of_numpy_are_whole_ones_and_dates_are_moments() -> None:
    of_numpy = onearm.simulate("bernoulli", "uniform", horizon=np.int64(20), seed=np.uint8(3), replications=np.int32(2))
    plain = onearm.simulate("bernoulli", "uniform", horizon=20, seed=3, replications=2)
    assert of_numpy.to_dict()["runs"][0]["reward_mean"] == plain.to_dict()["runs"][0]["reward_mean"]
    days = pandas.date_range("2026-01-01", periods=10)
    frame = pandas.DataFrame({"action": [0, 1] * 5, "reward": 1.0, "propensity": 0.5, "time": days})
    since = onearm.evaluate(frame, "uniform", since=date(2026, 1, 4), seed=np.int64(1)).to_dict()
    assert since["events"] == onearm.evaluate(frame, "uniform", since="2026-01-04").to_dict()["events"] == 7


def test_what_a_path_is_refused_for_is_named_as_an_argument() -> None:
    with pytest.raises(InvalidInput, match=r"rename it or say format$"):
        onearm.evaluate("log.xlsx", "uniform")


def test_what_a_decision_loses_is_counted_once(onearm: Any, tmp_path: Path) -> None:
    done = onearm("convert", table(tmp_path, HEADER, *GOOD), "log.li", "--lossy", "--json")
    assert done.json["left_out"] == {"propensity": 4}
