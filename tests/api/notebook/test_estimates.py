"""`onearm.evaluate` and `onearm.replay` in Python: what the commands say, of tables in memory too."""

from __future__ import annotations

import json
import pickle
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest
from matplotlib.figure import Figure
from rich.console import Console
from support.pictures import leave_empty

import onearm
from onearm.api.cli.main import run
from onearm.api.notebook import frames
from onearm.api.offline.tables import tables_of, title_of
from onearm.engine.errors import Damaged, InvalidInput, Unavailable
from onearm.policies import catalog

FEATURES = ["country", "age"]


def shop(n: int = 40) -> dict[str, list[Any]]:
    """Return a log of three offers drawn evenly, of which each country buys another one."""
    rng = np.random.default_rng(7)
    country, offer = rng.integers(0, 3, (2, n))
    bought = rng.random(n) < np.where(country == offer, 0.6, 0.1)
    return {
        "action": [("mug", "hat", "cup")[place] for place in offer],
        "reward": bought.astype(int).tolist(),
        "propensity": [1 / 3] * n,
        "country": [f"land {place}" for place in country],
        "age": rng.integers(18, 80, n).tolist(),
    }


TABLES: dict[str, Any] = {
    "pandas": pandas.DataFrame,
    "polars": polars.DataFrame,
    "arrow": pa.table,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the same log as a file."""
    file = tmp_path / "log.csv"
    pandas.DataFrame(shop()).to_csv(file, index=False)
    return file


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Return the JSON of a command."""
    capsys.readouterr()
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_evaluate_says_what_the_command_says(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = onearm.evaluate(
        path,
        ["linucb", "uniform"],
        features=FEATURES,
        method=["snips", "dr"],
        interval=("normal", "bootstrap"),
        baseline="logged",
        segment="country",
        level=0.9,
        seed=3,
    ).to_dict()
    targets = ("--target", "linucb", "--target", "uniform", "--baseline", "logged", "--segment", "country")
    ways = ("--method", "snips", "--method", "dr", "--interval", "normal", "--interval", "bootstrap")
    told = said(
        capsys, "evaluate", str(path), *targets, *ways, "--features", "country,age", "--level", ".9", "--seed", "3"
    )
    assert found.pop("events_per_second") > 0.0 < told.pop("events_per_second")
    assert found == told


def test_replay_says_what_the_command_says(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = onearm.replay(path, [catalog.make("ucb1"), "uniform"], sweep="ucb1.alpha=0.5,2").to_dict()
    policies = ("--policy", "ucb1", "--policy", "uniform", "--sweep", "ucb1.alpha=0.5,2")
    told = said(capsys, "replay", str(path), *policies)
    for each in (found, told):
        del each["events_per_second"]
    assert found == told


@pytest.mark.parametrize("library", TABLES)
def test_a_table_in_memory_is_evaluated_as_its_file_is(library: str, path: Path) -> None:
    of_file = onearm.evaluate(path, "linucb", features=FEATURES).to_dict()
    found = onearm.evaluate(TABLES[library](shop()), "linucb", features="country,age").to_dict()
    assert found["estimates"] == of_file["estimates"] and found["notes"] == of_file["notes"]


def test_a_frame_is_of_the_library_of_the_data() -> None:
    for library in (pandas, polars):
        found = onearm.evaluate(library.DataFrame(shop()), ["uniform", "action:1"])
        frame = found.to_frame()
        assert isinstance(frame, library.DataFrame)
        assert list(frame["target"]) == ["uniform", "action:1"]
        assert frame["value"][0] == found.to_dict()["estimates"][0]["value"]
        assert list(found.to_frame("ranking")["rank_first"]) == [1, 1]
    with pytest.raises(InvalidInput, match="there is no table 'segments': there are estimates, ranking"):
        found.to_frame("segments")


def test_a_frame_without_a_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = onearm.evaluate(pa.table(shop()), "uniform")
    assert type(found.to_frame()).__module__.partition(".")[0] in frames.LIBRARIES
    monkeypatch.setattr(frames, "LIBRARIES", ("no_such_library",))
    with pytest.raises(Unavailable, match="install one, or take to_dict"):
        found.to_frame()


def test_results_show_themselves() -> None:
    table = polars.DataFrame(shop() | {"<b>": [1] * 40})
    found = onearm.evaluate(table, "uniform", method="snips")
    text, page = repr(found), found._repr_html_()
    assert text.startswith("40 decisions, logged mean reward ") and "95 % normal intervals" in text
    assert "target   method  value" in text
    assert page.count("<tr>") == 2 and "columns that were not read: country, age, &lt;b&gt;" in page
    assert "effective sample size</th>" in page


def test_plots_are_axes() -> None:
    found = onearm.evaluate(polars.DataFrame(shop()), ["uniform", "action:1"])
    own = Figure().subplots()
    axes = found.plot(ax=own)
    assert axes is own
    assert [label.get_text() for label in axes.get_yticklabels()] == ["uniform", "action:1"]
    dots = [line.get_xdata()[0] for line in axes.get_lines()]
    values = [each["value"] for each in found.to_dict()["estimates"]]
    assert dots == [*values, pytest.approx(found.to_dict()["logged_mean"])]
    with pytest.raises(InvalidInput, match="ax is 3: give axes of matplotlib"):
        found.plot(ax=3)


def test_results_are_small_frozen_and_survive_a_pickle() -> None:
    found = onearm.evaluate(polars.DataFrame(shop(400)), "uniform")
    assert pickle.loads(pickle.dumps(found)) == found
    assert len(pickle.dumps(found)) < 10_000
    with pytest.raises(AttributeError):
        found.data = {}  # type: ignore[misc]
    found.to_dict()["estimates"].clear()
    assert found.to_dict()["estimates"]


def test_bad_lines_are_told_and_refused_where_asked(path: Path) -> None:
    table = polars.DataFrame(shop() | {"reward": [1e300, *shop()["reward"][1:]]})
    found = onearm.evaluate(table, "uniform")
    (told,) = (note for note in found.notes if note.startswith("bad lines"))
    assert told.startswith("bad lines, bad_reward: 1 (line 1); line 1: 'reward' is '1e+300': it must be a number from")
    with pytest.raises(Damaged, match=r"bad_reward: 1 \(line 1\)"):
        onearm.evaluate(table, "uniform", strict=True)


@pytest.mark.parametrize(
    ("data", "asked", "what"),
    [
        ({"action": [0]}, {}, "data is of the type dict: hand over a path"),
        (polars.DataFrame(shop()).lazy(), {}, r"what collect\(\) returns"),
        (polars.DataFrame(shop()), {"method": "cascade"}, "lists, which the command"),
        (polars.DataFrame(shop()), {"method": "best"}, "there is no method 'best'"),
        (polars.DataFrame(shop()), {"interval": "wide"}, "there is no interval 'wide'"),
        (polars.DataFrame(shop()), {"model": "forest"}, "there is no model 'forest'"),
        (polars.DataFrame(shop()), {"format": "csv"}, "the table is in memory"),
        (polars.DataFrame(shop()), {"reward_is": "loss"}, "say reward or cost"),
        (polars.DataFrame(shop()), {"features": ["cuntry"]}, "the table has no column 'cuntry'"),
        (polars.DataFrame(shop()), {"target": "linucb"}, "choose among 'country', 'age'"),
        (polars.DataFrame(shop()), {"since": "soon"}, "'soon' is no time"),
        (polars.DataFrame(shop()), {"level": 95}, "level is 95"),
        (polars.DataFrame(shop()), {"level": "high"}, "level is 'high'"),
        (polars.DataFrame(shop()), {"reward_range": (1, 0)}, "two numbers that ascend"),
        (polars.DataFrame(shop()), {"reward_range": 5}, "two numbers that ascend"),
        (polars.DataFrame(shop()), {"weight_limit": -1.0}, "finite number above 0"),
        (polars.DataFrame(shop()), {"learn": "all"}, "a policy learns matched"),
        (polars.DataFrame(shop()), {"model": 3}, "there is no model 3"),
        (polars.DataFrame(shop()), {"target": []}, "name at least one"),
        (polars.DataFrame(shop()).head(0), {}, "not one row"),
        ("no_such.csv", {}, "no_such.csv"),
    ],
)
def test_what_makes_no_sense_is_refused(data: Any, asked: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        onearm.evaluate(data, **{"target": "uniform"} | asked)


def test_a_label_that_a_person_gave_can_be_the_baseline() -> None:
    found = onearm.evaluate(polars.DataFrame(shop()), {"mugs": "action:mug", "any": "uniform"}, baseline="any")
    assert [each["target"] for each in found.to_dict()["differences"]] == ["mugs"]


def dated() -> dict[str, list[Any]]:
    """Return a log of four days, of which each earns its number; one row does not say when it was."""
    made = [datetime(2026, 1, day, 12) for day in (1, 2, 3, 4)]
    return {"action": [0, 1] * 2 + [0], "reward": [1, 2, 3, 4, 9], "propensity": [0.5] * 5, "when": [*made, None]}


@pytest.mark.parametrize("library", TABLES)
def test_a_period_of_a_table_has_the_decisions_that_were_made_in_it(library: str) -> None:
    log = TABLES[library](dated())
    found = onearm.evaluate(log, "logged", time="when", since="2026-01-02", until=datetime(2026, 1, 4, tzinfo=UTC))
    assert (found.to_dict()["events"], found.to_dict()["estimates"][0]["value"]) == (2, 2.5)
    assert "left out: 1 decision of which nothing says when they were made" in found.notes
    late = onearm.replay(log, "thompson_any", time="when", since="2026-01-04").to_dict()
    assert late["events"] == 1


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_period_of_a_file_is_that_of_its_table(ending: str, tmp_path: Path) -> None:
    file, table = tmp_path / f"log.{ending}", polars.DataFrame(dated()).rename({"when": "time"})
    writers = {"csv": table.write_csv, "jsonl": table.write_ndjson, "parquet": table.write_parquet}
    writers[ending](file)
    of_file, of_table = (onearm.evaluate(log, "logged", since="2026-01-03").to_dict() for log in (file, table))
    assert of_file["estimates"] == of_table["estimates"] and of_file["events"] == 2


def test_a_table_without_times_has_no_period() -> None:
    with pytest.raises(InvalidInput, match="does not say when its decisions were made"):
        onearm.evaluate(pandas.DataFrame(shop()), "logged", since="2026-01-03")


def test_a_report_is_the_page_of_the_command(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_empty(monkeypatch)
    page = tmp_path / "report.html"
    onearm.evaluate(pandas.DataFrame(shop()), ["linucb", "uniform"], features=FEATURES, report=page)
    text = page.read_text()
    assert "the table" in text and "linucb" in text and "Can the log be trusted?" in text
    onearm.replay(path, "ucb1", report=str(tmp_path / "replay.html"))
    assert "ucb1" in (tmp_path / "replay.html").read_text()
    with pytest.raises(InvalidInput, match=r"report\.txt does not end in \.html"):
        onearm.evaluate(path, "logged", report=tmp_path / "report.txt")
    with pytest.raises(InvalidInput, match=r"there is no folder .*new: make it, or name another one"):
        onearm.evaluate(path, "logged", report=tmp_path / "new" / "report.html")


def test_the_command_the_page_and_python_say_the_same(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables and notes of the command are those of Python; the page has the heads and cells of the estimates."""
    leave_empty(monkeypatch)
    with path.open("a") as file:
        file.write("mug,nothing,0.5,land 1,20\n")
    monkeypatch.setattr("onearm.api.terminal.console", Console(width=200))
    asked: dict[str, Any] = {
        "method": ["snips", "dr"],
        "baseline": "logged",
        "segment": "country",
        "features": FEATURES,
    }
    found = onearm.evaluate(path, ["linucb", "action:mug"], report=tmp_path / "page.html", **asked)
    told = [line for line in repr(found).splitlines() if line]
    words = [str(path), "--target", "linucb", "--target", "action:mug", "--method", "snips", "--method", "dr"]
    words += ["--baseline", "logged", "--segment", "country", "--features", ",".join(FEATURES)]
    capsys.readouterr()
    assert run(["evaluate", *words]) == 0
    shown = capsys.readouterr()
    cells = [" ".join(line.split()) for line in shown.out.splitlines()]
    for table in tables_of(found.data, title_of(found.data)):
        assert table.title in shown.out and table.title in told
        for row in zip(*(column.cells for column in table.columns), strict=True):
            assert " ".join(" ".join(row).split()) in cells
    assert {"ranking", "worth more than logged by", "by segment"} <= set(told)
    assert shown.err.splitlines() == found.notes == told[-len(found.notes) :]
    assert any(note.startswith("bad lines, bad_reward: 1 (line 42)") for note in found.notes)
    page = (tmp_path / "page.html").read_text()
    first = tables_of(found.data, "")[0].columns
    for head in ("value", "low", "high", "decisions that tell", "effective sample size"):
        assert f'<th class="number">{head}</th>' in page
        (column,) = [each for each in first if each.name == head]
        assert all(f">{cell}</td>" in page for cell in column.cells)
    assert not {"candidate", "counts like"} & set(re.findall("candidate|counts like", page + repr(found) + shown.out))


def test_without_diagnostics_the_estimates_are_the_same_and_it_is_said(tmp_path: Path) -> None:
    log = pa.table(shop())
    whole = onearm.evaluate(log, ["uniform", "action:hat"]).to_dict()
    bare = onearm.evaluate(log, ["uniform", "action:hat"], diagnostics=False)
    found = bare.to_dict()
    assert found["estimates"] == whole["estimates"] and found["ranking"] == whole["ranking"]
    assert found["diagnostics"] == {"uniform": None, "action:hat": None} != whole["diagnostics"]
    assert any("diagnostics were left out" in note for note in found["notes"])
    with pytest.raises(InvalidInput, match=r"^report shows .* diagnostics=False leaves out: leave one of the two away"):
        onearm.evaluate(log, "uniform", diagnostics=False, report=tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("given", ["no", 0, 1, None, [True]])
@pytest.mark.parametrize("ask", [onearm.evaluate, onearm.replay])
@pytest.mark.parametrize("what", ["diagnostics", "strict"])
def test_what_is_true_or_false_is_nothing_else(tmp_path: Path, ask: Any, what: str, given: Any) -> None:
    for report in (None, tmp_path / "report.html"):
        with pytest.raises(InvalidInput, match=f"^{what} is .*: it must be True or False") as refused:
            ask(pa.table(shop()), "ucb1", report=report, **{what: given})
        assert refused.value.code == f"bad_{what}"


def test_the_page_of_frames_names_their_columns() -> None:
    page = (Path(__file__).parents[3] / "docs" / "frames.md").read_text()
    table = page.partition("| column | in the text |")[2].partition("\n\n")[0].splitlines()[2:]
    found = onearm.evaluate(
        pa.table(shop()), ["uniform", "action:hat"], baseline="logged", segment="country", features=FEATURES
    )
    text = repr(found).replace("\n", " ")
    for row in table:
        names, said, _ = (cell.strip() for cell in row.strip("|").split("|"))
        frame = re.search(r'of `"(\w+)"`', names)
        columns = found.to_frame(*frame.groups() if frame else ()).columns
        assert set(re.findall(r"`(\w+)`", names)) <= set(columns), row
        assert all(word in text for word in said.partition(",")[0].split()), row
