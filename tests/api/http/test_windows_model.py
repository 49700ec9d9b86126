"""Any interleaving of decisions, rewards, time, lagging closers, starts, failed commits, against a model of windows."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.served import assert_refused
from support.windowed import GRACE, Windowed

from onearm.api.cli.verify import has_fault, verified
from onearm.engine.errors import Unavailable
from onearm.engine.storage.records import Event
from onearm.engine.storage.windows import CLOSED_BY_DEFAULT, CLOSED_BY_REWARD
from onearm.engine.vocabulary import LEARN

WAIT = 10_000_000
TOGETHER = {"earliest": lambda some: some[0], "last": lambda some: some[-1], "sum": sum, "max": max}
PLACES = st.integers(0, 200)
VALUES = st.sampled_from([0.25, 1.0, -3.5])  # sums of these are exact
REWARD_IDS = st.sampled_from([None, "r", "s", "t"])
SECONDS = st.sampled_from([0.5, 3.0, 9.999999, 10.0])


class Decision:
    """What the model knows of a decision."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.came: dict[str | None, float] = {}  # by the id of the reward, in their order
        self.late: dict[str | None, float] = {}
        self.erased = False


class Windows(RuleBasedStateMachine):
    """The model: decisions by number, how many are closed, and the time that an experiment goes by, in microseconds."""

    @initialize(
        cache_bytes=st.sampled_from([0, 2500, 1_000_000]),
        default=st.sampled_from([None, 0.0]),
        aggregation=st.sampled_from([*TOGETHER]),
        late=st.sampled_from(["refuse", "record"]),
    )
    def begin(self, cache_bytes: int, default: float | None, aggregation: str, late: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.served = Windowed(Path(self.folder.name), cache_bytes=cache_bytes)
        self.default, self.together, self.late = default, TOGETHER[aggregation], late
        reward = {"wait_time": "10s", "default": default, "aggregation": aggregation, "late": late}
        assert self.served.create(reward=reward).status_code == 201
        self.key = self.served.service.live("e").row.key
        self.decisions: list[Decision] = []
        self.archived = False
        self.open()

    def events(self) -> list[Event]:
        return self.served.store.read_events(self.key, after=0, limit=10_000)

    def open(self) -> None:
        """Take up the log again: what closed is what it says, and time never goes back."""
        events = self.events()
        clock = self.served.clock
        self.begun = max(clock.wall(), events[-1].time if events else 0)
        self.since = clock.seconds
        closings = [event.number for event in events if event.kind == LEARN and event.detail is not None]
        self.closed = 1 + closings[-1] if closings else 0  # type: ignore[operator]
        self.hold()

    def hold(self) -> None:
        self.held, self.held_until = len(self.decisions), self.now + round(GRACE * 1e6)

    @property
    def now(self) -> int:
        return self.begun + int((self.served.clock.seconds - self.since) * 1e6)

    def due(self, number: int) -> int:
        due = self.decisions[number].at + WAIT
        return max(due, self.held_until) if number < self.held else due

    @precondition(lambda self: not self.archived)
    @rule(unit=st.sampled_from([None, "ann"]))
    def decide(self, unit: str | None) -> None:
        answer = self.served.decide({} if unit is None else {"unit_id": unit})
        assert answer.status_code == 201, answer.text
        self.decisions.append(Decision(self.now))

    @precondition(lambda self: self.decisions)
    @rule(place=PLACES, value=VALUES, reward_id=REWARD_IDS)
    def reward(self, place: int, value: float, reward_id: str | None) -> None:
        number = place % len(self.decisions)
        decision = self.decisions[number]
        body: dict[str, Any] = {"value": value} if reward_id is None else {"value": value, "reward_id": reward_id}
        answer = self.served.reward(f"~{number}", body)
        known = (decision.came | decision.late).get(reward_id)
        if decision.erased:
            assert_refused(answer, 404, "unknown_decision")
        elif known is not None and known == value:
            assert (answer.status_code, answer.json()) == (200, {"status": "duplicate"})
        elif known is not None:
            assert_refused(answer, 409, "reward_exists")
        elif self.archived:
            assert_refused(answer, 409, "archived")
        elif number >= self.closed and self.now < self.due(number):
            assert (answer.status_code, answer.json()) == (200, {"status": "accepted"})
            decision.came[reward_id] = value
        elif self.late == "record":
            assert (answer.status_code, answer.json()) == (200, {"status": "late"})
            decision.late[reward_id] = value
        else:
            assert_refused(answer, 409, "late")

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.served.clock.seconds += seconds

    @rule(hours=st.sampled_from([-1, 1]))
    def somebody_sets_the_clock(self, hours: int) -> None:
        self.served.clock.set_by += hours * 3600.0

    @rule()
    def close(self) -> None:
        self.served.close_due()
        while not self.archived and self.closed < len(self.decisions) and self.due(self.closed) <= self.now:
            self.closed += 1

    @rule()
    def restart(self) -> None:
        self.served.restart()
        self.open()

    @rule()
    def archive_or_restore(self) -> None:
        action = "restore" if self.archived else "archive"
        assert self.served.post(f"/v1/experiments/e:{action}").status_code == 200
        self.archived = not self.archived
        if not self.archived:
            self.hold()

    @precondition(lambda self: not self.archived)
    @rule(committed=st.booleans(), closing=st.booleans())
    def a_commit_fails(self, committed: bool, closing: bool) -> None:
        """Whether its events are in the log, the log says."""
        store, append = self.served.store, self.served.store.append

        def failing(*batch: Any) -> None:
            if committed:
                append(*batch)
            raise Unavailable("commit_failed", "the connection was lost: try again")

        store.append = failing  # type: ignore[method-assign]
        if closing:
            self.served.close_due()
        assert self.served.decide().status_code == 503
        store.append = append  # type: ignore[method-assign]
        live = self.served.service.live("e")
        deadline = time.monotonic() + 10
        while live.unusable is not None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        for event in self.events():
            if event.number is not None and event.number == len(self.decisions):
                self.decisions.append(Decision(event.time))
        self.open()

    @rule(before=st.integers(1, 200))
    def compact(self, before: int) -> None:
        self.served.post("/v1/experiments/e:compact", {"before": before, "archive": False})

    @precondition(lambda self: not self.archived)
    @rule()
    def erase(self) -> None:
        answer = self.served.post("/v1/experiments/e:erase", {"unit_id": "ann"})
        assert answer.status_code == 200, answer.text
        for number in self.of_ann():
            self.decisions[number].erased = True

    def of_ann(self) -> list[int]:
        rows = self.served.store._read("SELECT number FROM erased", ())
        return [number for (number,) in rows]

    @invariant()
    def nothing_closes_before_its_time_and_all_else_did(self) -> None:
        if not hasattr(self, "served"):
            return
        events = self.events()
        learned = {event.number: event for event in events if event.kind == LEARN}
        assert len(learned) == sum(event.kind == LEARN for event in events), "each decision is learned once"
        for number, decision in enumerate(self.decisions):
            rewards = [*decision.came.values()]
            wanted = self.together(rewards) if rewards else self.default
            if decision.erased:
                continue
            if number >= self.closed or wanted is None:
                assert number not in learned
            else:
                why = CLOSED_BY_REWARD if rewards else CLOSED_BY_DEFAULT
                assert (learned[number].reward, learned[number].detail) == (wanted, why)
        times = [event.time for event in events]
        assert times == sorted(times)

    def teardown(self) -> None:
        if not hasattr(self, "served"):
            return
        try:
            if self.archived:
                self.archive_or_restore()
            self.served.clock.seconds += 30.0
            self.close()
            assert self.closed == len(self.decisions)
            self.nothing_closes_before_its_time_and_all_else_did()
            report = self.served.report()
            assert report["open"] == 0
            assert report["late"] == sum(len(decision.late) for decision in self.decisions)
            self.served.restart()
            unsaid = {"open": 0, "until": report["until"]}  # that a window closed of which nothing was learned
            assert self.served.report() | unsaid == report
            assert not any(map(has_fault, verified(self.served.url)))
        finally:
            self.served.stop()
            self.folder.cleanup()


TestWindows = Windows.TestCase
TestWindows.settings = settings(
    max_examples=settings.default.max_examples // 3,
    stateful_step_count=40,
    phases=[Phase.generate],  # shrinking a failure takes minutes; add Phase.shrink to look into one
)
