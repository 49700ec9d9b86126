"""A base stands for all that came before it: nobody sees a difference, and nothing is decided or learned again."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.compacted import EVERY_SHAPE, SPECS, Run
from support.every_run import every_run
from support.served import Served, assert_refused

from onearm.api.cli.verify import has_fault, verified
from onearm.api.service import chores
from onearm.api.service.folded import finished, fold_log
from onearm.api.service.refold import Log, Refold
from onearm.engine.errors import Conflict, Damaged, InvalidInput
from onearm.engine.storage.records import Event
from onearm.engine.storage.store import Store
from onearm.engine.storage.tables import BASE, BASE_PART, EVENT, SNAPSHOT
from onearm.engine.vocabulary import CHANGE, LEARN


def forget_snapshots(served: Served) -> None:
    with served.store._transaction() as connection:
        connection.execute(sa.delete(SNAPSHOT))


def rows(served: Served, run: Run) -> list[Event]:
    key = served.service.live(run.name).row.key
    return served.store.read_events(key, 0, 100_000)


def folded_afresh(served: Served, run: Run) -> Any:
    """Fold the log of an experiment, without the one at work."""
    live = served.service.live(run.name)
    steps = fold_log(live.row, live.spec, live.kind, served.store)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def test_no_fold_ends_before_the_seq_that_is_asked_for(tmp_path: Path) -> None:
    """A state of an earlier event would be taken for that of this one, and what lies between never be learned."""
    with Served(tmp_path) as served:
        served.create()
        served.reward(served.decide({}).json()["decision_id"], 1.0)
        live = served.service.live("e")
        finished(fold_log(live.row, live.created, live.kind, served.store, live.seq))
        with pytest.raises(Damaged, match="ends by seq 2, and was to be read up to seq 3"):
            finished(fold_log(live.row, live.created, live.kind, served.store, live.seq + 1))
        refold = Refold(Log(served.store, live.row.key, live.created), live.kind, 0, None, live.seq, {})
        with pytest.raises(Damaged, match="ends by seq 2, and was to be read up to seq 3"):
            list(refold.steps(live.seq + 1))


@pytest.mark.parametrize("kind", every_run(SPECS, EVERY_SHAPE[::2]))  # test_archives.py tries the others
def test_a_compacted_experiment_goes_on_as_its_twin(tmp_path: Path, kind: str) -> None:
    with Served(tmp_path, cache_bytes=3000) as served:
        run, twin = Run(served, kind, "e"), Run(served, kind, "twin")
        for one in (run, twin):
            one.play(24)
        whole = rows(served, run)
        base = run.compact()
        assert (base.seq, base.decisions) == (len(whole), served.service.live("e").number)
        run.assert_retries()
        for one in (run, twin):
            one.play(16)
        forget_snapshots(served)
        served.restart()
        assert served.service.live("e").kept_at >= base.seq
        assert run.told() == twin.told()
        for one in (run, twin):
            one.play(6)
        second = run.compact(base.seq + 15)
        assert second.seq == base.seq + 15
        for one in (run, twin):
            one.play(6)
        forget_snapshots(served)
        served.restart()
        assert run.made == twin.made
        assert run.told() == twin.told()
        run.assert_retries()
        if kind != "stream":  # whose first arm has left by then
            assert run.reward(0) == twin.reward(0) == {"status": "accepted"}, "it was open at both bases"
        assert run.told() == twin.told()
        served.stop()
        found = {one["id"]: one for one in verified(served.url)}
        assert not any(map(has_fault, found.values())), found
        assert found["e"]["base"] == second.seq and "base" not in found["twin"]
        assert found["e"]["digest"] == found["twin"]["digest"]
        served.start()


@pytest.mark.parametrize("kind", every_run([kind for kind in SPECS if kind != "stream"], EVERY_SHAPE[:-1]))
def test_only_what_was_learned_before_is_slim(tmp_path: Path, kind: str) -> None:
    with Served(tmp_path) as served:
        run = Run(served, kind, "e")
        run.play(30)
        before = rows(served, run)
        seq = len(before) - 10
        run.compact(seq)
        learned = {event.number for event in before[:seq] if event.kind == LEARN}
        blank = {"context": None, "available": None, "sent": None}
        for was, now in zip(before, rows(served, run), strict=True):
            if was.kind in (LEARN, CHANGE) or was.number not in learned:
                assert now == was
            else:
                detail = None if was.decision_id is None else was.detail
                assert now == was._replace(**blank, detail=detail)  # type: ignore[arg-type]
        assert len(learned) > 12


def test_the_same_again_is_the_same_and_what_cannot_be_is_refused(served: Served) -> None:
    run = Run(served, "arms", "x")
    with pytest.raises(Conflict) as refused:
        run.compact()
    assert refused.value.code == "nothing_before"
    run.play(20)
    base = run.compact(12)
    assert run.compact(12) == base._replace(slim=12)
    for seq, error, code in ((11, Conflict, "before_base"), (10**6, InvalidInput, "ahead_of_log")):
        with pytest.raises(error) as wrong:
            run.compact(seq)
        assert wrong.value.code == code
    assert served.store.bases(base.experiment) == [base._replace(slim=12)]


def test_slimming_goes_on_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "EVENTS_MAX", 1)
    monkeypatch.setattr(chores, "PAUSE", 1e6)
    with Served(tmp_path) as served:
        run = Run(served, "dense", "e")
        run.play(30)
        service = served.service
        monkeypatch.setattr(service.chores, "_events", 1)
        served.client.portal.call(service.compactions.compact, service.live("e"))
        served.stop()
        with closing(Store.open(served.url, write=False)) as store:
            (base,) = store.unslimmed()
        assert base.slim < base.seq
        monkeypatch.setattr(chores, "PAUSE", 0)
        served.start()
        served.client.portal.call(served.service.chores.done)
        assert served.store.unslimmed() == []
        run.assert_retries()
        run.play(5)
        assert not any(map(has_fault, verified(served.url)))


def test_a_fold_that_began_before_a_base_begins_anew(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        run = Run(served, "dense", "e")
        run.play(30)
        live = served.service.live("e")
        steps = fold_log(live.row, live.spec, live.kind, served.store)
        next(steps)
        run.compact()
        with pytest.raises(StopIteration) as done:
            while True:
                next(steps)
        assert (done.value.value.kept_at, done.value.value.base) == (live.seq, live.seq)


def test_a_base_that_cannot_be_read_is_an_end_and_never_a_beginning_from_nothing(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        run = Run(served, "dense", "e")
        run.play(20)
        run.compact()
        run.play(5)
        forget_snapshots(served)
        with served.store._transaction() as connection:
            state = connection.scalar(sa.select(BASE_PART.c.state).where(BASE_PART.c.part == 0))
            broken = sa.update(BASE_PART).where(BASE_PART.c.part == 0)
            connection.execute(broken.values(state=state[:-1] + bytes([state[-1] ^ 1])))
        with pytest.raises(Damaged) as refused:
            folded_afresh(served, run)
        assert refused.value.code == "bad_base" and "restore a backup" in str(refused.value)
        with pytest.raises(Damaged):
            verified(served.url)


def test_verify_sees_what_was_done_to_slim_rows(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        run = Run(served, "dense", "e")
        run.play(20)
        base = run.compact()
        key = base.experiment
        (before,) = (one for one in verified(served.url) if one["id"] == "e")
        assert (before["base"], before["decisions"], before["events"]) == (base.seq, 0, 0)
        reward = sa.update(EVENT).where(EVENT.c.experiment == key, EVENT.c.seq == 6, EVENT.c.kind == LEARN)
        with served.store._transaction() as connection:
            assert connection.execute(reward.values(reward=9.0)).rowcount == 1
        (found,) = (one for one in verified(served.url) if one["id"] == "e")
        assert has_fault(found) and f"the base at seq {base.seq} has other sums" in found["note"]


def test_an_archived_experiment_is_compacted_without_its_state(served: Served) -> None:
    run = Run(served, "dense", "x")
    run.play(20)
    digest = served.digest("x")
    served.post("/v1/experiments/x:archive")
    base = run.compact()
    assert base.seq == served.service.live("x").seq
    assert served.digest("x") == digest == base.digest
    served.post("/v1/experiments/x:restore")
    run.play(5)
    assert_refused(served.decide({}, "nobody"), 404, "unknown_experiment")


def test_other_versions_of_a_base_are_read_and_not_skipped(served: Served) -> None:
    run = Run(served, "arms", "x")
    run.play(20)
    base = run.compact()
    forget_snapshots(served)
    with served.store._transaction() as connection:
        connection.execute(sa.update(BASE).values(versions='{"onearm": "0.0.1"}'))
    found = folded_afresh(served, run)
    assert (found.kept_at, found.seq) == (base.seq, base.seq)
