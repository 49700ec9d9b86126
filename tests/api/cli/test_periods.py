"""`onearm evaluate` and `replay` of a period: which decisions count, and which logs have none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.served import Served

E = "/v1/experiments/e"
LOGS = ("database", "log.jsonl", "log.parquet")


class Days(NamedTuple):
    """A log of two parts, and the moment between them."""

    folder: Path
    between: datetime


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    """Four decisions that earn 0, of which one is rewarded after the moment; six that earn 1; and one without."""
    folder = tmp_path_factory.mktemp("days")
    with Served(folder) as served:
        assert served.create(policy={"name": "uniform"}).status_code == 201
        first = [served.decide().json()["decision_id"] for _ in range(4)]
        for made in first[1:]:
            served.reward(made, 0.0)
        between = datetime.now(UTC)
        served.reward(first[0], 0.0)
        for _ in range(6):
            served.reward(served.decide().json()["decision_id"], 1.0)
        served.decide()
        for form in ("jsonl", "parquet"):
            (folder / f"log.{form}").write_bytes(served.get(f"{E}/log?format={form}").content)
    yield Days(folder, between)


def asked(command: str, days: Days, log: str, *options: str) -> list[str]:
    place = ("--experiment", "e", f"sqlite:///{days.folder}/run.db") if log == "database" else (str(days.folder / log),)
    what = ("--target", "logged") if command == "evaluate" else ("--policy", "ucb1", "--baseline", "logged")
    return [command, *place, *what, *options, "--json"]


@pytest.mark.parametrize("log", LOGS)
def test_a_period_has_the_decisions_that_were_made_in_it(onearm: Any, days: Days, log: str) -> None:
    found = {
        option: onearm(*asked("evaluate", days, log, option, days.between.isoformat())).json
        for option in ("--since", "--until")
    }
    assert {option: (each["events"], each["estimates"][0]["value"]) for option, each in found.items()} == {
        "--since": (6, 1.0),
        "--until": (4, 0.0),
    }
    counted, unrewarded = found["--since"]["notes"]
    assert counted == "decisions made in the period, which count: 7 of 11"
    assert unrewarded.startswith("1 of 7 decisions has no reward and is left out")
    whole = onearm(*asked("evaluate", days, log)).json
    assert (whole["events"], len(whole["notes"])) == (10, 1) and whole["notes"][0].startswith("1 of 11 decisions has")


def test_a_time_may_have_a_zone_or_be_a_date(onearm: Any, days: Days) -> None:
    zoned = days.between.astimezone(timezone(timedelta(hours=5))).isoformat()
    assert onearm(*asked("evaluate", days, "log.jsonl", "--since", zoned)).json["events"] == 6
    naive = days.between.replace(tzinfo=None).isoformat()
    assert onearm(*asked("evaluate", days, "log.jsonl", "--since", naive)).json["events"] == 6
    later = (days.between + timedelta(days=2)).date().isoformat()
    assert onearm(*asked("evaluate", days, "log.jsonl", "--until", later)).json["events"] == 10
    wrong = onearm(*asked("evaluate", days, "log.jsonl", "--until", "yesterday"))
    assert wrong.code == 2
    assert "'yesterday' is no time: write 2026-01-31" in wrong.err


def test_replay_takes_a_period_too(onearm: Any, days: Days) -> None:
    done = onearm(*asked("replay", days, "database", "--until", days.between.isoformat()))
    assert (done.code, done.json["events"]) == (0, 4), done.err


def test_the_ratio_of_rewarded_decisions_is_that_of_the_period(onearm: Any, days: Days) -> None:
    target = ("--target", "uniform", "--since", days.between.isoformat())
    done = onearm(*asked("evaluate", days, "log.jsonl", *target))
    assert done.json["diagnostics"]["uniform"]["rewarded"] == pytest.approx(6 / 7)


def test_a_segment_without_a_row_in_the_period_is_left_out(onearm: Any, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    header = {"onearm": 1, "problem": {"n_arms": 2, "context_shape": [1], "horizon": None}, "experiment": {}}
    lines: list[dict[str, Any]] = [header]
    for number in range(4):
        made = {"kind": "decide", "seq": 2 * number + 1, "number": number, "action": 0, "propensity": 0.5}
        lines.append(made | {"context": [float(number > 1)], "time": 1_000_000 * (number + 1)})
        lines.append({"kind": "learn", "seq": 2 * number + 2, "number": number, "reward": 1.0})
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    period = ("--since", "1970-01-01T00:00:03Z", "--segment", "context[0]")
    done = onearm("evaluate", str(file), "--target", "logged", *period, "--json")
    assert done.code == 0, done.err
    assert [(each["segment"], each["events"]) for each in done.json["segments"]] == [("1", 2)]


def test_a_decision_that_does_not_say_when_it_was_made_lies_in_no_period(onearm: Any, days: Days) -> None:
    lines = [json.loads(line) for line in (days.folder / "log.jsonl").read_text().splitlines()]
    del next(line for line in lines if line.get("kind") == "decide")["time"]
    Path("some.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = onearm("evaluate", "some.jsonl", "--target", "logged", "--until", days.between.isoformat(), "--json")
    assert done.json["events"] == 3
    assert "left out: 1 decision of which nothing says when they were made" in done.json["notes"]


def test_a_log_without_times_is_refused_by_name(onearm: Any) -> None:
    Path("table.jsonl").write_text('{"action": 0, "reward": 1.0, "propensity": 0.5}\n')
    made = onearm("simulate", "--env", "bernoulli", "--policy", "uniform", "--horizon", "9", "--log", "own.jsonl")
    assert made.code == 0, made.err
    for log in ("table.jsonl", "own.jsonl"):
        done = onearm("evaluate", log, "--target", "logged", "--since", "2026-01-31")
        assert done.code != 0
        assert f"{log} does not say when its decisions were made: --since and --until are for databases" in done.err


def test_a_period_in_which_nothing_was_decided_is_refused(onearm: Any, days: Days) -> None:
    done = onearm(*asked("evaluate", days, "log.parquet", "--until", "2001-01-01"))
    assert done.code != 0
    assert "has no decision with a reward in the period" in done.err


@pytest.mark.parametrize(
    ("env", "command", "said"),
    [
        ('forecasts:{"experts":3}', ("replay", "log.jsonl", "--policy", "optimistic_hedge"), "is a log of vectors"),
        ("bernoulli", ("evaluate", "log.jsonl", "--target", "uniform", "--method", "cascade"), "--since is not for"),
    ],
)
def test_what_is_read_whole_has_no_period(onearm: Any, env: str, command: tuple[str, ...], said: str) -> None:
    policy = "optimistic_hedge" if env.startswith("forecasts") else "uniform"
    made = onearm("simulate", "--env", env, "--policy", policy, "--horizon", "5", "--log", "log.jsonl")
    assert made.code == 0, made.err
    done = onearm(*command, "--since", "2026-01-31")
    assert done.code != 0
    assert said in done.err
