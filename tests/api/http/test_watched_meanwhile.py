"""What the log and the policies of an experiment become while somebody reads what shadows learn of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.lives import TSALLIS, UNIFORM, Life, law
from support.served import Served
from support.slow_steps import begun_in

from onearm.api.experiment.lineup import states_of
from onearm.api.service import policies as policies_module
from onearm.api.service import watching
from onearm.api.service.policies import Wanted
from onearm.api.service.watching import Watch
from onearm.engine import snapshot

pytestmark = pytest.mark.usefixtures("coarse_quadrature")


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Yield a service that looks at no policies unless a test says so."""
    monkeypatch.setattr(policies_module, "EVERY", 1e6)
    with Served(tmp_path) as one:
        yield one


def read_on(served: Served) -> Watch:
    """Let shadows learn all that is logged; return who watches them."""
    policies, live = served.service.policies, served.service.live("e")

    async def read() -> Watch:
        watch = await policies._watched(live)
        await policies._read(live, watch, live.seq, near=0)
        return watch

    return served.client.portal.call(read)


def test_a_shadow_whose_log_gets_a_base_as_it_begins_knows_all_of_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it begins and where is read from are of one moment, or it would lack what lies between."""
    life = Life(served, UNIFORM)
    life.join(TSALLIS, role="shadow", start="log")
    life.play(20)
    known = snapshot.digest(read_on(served).shadows[1].state)
    served.restart()
    live, starts_of = served.service.live("e"), policies_module.starts_of

    def before_a_base(*about: Any) -> Any:
        found = starts_of(*about)
        served.client.portal.call(served.service.compactions.compact, live)
        return found

    monkeypatch.setattr(policies_module, "starts_of", before_a_base)
    life.do(1, "promote")
    assert snapshot.digest(states_of(live.spec, live.state)[1]) == known


def test_a_page_in_which_a_policy_failed_is_not_learned_again_by_who_waits_for_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life(served, law("epsilon_greedy"))
    life.join(law("ucb1"), role="shadow", start="log")
    life.play(30)
    policies, live = served.service.policies, served.service.live("e")
    count, work = Watch._count, policies._work
    inside, waits = threading.Event(), threading.Event()

    def failing(self: Watch, *given: Any) -> None:
        if not inside.is_set():
            inside.set()
            assert waits.wait(30)
            raise OSError("as if a disk had failed")
        count(self, *given)

    async def noted(live: Any, watch: Watch, page: Any) -> None:
        if watch.one.locked():
            waits.set()
        await work(live, watch, page)

    monkeypatch.setattr(Watch, "_count", failing)
    monkeypatch.setattr(policies, "_work", noted)
    with ThreadPoolExecutor(1) as pool:
        look = pool.submit(served.client.portal.call, policies._look, live)
        assert inside.wait(30)
        known = served.client.portal.call(live.turns.alone, policies._state, live, live.members[1])
        with pytest.raises(OSError, match="as if"):
            look.result(30)
    policies._watches.clear()
    assert snapshot.digest(known) == snapshot.digest(read_on(served).shadows[1].state)


def test_who_is_promoted_knows_all_that_is_logged_also_where_what_read_it_is_given_up(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life(served, law("epsilon_greedy"))
    life.join(law("ucb1"), role="shadow", start="log")
    life.play(30)
    policies = served.service.policies
    take_room, given_up = policies._take_room, list[Watch]()

    def taken(live: Any, watch: Watch) -> None:
        take_room(live, watch)
        if not given_up and live.turns.exclusive:
            given_up.append(policies._watches.pop(live.row.key))  # as another one does whose page fails

    monkeypatch.setattr(watching, "PAGE", 10)
    monkeypatch.setattr(policies, "_take_room", taken)
    life.do(1, "promote")
    assert [watch.seq for watch in given_up] == [10]
    life.play(10)
    life.assert_verifies()


def test_a_guard_that_was_taken_off_moves_nobody(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had seen enough, and whoever took it off was in front of it."""
    life = Life(served, law("fixed_arm", arm=0), reward={"range": [0, 1]})
    life.join(law("fixed_arm", arm=2), role="canary", share=0.5, guard={"against": "live"})
    policies, live = served.service.policies, served.service.live("e")
    guard = live.members[1].guard
    assert guard is not None
    for _ in range(50):
        life.play(50)
        if read_on(served).evidence[1].moved(guard) == "promoted":
            break
    else:
        pytest.fail("the guard has not seen enough")

    async def race() -> None:
        free = asyncio.Event()
        first = asyncio.create_task(live.turns.alone(free.wait))
        await asyncio.sleep(0)
        off = await begun_in(live.turns, policies.assign(live, 1, Wanted("canary", 0.5, guard=None)), monkeypatch)
        look = await begun_in(live.turns, policies._look(live), monkeypatch)
        assert not off.done() and not look.done(), "both wait"
        free.set()
        await asyncio.gather(first, off, look)

    served.client.portal.call(race)
    assert life.roles() == {0: "live", 1: "canary"}
    assert live.members[1].guard is None
    life.assert_verifies()
