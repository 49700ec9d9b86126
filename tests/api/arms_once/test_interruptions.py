"""What a caller's code may do while a stream runs: raise, come back, hold what is heavy."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
from support.stream_rules import RULES, SLOTS, fixed, shuffled

from onearm.api import arms_once as stream
from onearm.api.arms_once import Record, Stream
from onearm.engine.errors import Conflict


class Broken(Exception):
    """What a caller's code may raise."""


@pytest.mark.parametrize("rule", RULES)
def test_what_the_caller_raises_passes_through_and_nothing_is_lost(rule: str) -> None:
    """Each third call of each of the three raises; what remains is what an undisturbed run does."""
    calls = {"arms": 0, "pull": 0, "evict": 0}
    gone = []

    def raises(what: str) -> None:
        calls[what] += 1
        if calls[what] % 3 == 0:
            raise Broken(what)

    class Arms:
        def __init__(self) -> None:
            self.rest = iter(shuffled(30))

        def __iter__(self) -> Iterator[float]:
            return self

        def __next__(self) -> float:
            raises("arms")
            return next(self.rest)

    def pull(arm: float, n: int) -> tuple[float, int]:
        raises("pull")
        return fixed(arm, n)

    def evict(arm: float, record: Record, reason: str) -> None:
        gone.append(arm)
        raises("evict")

    disturbed = Stream(trials=5000, arms=30, rule=rule, slots=SLOTS, on_evict=evict)
    arms, raised = Arms(), 0
    while not disturbed.done:
        try:
            disturbed.run(arms, pull)
        except Broken:
            raised += 1
            if disturbed.held:
                assert disturbed.commit().arm in disturbed.handles.values()
    calm = Stream(trials=5000, arms=30, rule=rule, slots=SLOTS)
    calm.run(shuffled(30), fixed)
    assert raised > 5
    assert disturbed.digest() == calm.digest()
    assert len(gone) == len(set(gone)) == disturbed.status().arms_seen - 1


def test_who_is_let_go_with_others_is_named_whatever_is_raised() -> None:
    gone = []

    def evict(arm: float, record: Record, reason: str) -> None:
        gone.append((arm, reason))
        raise Broken(arm)

    asked = Stream(trials=100, arms=30, rule="levels", slots=SLOTS, on_evict=evict)
    arms = iter(shuffled(30))
    while not asked.done:
        with pytest.raises(Broken):
            asked.run(arms, fixed)
    found = asked.run(arms, fixed)
    assert [reason for _, reason in gone].count("over") == 2
    assert len({arm for arm, _ in gone} | {found.arm}) == found.status.arms_seen == len(gone) + 1


@pytest.mark.parametrize("where", ["arms", "pull", "evict"])
@pytest.mark.parametrize("what", ["tell", "offer", "ask", "close", "run"])
def test_what_a_run_calls_cannot_change_the_stream(what: str, where: str) -> None:
    calls = {
        "tell": lambda: asked.tell(0.5, 0.0, 0),
        "offer": lambda: asked.offer(0.5),
        "ask": lambda: asked.ask(),
        "close": lambda: asked.close(),
        "run": lambda: asked.run([], fixed),
    }
    tried = []

    def attempt(here: str) -> None:
        if here == where and asked.status().arms_seen == 3:
            tried.append(here)
            with pytest.raises(Conflict, match="run is going on, and asks, tells and offers by itself"):
                calls[what]()

    def arms() -> Iterator[float]:
        for arm in shuffled(30):
            attempt("arms")
            yield arm

    def pull(arm: float, n: int) -> tuple[float, int]:
        attempt("pull")
        return fixed(arm, n)

    asked = Stream(trials=5000, arms=30, on_evict=lambda arm, record, reason: attempt("evict"))
    found = asked.run(arms(), pull)
    assert tried and found == stream.run(shuffled(30), fixed, trials=5000, arms=30)
    asked.close()


class Handle:
    """Something heavy."""


@pytest.mark.parametrize("rising", [True, False])
def test_a_handle_is_released_before_the_next_arm_is_read(rising: bool) -> None:
    seen: list[weakref.ref[Handle]] = []
    mean: dict[int, float] = {}  # by handle's id

    def arms() -> Iterator[Handle]:
        for _ in range(20):
            alive = [ref for ref in seen if ref() is not None]
            assert len(alive) <= 1, "beside the king nothing is held"
            handle = Handle()
            seen.append(weakref.ref(handle))
            mean[id(handle)] = len(seen) / 20 if rising else 1.0 - len(seen) / 20
            yield handle
            del handle

    gc.disable()
    try:
        asked = Stream(trials=2000, arms=20)
        asked.run(arms(), lambda handle, n: (n * mean[id(handle)], n))
    finally:
        gc.enable()
    assert [ref() is not None for ref in seen].index(True) == (19 if rising else 0)
    assert sum(ref() is not None for ref in seen) == 1
    assert asked.peak == 2


def test_a_run_ends_where_nothing_can_be_pulled_and_goes_on_later() -> None:
    """Traffic may run dry."""
    asked, left = Stream(trials=9000, arms=30), [700]

    def pull(arm: float, n: int) -> tuple[float, int]:
        n = min(n, left[0])
        left[0] -= n
        return fixed(arm, n)

    arms = iter(shuffled(30))
    found = asked.run(arms, pull)
    assert not asked.done and found.trials == 700
    left[0] = 10**6
    asked.run(arms, pull)
    calm = Stream(trials=9000, arms=30)
    calm.run(shuffled(30), fixed)
    assert asked.done and asked.commit().arm == calm.commit().arm
