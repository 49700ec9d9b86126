"""`onearm top`: the overview of a service in a terminal."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from support.listening import Listening

from onearm.api.cli.overview import Overview, Row
from onearm.api.cli.top import picture
from onearm.client import Client

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")


def played(client: Client, name: str, rewards: list[float | None]) -> None:
    for reward in rewards:
        decision = client.decide(name)
        if reward is not None:
            decision.reward(reward)


def test_one_table_is_json_where_it_is_piped(onearm: Any, service: Listening, client: Client) -> None:
    played(client, "e", [1.0, 0.0, None, None])
    done = onearm("top", "--once", "--every", "0.1", "--url", service.url)
    assert done.code == 0
    found = {one["experiment"]: one for one in done.json["experiments"]}
    row = found["e"]
    assert (row["decisions"], row["open"], row["join_rate"], row["reward_mean"]) == (4, 2, 0.5, 0.5)
    assert (row["policy"], row["alarms"], done.json["hidden"]) == ("epsilon_greedy", [], 0)
    assert (done.json["url"], done.json["decisions_per_second"]) == (service.url, 0.0)


def test_where_nobody_answers_it_says_so(onearm: Any) -> None:
    done = onearm("top", "--once", "--url", "http://127.0.0.1:9")
    assert done.code == 2
    assert "no service answers" in done.err


@pytest.mark.parametrize("seconds", ["nan", "inf", "1e300", "0"])
def test_seconds_between_looks_are_a_number_that_can_be_waited_for(onearm: Any, seconds: str) -> None:
    done = onearm("top", "--every", seconds)
    assert done.code == 2 and "--every" in done.err


def test_one_table_has_no_curve_to_name(onearm: Any, service: Listening) -> None:
    done = onearm("top", "--once", "--experiment", "nope", "--url", service.url)
    assert done.code == 2 and "one table has no curve" in done.err


def test_rates_and_curves_are_of_what_came_since_the_look_before(client: Client) -> None:
    looks = Overview(client, 10)
    played(client, "e", [1.0, 1.0])
    (before,) = [row for row in looks.look() if row.experiment == "e"]
    assert (before.decisions_per_second, before.means) == (0.0, [])
    played(client, "e", [0.0, 0.5, None])
    (row,) = [row for row in looks.look() if row.experiment == "e"]
    assert row.decisions_per_second > row.rewards_per_second > 0.0
    assert row.decisions_per_second * 2 == pytest.approx(row.rewards_per_second * 3)
    assert row.means == [0.25]


def test_alarms_come_first_and_then_the_busiest(client: Client) -> None:
    for name in ("silent", "busy", "quiet"):
        client.create(name, arms=[{"id": "a"}, {"id": "b"}], policy="uniform")
    client.experiment("silent").decide_many(100)
    same = client.experiment("quiet").decide_many(100)
    client.experiment("quiet").learn_many(same, [1.0] * 100)
    looks = Overview(client, 10)
    looks.look()
    played(client, "busy", [1.0, 0.0])
    rows = looks.look()
    alarmed = {row.experiment: row.alarms for row in rows if row.alarms}
    assert alarmed["silent"] == ["no reward has come for 100 decisions: see that rewards are sent"]
    assert alarmed["quiet"][0].startswith("all 100 rewards so far are 1")
    assert [row.experiment for row in rows][2] == "busy"
    few = Overview(client, 1)
    assert len(few.look()) == 1
    assert few.hidden == few.experiments - 1 > 0


def test_a_change_of_the_world_is_an_alarm_until_it_ends(client: Client) -> None:
    watched = client.open("watched", {"name": "adaptive", "params": {"policy": {"name": "ucb1"}}}, arms=["a", "b"])
    looks = Overview(client, 10)
    for best in ("a", "b"):
        for _ in range(12):
            made = watched.decide_many(50)
            watched.learn_many(made, [float(action == best) for action in made.action_id])
        row = next(row for row in looks.look() if row.experiment == "watched")
        assert [alarm.startswith("the world changed") for alarm in row.alarms] == ([] if best == "a" else [True])
    assert Overview(client, 10).look()[0].alarms == []


def test_other_kinds_and_archived_ones(client: Client) -> None:
    client.create("mix", problem={"kind": "vector", "domain": {"kind": "ball", "dimension": 2}})
    client.create("adverts", problem={"kind": "arm_stream", "slots": 1})
    client.experiment("e").archive()
    rows = {row.experiment: row for row in Overview(client, 10).look()}
    assert {"mix", "adverts"} <= set(rows) and "e" not in rows
    assert rows["adverts"].reward_mean is None


def drawn(rows: list[Row], width: int = 140, **more: Any) -> str:
    console = Console(file=StringIO(), width=width, height=40)
    given: dict[str, Any] = {"hidden": 0, "experiment": None, "trouble": None} | more
    console.print(picture("http://here", rows, **given))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def test_the_screen_has_a_line_each_and_the_curve_of_one() -> None:
    row = Row("shop", "arms", "ucb1", 5000, 20.0, 15.5, 12, 0.75, 0.3, [], [0.0, 0.25, 0.5])
    other = row._replace(experiment="[b]odd", decisions_per_second=1.0, alarms=["no rewards came"], means=[])
    text = drawn([other, row], hidden=3, trouble="no service answers")
    assert "http://here   21 decisions/s   31 rewards/s   2 experiments, 1 with alarms" in text
    assert "not answered: no service answers" in text
    assert all(word in text for word in ("shop", "[b]odd", "no rewards came", "and 3 more", "0.75", "15.5"))
    assert "shop: mean reward from look to look, 0.500 in the last one" in text
    assert "0.500   █" in text
    assert "[b]odd: no rewards since this began" in drawn([other, row], experiment="[b]odd")
    assert "onearm demo" in drawn([])


def test_where_there_is_little_room_names_are_broken_and_no_figures() -> None:
    name = "an experiment of a long name"
    row = Row(name, "arms", "adaptive(thompson_beta)", 150_000, 1500.0, 1234.5, 123_456, 0.75, 0.3333, [], [0.5] * 9)
    text = drawn([row], width=100)
    assert all(figure in text for figure in ("1,500", "1,234", "123,456", "0.75", "0.3333")), text
    assert text.count(name) == 1, "over the curve"
