"""Engines with a log whose windows close and whose policies watch: a service in this process works for them."""

from __future__ import annotations

import json
import os
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support import with_numba
from support.served import Served

import onearm
from onearm.api.cli.main import run
from onearm.api.durable import host, hosted
from onearm.api.service import correcting
from onearm.api.service.clocks import Clocks
from onearm.api.service.service import Service
from onearm.engine.errors import Conflict, InvalidInput, NotFound, Unavailable
from onearm.engine.storage.store import Store

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")
ARMS = ["a", "b", "c"]
PATIENCE = 30.0  # seconds, which nothing here takes
WINDOW = {"wait_time": "1s", "default": 0.25}


@pytest.fixture
def here(tmp_path: Path) -> dict[str, Any]:
    return {"database": f"sqlite:///{tmp_path}/run.db", "experiment": "e"}


@pytest.fixture(autouse=True)
def without_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let windows that were open at the start close when they are due."""
    monkeypatch.setattr(host, "CLOCKS", Clocks(grace=0.0))


def until(true: Callable[[], bool]) -> None:
    over = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < over
        time.sleep(0.02)


def verified(here: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["verify", "--database", here["database"], "--json"]) == 0
    return {one["id"]: one["digest"] for one in json.loads(capsys.readouterr().out)["experiments"]}


def test_windows_close_and_what_nobody_told_of_is_the_default(
    here: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with onearm.open("ucb1", arms=ARMS, reward=WINDOW, **here) as engine:
        told, silent = engine.decide(), engine.decide()
        engine.learn(told, 1.0)
        assert engine.about().rewards == 0
        until(lambda: engine.about().rewards == 2)
        assert (engine.record(told).reward.value, engine.record(silent).reward.value) == (1.0, 0.25)
        last = engine.decide()
    with onearm.open(**here) as again:
        until(lambda: again.about().rewards == 3)
        assert again.record(last).reward.closed == "default"
        with pytest.raises(Conflict) as late:
            again.learn(last, 1.0)
        assert late.value.code == "late"
        digest = again.digest()
    assert verified(here, capsys) == {"e": digest}


def test_windows_of_lists_close_together(here: dict[str, Any]) -> None:
    with onearm.open("ucb1", arms=ARMS, slots=2, reward=WINDOW, **here) as engine:
        shelf = engine.decide(["top", "side"])
        engine.learn(shelf, {"side": 1.0})
        until(lambda: engine.about().rewards == 2)
        assert [slot.reward.value for slot in engine.record(shelf).slots] == [0.25, 1.0]


def test_a_stream_goes_on_where_it_was(here: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    rates = {"plain": 0.2, "witty": 0.7}
    with onearm.open("early_drop", stream=3, horizon=200, **here) as stream:
        stream.offer("plain")
        assert stream.ask(decision_id="first").arm_id == "plain"
    with onearm.open(**here) as stream:
        stream.tell(stream.ask(decision_id="first"), 1.0, 1)
        stream.offer("witty")
        stream.close()
        for _ in range(2):
            pull = stream.ask()
            stream.tell(pull, rates[pull.arm_id] * pull.pulls, pull.pulls)
        chosen = stream.commit().arm_id
        stream.give_up()
        with pytest.raises(Unavailable, match="is closed: open it again"):
            stream.ask()
    with onearm.open("early_drop", stream={"arms": 3}, horizon=200, **here) as again:
        assert again.recommend().arm_id == chosen
    verified(here, capsys)


def test_policies_join_are_promoted_and_retire(here: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    shadow = {"policy": "thompson_beta", "role": "shadow"}
    control = {"policy": "uniform", "role": "control", "share": 0.25}
    about: dict[str, Any] = {"arms": ARMS, "reward_range": (0.0, 1.0)}
    with onearm.open("ucb1", **about, policies=[shadow, control], **here) as engine:
        for _ in range(30):
            engine.learn(engine.decide(), 1.0)
        assert [(one.policy, one.role) for one in engine.policies().policies] == [
            (0, "live"),
            (1, "shadow"),
            (2, "control"),
        ]
    with onearm.open("ucb1", **about, policies=[shadow, control], **here) as again:
        assert len(again.policies().policies) == 3
        again.promote(1)
        assert again.decide().answer.policy in ("thompson_beta", "uniform")
        again.retire_policy(0)
        again.retire_policy(2)
        digest = again.digest()
    assert verified(here, capsys) == {"e": digest}
    with onearm.open(**here) as alone:
        assert alone.digest() == digest
        assert (alone.number, alone.rewards, alone.spec.policy.name) == (31, 30, "thompson_beta")
        alone.learn(alone.decide(), 0.0)


def test_what_an_engine_began_alone_may_get_policies_later(here: dict[str, Any]) -> None:
    with onearm.open("ucb1", arms=ARMS, **here) as engine:
        engine.learn(engine.decide(), 1.0)
        open_one = engine.decide()
    with onearm.open(**here, policies=[{"policy": "uniform", "role": "canary", "share": 0.5}]) as several:
        assert several.about().decisions == 2
        several.learn(open_one.decision_id, 0.5)
    with onearm.open(**here) as again:
        assert [one.role for one in again.policies().policies] == ["live", "canary"]


def test_engines_of_both_sorts_share_a_database(here: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    at = {"database": here["database"]}
    plain = onearm.open("ucb1", arms=ARMS, **at, experiment="plain")
    waits = onearm.open("ucb1", arms=ARMS, reward=WINDOW, **at, experiment="waits")
    stream = onearm.open("early_drop", stream=3, horizon=200, **at, experiment="stream")
    stream.offer("x")
    for _ in range(20):
        plain.learn(plain.decide(), 1.0)
        waits.decide()
    assert stream.ask().arm_id == "x"
    with pytest.raises(Unavailable) as twice:
        onearm.open(**at, experiment="waits")
    assert twice.value.code == "experiment_in_use"
    with pytest.raises(NotFound):
        onearm.open(**at, experiment="nobody")
    waits.close()
    assert stream.ask(decision_id="y").arm_id == "x"
    waits = onearm.open(**at, experiment="waits")
    assert waits.about().decisions == 20
    stream.give_up()
    waits.close()
    plain.close()
    Store.open(here["database"]).close()
    assert list(verified(here, capsys)) == ["plain", "waits", "stream"]


def test_a_service_takes_it_over_and_gives_it_back(tmp_path: Path, here: dict[str, Any]) -> None:
    with onearm.open("ucb1", arms=ARMS, reward={"wait_time": "1h"}, **here) as engine:
        decision = engine.decide(decision_id="d")
        digest = engine.digest()
    with Served(tmp_path) as served:
        assert served.digest("e") == digest
        assert served.reward("d", 1.0).status_code == 200
    with onearm.open(**here) as again:
        assert [one.value for one in again.record(decision).outcomes] == [1.0]


def test_an_engine_that_is_left_open_is_closed_however_long_the_interpreter_takes_to_end(here: dict[str, Any]) -> None:
    """Threads are started no more by then, and the keys are looked at twice a second."""
    told = f"""
