"""Tenants over the real HTTP: what belongs to another is not there, on whatever way somebody asks for it."""

from __future__ import annotations

import html
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from support.keyed import NEW, Keyed
from support.served import Served
from support.stored import new_database

from onearm.api.http.routes import TABLE
from onearm.engine.errors import Unavailable
from onearm.engine.storage.records import SUMS
from onearm.engine.storage.tables import SNAPSHOT, SNAPSHOT_PART

BODIES: dict[str, Any] = {  # what would be accepted, by the end of a path
    "decisions": {},
    "reward": {"value": 1},
    "decisions:batch": {"decisions": [{}]},
    "rewards:batch": {"rewards": [{"decision_id": "~0", "value": 1}]},
    "examples:batch": {"examples": [{"action_id": "a", "value": 1, "propensity": 0.5}]},
    "arms": {"id": "new"},
    "world": {"change": "known"},
}
OF_ONE = [entry for entry in TABLE if "{experiment_id}" in entry.path]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    new_database((folder := tmp_path_factory.mktemp("tenants")) / "run.db")
    with Keyed(folder) as keyed:
        assert keyed.operator.post("/v1/experiments/~news~secret/decisions").status_code == 201
        yield keyed


@pytest.fixture(scope="module")
def strangers(keyed: Keyed) -> list[httpx.Client]:
    """Return clients of other tenants: the service takes half a second to know a key."""
    return [keyed.asking("admin", tenant=tenant) for tenant in ("shop", "default")]


@pytest.fixture(scope="module")
def limited(keyed: Keyed) -> httpx.Client:
    """Return a client of the tenant, but for other experiments of it."""
    return keyed.asking("admin", tenant="news", experiments="ban*")


def ask(client: httpx.Client, entry: Any, experiment_id: str) -> httpx.Response:
    ids = {"experiment_id": experiment_id, "decision_id": "~0", "arm_id": "a", "unit_id": "u", "policy": "0"}
    path = entry.path.format(**ids, deed="archive", number="1")
    body = BODIES.get(entry.path.rsplit("/", 1)[1])
    return client.request(entry.method, path, json=body)


def names(client: httpx.Client) -> list[str]:
    return [one["experiment_id"] for one in client.get("/v1/experiments").json()["experiments"]]


IN_EACH = ("date", "content-length", "x-request-id")


def without(answer: httpx.Response, experiment_id: str) -> tuple[int, str, Any]:
    """Return what an answer says but for the id that was asked for, and when."""
    headers = {name: text for name, text in answer.headers.items() if name not in IN_EACH}
    return answer.status_code, html.unescape(answer.text).replace(repr(experiment_id), "ID"), headers


@pytest.mark.parametrize("entry", OF_ONE, ids=lambda entry: f"{entry.method} {entry.path.rsplit('/', 1)[1]}")
def test_anothers_experiment_is_answered_as_one_that_does_not_exist(
    keyed: Keyed, strangers: list[httpx.Client], limited: httpx.Client, entry: Any
) -> None:
    before = keyed.operator.get("/v1/experiments/~news~secret").json()
    for client, another in zip(strangers, ("e", "~shop~banner"), strict=True):
        missing = without(ask(client, entry, "nowhere"), "nowhere")
        assert missing[0] == 404, missing
        for theirs in ("secret", "~news~secret", another):
            assert without(ask(client, entry, theirs), theirs) == missing
        assert "news" not in missing[1]
    assert without(ask(limited, entry, "secret"), "secret") == without(ask(limited, entry, "nowhere"), "nowhere")
    assert keyed.operator.get("/v1/experiments/~news~secret").json() == before


def test_the_same_id_is_another_experiment_for_another_tenant(keyed: Keyed) -> None:
    shop, news = keyed.asking("admin", tenant="shop"), keyed.asking("admin", tenant="news")
    before = news.get("/v1/experiments/banner").json()
    made = shop.post("/v1/experiments/banner/decisions", json={"decision_id": "d"})
    assert made.status_code == 201
    assert shop.get("/v1/experiments/banner").json()["decisions"] == 1
    assert news.get("/v1/experiments/banner").json() == before
    assert news.get("/v1/experiments/banner/decisions/d").status_code == 404
    assert (
        keyed.operator.get("/v1/experiments/~shop~banner/decisions/d").json()["action_id"] == made.json()["action_id"]
    )


def test_a_tenant_knows_ids_and_the_operator_names(keyed: Keyed) -> None:
    shop = keyed.asking("admin", tenant="shop")
    for path in ("", "/report"):
        mine = shop.get(f"/v1/experiments/banner{path}").json()
        operators = keyed.operator.get(f"/v1/experiments/~shop~banner{path}").json()
        assert (mine.pop("experiment_id"), operators.pop("experiment_id")) == ("banner", "~shop~banner")
        assert mine == operators
    assert names(shop) == ["banner"]
    assert names(keyed.asking("read", tenant="default")) == ["hello", "e"]
    assert names(keyed.asking("read", tenant="empty")) == []
    assert names(keyed.operator)[:4] == ["hello", "e", "~shop~banner", "~news~banner"]
    assert keyed.operator.get("/v1/experiments/~default~e").json()["experiment_id"] == "e"


