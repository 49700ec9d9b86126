"""One suite over every database: what is acknowledged is there, once, in order, or the caller is told."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onearm.engine.columns import concat
from onearm.engine.errors import Conflict, Damaged, InvalidInput, OnearmError, Unavailable
from onearm.engine.storage.schema import VERSION_TABLE
from onearm.engine.storage.store import Store
from onearm.engine.storage.tables import METADATA, Counts, Event, Experiment, Snapshot, SnapshotPart
from onearm.engine.vocabulary import CHANGE, DECIDE, LEARN, Columns, Problem

NO_CONTEXT = Problem(n_arms=3)


def add(store: Store, id: str = "e") -> int:
    return store.add_experiment(id, '{"policy": "ucb1"}', b"hash", "{}", 7).key


def decide(experiment: int, seq: int, number: int, **fields: object) -> Event:
    return Event(experiment, seq, DECIDE, number, **{"action": 1, "propensity": 0.5, "time": seq} | fields)


def learn(experiment: int, seq: int, number: int, reward: float = 1.0, **fields: object) -> Event:
    values = {"action": 1, "propensity": 0.5, "reward": reward, "reward_id": "", "time": seq} | fields
    return Event(experiment, seq, LEARN, number, **values)


def test_rows_are_read_back_as_they_were_written(store: Store) -> None:
    key = add(store)
    context = np.array([0.1, -0.0, 5e-324]).astype("<f8").tobytes()
    events = [
        Event(key, 1, DECIDE, 0, 2, 0.1, None, context, b"\xa0", None, '{"a": "\u00e9"}', "id", None, b"\x00", 2**53),
        Event(key, 2, LEARN, 0, 2, 0.1, 1 / 3, None, None, None, None, None, "", b"\xff" * 32, 9),
        Event(key, 3, CHANGE, detail='{"archived": true}', time=10),
    ]
    store.append(events)
    assert store.read_events(key, after=0) == events
    assert store.read_events(key, after=1, limit=1) == events[1:2]
    assert store.read_events(key, after=3) == []


def test_a_propensity_of_nan_is_null_in_the_database_and_nan_in_columns(store: Store) -> None:
    key = add(store)
    store.append([decide(key, 1, 0, propensity=math.nan)])
    assert store.read_events(key, 0)[0].propensity is None
    [(columns, _, _)] = store.columns(key, NO_CONTEXT)
    assert math.isnan(columns.propensity[0])


def test_experiments_have_keys_and_ids_of_their_own(store: Store) -> None:
    first, second = add(store, "a"), add(store, "b")
    row = Experiment(first, "a", '{"policy": "ucb1"}', b"hash", "{}", 7)
    assert store.experiments() == [row, row._replace(key=second, id="b")]
    with pytest.raises(Conflict, match="'a' already") as refused:
        add(store, "a")
    assert refused.value.code == "experiment_exists"
    store.append([decide(first, 1, 0), decide(second, 1, 0, action=2)])
    assert [event.action for event in store.read_events(second, 0)] == [2]


def test_archiving_and_its_event_are_one_transaction(store: Store) -> None:
    key = add(store)
    store.append([Event(key, 1, CHANGE, detail="{}")], archived=[(key, 123)])
    assert store.experiments()[0].archived_at == 123
    with pytest.raises(Unavailable):
        store.append([Event(key, 1, CHANGE)], archived=[(key, 456)])
    assert store.experiments()[0].archived_at == 123


def test_the_newest_two_snapshots_stay(store: Store) -> None:
    key, other = add(store, "a"), add(store, "b")
    pictures = [Snapshot(key, seq, 10 * seq, f"digest{seq}", "{}") for seq in (1, 2, 3)]
    store.append([], (), [SnapshotPart(other, 1, 0, b"other")], [Snapshot(other, 1, 0, "", "{}")])
    for picture in pictures:
        store.append([], (), [SnapshotPart(key, picture.seq, 0, bytes([picture.seq]))], [picture])
    assert store.newest_snapshots(key) == [pictures[2], pictures[1]]
    assert [list(store.snapshot_parts(key, seq)) for seq in (1, 2, 3)] == [[], [b"\2"], [b"\3"]]
    assert list(store.snapshot_parts(other, 1)) == [b"other"]
    again = pictures[2]._replace(digest="again")
    store.append([], (), [SnapshotPart(key, 3, 0, b"again")], [again])
    assert store.newest_snapshots(key) == [again, pictures[1]]
    assert list(store.snapshot_parts(key, 3)) == [b"again"]


def test_a_snapshot_is_there_once_all_its_parts_are(store: Store) -> None:
    key = add(store)
    store.append([], (), [SnapshotPart(key, 1, part, bytes([part])) for part in (0, 1, 2)])  # never whole
    for part in (0, 1):
        store.append([], (), [SnapshotPart(key, 2, part, bytes([part]))])
    assert store.newest_snapshots(key) == []
    store.append([], (), [], [Snapshot(key, 2, 7, "digest", "{}")])
    assert store.newest_snapshots(key) == [Snapshot(key, 2, 7, "digest", "{}")]
    assert list(store.snapshot_parts(key, 2)) == [b"\0", b"\1"]
    assert list(store.snapshot_parts(key, 1)) == []


def test_counts_and_last_tell_decisions_rewards_and_changes_apart(store: Store) -> None:
    key = add(store)
    assert store.last(key) == (0, 0)
    assert store.counts(key) == Counts(0, 0, 0)
    store.append([Event(key, 1, CHANGE), decide(key, 2, 0), decide(key, 3, 1), learn(key, 4, 0), learn(key, 5, 1)])
    store.append([learn(key, 6, 1, reward_id="second")])
    assert store.last(key) == (6, 2)
    assert store.counts(key) == Counts(seq=6, decisions=2, rewards=3)


def test_find_returns_decisions_by_number_and_by_id_with_all_their_rewards(store: Store) -> None:
    key, other = add(store, "a"), add(store, "b")
    mine = [
        decide(key, 1, 0, decision_id="x"),
        decide(key, 2, 1),
        decide(key, 3, 2, decision_id="y"),
        learn(key, 4, 2),
        learn(key, 5, 0, reward_id="r1"),
        learn(key, 6, 0, reward_id="r2"),
    ]
    store.append([*mine, decide(other, 1, 0, decision_id="x")])
    assert store.find(key, [1], ["x", "x", "unknown"]) == [mine[0], mine[1], mine[4], mine[5]]
    assert store.find(key, [2, 99]) == [mine[2], mine[3]]
    assert store.find(key, [], []) == []
    assert len(store.find(key, range(20_000))) == 6


@pytest.mark.parametrize(
    "twice", [{"seq": 1}, {"decision_id": "x"}, {"number": 0, "kind": LEARN, "reward_id": ""}], ids=str
)
def test_a_row_that_breaks_a_rule_stops_its_whole_batch_and_not_the_next(
    store: Store, twice: dict[str, object]
) -> None:
    key = add(store)
    store.append([decide(key, 1, 0, decision_id="x"), learn(key, 2, 0)])
    before = store.read_events(key, 0)
    with pytest.raises(Unavailable, match="nothing was written") as refused:
        store.append([decide(key, 3, 1), decide(key, 4, 2)._replace(**twice)])
    assert refused.value.code == "commit_failed"
    assert store.read_events(key, 0) == before
    store.append([decide(key, 3, 1), decide(key, 4, 2)])
    assert store.last(key) == (4, 3)


@pytest.mark.parametrize("field", [{"time": 2**63}, {"sent": "\ud800"}], ids=["too large", "no unicode"])
def test_what_a_database_cannot_hold_fails_like_any_commit(store: Store, field: dict[str, object]) -> None:
    key = add(store)
    with pytest.raises(Unavailable):
        store.append([decide(key, 1, 0), decide(key, 2, 1, **field)])
    assert store.last(key) == (0, 0)
    store.append([decide(key, 1, 0)])
    assert store.last(key) == (1, 1)


def test_batches_of_any_size_are_one_transaction(store: Store) -> None:
    key = add(store)
    store.append([decide(key, seq, seq - 1) for seq in range(1, 502)])
    assert store.last(key) == (501, 501)
    with pytest.raises(Unavailable):
        store.append([decide(key, seq, seq - 1) for seq in [*range(502, 1002), 1]])
    assert store.last(key) == (501, 501)


def test_a_second_writer_is_refused_and_a_reader_is_not(url: str) -> None:
    store = Store.open(url)
    key = add(store)
    with pytest.raises(Unavailable, match="in use by") as refused:
        Store.open(url)
    assert refused.value.code == "database_in_use"
    reader = Store.open(url, write=False)
    store.append([decide(key, 1, 0)])
    assert reader.last(key) == (1, 1)
    with pytest.raises(AssertionError, match="reading only"):
        reader.append([decide(key, 2, 1)])
    reader.close()
    store.close()
    Store.open(url).close()


def test_reads_go_on_in_other_threads_while_batches_are_written(store: Store) -> None:
    key = add(store)
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(len(store.read_events(key, 0)))

    reader = threading.Thread(target=read)
    reader.start()
    for batch in range(20):
        store.append([decide(key, seq, seq - 1) for seq in range(10 * batch + 1, 10 * batch + 11)])
    done.set()
    reader.join()
    assert len(store.read_events(key, 0)) == 200
    assert seen == sorted(seen)
    assert all(rows % 10 == 0 for rows in seen)


def test_the_migrations_make_the_tables_that_the_code_expects(url: str) -> None:
    Store.open(url).close()
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_an_older_schema_keeps_its_snapshots(url: str) -> None:
    with closing(Store.open(url)) as store:
        key = add(store)
    binary, state = ("BLOB", "x'6279746573'") if url.startswith("sqlite") else ("BYTEA", "'bytes'")
    run_sql(url, "ALTER TABLE event DROP COLUMN vector")
    run_sql(url, "DROP TABLE snapshot_part")
    run_sql(url, "DROP TABLE artefact")
    run_sql(url, f"ALTER TABLE snapshot ADD COLUMN state {binary} NOT NULL DEFAULT ''")
    run_sql(url, f"INSERT INTO snapshot VALUES ({key}, 3, 2, 'digest', '{{}}', {state})")
    run_sql(url, f"UPDATE {VERSION_TABLE} SET version_num = '0002'")
    with closing(Store.open(url)) as store:
        assert store.newest_snapshots(key) == [Snapshot(key, 3, 2, "digest", "{}")]
        assert list(store.snapshot_parts(key, 3)) == [b"bytes"]


def test_a_database_of_a_newer_schema_is_left_alone(url: str) -> None:
    Store.open(url).close()
    run_sql(url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    for write in (True, False):
        with pytest.raises(InvalidInput, match="'9999'") as refused:
            Store.open(url, write=write)
        assert refused.value.code == "newer_schema"


def test_a_database_without_our_tables_is_not_read(url: str) -> None:
    Store.open(url).close()
    run_sql(url, f"DROP TABLE {VERSION_TABLE}")
    with pytest.raises(InvalidInput, match="onearm serve") as refused:
        Store.open(url, write=False)
    assert refused.value.code == "older_schema"
    with pytest.raises(InvalidInput, match="not made by onearm") as refused:
        Store.open(url)
    assert refused.value.code == "foreign_database"


def run_sql(url: str, *statements: str) -> None:
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def test_columns_repeat_a_decision_on_its_rewards_however_old_it_is(store: Store) -> None:
    key = add(store)
    problem = Problem(n_arms=10, context_shape=(10, 3))
    contexts = np.arange(120.0).reshape(4, 10, 3)
    masks = np.arange(40).reshape(4, 10) % 3 > 0
    events: list[Event] = []
    for number in range(4):
        context, mask = contexts[number].tobytes(), np.packbits(masks[number]).tobytes()
        fields = {"action": number, "propensity": 0.1 * number + 0.1}
        events.append(decide(key, number + 1, number, **fields, context=context, available=mask))
    events.append(Event(key, 5, CHANGE))
    for seq, number in ((6, 3), (7, 0), (8, 0), (9, 2)):
        fields = {"action": number, "propensity": 0.1 * number + 0.1, "reward_id": str(seq)}
        events.append(learn(key, seq, number, float(seq), **fields))
    store.append(events)
    for page in (1, 2, 3, 100):
        pages = list(store.columns(key, problem, page=page))
        columns = concat([part for part, _, _ in pages])
        assert columns.kind.tolist() == [DECIDE] * 4 + [LEARN] * 4
        assert columns.number.tolist() == columns.action.tolist() == [0, 1, 2, 3, 3, 0, 0, 2]
        np.testing.assert_array_equal(columns.propensity, 0.1 * columns.number + 0.1)
        np.testing.assert_array_equal(columns.reward, [np.nan] * 4 + [6, 7, 8, 9])
        np.testing.assert_array_equal(columns.context, contexts[columns.number])
        np.testing.assert_array_equal(columns.available, masks[columns.number])
        assert pages[0][1] == 1
        assert pages[-1][2] == 9


def test_columns_refuse_a_log_that_does_not_hang_together(store: Store) -> None:
    key = add(store)
    store.append([learn(key, 1, 41)])
    with pytest.raises(Damaged, match="reward of decision 41"):
        list(store.columns(key, NO_CONTEXT))
    key = add(store, "short context")
    store.append([decide(key, 1, 0, context=b"12345678")])
    with pytest.raises(Damaged, match=r"not dense of the shape \[2\]"):
        list(store.columns(key, Problem(3, (2,))))
    key = add(store, "long mask")
    store.append([decide(key, 1, 0, available=b"12")])
    with pytest.raises(Damaged, match="3 arms"):
        list(store.columns(key, NO_CONTEXT))


@st.composite
def logs(draw: st.DrawFn) -> tuple[Problem, list[dict[str, object]]]:
    """A problem, and events in an order that a service could have accepted."""
    problem = Problem(draw(st.integers(1, 9)), (draw(st.sampled_from([0, 1, 3])),))
    events: list[dict[str, object]] = []
    decided = 0
    for _ in range(draw(st.integers(0, 25))):
        kind = draw(st.sampled_from([DECIDE, DECIDE, LEARN, LEARN, CHANGE]))
        if kind == LEARN and decided:
            number = draw(st.integers(0, decided - 1))
            events.append({"kind": LEARN, "number": number, "reward": draw(st.floats(-1e300, 1e300)) + 0.0})
        elif kind == DECIDE:
            arms = draw(st.sets(st.integers(0, problem.n_arms - 1), min_size=1))
            events.append(
                {
                    "kind": DECIDE,
                    "number": decided,
                    "action": draw(st.sampled_from(sorted(arms))),
                    "propensity": draw(st.one_of(st.just(math.nan), st.floats(1e-300, 1.0))),
                    "context": draw(
                        st.lists(
                            st.floats(allow_nan=False, allow_infinity=False),
                            min_size=problem.context_shape[0],
                            max_size=problem.context_shape[0],
                        )
                    ),
                    "arms": draw(st.sampled_from([None, arms])) if len(arms) < problem.n_arms else None,
                }
            )
            decided += 1
        elif kind == CHANGE:
            events.append({"kind": CHANGE})
    return problem, events


def truth(problem: Problem, events: list[dict[str, object]]) -> Columns:
    """The columns of a log, by the plainest of loops."""
    decisions = {event["number"]: event for event in events if event["kind"] == DECIDE}
    rows = [event for event in events if event["kind"] != CHANGE]
    masks = np.ones((len(rows), problem.n_arms), np.bool_)
    for row, event in enumerate(rows):
        if (arms := decisions[event["number"]]["arms"]) is not None:
            masks[row] = [arm in arms for arm in range(problem.n_arms)]
    made = [decisions[event["number"]] for event in rows]
    return Columns(
        kind=np.array([event["kind"] for event in rows], np.int8),
        number=np.array([event["number"] for event in rows], np.int64),
        action=np.array([decision["action"] for decision in made], np.int64),
        propensity=np.array([decision["propensity"] for decision in made], np.float64),
        reward=np.array([event.get("reward", math.nan) for event in rows], np.float64),
        detail=np.zeros((len(rows), 0)),
        context=np.array([decision["context"] for decision in made]).reshape(len(rows), *problem.context_shape),
        available=masks,
    )


def as_rows(key: int, problem: Problem, events: list[dict[str, object]]) -> list[Event]:
    """The same log as rows of the database."""
    decisions = {event["number"]: event for event in events if event["kind"] == DECIDE}
    rows = []
    for seq, event in enumerate(events, 1):
        if event["kind"] == CHANGE:
            rows.append(Event(key, seq, CHANGE))
            continue
        decision = decisions[event["number"]]
        made = {"action": decision["action"], "propensity": decision["propensity"]}
        if event["kind"] == LEARN:
            rows.append(learn(key, seq, event["number"], event["reward"], reward_id=str(seq), **made))
            continue
        mask = None
        if event["arms"] is not None:
            mask = np.packbits([arm in event["arms"] for arm in range(problem.n_arms)]).tobytes()
        context = np.array(event["context"]).tobytes() or None
        rows.append(decide(key, seq, event["number"], context=context, available=mask, **made))
    return rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), log=logs())
def test_any_log_comes_back_as_the_columns_it_was(
    store: Store, data: st.DataObject, log: tuple[Problem, list[dict[str, object]]]
) -> None:
    problem, events = log
    key = add(store, f"e{len(store.experiments())}")
    rows = as_rows(key, problem, events)
    while rows:
        size = data.draw(st.integers(1, len(rows)))
        store.append(rows[:size])
        rows = rows[size:]
    page = data.draw(st.integers(1, 30))
    after = data.draw(st.integers(0, len(events)))
    learned_only = data.draw(st.booleans())
    expected = truth(problem, events)
    seqs = np.array([seq for seq, event in enumerate(events, 1) if event["kind"] != CHANGE], np.int64)
    keep = (seqs > after) & ((expected.kind == LEARN) | (not learned_only))
    pages = [part for part, _, _ in store.columns(key, problem, after, page, learned_only)]
    if not pages:
        assert not keep.any()
        return
    columns = concat(pages)
    for name, found, wanted in zip(Columns._fields[:-1], columns, expected, strict=False):
        assert found.tobytes() == wanted[keep].tobytes(), name
    np.testing.assert_array_equal(
        np.broadcast_to(columns.available, (keep.sum(), problem.n_arms)), expected.available[keep]
    )


WRITER = """
import sys
from onearm.engine.storage.store import Store
from onearm.engine.storage.tables import Event
store = Store.open(sys.argv[1])
key = store.add_experiment("e", "{}", b"", "{}", 0).key
print(0, flush=True)
for start in range(1, 100_000, 20):
    store.append([Event(key, seq, 0, seq - 1, 1, 0.5, context=b"x" * 256) for seq in range(start, start + 20)])
    print(start + 19, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [100, 1000])
