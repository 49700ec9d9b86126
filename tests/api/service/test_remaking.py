"""A decision is made again from the newest snapshot before it, and from the log where that does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from support.lives import TSALLIS, UNIFORM, Life
from support.served import Served

from onearm.api.service.remaking import Remade, remake
from onearm.engine.storage.tables import SNAPSHOT, SNAPSHOT_PART
from onearm.engine.vocabulary import DECIDE


@pytest.fixture
def life(tmp_path: Path) -> Life:
    """Return an experiment with two snapshots, as a service keeps one at its end."""
    served = Served(tmp_path)
    life = Life(served, TSALLIS, reward={"range": [0, 1]})
    for _ in range(2):
        life.play(20)
        served.restart()
    for _ in range(5):
        life.play(1)
    return life


def remade(life: Life) -> list[Remade]:
    """Make every decision again."""
    live = life.served.service.live("e")
    seqs = [event.seq for event in life.served.events() if event.kind == DECIDE]
    return [remake(life.served.store, live.row, live.created, live.kind, seq) for seq in seqs]


def test_a_decision_is_made_again_from_the_newest_snapshot_before_it(life: Life) -> None:
    found = remade(life)
    kept = sorted(one.seq for one in life.served.store.newest_snapshots(life.served.service.live("e").row.key))
    assert [one.first_difference for one in found] == [None] * 45
    assert {one.since for one in found} == {0, *kept}
    assert max(one.decisions for one in found) == 20
    assert found[-1].decisions == 5
    text = life.served.post("/experiments/e/decisions/~44/again").text
    assert "The same, bit for bit." in text and f"of event {kept[-1]}" in text and "5 decisions were" in text
    first = life.served.post("/experiments/e/decisions/~0/again").text
    assert "1 decision was made again, this one last, from the beginning of the log" in first
    life.served.stop()


def test_policies_that_come_and_go_and_states_that_are_set_are_in_the_way_of_none(life: Life) -> None:
    life.join(UNIFORM, role="canary", share=0.5)
    life.play(8)
    life.do(1, "promote")
    life.play(4)
    assert life.served.post("/v1/experiments/e/policies:rollback", {"to": 60}).status_code == 200
    life.play(4)
    found = remade(life)
    assert [one.first_difference for one in found] == [None] * 61
    life.served.stop()


def test_a_snapshot_that_the_log_does_not_fold_to_says_nothing_of_the_log(life: Life) -> None:
    """It says that it is of a later event than it is, so rewards are missing in it."""
    key = life.served.service.live("e").row.key
    newest = life.served.store.newest_snapshots(key)[0].seq
    with life.served.store._transaction() as connection:
        for table in (SNAPSHOT, SNAPSHOT_PART):
            mine = (table.c.experiment == key) & (table.c.seq == newest)
            connection.execute(sa.update(table).where(mine).values(seq=newest + 8))
    assert remade(life)[-1].first_difference is not None
    text = life.served.post("/experiments/e/decisions/~44/again").text
    assert "The same, bit for bit." in text and "45 decisions were made again" in text and "beginning" in text
    life.served.stop()
