"""Parts of a file that threads work on ahead: what is found, and which lines are bad, does not depend on how many."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from onearm.engine.storage import ahead
from onearm.engine.storage.formats import csv_table, obd
from onearm.engine.storage.rows import Wanted
from onearm.engine.storage.source import Source

N_CORES = (1, 2, 9)


@pytest.fixture(params=N_CORES)
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(ahead, "cores", lambda: request.param)
    return int(request.param)


def test_results_come_in_the_order_of_the_parts_and_parts_are_taken_here(cores: int) -> None:
    here, taken, worked = threading.get_ident(), set[int](), set[int]()

    def parts() -> range:
        taken.add(threading.get_ident())
        return range(50)

    def squared(part: int) -> int:
        worked.add(threading.get_ident())
        return part * part

    assert list(ahead.in_order(squared, parts())) == [part * part for part in range(50)]
    assert taken == {here}
    assert (worked == {here}) == (cores == 1)


def test_an_error_is_raised_where_the_part_stands(cores: int) -> None:
    found = ahead.in_order(lambda part: 1 // (3 - part), range(9))
    assert [next(found) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_no_more_parts_are_held_than_threads_work_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "cores", lambda: 64)
    taken = 0

    def parts() -> Iterator[int]:
        nonlocal taken
        for part in range(100):
            taken += 1
            yield part

    found = ahead.in_order(lambda part: part, parts())
    assert next(found) == 0
    assert taken == ahead.THREADS + 1
    found.close()


def test_a_word_in_the_third_block_and_ragged_lines_are_told_as_by_one_thread(
    cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onearm.engine.storage.source.BLOCK_BYTES", 1 << 12)
    rng, lines = np.random.default_rng(3), ["action,reward,propensity"]
    action, reward, propensity = rng.integers(0, 5, 3000), rng.normal(size=3000), rng.random(3000) + 1e-3
    lines += [
        f"{a},{r!r},{min(p, 1.0)!r}" for a, r, p in zip(action, reward.tolist(), propensity.tolist(), strict=True)
    ]
    places = {"bad_reward": [700, 2999], "broken": [5, 1200, 1201], "bad_action": [2400]}
    for line in places["bad_reward"]:
        lines[line - 1] = "1,some,0.5"
    lines[4], lines[1199], lines[1200] = "1,2", "1,2,0.5,7", '1,"2'
    lines[2399] = "0x1,1,0.5"
    path = tmp_path / "log.csv"
    path.write_text("\n".join([*lines, ""]))
    with csv_table.read_rows(Source(path), Wanted()) as rows:
        bad = {kind: rows.bad_lines.lines[kind] for kind in places}
        good = np.setdiff1d(np.arange(2, 3002), [line for some in places.values() for line in some])
        columns = rows.columns()
    assert bad == places
    assert np.array_equal(columns.action, action[good - 2])
    assert np.array_equal(columns.reward, reward[good - 2])
    assert np.array_equal(columns.propensity, np.minimum(propensity, 1.0)[good - 2])


def test_a_campaign_is_read_the_same(cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onearm.engine.storage.source.BLOCK_BYTES", 1000)
    lines = ["timestamp,item_id,click,propensity_score"]
    lines += [f"2019-11-24 00:00:{i % 60:02}+00:00,{i % 3},{i % 2},0.{i + 1:03}" for i in range(300)]
    lines[100], lines[200] = "2019-11-24 00:00:00+00:00,1,1", "yesterday,1,1,0.5"
    path = tmp_path / "men.csv"
    path.write_text("\n".join([*lines, ""]))
    with obd.read_rows(Source(path), Wanted(n_arms=3)) as rows:
        assert rows.bad_lines.lines == {"broken": [101], "bad_timestamp": [201]}
        found = rows.columns()
    kept = np.delete(np.arange(300), [99, 199])
    order = kept[np.argsort(kept % 60, kind="stable")]
    assert np.array_equal(found.action, order % 3)
    assert found.propensity.tolist() == [float(f"0.{i + 1:03}") for i in order.tolist()]
