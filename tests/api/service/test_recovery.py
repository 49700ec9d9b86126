"""The service answers while it recovers: who is asked for comes first, and nobody hears of what is not folded yet."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.served import ARMS, RANDOM, Served, assert_refused

from onearm.api.service import folded as folded_module
from onearm.api.service import recovery as recovery_module
from onearm.api.service.recovery import Queue
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import Unavailable
from onearm.engine.storage import store as store_module
from onearm.engine.storage.records import Experiment
from onearm.engine.storage.tables import EVENT, SNAPSHOT, SNAPSHOT_PART

NAMES = ["hello", "a", "b", "c"]
REWARDS = 8
PATIENCE = 20.0  # seconds: a busy machine is no bug


class Gate:
    """Stands in for the fold of a page, and lets pages pass when it is told to."""

    def __init__(self, fold: Callable[..., None]) -> None:
        self.passed: list[str] = []  # the experiments whose pages were folded, page by page
        self.at = ""  # whose page stands before the gate
        self.open = False
        self.at_once = 0  # pages that were folded at the same time, at the most
        self._fold = fold
        self._inside = 0
        self._changed = threading.Condition()
        self._free = 0

    def __call__(self, params: Any, state: Any, run: Any, columns: Any) -> None:
        name = next(NAMES[seed] for seed in range(len(NAMES)) if run == run_key(seed, 0, POLICY))
        with self._changed:
            self.at = name
            self._inside += 1
            self.at_once = max(self.at_once, self._inside)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self.open or self._free > 0, PATIENCE)
            self._free -= 1
            self.at = ""
        self._fold(params, state, run, columns)
        with self._changed:
            self._inside -= 1
            self.passed.append(name)
            self._changed.notify_all()

    def let(self, pages: int) -> None:
        """Let so many pages pass, and wait until the next one is there."""
        with self._changed:
            until = len(self.passed) + pages
            self._free += pages
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: len(self.passed) == until and self.at != "", PATIENCE)

    def wait(self) -> str:
        """Wait until a page stands before the gate; return whose."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.at != "", PATIENCE)
            return self.at

    def lift(self) -> None:
        """Let all pass from now on."""
        with self._changed:
            self.open = True
            self._changed.notify_all()


@pytest.fixture
def recovering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Served, Gate]]:
    """Yield a service that was started again over long logs, and stands before the first page of `a`.

    There are `hello`, whose log is empty and which is recovered, and `a`, `b` and `c`; a page has few events.
    """
    with Served(tmp_path) as served:
        for seed, name in enumerate(NAMES):
            if name != "hello":
                served.create(name, seed=seed)
                for i in range(REWARDS):
                    served.decide({"decision_id": f"d{i}"}, name)
                    served.reward(f"d{i}", i / REWARDS, name)
        served.stop()
        alter(served, sa.delete(SNAPSHOT), sa.delete(SNAPSHOT_PART))
        gate = Gate(folded_module.fold)
        monkeypatch.setattr(folded_module, "fold", gate)
        monkeypatch.setattr(store_module, "PAGE_BYTES", 2)
        served.start(wait=False)
        try:
            assert gate.wait() == "a"
            yield served, gate
        finally:
            gate.lift()


def alter(served: Served, *changes: sa.Update | sa.Delete) -> None:
    """Change the database of a service that is stopped."""
    engine = sa.create_engine(served.url)
    with engine.begin() as connection:
        for change in changes:
            connection.execute(change)
    engine.dispose()


def row(name: str, key: int = 0) -> Experiment:
    return Experiment(key, name, "{}", b"", "{}", 0)


def drained(queue: Queue) -> list[str]:
    """Take out all, one after another."""
    names = []
    while (one := queue.next) is not None:
        names.append(one.id)
        queue.remove(one.id)
    return names


def test_the_queue_takes_first_what_was_asked_for_first() -> None:
    queue = Queue(map(row, "abcde"))
    assert (len(queue), "c" in queue, "x" in queue) == (5, True, False)
    for asked in "dbdc":
        queue.ask(asked)
    assert drained(queue) == ["d", "b", "c", "a", "e"]
    assert len(queue) == 0


