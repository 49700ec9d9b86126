"""Any interleaving of decisions, rewards, corrections, retractions, rollbacks, starts, failed commits and compactions.

The model is the record of each decision; what the state must be is folded from nothing, by another hand.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.corrected import Correcting, E
from support.served import assert_refused

from onearm.engine.errors import Unavailable
from onearm.engine.vocabulary import CORRECTED

PLACES = st.integers(0, 300)
VALUES = st.sampled_from([0.25, 1.0, -3.5, None])


class Corrections(RuleBasedStateMachine):
    """The model: the reward of each decision as it is known, and the seq before which nothing is folded again."""

    @initialize(cache_bytes=st.sampled_from([0, 2500, 1_000_000]))
    def begin(self, cache_bytes: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.served = Correcting(Path(self.folder.name), cache_bytes=cache_bytes)
        assert self.served.create().status_code == 201
        self.decided = self.arms = self.floor = 0
        self.known: dict[int, float | None] = {}
        self.learned: dict[int, int] = {}  # the seq of what was learned of a decision

    @property
    def seq(self) -> int:
        seq: int = self.served.get(E).json()["seq"]
        return seq

    @rule(values=st.lists(VALUES, min_size=3, max_size=9))
    def decide(self, values: list[float | None]) -> None:
        for value in values:
            name = self.served.decide().json()["decision_id"]
            if value is not None:
                assert self.served.reward(name, value).status_code == 200
                self.known[self.decided] = value
                self.learned[self.decided] = self.seq
            self.decided += 1

    @precondition(lambda self: self.decided)
    @rule(said=st.lists(st.tuples(PLACES, VALUES), min_size=1, max_size=9))
    def correct(self, said: list[tuple[int, float | None]]) -> None:
        for place, value in said:
            self.correct_one(place % self.decided, value)

    def correct_one(self, number: int, value: float | None) -> None:
        path = f"{E}/decisions/~{number}/reward"
        if value is None:
            answer = self.served.client.delete(path)
        else:
            answer = self.served.client.put(path, content=f'{{"value": {value}}}'.encode())
        if number not in self.known:
            assert_refused(answer, 409, "no_reward")
        elif self.known[number] == value:
            assert answer.json() == {"status": "duplicate"}
        elif self.learned[number] <= self.floor:
            assert_refused(answer, 409, "compacted")
        else:
            assert answer.json() == {"status": "accepted"}
            self.known[number] = value

    @rule()
    def follow(self) -> None:
        self.served.follow()

    @rule(place=PLACES)
    def roll_back(self, place: int) -> None:
        to = place % (self.seq + 1)
        answer = self.served.rollback(to)
        if to < self.floor:
            assert_refused(answer, 409, "compacted")
        else:
            assert answer.status_code == 200, answer.text

    @precondition(lambda self: self.arms < 3)
    @rule()
    def an_arm_joins(self) -> None:
        assert self.served.post(f"{E}/arms", {"id": f"new{self.arms}"}).status_code == 201
        self.arms += 1

    @rule()
    def restart(self) -> None:
        self.served.restart()

    @rule()
    def archive_and_restore(self) -> None:
        assert self.served.post(f"{E}:archive").status_code == 200
        self.served.follow()
        assert_refused(self.served.rollback(self.seq), 409, "archived")
        assert self.served.post(f"{E}:restore").status_code == 200

    @rule(committed=st.booleans())
    def a_commit_fails(self, committed: bool) -> None:
        store, append = self.served.store, self.served.store.append

        def failing(*batch: Any) -> None:
            if committed:
                append(*batch)
            raise Unavailable("commit_failed", "the connection was lost: try again")

        store.append = failing  # type: ignore[method-assign]
        assert self.served.decide().status_code == 503
        self.served.follow()
        store.append = append  # type: ignore[method-assign]
        live = self.served.service.live("e")
        deadline = time.monotonic() + 10
        while live.unusable is not None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        self.decided = live.number

    @precondition(lambda self: self.decided % 3 == 0)  # what lies before cannot be corrected: not too often
    @rule(archive=st.booleans(), place=st.none() | PLACES)
    def compact(self, archive: bool, place: int | None) -> None:
        before = {} if place is None else {"before": 1 + place % (self.seq + 1)}
        answer = self.served.post(f"{E}:compact", {"archive": archive} | before)
        if answer.status_code == 200:
            self.floor = answer.json()["base"]
        elif answer.status_code == 503:
            assert_refused(answer, 503, "correcting")
        else:
            assert answer.json()["code"] in ("nothing_before", "ahead_of_log", "before_base", "set_later"), answer.text

    @invariant()
    def the_record_is_known(self) -> None:
        if hasattr(self, "served"):
            told = self.served.get(f"{E}/report").json()
            known = [value for value in self.known.values() if value is not None]
            assert told["rewards"] == len(known)
            assert abs((told["reward_mean"] or 0.0) - sum(known) / max(1, len(known))) < 1e-9

    def teardown(self) -> None:
        if not hasattr(self, "served"):
            return
        try:
            self.served.assert_right()
            self.served.service.correcting._later.clear()
            self.served.follow()
            assert not self.served.service.live("e").uncorrected
            corrected = [event.seq for event in self.served.events() if event.kind == CORRECTED]
            if corrected:
                assert self.served.sets()[-1]["settings"][0]["corrected_to"] >= corrected[-1]
            self.served.assert_right()
            digest = self.served.digest()
            self.served.restart()
            assert self.served.digest() == digest
        finally:
            self.served.stop()
            self.folder.cleanup()


TestCorrections = Corrections.TestCase
TestCorrections.settings = settings(
    max_examples=settings.default.max_examples // 3,
    stateful_step_count=30,
    phases=[Phase.generate],  # shrinking a failure takes minutes; add Phase.shrink to look into one
)