import threading, time
threading._register_atexit(time.sleep, 1.2)  # is called after what is registered later
import onearm
left = onearm.open("ucb1", arms=["a", "b"], reward={{"wait_time": "1h"}}, **{here!r})
left.decide()
"""
    done = with_numba.run(told, **with_numba.AS_PYTHON)
    assert (done.returncode, done.stderr) == (0, "")
    with onearm.open(**here) as engine:
        assert engine.about().decisions == 1


def test_one_process_after_another_goes_on(here: dict[str, Any], tmp_path: Path) -> None:
    told = f"""
import onearm
with onearm.open("ucb1", arms=["a", "b", "c"], reward={{"wait_time": "1h"}}, **{here!r}) as engine:
    engine.learn(engine.decide(), 1.0)
onearm.open("ucb1", arms=["a", "b", "c"], **{here | {"experiment": "plain"}!r}).decide()
left = onearm.open("early_drop", stream=3, horizon=200, **{here | {"experiment": "left open"}!r})
left.offer("x"), left.ask()
"""
    for _ in range(2):
        done = with_numba.run(told, **with_numba.AS_PYTHON)
        assert (done.returncode, done.stderr) == (0, "")
    with onearm.open(**here) as engine, onearm.open(**here | {"experiment": "plain"}) as plain:
        assert (engine.about().decisions, plain.number) == (2, 2)
        another = f"import onearm; onearm.open(**{here!r})"
        done = with_numba.run(another, **with_numba.AS_PYTHON)
        assert f"is in use by process {os.getpid()}" in done.stderr


def test_a_process_that_was_forked_is_refused(here: dict[str, Any]) -> None:
    with onearm.open("ucb1", arms=ARMS, reward=WINDOW, **here) as engine:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's own, about forks beside threads
            child = os.fork()
        if child == 0:
            codes = []
            for call in (engine.decide, lambda: onearm.open(**here), engine.close):
                try:
                    call()
                except Unavailable as error:
                    codes.append(error.code)
            os._exit(codes != ["other_process", "database_in_use"])
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert engine.decide().action_id in ARMS


def test_what_does_not_go_together_is_refused_and_holds_nothing(here: dict[str, Any]) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"arms": ARMS, "reward": WINDOW, "commit": 10}, "bad_commit"),
        ({"stream": 3, "arms": ARMS}, "bad_spec"),
        ({"stream": 3, "slots": 2}, "bad_spec"),
        ({"arms": ARMS, "policies": [{"policy": "no such policy"}]}, "unknown_policy"),
        ({"arms": ARMS, "reward": {"wait_time": "soon"}}, "bad_window"),
    ]
    for number, (given, code) in enumerate(wrong):
        with pytest.raises(InvalidInput) as refused:
            onearm.open(**given, **here | {"experiment": f"e{number}"})
        assert refused.value.code == code
    for given in ({"stream": 3}, {"reward": WINDOW}, {"policies": []}):
        with pytest.raises(InvalidInput, match="no database") as needed:
            onearm.open(**given)
        assert needed.value.code == "no_database"
    Store.open(here["database"]).close()


@pytest.mark.parametrize(
    "given", [{"arms": ARMS}, {"arms": ARMS, "slots": 2}, {"domain": {"kind": "ball", "dimension": 2}}], ids=str
)
@pytest.mark.parametrize("decision", [7, None])
def test_what_is_no_decision_is_refused_as_an_engine_alone_does(
    here: dict[str, Any], given: dict[str, Any], decision: Any
) -> None:
    told: dict[str, Any] = {"gradient": [0.0, 0.0]} if "domain" in given else {}
    with onearm.open(**given, policies=[], **here) as engine, pytest.raises(InvalidInput) as refused:
        engine.learn(decision, *([] if told else [1.0]), **told)
    assert refused.value.code == "bad_decision"


def test_what_is_no_arm_of_a_stream_and_no_pull_is_refused(here: dict[str, Any]) -> None:
    with onearm.open(stream=5, horizon=20, **here) as stream:
        with pytest.raises(InvalidInput, match="the arm is None: it must be an id") as refused:
            stream.offer(None)  # type: ignore[arg-type]
        assert refused.value.code == "bad_body"
        with pytest.raises(InvalidInput) as refused:
            stream.tell(7, 1.0, 1)  # type: ignore[arg-type]
        assert refused.value.code == "bad_decision"


def test_nothing_is_committed_once_it_is_closed(here: dict[str, Any]) -> None:
    engine = onearm.open("ucb1", arms=ARMS, policies=[], **here)
    engine.flush()
    engine.close()
    with pytest.raises(Unavailable) as refused:
        engine.flush()
    assert refused.value.code == "closed"


def test_an_engine_that_nobody_closed_is_closed_with_its_last_name(here: dict[str, Any]) -> None:
    engine = onearm.open("ucb1", arms=ARMS, reward={"wait_time": "1h"}, **here)
    engine.decide()
    del engine
    Store.open(here["database"]).close()


def test_it_may_be_given_up_where_memory_is_cleared_up_in_the_thread_of_the_service(here: dict[str, Any]) -> None:
    engine = onearm.open("ucb1", arms=ARMS, reward={"wait_time": "1h"}, **here)
    engine.decide()
    service = engine._given_up.peek()[2][1]
    service._loop.call_soon_threadsafe(engine._given_up)

    def is_free() -> bool:
        try:
            Store.open(here["database"]).close()
        except Unavailable:
            return False
        return True

    until(is_free)


def test_a_disk_that_is_full_is_told_and_what_was_told_before_stays(
    here: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with onearm.open("ucb1", arms=ARMS, reward={"wait_time": "1h"}, **here) as engine:
        engine.decide(decision_id="first")
        store = engine._given_up.peek()[2][2].store
        append = store.append

        def full(events: Any, *given: Any, **named: Any) -> None:
            if events:
                raise Unavailable("commit_failed", "nothing was written, as the disk is full: see that it has room")
            append(events, *given, **named)

        with monkeypatch.context() as patch:
            patch.setattr(store, "append", full)
            with pytest.raises(Unavailable, match="the disk is full"):
                engine.decide(decision_id="second")
        until(lambda: engine.about().decisions == 1)
        assert engine.decide(decision_id="second").decision_id == "second"
        assert engine.about().decisions == 2
    verified(here, capsys)


def test_an_experiment_may_be_archived_restored_and_deleted(here: dict[str, Any]) -> None:
    with onearm.open("ucb1", arms=ARMS, reward={"wait_time": "1h"}, **here) as engine:
        engine.decide()
        engine.archive()
    with onearm.open(**here) as engine:
        with pytest.raises(Conflict, match="is archived"):
            engine.decide()
        engine.restore()
        engine.decide()
        engine.delete()
        with pytest.raises(NotFound):
            engine.decide()
    for given in ({}, {"policy": "ucb1", "arms": ARMS}):
        with pytest.raises(Conflict) as gone:
            onearm.open(**given, **here)
        assert gone.value.code == "experiment_deleted"


def test_any_experiment_has_what_a_service_tells(here: dict[str, Any]) -> None:
    with onearm.open("ucb1", arms=ARMS, **here) as engine:
        for _ in range(6):
            engine.learn(engine.decide(), 1.0)
    with onearm.open(**here, policies=[]) as told:
        assert told.report().rewards == 6
        assert told.curve("hour").spans[0].decisions == 6
        assert told.record("~0").reward.value == 1.0
        told.correct("~0", 0.5)
    with onearm.open(**here) as engine:
        assert engine.number == 6


def test_who_only_tells_of_a_log_writes_nothing_to_it(
    here: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine beside it goes on with its own seq: corrections reach the state where a service works for it."""
    monkeypatch.setattr(correcting, "EVERY", 3600.0)  # seconds: the test says when they are looked after
    with onearm.open("ucb1", arms=ARMS, **here, policies=[]) as corrected:
        first = corrected.decide()
        corrected.learn(first, 1.0)
        corrected.correct(first, 0.0)
    begun, at_service = host._begun, hosted._at_service
    services: list[Service] = []

    async def noted(store: Store) -> Any:
        service, app = await begun(store)
        services.append(service)
        return service, app

    def looked_after(transport: host.Within, *about: Any) -> Any:
        transport._host._run(services[-1].correcting.correct_all(1.0))
        return at_service(transport, *about)

    monkeypatch.setattr(host, "_begun", noted)
    monkeypatch.setattr(hosted, "_at_service", looked_after)
    with onearm.open(**here) as engine:
        assert engine.report().rewards == 1
        engine.learn(engine.decide(), 0.5)
        assert engine.record("~1").reward.value == 0.5
        assert engine.curve("hour").spans[0].decisions == 2
        engine.learn(engine.decide(), 0.5)
    with onearm.open(**here, policies=[]) as several:  # here it does
        assert several.about().decisions == 3
    with closing(Store.open(here["database"])) as store:
        key = store.experiments()[0].key
        sets = [change.detail for change in store.changes(key)]
    assert len(sets) == 1 and '"corrected"' in str(sets[0])
    verified(here, capsys)


