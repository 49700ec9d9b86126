"""`onearm warm-start`: a log becomes an experiment whose policy knows it, and what it is worth is said."""

from __future__ import annotations

import json
import random
import shlex
from pathlib import Path
from typing import Any

import polars
import pytest
from support.served import Served, log_of

from onearm import open as open_engine
from onearm.engine.errors import Conflict
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import EXTERNAL, LEARN

ACTIONS = [{"id": "soup", "warm": True}, {"id": "pizza", "price": 9}]
MEALS = [{"_tag": action["id"]} | action for action in ACTIONS]


@pytest.fixture
def cooked(onearm: Any) -> Path:
    """Return a log of 60 decisions in which pizza is always bought, and soup never; one is a bad line."""
    luck, file = random.Random(1), Path("cooked.dsjson")
    lines = []
    for n in range(60):
        place = luck.randrange(2)
        label = {"_label_cost": -float(place), "_label_probability": 0.5, "_label_Action": place + 1}
        about = {"_labelIndex": place, "EventId": f"e{n}", "o": [{"v": float(place)}], "c": {"u": {"n": n % 3}}}
        lines.append(json.dumps(label | about | {"c": {"u": {"n": n % 3}, "_multi": MEALS}}))
    file.write_text("\n".join([*lines, "{nonsense"]) + "\n")
    return file