def test_the_queue_goes_on_with_what_was_asked_for_while_others_are_asked_for() -> None:
    queue = Queue(map(row, "abc"))
    queue.ask("b")
    queue.ask("a")
    assert queue.next is not None and queue.next.id == "b"
    queue.remove("a")
    assert drained(queue) == ["b", "c"]


def test_the_queue_takes_last_what_is_postponed_unless_it_is_asked_for_again() -> None:
    queue = Queue(map(row, "abc"))
    queue.ask("b")
    queue.postpone("b")
    assert queue.next is not None and queue.next.id == "a"
    queue.postpone("a")
    queue.ask("a")
    assert drained(queue) == ["a", "c", "b"]


def test_a_queue_that_is_closed_has_no_next_and_still_knows_what_waits() -> None:
    queue = Queue(map(row, "abc"))
    queue.close()
    queue.ask("b")
    queue.remove("a")
    assert (queue.next, len(queue), "b" in queue) == (None, 2, True)


def test_in_the_queue_archived_ones_rest_until_they_are_asked_for() -> None:
    rows = [row(name)._replace(archived_at=7 if name in "bd" else None) for name in "abcd"]
    queue = Queue(rows)
    assert (len(queue), queue.resting, "b" in queue) == (2, 2, True)
    queue.ask("d")
    assert (queue.next, len(queue)) == (rows[3], 2)
    queue.postpone("d")
    assert queue.next is rows[0], "it is to be asked for again"
    queue.ask("d")
    assert drained(queue) == ["d", "a", "c"]
    assert (queue.resting, "b" in queue, "d" in queue) == (1, True, False)