class NotedThreads(set[str]):
    """Names, and by which threads they were changed."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[str] = []

    def add(self, name: str) -> None:
        self.threads.append(threading.current_thread().name)
        super().add(name)

    def discard(self, name: str) -> None:
        self.threads.append(threading.current_thread().name)
        super().discard(name)


def test_what_is_only_told_of_is_known_in_the_thread_of_the_service_and_while_it_is_told(
    here: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, noted = host._begun, NotedThreads()

    async def with_noted(store: Store) -> Any:
        service, app = await begun(store)
        service.correcting.only_told = noted
        return service, app

    monkeypatch.setattr(host, "_begun", with_noted)
    with onearm.open("ucb1", arms=ARMS, **here) as engine:
        engine.learn(engine.decide(), 1.0)
        assert engine.report().rewards == 1
    assert noted.threads and set(noted.threads) == {"onearm-service"}
    assert noted == set()


def test_postgresql_has_engines_of_both_sorts_too(postgres_url: str) -> None:
    at = {"database": postgres_url}
    with (
        onearm.open("ucb1", arms=ARMS, **at, experiment="plain") as plain,
        onearm.open("ucb1", arms=ARMS, reward=WINDOW, **at, experiment="waits") as waits,
    ):
        plain.learn(plain.decide(), 1.0)
        waits.learn(waits.decide(), 1.0)
        until(lambda: waits.about().rewards == 1)
        assert plain.report().rewards == 1
    with onearm.open(**at, experiment="plain") as plain, onearm.open(**at, experiment="waits") as waits:
        assert (plain.number, waits.about().decisions) == (1, 1)