def test_the_policy_has_learned_the_log_and_the_service_goes_on(onearm: Any, cooked: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/run.db"
    asked = ("--policy", "squarecb", "--reward-range", "0:1", "--database", url)
    done = onearm("warm-start", "meals", str(cooked), *asked, "--json")
    assert done.code == 0, done.err
    found = done.json
    assert (found["experiment"], found["decisions"], found["rewards"]) == ("meals", 60, 60)
    (estimate,) = found["evaluation"]["estimates"]
    assert estimate["target"] == "squarecb" and estimate["value"] > 0.7, "it knows by half of the log that pizza pays"
    assert onearm("verify", "--database", url).code == 0
    with Served(tmp_path) as served:
        served.recover()
        assert served.digest("meals") == found["digest"]
        body = {"context": {"u": {"n": 1}}, "actions": ACTIONS}
        made = [served.decide(body | {"rank": True}, "meals").json() for _ in range(3)]
        assert all(one["ranking"][0]["action_id"] == "pizza" and one["ranking"][0]["probability"] > 0.7 for one in made)
        assert served.record("e7", "meals").json()["given"] is True


def test_it_is_what_the_same_examples_teach(onearm: Any, cooked: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    asked = ("--policy", "squarecb", "--database", url, "--json")
    digest = onearm("warm-start", "meals", str(cooked), *asked).json["digest"]
    lines = [json.loads(line) for line in cooked.read_text().splitlines()[:-1]]
    with Served(tmp_path) as served:
        problem = {"context": {"kind": "features"}, "actions": {"kind": "listed", "max": 2}}
        served.create("meals", arms=[], problem=problem, policy={"name": "squarecb"}, seed=0)
        for line in lines:
            example = {
                "action_id": MEALS[line["_labelIndex"]]["_tag"],
                "value": -line["_label_cost"],
                "propensity": 0.5,
            }
            body = {"examples": [example | {"context": {"u": line["c"]["u"]}, "actions": ACTIONS}]}
            assert served.post("/v1/experiments/meals/examples:batch", body).status_code == 200
        assert served.get("/v1/experiments/meals").json()["rewards"] == 60
        assert served.digest("meals") == digest


def test_an_export_becomes_an_experiment_with_another_policy_and_its_corrections(onearm: Any, tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        served.create()
        for n in range(6):
            served.decide({"decision_id": f"{n}", "unit_id": "u"})
            if n != 3:
                served.reward(f"{n}", float(n % 2))
        served.client.put("/v1/experiments/e/decisions/0/reward", content=b'{"value": 0.75}')
        served.client.delete("/v1/experiments/e/decisions/1/reward")
        url = served.url
    assert onearm("export", "e", "e.jsonl", "--database", url).code == 0
    done = onearm("warm-start", "~shop~again", "e.jsonl", "--policy", "ucb1", "--database", url, "--json")
    assert done.code == 0, done.err
    assert (done.json["decisions"], done.json["rewards"]) == (6, 4)
    store = Store.open(url, write=False)
    events = log_of(store, "~shop~again")[1]
    store.close()
    assert [event.seq for event in events] == list(range(1, 11))
    assert [event.reward for event in events if event.kind == LEARN] == [0.75, 0.0, 0.0, 1.0]
    assert [event.unit_id for event in events if event.kind == EXTERNAL] == ["u"] * 6
    assert onearm("verify", "--database", url).code == 0


def test_what_cannot_be_learned_leaves_nothing_behind(onearm: Any, cooked: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/run.db"
    asked = ("--policy", "squarecb", "--database", url)
    assert "0.5" in onearm("warm-start", "meals", str(cooked), *asked, "--reward-range", "0:0.5").err
    assert onearm("warm-start", "meals", str(cooked), *asked).code == 0
    again = onearm("warm-start", "meals", str(cooked), *asked)
    assert again.code == 2 and "already" in again.err
    rows = onearm("warm-start", "rows", str(cooked), "--policy", "exp3_ix", "--database", url)
    assert rows.code == 2
    store = Store.open(url, write=False)
    assert [row.id for row in store.experiments()] == ["meals"]
    store.close()


def test_a_log_without_propensities_is_learned_by_a_policy_that_does_not_divide(onearm: Any, tmp_path: Path) -> None:
    Path("shop.csv").write_text("action,reward\n" + "sale,1\nfree,0\n" * 10)
    url = f"sqlite:///{tmp_path}/run.db"
    asked = ("warm-start", "shop", "shop.csv", "--database", url)
    refused = onearm(*asked, "--policy", "exp3_ix")
    assert refused.code == 2 and "divides by it: take one that does not" in refused.err
    assert not Path("run.db").exists(), "nothing is left of what could not be learned"
    done = onearm(*asked, "--policy", "ucb1", "--json")
    assert done.code == 0, done.err
    assert (done.json["decisions"], done.json["rewards"]) == (20, 20)
    assert [estimate["method"] for estimate in done.json["evaluation"]["estimates"]] == ["match"]
    assert "propensity of 20 of 20 decisions is unknown" in " ".join(done.json["evaluation"]["notes"])
    assert onearm("verify", "--database", url).code == 0


def test_a_log_of_points_is_refused(onearm: Any, tmp_path: Path) -> None:
    problem = {"kind": "vector", "domain": {"kind": "ball", "dimension": 2}}
    with Served(tmp_path) as served:
        served.create("mix", arms=[], problem=problem, policy={"name": "gradient_descent"})
        served.decide({}, "mix")
        url = served.url
    onearm("export", "mix", "mix.jsonl", "--database", url)
    done = onearm("warm-start", "m", "mix.jsonl", "--database", url)
    assert done.code == 2 and "of something else" in done.err


def test_the_name_of_a_deleted_experiment_is_refused_before_anything_is_learned(
    onearm: Any, cooked: Path, tmp_path: Path
) -> None:
    with Served(tmp_path) as served:
        served.create("meals")
        assert served.client.delete("/v1/experiments/meals", params={"confirm": "meals"}).status_code == 200
        url = served.url
    done = onearm("warm-start", "meals", str(cooked), "--policy", "squarecb", "--database", url)
    assert done.code == 2 and "'meals', which was deleted" in done.err
    assert "judging" not in done.err
    with pytest.raises(Conflict, match="'meals', which was deleted"):
        open_engine("ucb1", arms=["a"], database=url, experiment="meals")


def test_arms_have_the_labels_of_a_table(onearm: Any, tmp_path: Path) -> None:
    Path("shop.csv").write_text("action,reward,propensity\nsale,1,0.5\nfree,0,0.5\nsale,1,0.5\nfree,1,0.5\n")
    url = f"sqlite:///{tmp_path}/run.db"
    done = onearm("warm-start", "shop", "shop.csv", "--policy", "ucb1", "--database", url)
    assert done.code == 0, done.err
    with open_engine(database=url, experiment="shop") as engine:
        assert engine.decide().action_id == "sale"


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_columns_of_a_table_of_ones_own_are_named(onearm: Any, tmp_path: Path, form: str) -> None:
    """In Germany hats are clicked, and elsewhere mugs; of three options each was shown as often."""
    url, file = f"sqlite:///{tmp_path}/run.db", tmp_path / f"clicks.{form}"
    shown = [("hat", "mug", "cup")[n % 3] for n in range(300)]
    country = [("de", "fr")[n // 3 % 2] for n in range(300)]
    bought = {("de", "hat"), ("fr", "mug")}
    clicked = [float(both in bought) for both in zip(country, shown, strict=True)]
    table = polars.DataFrame({"banner": shown, "clicked": clicked, "chance": [1 / 3] * 300, "country": country})
    {"csv": table.write_csv, "parquet": table.write_parquet, "jsonl": table.write_ndjson}[form](file)
    asked = ("warm-start", "shop", str(file), "--policy", "squarecb", "--database", url, "--json")
    unnamed = onearm(*asked)
    assert (unnamed.code, "say which columns they are: --action, --reward (of evaluate" in unnamed.err) == (2, True)
    named = ("--action", "banner", "--reward", "clicked", "--propensity", "chance", "--features", "country")
    done = onearm(*asked, *named)
    assert done.code == 0, done.err
    assert (done.json["decisions"], done.json["rewards"]) == (300, 300)
    assert done.json["evaluation"]["estimates"][0]["value"] > 0.8
    assert onearm("verify", "--database", url).code == 0
    store = Store.open(url, write=False)
    assert [arm["id"] for arm in json.loads(store.experiments()[0].spec)["arms"]] == ["cup", "hat", "mug"]
    store.close()


def test_columns_of_what_is_no_table_are_not_named(onearm: Any, cooked: Path, tmp_path: Path) -> None:
    asked = ("--action", "a", "--database", f"sqlite:///{tmp_path}/run.db")
    done = onearm("warm-start", "meals", str(cooked), *asked)
    assert (done.code, "is no table of decisions: --features, --action" in done.err) == (2, True)


CLICKS = ("--action", "banner", "--reward", "clicked", "--propensity", "chance")


@pytest.fixture
def clicks(onearm: Any) -> Path:
    """Return a table of 240 decisions with columns of its own; what was clicked on is known only afterwards."""
    luck, rows = random.Random(1), ["banner,clicked,chance,country,age,user.plan,revenue,day,visitor"]
    for n in range(240):
        banner, country, age = luck.choice(["sale", "free"]), luck.choice(["de", "fr"]), luck.choice(["31", "40.5", ""])
        clicked = int((banner == "sale") == (country == "de"))
        cells = [
            banner,
            clicked,
            0.5,
            country,
            age,
            luck.choice(["pro", "basic"]),
            clicked * 9,
            f"2026-01-{n // 10 + 1:02d}",
            n % 9,
        ]
        rows.append(",".join(map(str, cells)))
    Path("clicks.csv").write_text("\n".join(rows) + "\n")
    return Path("clicks.csv")


def test_a_table_becomes_a_service_that_takes_its_names(onearm: Any, clicks: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/run.db"
    asked = (
        *CLICKS,
        "--ignore",
        "revenue",
        "--ignore",
        "visitor",
        "--bits",
        "12",
        "--time",
        "day",
        "--policy",
        "squarecb",
    )
    done = onearm("warm-start", "shop", str(clicks), *asked, "--database", url, "--port", "9000")
    assert done.code == 0, done.err
    serve, curl = (line.strip() for line in done.out.splitlines()[-2:])
    assert serve == f"onearm serve --database {url} --port 9000"
    *_, sent, address = shlex.split(curl)
    assert address == "http://127.0.0.1:9000/v1/experiments/shop/decisions"
    assert set(json.loads(sent)["context"]) == {"country", "age", "user"}
    with Served(tmp_path) as served:
        served.recover()
        for country, expected in (("de", "sale"), ("fr", "free")):
            body = json.loads(sent)
            body["context"]["country"] = country
            made = served.decide(body | {"rank": True}, "shop").json()
            assert made["ranking"][0]["action_id"] == expected
        assert served.record("~3", "shop").json()["time"].startswith("2026-01-01")


def test_columns_teach_what_the_same_examples_teach(onearm: Any, clicks: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    asked = (*CLICKS, "--features", "country,age,user.plan", "--interactions", "user,", "--interactions", ",")
    done = onearm("warm-start", "shop", str(clicks), *asked, "--policy", "squarecb", "--database", url, "--json")
    assert done.code == 0, done.err
    with Served(tmp_path) as served:
        problem = {"context": {"kind": "features", "interactions": [["user", ""], ["", ""]]}}
        arms = [{"id": "free"}, {"id": "sale"}]
        served.create("shop", arms=arms, problem=problem, policy={"name": "squarecb"}, seed=0)
        examples = []
        for line in clicks.read_text().splitlines()[1:]:
            banner, clicked, chance, country, age, plan, *_ = line.split(",")
            context = {"country": country} | ({"age": float(age)} if age else {}) | {"user": {"plan": plan}}
            example = {"action_id": banner, "value": float(clicked), "propensity": float(chance), "context": context}
            examples.append(example)
        assert served.post("/v1/experiments/shop/examples:batch", {"examples": examples}).status_code == 200
        assert served.digest("shop") == done.json["digest"]


def test_a_period_of_a_table_is_learned_alone(onearm: Any, clicks: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/run.db"
    asked = (*CLICKS, "--ignore", "revenue", "--time", "day", "--unit", "visitor", "--policy", "squarecb")
    period = ("--since", "2026-01-03", "--until", "2026-01-05")
    done = onearm("warm-start", "shop", str(clicks), *asked, *period, "--database", url, "--json")
    assert done.code == 0, done.err
    assert (done.json["decisions"], done.json["rewards"]) == (20, 20)
    assert "decisions made in the period, which count: 20 of 240" in done.json["evaluation"]["notes"]
    store = Store.open(url, write=False)
    assert {event.unit_id for event in log_of(store, "shop")[1] if event.kind == EXTERNAL} == set("012345678")
    store.close()
    assert onearm("verify", "--database", url).code == 0


def test_a_table_of_numbers_can_still_be_had(onearm: Any, clicks: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/run.db"
    asked = (*CLICKS, "--context", "dense", "--features", "country", "--policy", "squarecb", "--database", url)
    done = onearm("warm-start", "shop", str(clicks), *asked)
    assert done.code == 0, done.err
    assert """curl -d '{"context": [""" in done.out
    for extra, said in ((("--bits", "9"), "say --context named"), (("--ignore", "nothing"), "no column 'nothing'")):
        refused = onearm("warm-start", "again", str(clicks), *asked, *extra)
        assert (refused.code, said in refused.err) == (2, True), refused.err


def test_labels_that_are_no_ids_are_refused(onearm: Any, tmp_path: Path) -> None:
    Path("shop.csv").write_text("action_id,reward,propensity,x\n~1,1,0.5,3\nfree,0,0.5,4\n")
    done = onearm("warm-start", "shop", "shop.csv", "--database", f"sqlite:///{tmp_path}/run.db")
    assert (done.code, "what was chosen is '~1'" in done.err) == (2, True), done.err


def test_evaluate_and_replay_read_named_features(onearm: Any, clicks: Path) -> None:
    asked = (*CLICKS, "--ignore", "revenue", "--ignore", "visitor", "--context", "named", "--json")
    found = onearm("evaluate", str(clicks), "--target", "squarecb", *asked)
    assert found.code == 0, found.err
    assert found.json["estimates"][0]["value"] > 0.8
    assert "contexts are named features: country (2 labels)" in " ".join(found.json["notes"])
    replayed = onearm("replay", str(clicks), "--policy", "squarecb", "--policy", "linucb", *asked, "--bits", "10")
    assert replayed.code == 0, replayed.err
    assert min(each["value"] for each in replayed.json["estimates"] if each["method"] == "snips") > 0.6


def test_a_change_that_was_found_is_told(onearm: Any, tmp_path: Path) -> None:
    """Of two banners one is clicked each time until the middle, and the other from then on."""
    rows = [f"{('a', 'b')[n % 2]},{int(n % 2 == (n >= 300))},0.5" for n in range(500)]
    Path("log.csv").write_text("\n".join(["action,reward,propensity", *rows]) + "\n")
    url = f"sqlite:///{tmp_path}/run.db"
    asked = ("log.csv", "--policy", 'adaptive:{"policy": "thompson_beta"}', "--reward-range", "0:1", "--database", url)
    done = onearm("warm-start", "one", *asked)
    assert done.code == 0, done.err
    assert "while it learned all of the log: change 1, noticed at decision" in done.out
    found = onearm("warm-start", "two", *asked, "--json").json["changes"]
    assert 290 <= found[0]["place"] <= 360
