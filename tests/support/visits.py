"""A client whose rewards come early, in time and late, and whose decisions are shown, or not, or others are shown."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from typing import Any

import httpx

from onearm.engine.storage.windows import DONE, LAPSED, LATE, decision_of, early_seq, shown_number
from onearm.engine.vocabulary import ACTIVATION, DECIDE, EARLY, EXTERNAL, LEARN, OUTCOME

PATIENCE = 120.0  # seconds: a busy machine is no bug
PATH = "/v1/experiments/e"
WAIT = 2_000_000  # microseconds


class Visits(threading.Thread):
    """A client with visits of six sorts, one after another; what gets no answer is sent again."""

    def __init__(self, url: str, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self._url, self._over = url, over
        self.told: list[tuple[str, str, str | None, float]] = []  # visit, status, reward_id and value of each reward
        self.activated: dict[str, str | None] = {}  # by visit, what was shown instead
        self.visits = 0

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=PATIENCE) as self._client:
            while not self._over.is_set():
                self._visit(f"v{self.visits}", self.visits % 6)
                self.visits += 1

    def _visit(self, name: str, sort: int) -> None:
        if sort == 0:
            self._reward(name, None, 0.5)
        decided = self._send("decisions", {"decision_id": name, "defer_activation": sort >= 3})
        assert decided is not None
        if sort == 1:
            self._reward(name, "x", 0.25)
            self._reward(name, "y", 0.5)
        if sort == 5:
            self._reward(name, None, 1.0)
        if sort >= 4:
            other = None if sort == 4 else "b" if decided["action_id"] == "a" else "a"
            body = {} if other is None else {"action_id": other, "propensity": 0.5}
            if self._send(f"decisions/{name}:activate", body) is not None:
                self.activated[name] = other
        if sort == 4:
            self._reward(name, None, 1.0)

    def _reward(self, name: str, reward_id: str | None, value: float) -> None:
        answer = self._send(f"decisions/{name}/reward", {"value": value, "reward_id": reward_id})
        if answer is not None:
            self.told.append((name, answer["status"], reward_id, value))

    def _send(self, path: str, body: Any) -> Any:
        """Return the answer; None where it came too late."""
        answer = answered(self._client, "POST", f"{PATH}/{path}", body)
        if answer.status_code == 409:
            assert answer.json()["code"] == "late", answer.text
            return None
        assert answer.status_code < 300, answer.text
        return answer.json()


def answered(client: httpx.Client, method: str, path: str, body: Any) -> httpx.Response:
    """Send a request until there is an answer that is not 503: the service is killed meanwhile, and started again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        assert time.monotonic() < deadline, f"there is no answer to {method} {path}"
        with contextlib.suppress(httpx.TransportError):
            answer = client.request(method, path, json=body)
            if answer.status_code != 503:
                return answer
        time.sleep(0.02)


def assert_on_record(events: list[Any], visits: Visits) -> None:
    """Check that whatever was answered is on record once, and every window closed once."""
    numbers = {event.decision_id: event.number for event in events if event.kind == DECIDE}
    assert sorted(numbers) == sorted(f"v{n}" for n in range(visits.visits))
    became = {event.number: event for event in events if event.kind == ACTIVATION}  # the last of each
    instead = {number: shown_number(event) for number, event in became.items() if shown_number(event) is not None}
    outcomes = Counter((e.number, e.reward_id, e.reward) for e in events if e.kind == OUTCOME)
    late = {(event.number, event.reward_id) for event in events if event.kind == OUTCOME and event.detail == LATE}
    early = Counter(decision_of(event) for event in events if event.kind == EARLY)
    made = {event.decision_id: event.time for event in events if event.kind == DECIDE}
    taken = {event.number for event in events if event.kind == OUTCOME and early_seq(event) is not None}
    for event in events:
        if event.kind == EARLY and made[decision_of(event)] < event.time + WAIT:
            assert numbers[decision_of(event)] in taken
    for name, status, reward_id, value in visits.told:
        if status == "early" or early[name]:
            assert early[name] == 1, f"the reward of {name} was early, and is on record once"
            continue
        number = numbers[name]
        places = [place for place in (number, instead.get(number)) if outcomes[place, reward_id or "", value]]
        assert places, f"the reward of {name} was {status}"
        assert status != "accepted" or (number, reward_id or "") not in late
    for name, other in visits.activated.items():
        event = became[numbers[name]]
        assert event.detail == DONE if other is None else numbers[name] in instead
    external = {event.number: event.action for event in events if event.kind == EXTERNAL}
    assert sorted(external) == sorted(instead.values())
    never = {number for number, event in became.items() if event.detail == LAPSED}
    learned = Counter(event.number for event in events if event.kind == LEARN)
    assert learned == Counter({*numbers.values(), *external} - {*instead} - never)