@pytest.mark.usefixtures("empty_database")
def test_while_logs_are_folded_the_service_says_how_many_are_left(recovering: tuple[Served, Gate]) -> None:
    served, gate = recovering
    assert served.get("/health/live").json() == {"status": "alive"}
    ready = served.get("/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"status": "recovering", "recovering": 3, "of": 4})
    assert served.decide({}, "hello").status_code == 201
    assert_refused(served.decide({}, "nobody"), 404, "unknown_experiment")
    gate.lift()
    served.recover()
    assert served.get("/health/ready").json() == {"status": "ready"}


def test_until_its_log_is_folded_an_experiment_refuses_everything(recovering: tuple[Served, Gate]) -> None:
    served, gate = recovering
    path = "/v1/experiments/b"
    before = served.everything()
    for answer in (
        served.decide({"decision_id": "d0"}, "b"),
        served.post(f"{path}/decisions:batch", {"decisions": [{}]}),
        served.reward("d0", 1.0, "b"),
        served.post(f"{path}/rewards:batch", {"rewards": [{"decision_id": "d0", "value": 1}]}),
        served.post(f"{path}/examples:batch", {"examples": []}),
        served.record("d0", "b"),
        served.post(f"{path}:archive"),
        served.post(f"{path}/arms", {"id": "new"}),
        *(served.get(f"{path}{more}") for more in ("", "/report", "/diagnostics", "/recommendation")),
        served.create("b", seed=2),
    ):
        assert_refused(answer, 503, "recovering")
        assert answer.headers["retry-after"] == "1"
    assert served.everything() == before
    gate.lift()
    served.recover()
    assert served.decide({"decision_id": "d0"}, "b").headers["idempotency-replayed"] == "true"
    assert served.reward("d0", 0.0, "b").json() == {"status": "duplicate"}
    assert served.create("b", seed=2).status_code == 200
    for name in "abc":
        served.assert_consistent(name)


@pytest.mark.usefixtures("empty_database")
def test_creating_sees_what_is_not_folded_yet(recovering: tuple[Served, Gate]) -> None:
    served, _ = recovering
    assert_refused(served.create("b", seed=99), 409, "experiment_exists")
    assert_refused(served.create("hello"), 409, "experiment_exists")
    assert served.create("new").status_code == 201
    assert served.decide({}, "new").status_code == 201
    free = served.post("/v1/experiments", {"arms": ARMS, "policy": RANDOM}).json()["experiment_id"]
    assert free == "e6"
    assert served.get("/health/ready").json() == {"status": "recovering", "recovering": 3, "of": 6}


@pytest.mark.usefixtures("empty_database")
def test_lists_show_what_is_not_folded_yet_with_what_its_log_counts(recovering: tuple[Served, Gate]) -> None:
    served, gate = recovering
    served.create("late")
    listed = served.get("/v1/experiments").json()["experiments"]
    assert [one["experiment_id"] for one in listed] == [*NAMES, "late"]
    assert [one.pop("recovering", False) for one in listed] == [False, True, True, True, False]
    page = served.get("/v1/experiments?after=hello&limit=2").json()
    assert ([one["experiment_id"] for one in page["experiments"]], page["next"]) == (["a", "b"], "b")
    assert served.get("/").text.count('<span class="tag">recovering</span>') == 3
    gate.lift()
    served.recover()
    assert served.get("/v1/experiments").json()["experiments"] == listed


def test_who_is_asked_for_comes_before_who_is_being_folded(recovering: tuple[Served, Gate]) -> None:
    served, gate = recovering
    gate.let(2)
    assert (gate.at, gate.passed) == ("a", ["a", "a"])
    for asked in "cb":
        assert_refused(served.decide({}, asked), 503, "recovering")
    gate.let(1)
    assert (gate.at, gate.passed) == ("c", ["a"] * 3)
    while gate.at == "c":
        gate.let(1)
    assert served.decide({}, "c").status_code == 201
    assert served.get("/health/ready").json()["recovering"] == 2
    while gate.at == "b":
        gate.let(1)
    assert served.decide({}, "b").status_code == 201
    assert gate.at == "a"
    gate.lift()
    served.recover()
    pages = gate.passed.count("b")
    assert pages >= 4
    assert gate.passed == ["a"] * 3 + ["c"] * pages + ["b"] * pages + ["a"] * (pages - 3)
    assert gate.at_once == 1
    for name in "abc":
        served.assert_consistent(name)


def test_a_service_that_is_stopped_while_it_recovers_stops_at_the_end_of_a_page(
    recovering: tuple[Served, Gate],
) -> None:
    served, gate = recovering
    gate.let(1)
    before = served.everything()
    stopping = threading.Thread(target=served.stop)
    stopping.start()
    until_closed(served)
    gate.lift()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    assert gate.passed == ["a", "a"]
    served.start()
    assert served.everything() == before
    for name in "abc":
        served.assert_consistent(name)


def until_closed(served: Served) -> None:
    """Wait until a service that is being stopped lets nothing come next."""
    deadline = time.monotonic() + PATIENCE
    while served.service._recovery._queue.next is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_damaged_log_closes_only_its_experiment(
    recovering: tuple[Served, Gate], caplog: pytest.LogCaptureFixture
) -> None:
    served, gate = recovering
    gate.lift()
    served.recover()
    served.stop()
    key = served.service.live("b").row.key
    alter(
        served,
        sa.delete(EVENT).where((EVENT.c.experiment == key) & (EVENT.c.seq == 5)),
        sa.delete(SNAPSHOT),
        sa.delete(SNAPSHOT_PART),
    )
    served.start()
    detail = assert_refused(served.decide({}, "b"), 503, "cannot_open")["detail"]
    assert "lacks events between seq" in detail and "experiment 'b' cannot be opened" in caplog.text
    assert served.get("/health/ready").status_code == 200
    for name in "ac":
        served.assert_consistent(name)


def test_a_database_that_does_not_answer_for_a_while_closes_nothing(
    recovering: tuple[Served, Gate], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served, gate = recovering
    key = next(row.key for row in served.store.experiments() if row.id == "b")
    counts = served.store.counts
    failures = [1, 2]

    def failing(experiment: int, *more: int) -> Any:
        if experiment == key and failures:
            failures.pop()
            raise Unavailable("read_failed", "the database does not answer")
        return counts(experiment, *more)

    monkeypatch.setattr(served.store, "counts", failing)
    monkeypatch.setattr(recovery_module, "REFOLD_PAUSE", 0.01)
    gate.lift()
    served.recover()
    assert caplog.text.count("experiment 'b' cannot be folded yet: the database does not answer") == 2
    assert gate.passed.index("c") < gate.passed.index("b")
    for name in "abc":
        served.assert_consistent(name)


@pytest.mark.usefixtures("empty_database")
def test_an_archived_experiment_is_listed_as_archived_and_folded_when_somebody_asks(
    recovering: tuple[Served, Gate],
) -> None:
    served, gate = recovering
    gate.lift()
    served.recover()
    served.post("/v1/experiments/c:archive")
    served.stop()
    alter(served, sa.delete(SNAPSHOT), sa.delete(SNAPSHOT_PART))
    gate.open, before = False, len(gate.passed)
    served.start(wait=False)
    assert gate.wait() == "a"
    listed = served.get("/v1/experiments").json()["experiments"]
    assert [one["archived"] for one in listed] == [False, False, False, True]
    gate.lift()
    served.recover()
    assert "c" not in gate.passed[before:]
    assert served.get("/health/ready").json() == {"status": "ready"}
    assert 'onearm_recovering{experiment="c",tenant="default"} 0.0' in served.get("/metrics").text
    again = served.get("/v1/experiments").json()["experiments"]
    assert (again[3], [one.pop("recovering", False) for one in again]) == (listed[3], [False] * 4)
    assert_refused(served.decide({}, "c"), 503, "recovering")
    assert served.get("/health/ready").json() == {"status": "ready"}
    served.recover()
    assert "c" in gate.passed[before:]
    assert_refused(served.decide({}, "c"), 409, "archived")
    served.assert_consistent("c")


@pytest.mark.usefixtures("empty_database")
def test_an_empty_database_has_its_experiment_ready_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no log to read, so whoever knocks first is not told to wait for one."""
    monkeypatch.setattr(Served, "recover", lambda served: None)
    with Served(tmp_path) as served:
        assert served.decide({}, "hello").status_code == 201
        assert served.get("/health/ready").json() == {"status": "ready"}
        assert_refused(served.create("hello"), 409, "experiment_exists")
        assert [row.id for row in served.store.experiments()] == ["hello"]


def test_an_old_database_is_opened_with_one_line_about_its_snapshots(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It was a line or two for each experiment: thousands after an upgrade."""
    with Served(tmp_path) as served:
        for name in NAMES[1:]:
            served.create(name)
            served.decide({}, name)
        served.stop()
        alter(served, sa.update(SNAPSHOT).values(versions='{"onearm": "0.0.0"}'))
        with caplog.at_level(logging.DEBUG, "onearm"):
            served.start()
            served.recover()
    said = [(one.levelno, one.getMessage()) for one in caplog.records if "is skipped" in one.getMessage()]
    (line,) = [text for level, text in said if level >= logging.WARNING]
    assert line.startswith("experiment 'a': the snapshot at seq 1 is skipped (it is of other versions")
    assert line.endswith("(2 more lines like this, about 3 experiments in all, are of the level DEBUG)")
    assert [text.split("'")[1] for level, text in said if level == logging.DEBUG] == NAMES[1:]


def test_snapshots_are_told_of_while_an_experiment_waits_and_each_try_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They were told of when none waited any more, each as often as its experiment was tried."""
    with Served(tmp_path) as served:
        served.create("a")
        served.decide({}, "a")
        served.stop()
        alter(served, sa.update(SNAPSHOT).values(versions='{"onearm": "0.0.0"}'))
        beginning, told = folded_module.beginning, []

        def failing(*given: Any) -> Any:
            told.append([one.getMessage() for one in caplog.records if one.levelno == logging.WARNING])
            if len(told) < 3:
                raise Unavailable("read_failed", "the database does not answer")
            return beginning(*given)

        monkeypatch.setattr(folded_module, "beginning", failing)
        monkeypatch.setattr(recovery_module, "REFOLD_PAUSE", 0.01)
        served.start()
        served.recover()
    assert list(map(len, told)) == [0, 1, 2]
    assert all("is skipped" in line and "more lines" not in line for line in told[-1])
