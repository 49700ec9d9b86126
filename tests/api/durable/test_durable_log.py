"""When calls of an engine with a log are on record, what is lost where that fails, and what it refuses."""

from __future__ import annotations

import gc
import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.broken_store import FULL, Broken
from support.logged_engines import ARMS, CASES, Pair
from support.served import Served

import onearm
from onearm.api.cli.main import run
from onearm.api.kinds.arms.engine import Engine
from onearm.engine.columns import empty
from onearm.engine.errors import Conflict, InvalidInput, NotFound, OnearmError, Unavailable
from onearm.engine.problem import Problem
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE, EXTERNAL, LEARN


@pytest.fixture
def here(tmp_path: Path) -> dict[str, Any]:
    return {"database": f"sqlite:///{tmp_path}/run.db", "experiment": "e"}


@pytest.fixture
def engine(here: dict[str, Any]) -> Iterator[Engine]:
    with onearm.open("ucb1", arms=ARMS, **here) as opened:
        yield opened


def on_record(here: dict[str, Any]) -> int:
    """Return how many events are committed, as another process sees it."""
    store = Store.open(here["database"], write=False)
    try:
        return store.last(store.experiments()[0].key)[0]
    finally:
        store.close()


def kinds(here: dict[str, Any]) -> list[int]:
    store = Store.open(here["database"], write=False)
    try:
        return [event.kind for event in store.read_events(store.experiments()[0].key, 0)]
    finally:
        store.close()


