"""Any interleaving of early rewards, deferral, activations, overrides, time, crashes and erasures, against a model.

Beside `test_windows_model.py`, where each decision is shown when it is made. Windows are a list here, in the order in
which they began: a decision that is activated has two entries, and the first is passed over.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.served import assert_refused
from support.stored import run_sql
from support.windowed import GRACE, Windowed

from onearm.api.cli.verify import has_fault, verified
from onearm.engine.errors import Unavailable
from onearm.engine.storage.records import Event
from onearm.engine.storage.windows import (
    CLOSED_BY_DEFAULT,
    CLOSED_BY_REWARD,
    CLOSINGS,
    DEFERRED,
    DONE,
    LAPSED,
    LATE,
    LEARNED_AT_ONCE,
    decision_of,
    early_seq,
    shown_number,
)
from onearm.engine.vocabulary import ACTIVATION, DECISIONS, EARLY, LEARN, OUTCOME

WAIT = 10_000_000
TOGETHER = {"earliest": lambda some: some[0], "last": lambda some: some[-1], "sum": sum}
PLACES = st.integers(0, 4) | st.integers(0, 200)  # from the last decision back
VALUES = st.sampled_from([0.25, 1.0, -3.5])  # sums of these are exact
REWARD_IDS = st.sampled_from([None, "r", "s"])
SECONDS = st.sampled_from([0.5, 3.0, 9.999999, 10.0])
NAMES = st.sampled_from(["x", "y", "z", "w"])
ARMS = st.none() | st.sampled_from(["a", "b", "c"])
PROPENSITIES = st.sampled_from([None, 0.25])
E = "/v1/experiments/e"


class Shown(NamedTuple):
    """What was shown."""

    action: int
    propensity: float | None


class Decision:
    """What the model knows of a decision."""

    def __init__(self, number: int, shown: Shown, *, is_said: bool, name: str | None = None) -> None:
        self.number, self.decided, self.name = number, shown, name
        self.is_said = is_said  # somebody said that it was shown
        self.state: str | None = None  # of its activation: "deferred", "done", "lapsed", "shown"
        self.instead: int | None = None  # the number of the decision for what was shown in its place
        self.began = 0  # the last entry of its window
        self.came: dict[str | None, float] = {}  # by the id of the reward, in their order
        self.late: dict[str | None, float] = {}
        self.learned: tuple[float, str] | None = None
        self.erased = False


class Early(NamedTuple):
    """A reward that came before its decision."""

    at: int
    reward_id: str | None
    value: float


class Arrivals(RuleBasedStateMachine):
    """The model: decisions by number, the windows that began, and how many of these are closed."""

    @initialize(
        cache_bytes=st.sampled_from([0, 2500, 1_000_000]),
        default=st.sampled_from([None, 0.0]),
        how=st.sampled_from([("at_once", "earliest"), *(("at_close", name) for name in TOGETHER)]),
        late=st.sampled_from(["refuse", "record"]),
    )
    def begin(self, cache_bytes: int, default: float | None, how: tuple[str, str], late: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.served = Windowed(Path(self.folder.name), cache_bytes=cache_bytes)
        learn, aggregation = how
        self.at_once, self.together, self.default, self.late = learn == "at_once", TOGETHER[aggregation], default, late
        reward = {"wait_time": "10s", "default": default, "aggregation": aggregation, "late": late, "learn": learn}
        assert self.served.create(reward=reward).status_code == 201
        self.key = self.served.service.live("e").row.key
        self.decisions: list[Decision] = []
        self.windows: list[tuple[int, int]] = []  # when each began, and the number of its decision
        self.early: dict[str, list[Early]] = {}  # on record, by the name of the decision
        self.held: dict[str, int] = {}  # until when those of a name are held
        self.n_early = self.n_taken = 0
        self.synced = 0  # events of the log that the model knows
        self.archived = False
        self.open()

    # -- the model -----------------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        return self.begun + int((self.served.clock.seconds - self.since) * 1e6)

    def events(self) -> list[Event]:
        return self.served.store.read_events(self.key, after=0, limit=10_000)

    def open(self) -> None:
        """Take up the log again, as a start does."""
        events = self.events()
        self.synced = len(events)
        clock, last = self.served.clock, events[-1].time if events else 0
        self.begun, self.since = max(clock.wall(), last), clock.seconds
        self.closed = self.closed_in(events, last)
        self.early = {
            name: kept
            for name, some in self.early.items()
            if (kept := [one for one in some if one.at > last - WAIT]) and name not in self.names
        }
        self.held = {name: some[0].at + WAIT for name, some in self.early.items()}
        self.hold()

    def closed_in(self, events: list[Event], last: int) -> int:
        """Return how many windows a log says are closed."""
        closings = [
            event.number
            for event in events
            if (event.kind == LEARN and event.detail in (CLOSED_BY_REWARD, CLOSED_BY_DEFAULT))
            or (event.kind == ACTIVATION and event.detail == LAPSED)
        ]
        closed = 1 + self.decisions[closings[-1] or 0].began if closings else 0
        if not self.at_once:
            return closed
        over = sum(at <= last - WAIT for at, _ in self.windows)
        if self.default is None or over <= closed:
            return max(over, closed)
        learned = {event.number for event in events if event.kind == LEARN}
        for place in range(closed, over):
            number = self.windows[place][1]
            if number not in learned and self.first_of(number) == place:
                return place
        return over

    def first_of(self, number: int) -> int:
        """Return the entry with which a decision was made."""
        return next(place for place, (_, one) in enumerate(self.windows) if one == number)

    def hold(self) -> None:
        self.n_held, self.held_until = len(self.windows), self.now + round(GRACE * 1e6)
        self.held = {name: max(until, self.held_until) for name, until in self.held.items()}

    def lapse(self) -> None:
        for name in [name for name, until in self.held.items() if until <= self.now]:
            del self.held[name], self.early[name]

    @property
    def names(self) -> dict[str, Decision]:
        return {one.name: one for one in self.decisions if one.name is not None and not one.erased}

    def due(self, place: int) -> int:
        due = self.windows[place][0] + WAIT
        return max(due, self.held_until) if place < self.n_held else due

    def is_closed(self, decision: Decision) -> bool:
        return decision.began < self.closed or self.now >= self.due(decision.began)

    def begins(self, decision: Decision, at: int) -> None:
        decision.began = len(self.windows)
        self.windows.append((at, decision.number))

    def learn_at_once(self, decision: Decision) -> None:
        shown = decision.state in (None, "done")
        if self.at_once and shown and decision.came and decision.learned is None and not decision.erased:
            decision.learned = next(iter(decision.came.values())), LEARNED_AT_ONCE

    def activated(self, decision: Decision, shown: Shown | None) -> Decision:
        """Activate a decision; return it, or the one of what was shown in its place."""
        if shown is None:
            decision.state = "done"
            self.begins(decision, self.now)
            return decision
        instead = Decision(len(self.decisions), shown, is_said=True)
        decision.state, decision.instead = "shown", instead.number
        self.decisions.append(instead)
        self.begins(instead, self.now)
        instead.came = dict(decision.came)
        return instead

    def shown(self, decision: Decision, arm: str, propensity: float | None) -> Shown | None:
        """Return what is said to have been shown in the place of what was decided."""
        action = "abc".index(arm)
        is_same = action == decision.decided.action and propensity in (None, decision.decided.propensity)
        return None if is_same else Shown(action, propensity)

    def shown_before(self, decision: Decision) -> Shown | None:
        return None if decision.instead is None else self.decisions[decision.instead].decided

    # -- the rules -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.archived)
    @rule(unit=st.sampled_from([None, None, "ann"]), name=st.none() | NAMES, deferred=st.booleans())
    def decide(self, unit: str | None, name: str | None, deferred: bool) -> None:
        if name in self.names:
            return
        body: dict[str, Any] = {"defer_activation": deferred}
        body |= {} if unit is None else {"unit_id": unit}
        body |= {} if name is None else {"decision_id": name}
        answer = self.served.decide(body)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        shown = Shown("abc".index(made["action_id"]), made["propensity"])
        decision = Decision(len(self.decisions), shown, is_said=False, name=name)
        decision.state = "deferred" if deferred else None
        self.decisions.append(decision)
        self.begins(decision, self.now)
        self.lapse()
        if name in self.held:
            assert name is not None
            del self.held[name]
            taken = self.early.pop(name)
            self.n_taken += len(taken)
            decision.came = {one.reward_id: one.value for one in taken}
        self.learn_at_once(decision)

    @rule(name=NAMES, value=VALUES, reward_id=REWARD_IDS)
    def reward_of_a_name(self, name: str, value: float, reward_id: str | None) -> None:
        if name in self.names:
            self.reward(len(self.decisions) - 1 - self.names[name].number, value, reward_id, None, None)
            return
        answer = self.served.reward(name, body_of(value, reward_id))
        self.lapse()
        known = {one.reward_id: one.value for one in self.early.get(name, ())}
        if reward_id in known and known[reward_id] == value:
            assert (answer.status_code, answer.json()) == (200, {"status": "duplicate"})
        elif reward_id in known:
            assert_refused(answer, 409, "reward_exists")
        elif self.archived:
            assert_refused(answer, 409, "archived")
        else:
            assert (answer.status_code, answer.json()) == (202, {"status": "early"})
            self.held.setdefault(name, self.now + WAIT)
            self.early.setdefault(name, []).append(Early(self.now, reward_id, value))
            self.n_early += 1

    @precondition(lambda self: self.decisions)
    @rule(place=PLACES, value=VALUES, reward_id=REWARD_IDS, arm=ARMS, propensity=PROPENSITIES)
    def reward(
        self, place: int, value: float, reward_id: str | None, arm: str | None, propensity: float | None
    ) -> None:
        decision = self.decisions[-1 - place % len(self.decisions)]
        body = body_of(value, reward_id)
        if arm is not None:
            body |= {"action_id": arm} | ({} if propensity is None else {"propensity": propensity})
        answer = self.served.reward(f"~{decision.number}", body)
        if decision.erased:
            assert_refused(answer, 404, "unknown_decision")
            return
        news, shown = False, None
        if arm is not None:
            shown = self.shown(decision, arm, propensity)
            if decision.state == "deferred":
                news = True
            elif self.shown_before(decision) != shown:
                if decision.state is not None or decision.is_said or decision.came or decision.late:
                    assert_refused(answer, 409, "other_action")
                    return
                news = True
        if decision.instead is not None:
            decision = self.decisions[decision.instead]
        self.taken(answer, decision, value, reward_id, news, shown)

    def taken(
        self,
        answer: httpx.Response,
        decision: Decision,
        value: float,
        reward_id: str | None,
        news: bool,
        shown: Shown | None,
    ) -> None:
        """Check what becomes of a reward, of which it is `news` what was shown."""
        known = decision.came | decision.late
        is_again = reward_id in known and known[reward_id] == value
        if reward_id in known and not is_again:
            assert_refused(answer, 409, "reward_exists")
        elif is_again and not news:
            assert (answer.status_code, answer.json()) == (200, {"status": "duplicate"})
        elif self.archived:
            assert_refused(answer, 409, "archived")
        elif self.is_closed(decision):
            if news or self.late == "refuse":
                assert_refused(answer, 409, "late")
            else:
                assert (answer.status_code, answer.json()) == (200, {"status": "late"})
                decision.late[reward_id] = value
        else:
            wanted = {"status": "duplicate" if is_again else "accepted"}
            assert (answer.status_code, answer.json()) == (200, wanted), answer.text
            if news:
                decision = self.activated(decision, shown)
            decision.came.setdefault(reward_id, value)
            self.learn_at_once(decision)

    @precondition(lambda self: not self.archived)
    @rule(value=VALUES, reward_id=REWARD_IDS, arm=ARMS, propensity=PROPENSITIES, by_reward=st.booleans())
    def show_what_has_a_reward(
        self, value: float, reward_id: str | None, arm: str | None, propensity: float | None, by_reward: bool
    ) -> None:
        self.decide(None, None, deferred=True)
        self.reward(0, value, reward_id, None, None)
        if by_reward:
            self.reward(0, 1.0, "t", arm, propensity)
        else:
            self.activate(0, arm, propensity)

    @precondition(lambda self: self.decisions)
    @rule(place=PLACES, arm=ARMS, propensity=PROPENSITIES)
    def activate(self, place: int, arm: str | None, propensity: float | None) -> None:
        decision = self.decisions[-1 - place % len(self.decisions)]
        body = {} if arm is None else {"action_id": arm} | ({} if propensity is None else {"propensity": propensity})
        answer = self.served.post(f"{E}/decisions/~{decision.number}:activate", body)
        if decision.erased:
            assert_refused(answer, 404, "unknown_decision")
            return
        shown = None if arm is None else self.shown(decision, arm, propensity)
        if decision.state is None:
            assert_refused(answer, 409, "not_deferred")
        elif decision.state in ("done", "shown") and self.shown_before(decision) != shown:
            assert_refused(answer, 409, "activated")
        elif decision.state in ("done", "shown"):
            assert (answer.status_code, answer.json()) == (200, {"status": "duplicate"})
        elif self.is_closed(decision):
            assert_refused(answer, 409, "late")
        elif self.archived:
            assert_refused(answer, 409, "archived")
        else:
            assert (answer.status_code, answer.json()) == (200, {"status": "activated"}), answer.text
            self.learn_at_once(self.activated(decision, shown))

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.served.clock.seconds += seconds

    @rule()
    def close(self) -> None:
        self.served.close_due()
        while not self.archived and self.closed < len(self.windows):
            decision = self.decisions[self.windows[self.closed][1]]
            is_last = decision.began == self.closed
            if not decision.erased and is_last and self.due(self.closed) > self.now:
                break
            if is_last and not decision.erased and decision.learned is None:
                self.end(decision)
            self.closed += 1

    def end(self, decision: Decision) -> None:
        """Close the window of a decision of which nothing was learned."""
        rewards = [*decision.came.values()]
        if decision.state == "deferred":
            decision.state = "lapsed"
        elif decision.state in (None, "done") and (rewards or self.default is not None):
            why = CLOSED_BY_REWARD if rewards else CLOSED_BY_DEFAULT
            decision.learned = (self.together(rewards) if rewards else self.default), why  # type: ignore[assignment]

    @rule(crashed=st.booleans())
    def restart(self, crashed: bool) -> None:
        self.served.stop()
        if crashed:  # what a stop keeps is a snapshot
            for table in ("snapshot_part", "snapshot"):
                run_sql(self.served.url, f"DELETE FROM {table}")
        self.served.start()
        self.open()

    @rule()
    def archive_or_restore(self) -> None:
        action = "restore" if self.archived else "archive"
        assert self.served.post(f"{E}:{action}").status_code == 200
        self.archived = not self.archived
        if not self.archived:
            self.hold()

    @precondition(lambda self: not self.archived)
    @rule(committed=st.booleans(), what=st.sampled_from(["decide", "defer", "reward", "early", "shown", "close"]))
    def a_commit_fails(self, committed: bool, what: str) -> None:
        """Whether its events are in the log, the log says."""
        self.synced = len(self.events())
        store, append = self.served.store, self.served.store.append
        failed: list[Any] = []

        def failing(*batch: Any) -> None:
            failed.append(batch)
            if committed:
                append(*batch)
            raise Unavailable("commit_failed", "the connection was lost: try again")

        store.append = failing  # type: ignore[method-assign]
        last = f"~{len(self.decisions) - 1}"
        if what == "close":
            self.served.close_due()
        elif what == "early":
            self.served.reward("never", body_of(1.0, f"e{self.n_early}"))
        elif what == "reward":
            self.served.reward(last, body_of(1.0, "failed"))
        elif what == "shown":
            self.served.reward(last, body_of(1.0, "failed") | {"action_id": "c"})
        else:
            assert self.served.decide({"defer_activation": what == "defer"}).status_code == 503
        store.append = append  # type: ignore[method-assign]
        if not failed:  # what was said was refused, or nothing was due
            return
        live = self.served.service.live("e")
        deadline = time.monotonic() + 10
        while live.unusable is not None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        for event in self.events()[self.synced :]:
            self.enter(event)
        self.open()

    def enter(self, event: Event) -> None:
        """Take up an event that the log has, whatever was answered."""
        number = -1 if event.number is None else event.number
        if event.kind in DECISIONS:
            shown = Shown(event.action or 0, event.propensity)
            is_said = event.decision_id is None and event.sent is None and event.body_hash is None
            self.decisions.append(Decision(number, shown, is_said=is_said and event.kind != 0))
            self.begins(self.decisions[-1], event.time)
        elif event.kind == ACTIVATION:
            decision = self.decisions[number]
            decision.instead = shown_number(event)
            decision.state = {DEFERRED: "deferred", DONE: "done", LAPSED: "lapsed"}.get(event.detail or "", "shown")
            if event.detail == DONE:
                self.begins(decision, event.time)
        elif event.kind == OUTCOME:
            assert early_seq(event) is None
            kept = self.decisions[number].late if event.detail == LATE else self.decisions[number].came
            kept[event.reward_id or None] = event.reward or 0.0
        elif event.kind == EARLY:
            self.n_early += 1
            name, early = decision_of(event), Early(event.time, event.reward_id or None, event.reward or 0.0)
            self.early.setdefault(name, []).append(early)
        elif event.kind == LEARN:
            assert event.detail in CLOSINGS.values()
            self.decisions[number].learned = event.reward or 0.0, event.detail or ""

    @rule(before=st.integers(1, 200))
    def compact(self, before: int) -> None:
        self.served.post(f"{E}:compact", {"before": before, "archive": False})

    @precondition(lambda self: not self.archived)
    @rule()
    def erase(self) -> None:
        answer = self.served.post(f"{E}:erase", {"unit_id": "ann"})
        assert answer.status_code == 200, answer.text
        for (number,) in self.served.store._read("SELECT number FROM erased WHERE number >= 0", ()):
            self.decisions[number].erased = True

    # -- what holds ----------------------------------------------------------------------------------------------------

    @invariant()
    def what_was_learned_is_what_the_model_says(self) -> None:
        if not hasattr(self, "served"):
            return
        events = self.events()
        learned = {event.number: (event.reward, event.detail) for event in events if event.kind == LEARN}
        assert len(learned) == sum(event.kind == LEARN for event in events), "each decision is learned once"
        for decision in self.decisions:
            if not decision.erased:
                assert learned.get(decision.number) == decision.learned, decision.number
        times = [event.time for event in events]
        assert times == sorted(times)

    @invariant()
    def means_are_those_of_the_first_windows_that_closed(self) -> None:
        if not hasattr(self, "served"):
            return
        report = self.served.report()
        self.lapse()
        if any(decision.erased for decision in self.decisions):
            return
        counted = [
            decision.learned[0]
            for decision in self.decisions
            if decision.learned is not None and decision.began < self.closed
        ]
        assert report["rewards"] == len(counted)
        assert abs((report["reward_mean"] or 0.0) - sum(counted) / max(1, len(counted))) < 1e-9

    def teardown(self) -> None:
        if not hasattr(self, "served"):
            return
        try:
            if self.archived:
                self.archive_or_restore()
            self.served.clock.seconds += 30.0
            self.close()
            assert self.closed == len(self.windows)
            self.what_was_learned_is_what_the_model_says()
            report = self.served.report()
            assert (report["open"], report["early"]) == (0, 0)
            assert report["late"] == sum(len(decision.late) for decision in self.decisions)
            assert report["lapsed"] == self.n_early - self.n_taken
            assert report["replaced"] == sum(decision.instead is not None for decision in self.decisions)
            assert not any(map(has_fault, verified(self.served.url)))
        finally:
            self.served.stop()
            self.folder.cleanup()


def body_of(value: float, reward_id: str | None) -> dict[str, Any]:
    return {"value": value} if reward_id is None else {"value": value, "reward_id": reward_id}


TestArrivals = Arrivals.TestCase
TestArrivals.settings = settings(
    max_examples=settings.default.max_examples // 3,
    stateful_step_count=40,
    phases=[Phase.generate],  # shrinking a failure takes minutes; add Phase.shrink to look into one
)
