"""Arms of exports and of databases by the names that their experiments gave them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars
import pyarrow.parquet as pq
import pytest
from support.served import Served

import onearm
from onearm.api.cli.main import run
from onearm.engine.errors import InvalidInput

LOGS = ("database", "log.jsonl", "log.parquet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return where the log of an experiment lies, whose arm `zebra` earns 3, `ant` 1, and `late`, which joined, 7."""
    folder = tmp_path_factory.mktemp("named")
    earned = {"zebra": 3.0, "ant": 1.0, "late": 7.0}
    with Served(folder) as served:
        arms = [{"id": "zebra"}, {"id": "ant"}]
        assert served.create(arms=arms, policy={"name": "uniform"}).status_code == 201
        for part in range(2):
            for _ in range(20):
                made = served.decide().json()
                served.reward(made["decision_id"], earned[made["action_id"]])
            if part == 0:
                assert served.post("/v1/experiments/e/arms", {"id": "late"}).status_code == 201
        for form in ("jsonl", "parquet"):
            (folder / f"log.{form}").write_bytes(served.get(f"/v1/experiments/e/log?format={form}").content)
    yield folder


def place(folder: Path, log: str) -> str:
    return f"sqlite:///{folder}/run.db" if log == "database" else str(folder / log)


@pytest.mark.parametrize("log", LOGS)
def test_a_target_is_the_label_of_an_arm(folder: Path, log: str) -> None:
    asked = ["action:zebra", "action:ant", "action:late"]
    by_label, by_number = (
        [each["value"] for each in onearm.evaluate(place(folder, log), targets).to_dict()["estimates"]]
        for targets in (asked, ["action:0", "action:1", "action:2"])
    )
    assert by_label == by_number
    assert by_label[:2] == pytest.approx([3.0, 1.0]) and by_label[2] > 3.0  # while it was not there, another was taken


@pytest.mark.parametrize("log", LOGS)
def test_a_label_that_is_not_there_is_refused_with_those_that_are(folder: Path, log: str) -> None:
    with pytest.raises(InvalidInput, match="no action 'bee': it has zebra, ant, late"):
        onearm.evaluate(place(folder, log), "action:bee")


@pytest.mark.parametrize("log", LOGS)
def test_a_log_that_was_read_names_its_arms(folder: Path, log: str) -> None:
    found = onearm.read_log(place(folder, log))
    assert found.arms == ["zebra", "ant", "late"]
    earned = dict(zip(found.to_dict()["action"], found.to_dict()["reward"], strict=True))
    assert earned == {"zebra": 3.0, "ant": 1.0, "late": 7.0}


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_labels_of_a_table_are_handed_on_where_it_is_converted(tmp_path: Path, form: str) -> None:
    table, export = tmp_path / "log.csv", tmp_path / f"log.{form}"
    table.write_text("action,reward,propensity\nmug,1,0.5\nhat,0,0.5\nmug,1,0.5\n")
    assert run(["convert", str(table), str(export)]) == 0
    assert onearm.evaluate(export, "action:mug").to_dict()["estimates"][0]["value"] == 1.0


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return where the exports of a log of named features lie, of which a reward was corrected from 0 to 5."""
    folder = tmp_path_factory.mktemp("corrected")
    with Served(folder) as served:
        body = {"arms": [{"id": "sale"}, {"id": "plain"}], "problem": {"context": {"kind": "features"}}}
        assert served.create(**body, policy={"name": "uniform"}).status_code == 201
        for number in range(10):
            made = served.decide({"context": {"user": {"country": "de" if number % 2 else "fr"}}}).json()
            served.reward(made["decision_id"], 0.0)
        path = f"/v1/experiments/e/decisions/{made['decision_id']}/reward"
        assert served.client.put(path, content=b'{"value": 5.0}').status_code == 200
        for rows in ("events", "decisions"):
            for form in ("jsonl", "parquet"):
                answer = served.get(f"/v1/experiments/e/log?format={form}&rows={rows}")
                (folder / f"{rows}.{form}").write_bytes(answer.content)
    yield folder


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("rows", ["events", "decisions"])
def test_arms_of_named_features_have_their_labels(corrected: Path, rows: str, form: str) -> None:
    path = corrected / f"{rows}.{form}"
    by_label, by_number = (
        onearm.evaluate(path, target).to_dict()["estimates"][0]["value"] for target in ("action:sale", "action:0")
    )
    assert by_label == by_number
    with pytest.raises(InvalidInput, match="no action 'bee': it has sale, plain"):
        onearm.evaluate(path, "action:bee")


@pytest.mark.parametrize("rows", ["events", "decisions"])
def test_an_export_as_a_table_in_memory_is_refused_for_its_path(corrected: Path, rows: str) -> None:
    path = corrected / f"{rows}.parquet"
    assert onearm.evaluate(path, "logged").to_dict()["estimates"][0]["value"] == 0.5
    for table in (polars.read_parquet(path), pq.read_table(path).to_pandas()):
        for target in ("logged", "uniform"):
            with pytest.raises(InvalidInput, match=r"of an export of onearm.*hand over the path of its file"):
                onearm.evaluate(table, target)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_segments_by_a_named_feature_are_those_of_the_database(corrected: Path, form: str) -> None:
    for segment in ("user.country", "context[0]"):
        with pytest.raises(InvalidInput, match="named features, and segments by them need its database"):
            onearm.evaluate(corrected / f"events.{form}", "logged", segment=segment)
    found = onearm.evaluate(f"sqlite:///{corrected}/run.db", "logged", segment="user.country").to_dict()
    assert [each["segment"] for each in found["segments"]] == ["fr", "de"]