def test_lists_and_pages_show_a_caller_what_is_theirs(keyed: Keyed) -> None:
    limited = keyed.asking("read", tenant="news", experiments="s*t")
    assert names(limited) == ["secret"]
    front = limited.get("/").text
    assert "/v1/experiments/secret/decisions</pre>" in front
    assert "secret" in front and "banner</a>" not in front and "shop" not in front
    assert 'href="/experiments/~news~secret"' in keyed.operator.get("/").text
    news = keyed.asking("read", tenant="news")
    page = news.get("/v1/experiments?limit=1").json()
    assert ([one["experiment_id"] for one in page["experiments"]], page["next"]) == (["banner"], "banner")
    rest = news.get("/v1/experiments?limit=5&after=banner").json()
    assert ([one["experiment_id"] for one in rest["experiments"]], rest["next"]) == (["secret"], None)
    for after in ("e", "~shop~banner", "nowhere"):
        assert news.get(f"/v1/experiments?after={after}").status_code == 404
    operators = keyed.operator.get("/v1/experiments?limit=3").json()["next"]
    assert operators == "~shop~banner"
    assert names(keyed.operator)[3:4] == [
        keyed.operator.get(f"/v1/experiments?after={operators}").json()["experiments"][0]["experiment_id"]
    ]


def test_free_ids_are_counted_within_a_tenant(keyed: Keyed) -> None:
    first, second = keyed.asking("admin", tenant="free1"), keyed.asking("admin", tenant="free2")
    for client, expected in ((first, "e1"), (first, "e2"), (second, "e1")):
        made = client.post("/v1/experiments", json=NEW)
        assert (made.status_code, made.json()["experiment_id"]) == (201, expected)
    again = first.post("/v1/experiments", json=NEW | {"experiment_id": "e1"})
    assert again.status_code == 200
    other = second.post("/v1/experiments", json=NEW | {"experiment_id": "e1", "seed": 8})
    assert (other.status_code, other.json()["code"]) == (409, "experiment_exists")
    assert "free" not in other.text


@pytest.mark.parametrize("name", ["~shop~x", "~x", "~~x", "~SHOP~x", "~shop~"])
def test_a_tenant_cannot_create_for_another(keyed: Keyed, name: str) -> None:
    before = names(keyed.operator)
    for client in (keyed.asking("admin", tenant="news"), keyed.asking("admin", tenant="default")):
        answer = client.post("/v1/experiments", json=NEW | {"experiment_id": name})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_id")
    if name != "~shop~x":
        answer = keyed.operator.post("/v1/experiments", json=NEW | {"experiment_id": name})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_id")
    assert names(keyed.operator) == before


def test_tenants_are_there_again_after_a_start(keyed: Keyed, tmp_path: Any) -> None:
    with Keyed(tmp_path) as first:
        text = first.key("admin", tenant="shop")
        made = first.client_of(text).post("/v1/experiments/banner/decisions", json={"decision_id": "d"})
        assert made.status_code == 201
    again = Keyed(tmp_path)
    again.thread.start()
    try:
        client = again.client_of(text)
        again.wait_until(lambda: client.get("/v1/experiments/banner").status_code == 200)
        assert names(client) == ["banner"]
        assert client.get("/v1/experiments/banner").json()["decisions"] == 1
        answer = client.post("/v1/experiments/banner/decisions", json={"decision_id": "d"})
        assert (answer.status_code, answer.json()) == (200, made.json())
        assert client.get("/v1/experiments/secret").status_code == 404
    finally:
        client.close()
        again.stop()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (sa.update(SNAPSHOT).values(digest="0" * 64), "is skipped"),
        (sa.delete(SNAPSHOT_PART).where(SNAPSHOT_PART.c.part == SUMS), "has no sums"),
    ],
)
def test_the_log_tells_of_snapshots_whose_they_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: sa.Update | sa.Delete, said: str
) -> None:
    """Ids are unique within a tenant alone: the log named the id, which several may have."""
    with Served(tmp_path) as served:
        served.create("~shop~e")
        served.decide({}, "~shop~e")
        served.stop()
        engine = sa.create_engine(served.url)
        with engine.begin() as connection:
            connection.execute(damage)
        engine.dispose()
        with caplog.at_level(logging.WARNING, "onearm"):
            served.start()
    (line,) = [line for line in caplog.messages if said in line]
    assert line.startswith("experiment '~shop~e': the snapshot")


def test_the_log_tells_of_a_fold_that_failed_whose_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Served(tmp_path) as served:
        served.create("~shop~e")
        live = served.service.live("~shop~e")
        recover, failures = live.recover, [Unavailable("read_failed", "the database is away")]

        def failing() -> Any:
            if failures:
                raise failures.pop()
            return recover()

        live.recover = failing

        async def refolded() -> None:
            served.service._setting_back.set_all_back({live}, Unavailable("commit_failed", "the disk is full"))
            await served.service._setting_back.done(live)

        served.client.portal.call(refolded)
    assert "experiment '~shop~e' cannot be folded yet: the database is away" in caplog.messages


def test_no_weight_has_a_name_that_came_to_another_tenant(tmp_path: Path) -> None:
    new_database(tmp_path / "run.db")
    context = {"kind": "features", "bits": 4}  # the features of one are in the slots of the other
    body = {"experiment_id": "words", "arms": [{"id": "a"}, {"id": "b"}], "policy": "squarecb"}
    with Keyed(tmp_path) as keyed:
        tenants = {tenant: keyed.asking("admin", tenant=tenant) for tenant in ("shop", "market")}
        for tenant, client in tenants.items():
            client.post("/v1/experiments", json=body | {"problem": {"context": context}})
            for step in range(12):
                shown = {"context": {"q": f"{tenant}{step % 3}"}}
                decided = client.post("/v1/experiments/words/decisions", json=shown).json()
                reward = {"value": float(decided["action_id"] == "a")}
                client.post(f"/v1/experiments/words/decisions/{decided['decision_id']}/reward", json=reward)
        told = {tenant: client.get("/v1/experiments/words/weights").text for tenant, client in tenants.items()}
    assert [tenant in told[tenant] for tenant in tenants] == [True, True], told
    assert "market" not in told["shop"] and "shop" not in told["market"], told
