"""Rewards that are learned when they come, and silence when the window closes: `learn` is "at_once"."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.served import assert_refused, log_of
from support.slow_steps import begun_in
from support.windowed import GRACE, Windowed, assert_clean, half_closed, learned

from onearm.api.cli.verify import has_fault, verified
from onearm.api.http import windowed
from onearm.api.service.curves import Counted
from onearm.engine.storage.windows import CLOSED_BY_DEFAULT, LEARNED_AT_ONCE
from onearm.engine.vocabulary import LEARN

AT_ONCE = {"wait_time": "10s", "default": 0, "learn": "at_once", "range": [0, 1]}
E = "/v1/experiments/e"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Windowed]:
    with Windowed(tmp_path) as served:
        yield served


def create(served: Windowed, **fields: Any) -> None:
    answer = served.create(reward=AT_ONCE | fields)
    assert answer.status_code == 201, answer.text


def decide(served: Windowed, name: str, **body: Any) -> None:
    answer = served.decide({"decision_id": name, **body})
    assert answer.status_code == 201, answer.text


def status(served: Windowed, name: str, value: float, reward_id: str = "r") -> str:
    answer = served.reward(name, {"value": value, "reward_id": reward_id})
    assert answer.status_code in (200, 202), answer.text
    found: str = answer.json()["status"]
    return found


def assert_alike(one: dict[str, Any], two: dict[str, Any]) -> None:
    """Check that two reports of other experiments say the same."""
    assert (one["reward_mean"], one["reward_stderr"]) == (two["reward_mean"], two["reward_stderr"])
    assert [[arm["rewards"], arm["decisions"]] for arm in one["arms"]] == [
        [arm["rewards"], arm["decisions"]] for arm in two["arms"]
    ]
    for name in ("decisions", "rewards", "open", "late", "early", "closed_by_default", "replaced", "never_shown"):
        assert one[name] == two[name], name


def test_a_reward_is_learned_when_it_comes_and_silence_when_the_window_closes(served: Windowed) -> None:
    create(served)
    decide(served, "a")
    decide(served, "b")
    assert status(served, "b", 1.0) == "accepted"
    assert learned(served) == {1: (1.0, LEARNED_AT_ONCE)}
    assert status(served, "b", 1.0) == "duplicate"
    assert_refused(served.reward("b", {"value": 0.5, "reward_id": "r"}), 409, "reward_exists")
    assert status(served, "b", 0.5, "second") == "accepted"  # on record; the earliest is learned
    served.pass_time(10)
    assert learned(served) == {1: (1.0, LEARNED_AT_ONCE), 0: (0.0, CLOSED_BY_DEFAULT)}
    assert_refused(served.reward("a", {"value": 1.0}), 409, "late")
    assert_refused(served.reward("b", {"value": 1.0, "reward_id": "third"}), 409, "late")
    record = served.record("b").json()
    assert (record["reward"]["closed"], [one["value"] for one in record["outcomes"]]) == ("at_once", [1.0, 0.5])
    served.restart()
    assert_clean(served)


def test_without_a_default_silence_is_never_learned(served: Windowed) -> None:
    answer = served.create(reward={"wait_time": "10s", "learn": "at_once", "late": "record"})
    assert "warnings" not in answer.json()
    decide(served, "a")
    decide(served, "b")
    status(served, "a", 0.25)
    served.pass_time(10)
    assert status(served, "b", 1.0) == "late"
    assert learned(served) == {0: (0.25, LEARNED_AT_ONCE)}
    served.restart()
    assert served.report()["open"] == 0
    assert status(served, "b", 0.5, "again") == "late"
    assert_clean(served)


@pytest.mark.parametrize("aggregation", ["last", "sum", "mean", "median", "min", "max"])
def test_what_is_not_known_before_the_last_reward_is_refused(served: Windowed, aggregation: str) -> None:
    says = assert_refused(served.create(reward=AT_ONCE | {"aggregation": aggregation}), 422, "bad_window")
    assert f'"{aggregation}"' in says["detail"]
    assert "at_once" in says["detail"]


def test_whoever_declares_it_is_warned_wherever_people_look(served: Windowed, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "onearm"):
        answer = served.create(reward=AT_ONCE)
    told = [answer.json(), served.get(E).json(), served.report(), served.get(f"{E}/diagnostics").json()]
    for one in told:
        assert len(one["warnings"]) == 1
        assert "silence only 10s after" in one["warnings"][0]
    assert "silence only 10s after" in caplog.text
    served.create("calm", reward=AT_ONCE | {"learn": "at_close"})
    assert "warnings" not in served.get("/v1/experiments/calm").json()


def test_what_came_before_the_decision_or_before_it_was_shown_is_learned_then(served: Windowed) -> None:
    create(served)
    assert status(served, "early", 0.5) == "early"
    decide(served, "early")
    assert learned(served) == {0: (0.5, LEARNED_AT_ONCE)}
    decide(served, "deferred", defer_activation=True)
    assert status(served, "deferred", 0.25) == "accepted"
    assert 1 not in learned(served)
    served.post(f"{E}/decisions/deferred:activate")
    assert learned(served)[1] == (0.25, LEARNED_AT_ONCE)
    decide(served, "other", defer_activation=True)
    assert status(served, "other", 0.125) == "accepted"
    action = "b" if served.record("other").json()["action_id"] == "a" else "a"
    served.post(f"{E}/decisions/other:activate", {"action_id": action})
    assert learned(served)[3] == (0.125, LEARNED_AT_ONCE)
    decide(served, "never", defer_activation=True)
    assert status(served, "never", 1.0) == "accepted"
    served.pass_time(10)
    assert set(learned(served)) == {0, 1, 3}
    assert_clean(served)


def test_the_default_is_corrected_by_what_comes_late(served: Windowed) -> None:
    create(served, late="learn")
    decide(served, "a")
    decide(served, "b")
    status(served, "b", 1.0)
    served.pass_time(10)
    assert status(served, "a", 0.75) == "late"
    assert status(served, "b", 0.25, "more") == "late"
    report = served.report()
    assert (report["rewards"], report["reward_mean"]) == (2, 0.875)
    assert_clean(served)


@pytest.mark.parametrize("default", [0, None])
def test_what_was_not_shown_closes_after_a_start_too(served: Windowed, default: float | None) -> None:
    create(served, default=default)
    decide(served, "a", defer_activation=True)
    served.pass_time(10.1, close=False)
    decide(served, "b")  # by whose time the window of "a" is over
    served.restart()
    served.pass_time(GRACE + 0.1)
    assert served.record("a").json()["activation"]["status"] == "never_shown"
    assert served.report()["never_shown"] == 1
    assert_clean(served)


def test_what_came_in_time_and_was_not_learned_is_learned_after_a_start(
    served: Windowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: Any) -> None:
        """Leave a reward on record, as a process that ends before it learns."""

    create(served, default=None)
    decide(served, "a")
    decide(served, "b", defer_activation=True)
    assert served.post(f"{E}/decisions/b:activate").status_code == 200
    with monkeypatch.context() as patch:
        patch.setattr(windowed, "learn_at_once", killed)
        assert [status(served, name, 1.0) for name in "ab"] == ["accepted", "accepted"]
    assert not learned(served)
    served.pass_time(10.1, close=False)
    decide(served, "c")
    served.restart()
    served.pass_time(GRACE + 0.1)
    assert {number: reward for number, (reward, _) in learned(served).items()} == {0: 1.0, 1: 1.0}
    assert_clean(served)


def test_a_young_mean_is_not_above_the_truth(served: Windowed) -> None:
    """One decision in five is clicked, at once; all others are silent."""
    create(served)
    for n in range(100):
        decide(served, f"d{n}")
        if n % 5 == 0:
            assert status(served, f"d{n}", 1.0) == "accepted"
        served.pass_time(0.25)
        report = served.report()
        closed = max(0, n + 1 - 39)  # the window of d(n - 39) ends with this pause
        assert report["open"] == n + 1 - closed
        assert report["rewards"] == closed
        assert report["reward_mean"] == (None if not closed else pytest.approx((closed + 4) // 5 / closed))
        assert sum(arm["rewards"] for arm in report["arms"]) == closed
    assert report["until"] == served.record("d61").json()["seq"] - 1
    assert len(learned(served)) == 68  # 20 clicks and 48 silent ones
    curve = served.get(f"{E}/curve?by=hour").json()
    assert sum(span["rewards"] for span in curve["spans"]) == 61
    assert sum(span["decisions"] for span in curve["spans"]) == 61
    assert sum(span["rewards"] * span["reward_mean"] for span in curve["spans"]) == pytest.approx(13)
    assert (curve["seq"], curve["of"], curve["open"]) == (report["until"], report["until"], 39)
    assert served.get(E).json()["rewards"] == 68
    served.restart()
    again = served.report()  # that the window of d60 was closed is not on record: nothing was learned by it
    assert (again["open"], again["rewards"], again["reward_mean"]) == (40, 60, pytest.approx(0.2))
    served.pass_time(GRACE + 10)
    report = served.report()
    assert (report["open"], report["rewards"], report["reward_mean"]) == (0, 100, pytest.approx(0.2))
    curve = served.get(f"{E}/curve?by=hour").json()
    assert sum(span["rewards"] for span in curve["spans"]) == 100
    served.restart()
    assert_clean(served)


def test_values_and_guards_wait_for_silence_too(served: Windowed) -> None:
    create(served)
    canary = {"policy": "ucb1", "role": "canary", "share": 0.5, "guard": {"against": "live", "promote_above": 0.9}}
    answer = served.post(f"{E}/policies", canary)
    assert answer.status_code == 201, answer.text
    assert served.post(f"{E}/policies", {"policy": "tsallis_inf", "role": "shadow"}).status_code == 201
    for n in range(60):
        decide(served, f"d{n}")
        if n % 5 == 0:
            status(served, f"d{n}", 1.0)
    look(served)
    lineup = served.get(f"{E}/policies").json()
    assert [one["decisions"] for one in lineup["policies"]] == [0, 0, 0]
    assert (lineup["open"], lineup["until"]) == (60, 2)  # two policies joined before
    served.pass_time(10)
    look(served)
    lineup = served.get(f"{E}/policies").json()
    live, canary, shadow = lineup["policies"]
    assert live["decisions"] + canary["decisions"] == 60
    whole = live["decisions"] * live["value"]["value"] + canary["decisions"] * canary["value"]["value"]
    assert whole == pytest.approx(12)
    assert shadow["decisions"] > 0
    assert lineup["open"] == 0
    decide(served, "before")
    assert served.post(f"{E}/policies/2:promote").status_code == 200
    status(served, "before", 1.0)
    for n in range(60, 90):
        decide(served, f"d{n}")
    served.pass_time(10)
    told = []
    for _ in range(2):
        look(served)
        policies = served.get(f"{E}/policies").json()["policies"]
        told.append([(one["decisions"], one["value"]["value"], one["value"]["low"]) for one in policies])
        served.restart()
    assert told[0] == [pytest.approx(one, rel=1e-9) for one in told[1]]
    assert all(now[0] > one["decisions"] for now, one in zip(told[0], (live, canary, shadow), strict=True))


def look(served: Windowed) -> None:
    async def all_of_it() -> None:
        live = served.service.live("e")
        for _ in range(3):
            await served.service.policies._look(live)

    assert served.client.portal is not None
    served.client.portal.call(all_of_it)


@pytest.mark.parametrize("value", [0.25, None])
def test_a_correction_of_what_was_learned_at_once_counts_when_the_window_closes(
    served: Windowed, value: float | None
) -> None:
    create(served)
    for name in ("a", "b"):
        decide(served, name)
    status(served, "b", 1.0)
    path = f"{E}/decisions/b/reward"
    answer = served.client.delete(path) if value is None else served.client.put(path, content=b'{"value": 0.25}')
    assert answer.json() == {"status": "accepted"}
    assert served.report()["rewards"] == 0
    served.restart()
    assert served.report()["rewards"] == 0
    served.pass_time(GRACE + 10)
    report = served.report()
    assert (report["rewards"], report["reward_mean"]) == ((1, 0.0) if value is None else (2, 0.125))
    spans = served.get(f"{E}/curve").json()["spans"]
    assert [one["rewards"] for one in spans] == [report["rewards"]]
    assert spans[0]["reward_mean"] == pytest.approx(report["reward_mean"])


@pytest.mark.parametrize("close_first", [False, True])
def test_an_erased_decision_counts_when_its_window_closes(served: Windowed, close_first: bool) -> None:
    create(served)
    decide(served, "a", unit_id="ann")
    decide(served, "b", unit_id="ann", defer_activation=True)
    served.post(f"{E}/decisions/b:activate")
    status(served, "a", 1.0)
    status(served, "b", 0.5)
    if close_first:
        served.pass_time(10)
    assert served.post(f"{E}:erase", {"unit_id": "ann"}).json()["decisions"] == 2
    served.pass_time(10)
    report = served.report()
    assert (report["rewards"], report["reward_mean"], report["open"]) == (2, 0.75, 0)
    served.restart()
    served.pass_time(GRACE + 10)
    assert served.report() == report
    assert not any(map(has_fault, verified(served.url)))


def test_an_export_is_the_same_experiment_elsewhere(served: Windowed) -> None:
    create(served)
    for name in ("a", "b", "c"):
        decide(served, name)
    status(served, "b", 1.0)
    served.pass_time(10)
    decide(served, "d")
    status(served, "d", 0.5)
    export = served.get(f"{E}/log").content
    assert b'"closed":"at_once"' in export
    assert served.post("/v1/experiments:import?experiment_id=copy", export).status_code == 201
    served.close_due()
    assert_alike(served.report("copy"), served.report())
    events = [log_of(served.store, name)[1] for name in ("e", "copy")]
    seen, copied = ([(e.number, e.reward, e.detail) for e in some if e.kind == LEARN] for some in events)
    assert seen == copied
    assert not any(map(has_fault, verified(served.url)))


@pytest.mark.parametrize("default", [0, None])
def test_a_report_has_the_same_bits_after_a_start(served: Windowed, default: float | None) -> None:
    """Live, rewards are withheld when they are learned and put back one by one; a start withholds what is open."""
    create(served, default=default)
    rng = np.random.default_rng(2)
    values = rng.random(75).tolist()
    for n, value in enumerate(values[:60]):
        decide(served, f"d{n}")
        status(served, f"d{n}", value)
        served.pass_time(0.5)
    for place, value in zip(rng.integers(60, size=15).tolist(), values[60:], strict=True):
        path = f"{E}/decisions/d{place}/reward"
        assert served.client.put(path, content=f'{{"value": {value}}}'.encode()).status_code == 200
    before = served.report()
    assert 10 < before["open"] < 30 and before["reward_stderr"] > 0.0
    served.restart()
    assert served.report() == before
    served.pass_time(GRACE + 10)
    assert not any(map(has_fault, verified(served.url)))


def test_a_curve_that_is_asked_for_as_windows_close_step_by_step_has_what_they_come_to(
    served: Windowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two windows are closed in memory, and what they came to is not on its way to the log: the next count has it."""
    create(served)
    for number in range(4):
        decide(served, f"d{number}")
    served.pass_time(10, close=False)
    live, portal = served.service.live("e"), served.client.portal
    assert live.windows is not None and portal is not None

    async def count() -> asyncio.Task[Counted]:
        return await begun_in(live.turns, served.service.curves.count(live, 60.0), monkeypatch)

    async def counted(counting: asyncio.Task[Counted]) -> int:
        return (await counting).until

    with half_closed(served, monkeypatch):
        closed = live.windows.closed
        counting = portal.call(count)
    assert closed > 0
    assert portal.call(counted, counting) >= closed
    [span] = served.get(f"{E}/curve").json()["spans"]
    assert (span["decisions"], span["rewards"]) == (4, 4)