def test_after_sigkill_every_acknowledged_batch_is_there_whole(url: str, acknowledged: int) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        while int(writer.stdout.readline()) < acknowledged:
            pass
        writer.send_signal(signal.SIGKILL)
        told = [acknowledged, *map(int, writer.stdout.read().split())]
    store = Store.open(url)
    [experiment] = store.experiments()
    seqs = [event.seq for event in store.read_events(experiment.key, 0, limit=1_000_000)]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) % 20 == 0
    assert told[-1] <= len(seqs) <= told[-1] + 20
    store.append([decide(experiment.key, len(seqs) + 1, len(seqs))])
    store.close()


def test_a_full_disk_fails_the_commit_and_room_mends_it(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/run.db")
    key = add(store)
    assert store._writer is not None
    pages = store._writer.exec_driver_sql("PRAGMA page_count").scalar_one()
    store._writer.exec_driver_sql(f"PRAGMA max_page_count = {pages + 4}")
    store._writer.rollback()
    batch = [decide(key, seq, seq - 1, context=bytes(1000)) for seq in range(1, 201)]
    for _ in range(2):
        with pytest.raises(Unavailable, match="disk is full") as refused:
            store.append(batch)
        assert refused.value.code == "commit_failed"
        assert store.last(key) == (0, 0)
    store.append(batch[:1])
    assert store._writer is not None
    store._writer.exec_driver_sql("PRAGMA max_page_count = 1000000")
    store._writer.rollback()
    store.append(batch[1:])
    assert store.last(key) == (200, 200)
    store.close()


def test_sqlite_commits_reach_the_disk(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/run.db")
    assert store._writer is not None
    assert store._writer.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    assert store._writer.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL
    store.close()


def test_a_lost_connection_fails_once_and_is_opened_again_with_its_lock(postgres_url: str) -> None:
    store = Store.open(postgres_url)
    key = add(store)
    store.append([decide(key, 1, 0)])
    end_sessions(postgres_url)
    with pytest.raises(Unavailable) as refused:
        store.append([decide(key, 2, 1)])
    assert refused.value.code == "commit_failed"
    assert store.last(key) == (1, 1)
    store.append([decide(key, 2, 1)])
    with pytest.raises(Unavailable, match="in use by"):
        Store.open(postgres_url)
    store.close()


def test_a_writer_that_lost_its_lock_to_another_cannot_write(postgres_url: str) -> None:
    store = Store.open(postgres_url)
    key = add(store)
    end_sessions(postgres_url)
    other = Store.open(postgres_url)
    with pytest.raises(Unavailable):
        store.append([decide(key, 1, 0)])
    with pytest.raises(Unavailable) as refused:
        store.append([decide(key, 1, 0)])
    assert refused.value.code == "database_in_use"
    other.append([decide(key, 1, 0)])
    other.close()
    store.append([decide(key, 2, 1)])
    store.close()


def end_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def text_file(folder: Path) -> str:
    (folder / "text.db").write_text("this is not a database, " * 100)
    return f"sqlite:///{folder}/text.db"


@pytest.mark.parametrize(
    ("url_of", "code", "words"),
    [
        (lambda folder: f"sqlite:///{folder}/none/run.db", "no_folder", "there is no folder"),
        (lambda folder: f"sqlite:///{folder}", "is_folder", "name a file"),
        (lambda folder: f"sqlite:///{folder}/{'x' * 300}", "not_writable", "cannot be written"),
        (text_file, "not_a_database", "not a database"),
        (lambda folder: "sqlite://", "no_file", "sqlite:///FILE"),
        (lambda folder: "run.db", "bad_database_url", "sqlite:///FILE"),
        (lambda folder: "mysql://root@host/db", "unknown_database", "sqlite or postgresql"),
        (lambda folder: "postgresql://me:secret@127.0.0.1:1/db", "database_unavailable", "does not answer"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_in_words(tmp_path: Path, url_of, code: str, words: str) -> None:
    with pytest.raises(OnearmError, match=words) as refused:
        Store.open(url_of(tmp_path))
    assert refused.value.code == code
    assert "secret" not in str(refused.value)


def test_reading_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no file"):
        Store.open(f"sqlite:///{tmp_path}/run.db", write=False)
    assert list(tmp_path.iterdir()) == []
