"""One budget holds all decisions in memory, of all experiments; what must stay in memory stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.served import Served

from onearm.api.service.records import LEFT_MAX, Budget, Record, Records
from onearm.engine.storage.records import Event
from onearm.engine.vocabulary import DECIDE


def held(served: Served) -> dict[str, list[int]]:
    return {name: list(served.service.live(name).records._records) for name in ("e", "other")}


@pytest.fixture
def two(tmp_path: Path) -> Served:
    """Return a service with room for about ten decisions and two experiments, after twenty decisions of each."""
    served = Served(tmp_path, cache_bytes=6_200)
    served.create()
    served.create("other")
    for _ in range(20):
        served.decide({}, "e")
        served.decide({}, "other")
    return served


def test_experiments_share_the_budget(two: Served) -> None:
    """Each had one of its own: a thousand experiments could take a thousand times as much."""
    with two:
        kept = held(two)
        assert len(kept["e"]) + len(kept["other"]) in (10, 11)
        assert kept["e"][-1] == kept["other"][-1] == 19, "the newest are kept"
        for _ in range(20):
            two.decide({}, "e")
        assert held(two)["other"] == [], "the oldest leave, whosever they are"
        for number in range(20):
            assert two.reward(f"~{number}", 1.0, "other").json() == {"status": "accepted"}
        two.assert_consistent("other")


def test_what_must_stay_stays_and_leaves_later() -> None:
    budget = Budget(2_000)
    some, others = (Records(None, key, None, budget) for key in (1, 2))  # type: ignore[arg-type]
    records = [Record(Event(1, number + 1, DECIDE, number)) for number in range(3)]
    records[0].learning = True
    for record in records:
        some.remember(record)
    for number in range(4):
        others.remember(Record(Event(2, number + 1, DECIDE, number)))
    assert some.known(0) is records[0] and some.known(1) is None
    records[0].learning = False
    for number in range(4, 12):
        others.remember(Record(Event(2, number + 1, DECIDE, number)))
    assert some.known(0) is None and others.known(11) is not None
    others.clear()
    some.clear()
    assert budget.taken == 0


def test_what_was_forgotten_takes_no_room_for_long() -> None:
    budget = Budget(1_000_000)
    records = Records(None, 1, None, budget)  # type: ignore[arg-type]
    kept = [records.remember(Record(Event(1, number + 1, DECIDE, number))) for number in range(10)]
    for number in range(10, 5 * LEFT_MAX):
        records.remember(Record(Event(1, number + 1, DECIDE, number)))
        records.forget([number])
    assert len(budget._row) <= LEFT_MAX + len(kept) + 1
    assert budget.taken == sum(record.size for record in kept)
    for record in kept:  # the same again, and another one of the same number: each is counted once
        records.remember(record)
        records.remember(Record(record.event))
    assert budget.taken == sum(record.size for record in kept)
    records.clear()
    assert budget.taken == 0
