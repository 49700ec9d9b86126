"""Targets that people bring: columns, a table by key, shares of the log, functions; and models of their own."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow
import pytest
from support.pictures import leave_empty

import onearm
from onearm.api.cli.main import run
from onearm.api.offline.own import Batch
from onearm.engine.errors import InvalidInput, NotFound
from onearm.engine.vocabulary import Array
from onearm.policies import catalog

OFFERS = ("cup", "hat", "mug")
LAW = (0.7, 0.2, 0.1)  # of cup, hat, mug


def shop(n: int = 300) -> dict[str, list[Any]]:
    """Return a log of three offers with their own logged law, and what another target would do, in many forms."""
    rng = np.random.default_rng(5)
    logged = np.array([0.2, 0.3, 0.5])
    offer = rng.choice(3, n, p=logged)
    position = rng.integers(1, 4, n)
    reward = (rng.random(n) < np.array([0.6, 0.3, 0.1])[offer]).astype(float)
    columns: dict[str, list[Any]] = {
        "visit": [f"v{i}" for i in range(n)],
        "action": [OFFERS[place] for place in offer],
        "reward": reward.tolist(),
        "propensity": logged[offer].tolist(),
        "position": position.tolist(),
        "age": rng.integers(18, 80, n).tolist(),
        "p_new": np.array(LAW)[offer].tolist(),
    }
    columns |= {f"p_{label}": [LAW[place]] * n for place, label in reversed([*enumerate(OFFERS)])}
    return columns | {f"q_{label}": [value] * n for label, value in zip(OFFERS, (0.6, 0.3, 0.1), strict=True)}


def weighted(columns: dict[str, list[Any]]) -> Array:
    """Return the weights of the target of `LAW`, float64[n]."""
    chance = np.array([LAW[OFFERS.index(label)] for label in columns["action"]])
    return chance / np.array(columns["propensity"])


def value_of(found: Any, place: int = 0) -> float:
    return found.to_dict()["estimates"][place]["value"]


def test_all_forms_of_one_law_have_the_value_that_is_computed_by_hand(tmp_path: Path) -> None:
    columns = shop()
    log = polars.DataFrame(columns)
    log.select("visit", probability="p_new").write_parquet(tmp_path / "of_logged.parquet")
    every = [
        {"visit": visit, "action": a, "propensity": p}
        for visit in columns["visit"]
        for a, p in zip(OFFERS, LAW, strict=True)
    ]
    polars.DataFrame(every[::-1]).write_csv(tmp_path / "of_every.csv")

    def mine(batch: Batch) -> Array:
        assert batch.labels == [*OFFERS]
        return np.tile(LAW, (len(batch), 1))

    targets = [
        "column:chance_new",
        "columns:p_*",
        f"table:{tmp_path / 'of_logged.parquet'}",
        f"table:{tmp_path / 'of_every.csv'}",
    ]
    log = log.rename({"p_new": "chance_new"})
    found = onearm.evaluate(log, [*targets, mine], method=["ips", "snips"])
    weight, reward = weighted(columns), np.array(columns["reward"])
    ips, snips = (weight * reward).mean(), (weight * reward).sum() / weight.sum()
    values = [each["value"] for each in found.to_dict()["estimates"]]
    assert values == pytest.approx([ips, snips] * 5, rel=1e-12)
    assert found.to_dict()["estimates"][8]["target"] == "mine"


def test_a_model_of_ones_own_is_what_dr_corrects() -> None:
    columns = shop()
    log = polars.DataFrame(columns).rename({"p_new": "chance_new"})
    asked = {"method": ["dm", "dr"], "model": "columns:q_*", "interval": ["normal", "confidence-sequence"]}
    found = onearm.evaluate(log, ["columns:p_*", "column:chance_new", "action:hat"], **asked).to_dict()["estimates"]
    weight, reward = weighted(columns), np.array(columns["reward"])
    q = np.array([{"cup": 0.6, "hat": 0.3, "mug": 0.1}[label] for label in columns["action"]])
    expected = 0.7 * 0.6 + 0.2 * 0.3 + 0.1 * 0.1
    values = {(each["target"], each["method"]): each["value"] for each in found}
    assert values["columns:p_*", "dm"] == pytest.approx(expected)
    assert values["columns:p_*", "dr"] == pytest.approx(expected + (weight * (reward - q)).mean())
    assert values["column:chance_new", "dr"] == pytest.approx((weight * reward).mean())  # all that its law tells
    assert values["action:hat", "dm"] == pytest.approx(0.3)


def test_of_two_actions_the_probability_of_one_says_that_of_the_other() -> None:
    columns = {
        "action": [0, 1, 0, 1],
        "reward": [1.0, 0.0, 1.0, 1.0],
        "propensity": [0.5] * 4,
        "new": [0.8, 0.2, 0.8, 0.2],
        "q_0": [0.9] * 4,
        "q_1": [0.4] * 4,
    }
    found = onearm.evaluate(polars.DataFrame(columns), "column:new", method="dm", model="columns:q_*")
    assert value_of(found) == pytest.approx(0.8 * 0.9 + 0.2 * 0.4)


def test_shares_of_actions_by_position_are_a_target() -> None:
    columns = shop()
    found = onearm.evaluate(polars.DataFrame(columns), "frequency:position", method="ips")
    action, position = np.array(columns["action"]), np.array(columns["position"])
    share = [(action[position == p] == a).mean() for a, p in zip(action, position, strict=True)]
    expected = (np.array(share) / np.array(columns["propensity"]) * np.array(columns["reward"])).mean()
    assert value_of(found) == pytest.approx(expected)


def test_shares_by_position_of_the_open_bandit_dataset(root: Path) -> None:
    path = root / "tests" / "data" / "obd" / "random" / "men" / "men.csv.gz"
    told = onearm.evaluate(path, ["frequency:position", "uniform"], method="snips", diagnostics=False)
    found = told.to_dict()["estimates"]
    assert found[0]["effective_sample_size"] > 5000 and abs(found[0]["value"] - found[1]["value"]) < 0.002


def test_an_action_is_named_by_its_label() -> None:
    log = polars.DataFrame(shop())
    found = onearm.evaluate(log, ["action:hat", "action:1"]).to_dict()["estimates"]
    assert found[0]["value"] == found[1]["value"]
    assert found[0]["params"] == {"action": "hat"}
    with pytest.raises(InvalidInput, match="the log has no action 'sock': it has cup, hat, mug"):
        onearm.evaluate(log, "action:sock")
    numbers = polars.DataFrame({"item_id": [10, 20, 1], "reward": [1, 0, 0], "propensity": [0.5] * 3})
    assert value_of(onearm.evaluate(numbers, "action:10")) == 1.0
    assert value_of(onearm.evaluate(numbers, "action:1")) == 0.0  # the label 1, and not the arm number 1


def test_a_function_reads_features_by_name_and_draws_for_match() -> None:
    log = polars.DataFrame(shop())

    def old_get_mugs(batch: Batch) -> Array:
        old = batch["age"] > 50
        return np.stack([~old, np.zeros(len(batch)), old], 1).astype(float)

    found = onearm.evaluate(log, {"by age": old_get_mugs}, features="age", method=["ips", "match"]).to_dict()[
        "estimates"
    ]
    old, cup, mug = log["age"] > 50, log["action"] == "cup", log["action"] == "mug"
    took = np.array((old & mug) | (~old & cup))
    assert found[0]["target"] == "by age"
    assert found[0]["value"] == pytest.approx((took * log["reward"] / log["propensity"]).mean())
    assert found[1]["value"] == pytest.approx(np.array(log["reward"])[took].mean())

    def half(batch: Batch) -> Array:
        return np.tile([0.5, 0.0, 0.5], (len(batch), 1))

    matched = [
        onearm.evaluate(log, half, method="match", seed=seed).to_dict()["estimates"][0]["matched"] for seed in (1, 1, 2)
    ]
    assert matched[0] == matched[1] != matched[2]
    chance = np.array([0.5 * (label != "hat") for label in log["action"]])
    assert abs(matched[0] - chance.sum()) < 4 * np.sqrt((chance * (1 - chance)).sum())


@pytest.mark.parametrize("frame", [polars.DataFrame, pandas.DataFrame, pyarrow.table])
def test_columns_of_a_table_that_a_function_returns_are_found_by_the_names_of_actions(frame: Any) -> None:
    columns = shop()

    def mine(batch: Batch) -> Any:
        return frame({label: np.full(len(batch), LAW[OFFERS.index(label)]) for label in ("mug", "cup", "hat")})

    found = onearm.evaluate(polars.DataFrame(columns), ["column:p_new", mine], method="ips")
    assert value_of(found, 1) == pytest.approx(value_of(found), rel=1e-12)


def test_columns_by_number_are_those_of_the_actions_where_these_have_no_names_and_else_positions() -> None:
    columns = shop()
    numbered = polars.DataFrame(columns | {"action": [OFFERS.index(label) for label in columns["action"]]})

    def by_number(batch: Batch) -> Any:
        return polars.DataFrame({str(place): np.full(len(batch), LAW[place]) for place in (2, 0, 1)})

    def by_position(batch: Batch) -> Any:
        return pandas.DataFrame(np.tile(LAW, (len(batch), 1)))

    found = onearm.evaluate(numbered, ["column:p_new", by_number, by_position], method="ips")
    assert [value_of(found, i) for i in (1, 2)] == pytest.approx([value_of(found)] * 2, rel=1e-12)
    named = onearm.evaluate(polars.DataFrame(columns), by_position, method="ips")
    assert value_of(named) == pytest.approx(value_of(found), rel=1e-12)


@pytest.mark.parametrize("names", [("mug", "cup", "pen"), ("mug", "cup"), ("mug", "cup", "hat", "pen")])
def test_a_table_of_other_names_is_refused(names: tuple[str, ...]) -> None:
    def mine(batch: Batch) -> Any:
        return polars.DataFrame({name: np.full(len(batch), 1.0 / len(names)) for name in names})

    with pytest.raises(InvalidInput, match=f"gives the columns {', '.join(names)}, and the actions are cup, hat, mug"):
        onearm.evaluate(polars.DataFrame(shop()), mine, method="ips")


def test_match_is_refused_where_nobody_says_what_a_target_chooses() -> None:
    with pytest.raises(InvalidInput, match="match needs what the target chooses"):
        onearm.evaluate(polars.DataFrame(shop()), "column:p_new", method="match")


def changed(name: str, value: Any) -> dict[str, list[Any]]:
    """Return the log with one other cell."""
    columns = shop()
    return columns | {name: [value, *columns[name][1:]]}


@pytest.mark.parametrize(
    ("columns", "asked", "what"),
    [
        (changed("p_new", 1.5), {"target": "column:p_new"}, r"p_new of line 1 is 1\.5: .*\[0, 1\]"),
        (changed("p_new", None), {"target": "column:p_new"}, "p_new of line 1 is missing"),
        (shop(), {"target": "column:p_old"}, "no column 'p_old'"),
        (shop(), {"target": "column:"}, "names nothing"),
        (shop(), {"target": "columns:p_mug"}, "has no star"),
        (shop(), {"target": "columns:z_*"}, r"no column 'z_\*'"),
        (shop(), {"target": "columns:p_*"}, "add up to 1."),  # p_new is one of them
        ({k: v for k, v in shop().items() if k not in ("p_new", "p_mug")}, {"target": "columns:p_*"}, "column p_mug"),
        (shop() | {"p_new": [True, False, True] * 100}, {"target": "column:p_new"}, "'p_new' holds true and false"),
        (shop() | {"propensity": [True] * 300}, {"target": "uniform"}, "propensities holds true and false"),
        (changed("q_mug", None), {"target": "uniform", "method": "dr", "model": "columns:q_*"}, "line 1 is no finite"),
        (shop(), {"target": "uniform", "method": "mrdr", "model": "columns:q_*"}, "mrdr fits a model of its own"),
        (shop(), {"target": lambda batch: np.ones((len(batch), 3))}, "must add up to 1"),
        (shop(), {"target": lambda batch: np.ones(len(batch))}, "of the shape"),
        (shop(), {"target": lambda batch: batch["height"]}, "no number 'height' in a context: there are none"),
        (shop(), {"target": lambda batch: batch.nothing}, "failed .AttributeError"),
        (shop(), {"target": 3}, "a target is of the type int"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_before_anything_is_estimated(
    columns: dict[str, list[Any]], asked: dict[str, Any], what: str
) -> None:
    with pytest.raises(InvalidInput, match=what):
        onearm.evaluate(polars.DataFrame(columns), **asked)


def test_a_probability_of_an_action_that_the_log_never_took_is_refused() -> None:
    columns = shop()
    columns = {k: v for k, v in columns.items() if k not in ("p_new", "p_mug")} | {"p_sock": columns["p_mug"]}
    columns["action"] = ["hat" if label == "mug" else label for label in columns["action"]]
    with pytest.raises(InvalidInput, match="p_sock, an action that this log never took"):
        onearm.evaluate(polars.DataFrame(columns), "columns:p_*")
    columns["p_sock"], columns["p_cup"] = [0.0] * 300, [0.8] * 300
    assert np.isfinite(value_of(onearm.evaluate(polars.DataFrame(columns), "columns:p_*")))


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ({"visit": ["v0"], "probability": [0.5]}, "has no line for v1, which is line 2"),
        ({"visit": ["v0", "v0"], "probability": [0.5, 0.5]}, "several lines for the same visit"),
        ({"visit": ["v0"], "score": [0.5]}, "no column of probabilities"),
        ({"visitor": ["v0"], "probability": [0.5]}, "shares no column"),
        ({"visit": ["v0"], "probability": [1.5]}, "must be in"),
        ({"visit": [f"v{i}" for i in range(300)], "action": ["hat"] * 300, "probability": [0.5] * 300}, "add up to 1"),
        ({"visit": [f"v{i}" for i in range(300)], "action": ["sock"] * 300, "probability": [1.0] * 300}, "never took"),
    ],
)
def test_tables_that_break_a_rule_are_refused(table: dict[str, list[Any]], what: str, tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    polars.DataFrame(table).write_csv(path)
    with pytest.raises(InvalidInput, match=what):
        onearm.evaluate(polars.DataFrame(shop()), f"table:{path}")


def test_a_table_that_is_not_there_is_refused() -> None:
    with pytest.raises(NotFound, match="no file"):
        onearm.evaluate(polars.DataFrame(shop()), "table:nowhere.parquet")


def test_columns_are_for_tables_alone(root: Path) -> None:
    path = root / "tests" / "data" / "dsjson" / "dsjson_cb.json"
    with pytest.raises(InvalidInput, match="targets and models of columns are for"):
        onearm.evaluate(path, "column:p", format="dsjson")


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_files_of_every_format_have_columns(form: str, tmp_path: Path) -> None:
    log = polars.DataFrame(shop())
    path = tmp_path / f"log.{form}"
    {"csv": log.write_csv, "jsonl": log.write_ndjson, "parquet": log.write_parquet}[form](path)
    assert value_of(onearm.evaluate(path, "column:p_new")) == value_of(onearm.evaluate(log, "column:p_new"))


def test_long_logs_keep_their_columns_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    log = polars.DataFrame(shop())
    expected = value_of(onearm.evaluate(log, "column:p_new"))
    monkeypatch.setattr("onearm.engine.storage.rows.MEMORY", 100)
    assert value_of(onearm.evaluate(log, "column:p_new")) == expected


def test_a_function_of_a_file_is_a_target_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "_outside", {})  # the other tests ask for all policies that there are
    leave_empty(monkeypatch)
    columns = shop(60)
    with (tmp_path / "log.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    source = (
        "import numpy as np\n\n\ndef own_rule_of_a_test(batch):\n    return np.tile([0.7, 0.2, 0.1], (len(batch), 1))\n"
    )
    (tmp_path / "own_rule_of_a_test.py").write_text(source)
    targets = ("--target", "own_rule_of_a_test", "--target", "column:p_new", "--target", "action:hat")
    given = ("--policy-file", str(tmp_path / "own_rule_of_a_test.py"), "--model", "columns:q_*", "--method", "dr")
    report = ("--report", str(tmp_path / "out.html"))
    assert run(["evaluate", str(tmp_path / "log.csv"), *targets, *given, *report]) == 0
    told = capsys.readouterr().out
    assert "own_rule_of_a_test" in told and (tmp_path / "out.html").exists()


def test_a_log_that_names_no_actions_says_their_numbers(tmp_path: Path) -> None:
    log = polars.DataFrame({"action": [0, 1, 2], "reward": [1, 0, 0], "propensity": [0.5] * 3})
    for text in ("action:x", "action:-1"):
        with pytest.raises(InvalidInput, match="say action:0 to action:2"):
            onearm.evaluate(log, text)
    with pytest.raises(InvalidInput, match="no action 7"):
        onearm.evaluate(log, "action:7")


def test_no_file_is_opened_for_a_log_that_has_no_columns(root: Path) -> None:
    path = root / "tests" / "data" / "dsjson" / "dsjson_cb.json"
    with pytest.raises(InvalidInput, match="targets and models of columns are for"):
        onearm.evaluate(path, "table:nowhere.parquet", format="dsjson")


@pytest.mark.parametrize("interval", ["confidence-sequence", "empirical-bernstein"])
def test_intervals_of_dr_hold_for_a_target_of_which_one_probability_is_known(interval: str) -> None:
    columns = shop() | {"propensity": [1 / 3] * 300}
    log = polars.DataFrame(columns).rename({"p_new": "chance_new"})
    asked = {"interval": interval, "reward_range": (-10.0, 1.0), "model": "columns:q_*"}
    ips, dr = onearm.evaluate(log, "column:chance_new", method=["ips", "dr"], **asked).to_dict()["estimates"]
    assert (dr["low"], dr["high"]) == pytest.approx((ips["low"], ips["high"]))
    assert "a model adds nothing to its weights" in dr["note"]