def verify(here: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["verify", "--database", here["database"], "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["experiments"]
    return next(one for one in found if one["id"] == "e")


# When


def test_each_call_is_on_record_before_it_returns(engine: Engine, here: dict[str, Any]) -> None:
    decision = engine.decide()
    assert on_record(here) == 1
    engine.learn(decision, 0.5)
    assert on_record(here) == 2


def test_so_many_wait_for_one_commit_and_flush_waits_for_none(here: dict[str, Any]) -> None:
    with onearm.open("ucb1", arms=ARMS, **here, commit=4) as engine:
        seen = []
        for _ in range(5):
            engine.decide()
            seen.append(on_record(here))
        assert seen == [0, 0, 0, 4, 4]
        engine.flush()
        assert on_record(here) == 5
        engine.decide()
    assert on_record(here) == 6, "the end of a with statement commits"


def test_what_waits_is_committed_after_a_while(here: dict[str, Any]) -> None:
    with onearm.open("ucb1", arms=ARMS, **here, commit="0.05s") as engine:
        engine.learn(engine.decide(), 1.0)
        deadline = time.monotonic() + 60
        while on_record(here) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_an_engine_that_nobody_closed_loses_nothing_where_nobody_holds_it(here: dict[str, Any]) -> None:
    engine = onearm.open("ucb1", arms=ARMS, **here, commit=1000)
    engine.decide()
    del engine
    gc.collect()
    assert on_record(here) == 1


def test_many_that_are_decided_together_are_on_record_together(
    here: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    memory = onearm.open("linucb", arms=ARMS, context=2)
    with onearm.open("linucb", arms=ARMS, context=2, **here) as engine:
        contexts = np.random.default_rng(0).random((20, 2))
        units = ["x", None] * 10
        both = [one.decide_many(contexts, ["a", "c"], unit_ids=units) for one in (memory, engine)]
        assert both[0].action_id == both[1].action_id and both[1].propensity.tolist() == both[0].propensity.tolist()
        assert on_record(here) == 20
        for one, batch in zip((memory, engine), both, strict=True):
            one.learn_many(batch[::2], np.arange(10) / 10)
        assert on_record(here) == 30
    with onearm.open(**here) as engine:
        left = both[1][1::2]
        with pytest.raises(Conflict, match="decision 0 already has feedback"):
            engine.learn_many(both[1], [0.0] * 20)
        engine.learn_many(left, [1.0] * 10)
        memory.learn_many(both[0][1::2], [1.0] * 10)
        assert engine.digest() == memory.digest() == verify(here, capsys)["digest"]
        assert engine.decide_many(np.zeros((0, 2))).number.tolist() == []


def test_listed_actions_may_be_decided_together(here: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    given = CASES["named"].given
    memory = onearm.open(**given)
    calls = [[{"id": f"i{place}", "price": 1.0 + place} for place in range(n)] for n in (1, 4, 2)]
    contexts = [{"user": {"age": age}} for age in range(3)]
    with onearm.open(**given, **here) as engine:
        both = [one.decide_many(contexts, actions=calls) for one in (memory, engine)]
        assert both[0].action_id == both[1].action_id
    with onearm.open(**here) as engine:
        for one, batch in zip((memory, engine), both, strict=True):
            one.learn_many(batch.number if one is engine else batch, [0.25, 0.5, 1.0])
        assert engine.digest() == memory.digest() == verify(here, capsys)["digest"]


def test_queries_may_be_asked_together(here: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    given = CASES["queries"].given
    memory = onearm.open(**given)
    with onearm.open(**given, **here) as engine:
        both = [one.ask_many(6) for one in (memory, engine)]
        assert both[0].query_id == both[1].query_id
    with onearm.open(**here) as engine:
        for one in (memory, engine):
            one.tell_many(list(range(6)), [1, -1, 1, 1, -1, 1])
        assert engine.digest() == memory.digest() == verify(here, capsys)["digest"]
        assert engine.recommend() == memory.recommend()


def test_what_a_person_says_of_the_world_is_on_record(here: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    given = {"policy": {"name": "adaptive", "params": {"policy": "ucb1"}}, "arms": ARMS}
    memory, engine = onearm.open(**given), onearm.open(**given, **here)
    for one in (memory, engine):
        for turn in range(12):
            one.learn(one.decide(), turn % 2)
            if turn in (4, 7):
                one.world_changed()
        one.false_alarm()
        with pytest.raises(OnearmError):
            one.world_changed(model=99)
    digest = memory.digest()
    assert engine.digest() == digest
    engine.close()
    with onearm.open(**here) as engine:
        assert engine.digest() == digest == verify(here, capsys)["digest"]
        assert engine.changes == memory.changes


def test_a_warm_start_is_on_record_as_what_someone_else_decided(
    here: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = empty(5, Problem(n_arms=3))
    rows.action[:], rows.reward[:], rows.propensity[:] = [0, 1, 2, 0, 1], [0.0, 0.5, 1.0, 0.0, 0.25], 1 / 3
    memory = onearm.open("ucb1", arms=ARMS)
    with onearm.open("ucb1", arms=ARMS, **here) as engine:
        assert [one.warm_start(rows) for one in (memory, engine)] == [5, 5]
        assert engine.decide() == memory.decide()
    assert kinds(here) == [EXTERNAL, LEARN] * 5 + [DECIDE]
    with onearm.open(**here) as engine:
        assert engine.digest() == memory.digest() == verify(here, capsys)["digest"]


def test_a_snapshot_at_the_end_stands_for_the_log(here: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with onearm.open("ucb1", arms=ARMS, **here, commit=100) as engine:
        for _ in range(10):
            engine.learn(engine.decide(), 1.0)
        digest = engine.digest()
    monkeypatch.setattr("onearm.api.service.folded.fold", None)  # nothing is left to be folded
    with onearm.open(**here) as engine:
        assert engine.digest() == digest


def test_a_long_log_is_kept_as_snapshots_meanwhile(here: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onearm.api.durable.journal.SNAPSHOT_BYTES", 5_000)
    with onearm.open("ucb1", arms=ARMS, **here, commit=3) as engine:
        for _ in range(40):
            engine.learn(engine.decide(), 1.0)
        store = Store.open(here["database"], write=False)
        kept = [snapshot.seq for snapshot in store.newest_snapshots(store.experiments()[0].key)]
        store.close()
        assert len(kept) > 1 and max(kept) <= on_record(here)


# Where it fails


def test_a_call_that_cannot_be_committed_changes_nothing(
    engine: Engine, here: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = engine.decide()
    engine.learn(engine.decide(), 1.0)
    disk, before = Broken(engine, monkeypatch), engine.digest()
    disk.error = FULL
    for call in (engine.decide, lambda: engine.learn(held, 0.5), lambda: engine.learn(held, 0.5)):
        with pytest.raises(Unavailable, match="the disk is full"):
            call()
    disk.error = None
    assert engine.decide().number == 2
    engine.learn(held, 0.5)
    with pytest.raises(Conflict, match="already has feedback"):
        engine.learn(held, 0.5)
    memory = onearm.open("ucb1", arms=ARMS)
    first = memory.decide()
    memory.learn(memory.decide(), 1.0)
    assert memory.digest() == before
    memory.learn(first, 0.5)
    assert engine.digest() == memory.digest()
    assert on_record(here) == 5


def test_of_a_batch_that_cannot_be_committed_it_is_said_how_much_is_lost(
    here: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with onearm.open("ucb1", arms=ARMS, **here, commit=4) as engine:
        disk = Broken(engine, monkeypatch)
        kept = [engine.decide() for _ in range(4)]
        engine.learn(kept[0], 1.0)
        engine.decide()
        lost = engine.decide()
        disk.error = FULL
        with pytest.raises(Unavailable, match="the last 4 decisions and rewards are not on record, and not learned"):
            engine.decide()
        disk.error = None
        with pytest.raises(NotFound, match="no decision 5"):
            engine.learn(lost, 1.0)
        engine.learn(kept[0], 0.25)  # its reward was among these
        assert (engine.number, engine.rewards) == (4, 1)
    assert kinds(here) == [DECIDE] * 4 + [LEARN]


def test_what_fails_in_the_background_is_told_at_the_next_call(
    here: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with onearm.open("ucb1", arms=ARMS, **here, commit="0.02s") as engine:
        disk = Broken(engine, monkeypatch)
        disk.error = FULL
        with pytest.raises(Unavailable, match="the disk is full"):
            for _ in range(10_000):
                engine.decide()
                time.sleep(0.001)
        disk.error = None
        assert engine.decide().number == 0
    assert kinds(here) == [DECIDE]


def test_a_step_that_is_broken_off_has_not_happened(
    engine: Engine, here: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key of the terminal may come between the state and the log."""
    held, before = engine.decide(), engine.digest()

    def broken_off(*given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("onearm.api.durable.journal.learned_event", broken_off)
        with pytest.raises(KeyboardInterrupt):
            engine.learn(held, 1.0)
    assert engine.decide().number == 1
    assert engine.digest() == before
    engine.learn(held, 1.0)
    digest = engine.digest()
    engine.close()
    assert verify(here, capsys)["digest"] == digest


@pytest.mark.parametrize("is_written", [False, True])
def test_a_commit_that_is_broken_off_loses_nothing(
    is_written: bool, here: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody knows whether it is on record: what is not is written then, and what is stays there once."""
    with onearm.open("ucb1", arms=ARMS, **here, commit=3) as engine:
        held = [engine.decide(), engine.decide()]
        store = engine._journal.store  # type: ignore[union-attr]
        append = store.append

        def broken_off(*given: Any, **named: Any) -> None:
            if is_written:
                append(*given, **named)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(store, "append", broken_off)
            with pytest.raises(KeyboardInterrupt):
                engine.decide()
        assert engine.decide().number == 3
        for decision in held:
            engine.learn(decision, 0.5)
        digest = engine.digest()
    assert kinds(here) == [DECIDE] * 4 + [LEARN] * 2
    assert verify(here, capsys)["digest"] == digest


# Who


def test_an_experiment_has_one_engine_and_a_database_many(
    engine: Engine, here: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Unavailable, match=r"'e' of .* is open in this process already: decide") as two:
        onearm.open(**here)
    assert two.value.code == "experiment_in_use"
    other = onearm.open("ucb1", arms=ARMS, **here | {"experiment": "f"}, commit=10)
    twin = onearm.open("ucb1", arms=ARMS)
    for step in range(20):
        decisions = [one.decide() for one in (engine, other, twin)]
        assert len({decision.action_id for decision in decisions}) == 1
        for one, decision in zip((engine, other, twin), decisions, strict=True):
            one.learn(decision, step % 3 / 2)
    engine.close()
    assert other.decide().number == 20
    with pytest.raises(Unavailable):
        Store.open(here["database"])
    with onearm.open(**here) as again:
        assert again.digest() == twin.digest()
    other.close()
    Store.open(here["database"]).close()
    assert run(["verify", "--database", here["database"], "--json"]) == 0


def test_engines_of_one_database_may_be_in_different_threads(here: dict[str, Any]) -> None:
    def play(name: str) -> None:
        with onearm.open("ucb1", arms=ARMS, **here | {"experiment": name}, commit="0.01s") as engine:
            for _ in range(50):
                engine.learn(engine.decide(), 1.0)

    threads = [threading.Thread(target=play, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = Store.open(here["database"])
    assert [store.last(row.key)[0] for row in store.experiments()] == [100] * 4
    store.close()


def test_a_disk_that_is_full_for_one_engine_leaves_the_other_whole(
    engine: Engine, here: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with onearm.open("ucb1", arms=ARMS, **here | {"experiment": "f"}) as other:
        disk = Broken(engine, monkeypatch)
        disk.error = FULL
        for one in (engine, other):
            with pytest.raises(Unavailable):
                one.decide()
        disk.error = None
        assert [one.decide().number for one in (engine, other)] == [0, 0]


def test_what_cannot_be_opened_holds_nothing(here: dict[str, Any]) -> None:
    for wrong in ({"policy": "no_such_policy"}, {}, {"policy": "ucb1", "arms": ARMS, "commit": 0}):
        with pytest.raises(OnearmError):
            onearm.open(**here, **wrong)
    Store.open(here["database"]).close()


def test_a_copy_that_lacks_its_newest_commits_says_so(
    engine: Engine, here: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine.decide()
    copy = {"database": f"sqlite:///{tmp_path}/copy.db", "experiment": "e"}
    shutil.copy(tmp_path / "run.db", tmp_path / "copy.db")  # and not the file beside it
    with pytest.raises(NotFound):
        onearm.open(**copy)
    assert "the newest decisions and rewards are missing" in caplog.text


def test_a_recovery_that_is_broken_off_is_made_again(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.learn(engine.decide(), 1.0)
    before = engine.digest()
    disk = Broken(engine, monkeypatch)
    disk.error = FULL
    with pytest.raises(Unavailable):
        engine.decide()
    disk.error = None
    with monkeypatch.context() as patch:

        def broken_off(*given: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(Engine, "_compile", broken_off)
        with pytest.raises(KeyboardInterrupt):
            engine.decide()
    assert engine.decide().number == 1
    assert engine.digest() == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"policy": "exp3_ix", "arms": ARMS}, "is another one: its policy differs. Open it with .*policy is"),
        ({"policy": "exp3_ix", "arms": ARMS, "seed": 8}, "is another one: its policy and seed differ. Open"),
        ({"policy": "ucb1", "arms": ["a", "b"]}, "arms is"),
        ({"policy": "ucb1", "arms": ARMS, "seed": 8}, "seed is 8 and was 0"),
        ({"domain": {"kind": "ball", "dimension": 2}}, "problem is"),
    ],
)
def test_another_experiment_of_the_name_is_refused_and_what_differs_is_said(
    given: dict[str, Any], said: str, engine: Engine, here: dict[str, Any]
) -> None:
    engine.close()
    with pytest.raises(Conflict, match=said) as refused:
        onearm.open(**given, **here)
    assert refused.value.code == "experiment_exists"
    onearm.open(**here).close()  # and the database is free again


def test_what_is_not_there_is_not_opened_by_its_name(here: dict[str, Any], engine: Engine) -> None:
    engine.close()
    with pytest.raises(NotFound, match=r"no experiment 'f' .*there are: e"):
        onearm.open(**here | {"experiment": "f"})
    with onearm.open("uniform", **here | {"experiment": "f"}) as other:
        assert other.roster.labels == ("0", "1")


@pytest.mark.parametrize("commit", ["often", 0, 10_001, True, 0.5, "0s", "2h", "99999s"])
def test_a_commit_that_is_no_pace_is_refused(commit: Any, here: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="commit is") as refused:
        onearm.open("ucb1", arms=ARMS, **here, commit=commit)
    assert refused.value.code == "bad_commit"


def test_a_database_and_a_name_belong_together(here: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="there is a database, but no experiment"):
        onearm.open("ucb1", database=here["database"])
    with pytest.raises(InvalidInput, match="there is an experiment, but no database"):
        onearm.open("ucb1", experiment="e")
    with pytest.raises(InvalidInput, match="commit is 100, but there is no database"):
        onearm.open("ucb1", commit=100)
    with pytest.raises(InvalidInput, match="write sqlite:///FILE"):
        onearm.open("ucb1", database=Path("run.db"), experiment="e")  # type: ignore[call-overload]


def test_a_closed_engine_refuses_and_closes_again(engine: Engine) -> None:
    engine.close()
    engine.close()
    for call in (engine.decide, engine.flush, lambda: engine.learn(0, 1.0)):
        with pytest.raises(Unavailable, match="is closed: open it again"):
            call()


def test_in_memory_there_is_nothing_to_close(here: dict[str, Any]) -> None:
    with onearm.open("ucb1", arms=ARMS) as engine:
        engine.flush()
    assert engine.decide().number == 0


def test_a_list_and_its_rewards_are_one_transaction_each(here: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with onearm.open("ucb1", arms=ARMS, slots=3, **here) as engine:
        sizes: list[int] = []
        journal: Any = engine._journal
        append = journal.store.append
        monkeypatch.setattr(
            journal.store, "append", lambda events, **more: (sizes.append(len(events)), append(events, **more))
        )
        shelf = engine.decide()
        engine.learn(shelf, {"1": 1.0})
        engine.learn(shelf, {"0": 0.0, "2": 0.5})
        assert sizes == [3, 1, 2]
        with pytest.raises(Conflict, match="already has feedback"):
            engine.learn(shelf, 1.0)
        assert sizes == [3, 1, 2]


def test_a_list_that_could_not_be_written_was_not_made(here: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with onearm.open("ucb1", arms=ARMS, slots=2, **here) as engine:
        first, disk = engine.decide(), Broken(engine, monkeypatch)
        disk.error = FULL
        with pytest.raises(Unavailable):
            engine.decide()
        with pytest.raises(Unavailable):
            engine.learn(first, 1.0)
        disk.error = None
        assert [slot.number for slot in engine.decide().slots.values()] == [2, 3]
        engine.learn(first.decision_id, 1.0)
        assert engine.rewards == 2


def test_a_list_is_found_by_its_id_after_a_restart(here: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    with onearm.open("ucb1", arms=ARMS, slots=2, **here) as engine:
        shelf = engine.decide(["top", "side"])
        assert shelf.decision_id == "~1"
        assert shelf.propensity == 1.0
    with onearm.open(**here) as again:
        again.learn("~1", {"side": 1.0})
        for wrong, code in (("~0", "part_of_a_list"), ("~9", "unknown_decision"), ("x", "unknown_decision")):
            with pytest.raises(OnearmError) as refused:
                again.learn(wrong, 1.0)
            assert refused.value.code == code
        with pytest.raises(InvalidInput, match="there is no slot 'left'"):
            again.learn("~1", {"left": 1.0})
        again.learn(shelf, {"top": 0.0})
        assert again.rewards == 2
    verify(here, capsys)


def test_what_the_log_cannot_say_yet_is_refused_by_name(here: dict[str, Any]) -> None:
    with onearm.open("exp3_ix", arms=ARMS, constraints={"floors": {"a": 0.2}}, **here) as engine:
        decision = engine.decide()
        for call in (lambda: engine.decide_many(3), lambda: engine.learn(decision, 1.0, action_id="b")):
            with pytest.raises(InvalidInput) as refused:
                call()
            assert refused.value.code == "not_built"
        engine.learn(decision, 1.0)


def test_an_archived_experiment_decides_no_more(tmp_path: Path, here: dict[str, Any], engine: Engine) -> None:
    decision = engine.decide()
    engine.close()
    with Served(tmp_path) as served:
        assert served.post("/v1/experiments/e:archive").status_code == 200
    with onearm.open(**here) as engine:
        for call in (engine.decide, lambda: engine.learn(decision, 1.0)):
            with pytest.raises(Conflict, match="is archived"):
                call()


# By what name


def test_a_decision_of_a_client_is_found_by_the_id_that_it_gave(tmp_path: Path, here: dict[str, Any]) -> None:
    with Served(tmp_path) as served:
        served.create()
        served.decide({"decision_id": "order-7"})
        served.decide()
    with onearm.open(**here) as engine:
        engine.learn("order-7", 1.0)
        engine.learn("~1", 0.5)
        for name in ("order-7", "~1", 0):
            with pytest.raises(Conflict, match="already has feedback"):
                engine.learn(name, 1.0)
        for name in ("order-8", "~2", 2):
            with pytest.raises(NotFound, match="there is no decision"):
                engine.learn(name, 1.0)
    with Served(tmp_path) as served:
        assert served.record("order-7").json()["reward"]["value"] == 1.0
        assert served.reward("~1", 0.5).json() == {"status": "duplicate"}


def test_arms_that_joined_and_left_over_http_are_known(
    tmp_path: Path, here: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with Served(tmp_path) as served:
        served.create(policy={"name": "ucb1"})
        early = served.decide().json()["decision_id"]
        assert served.post("/v1/experiments/e/arms", {"id": "d"}).status_code == 201
        for arm in "ab":
            assert served.post(f"/v1/experiments/e/arms/{arm}:retire").status_code == 200
        assert served.post("/v1/experiments/e/arms", {"id": "b"}).status_code == 201
    with onearm.open(**here) as engine:
        engine.learn(early, 1.0)
        seen = []
        for _ in range(6):
            seen.append(engine.decide().action_id)
            engine.learn(engine.number - 1, 0.5)
        assert set(seen) == {"b", "c", "d"}
        batch = engine.decide_many(3)
        engine.learn_many(batch, [1.0, 0.0, 1.0])
        digest = engine.digest()
    assert verify(here, capsys)["digest"] == digest
    with Served(tmp_path) as served:
        served.assert_consistent()


def test_decisions_that_are_not_remembered_are_read_from_the_log(tmp_path: Path) -> None:
    pair = Pair("contexts", tmp_path, commit=50, remember=0)
    pair.play(30)
    for memory, durable in pair.waiting:
        pair.memory.learn(memory, 0.5)
        pair.durable.learn(durable.number, 0.5)
    pair.assert_same()
    pair.durable.close()
