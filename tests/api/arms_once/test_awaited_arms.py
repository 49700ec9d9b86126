"""What is pulled while the next arm is awaited, and what a stream does once none will come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.stream_rules import RULES, SLOTS, Watched, fixed, play, shuffled

from onearm.api import arms_once as stream
from onearm.api.arms_once import Stream
from onearm.engine.errors import Conflict, InvalidInput
from onearm.policies import catalog


@pytest.mark.parametrize("rule", RULES)
def test_while_the_next_arm_is_awaited_the_best_one_is_pulled(rule: str) -> None:
    """Traffic does not stop; and the next arm comes as soon as what was asked is told, or taken back."""
    watched = Watched(shuffled(25), SLOTS, 10**9)
    asked = Stream(arms=25, rule=rule, slots=SLOTS, on_evict=watched.evict)
    with pytest.raises(Conflict, match="no arm is held"):
        asked.ask()
    for number in watched.arms():
        assert asked.ready
        asked.offer(number)
        while not asked.ready and not asked.done:
            arm, n = asked.ask()
            asked.tell(arm, *watched.pull(arm, n))
        if number == 24:
            break
        explored, before = asked.status().explored, asked.save()
        arm, n = asked.ask()
        assert arm == asked.commit().arm and not asked.ready
        assert asked.ask() == (arm, n)
        with pytest.raises(Conflict, match="is to be pulled"):
            asked.offer("too early")
        if number % 3 == 0:
            asked.tell(arm, 0.0, 0)
            assert asked.ready and asked.save() == before
            assert asked.ask() == (arm, n)
        asked.tell(arm, *watched.pull(arm, n))
        assert asked.status().explored == explored
        assert asked.ready
    assert asked.done or asked.status().arms_seen == 25
    assert watched.peak <= SLOTS + 1


NOSY = """
from typing import NamedTuple
import numpy as np
from onearm.engine.actions import PULL, pull, read
from onearm.engine.protocol import register_policy
from onearm.engine.vocabulary import Decision, Policy

class {name}Params(NamedTuple):
    lowest: bool
    wrong: int
    pulls: int

class {name}State(NamedTuple):
    count: np.ndarray

def {name}(lowest=True, wrong=0, pulls=1):
    params = {name}Params(lowest, wrong, pulls)
    return Policy("{name}", params, lambda params, problem: {name}State(np.zeros(2, np.int64)), actions=("move",))

def select(params, state, instance, key):
    available, move = instance.available, np.zeros(3, np.int64)
    arrived = len(available) - 2
    if params.wrong and state.count[1] == 5:
        move[:] = {wrong}[params.wrong]
        return Decision(move, 1.0)
    if available[arrived] and state.count[0] == 0 and params.pulls:
        return Decision(pull(move, arrived, params.pulls), 1.0)
    if available[-1]:
        return Decision(read(move, state.count[1] % (arrived + 1)), 1.0)
    held = np.flatnonzero(available)
    return Decision(pull(move, held[0] if params.lowest else held[-1], max(params.pulls, 1)), 1.0)

def update(params, state, instance, decision, feedback, key):
    if decision.action[0] == PULL:
        state.count[0] += 1
    else:
        state.count[0] = 0
        state.count[1] += 1

register_policy({name}Params, select=select, update=update)
"""
WRONG = [[], [0, 0, 0], [0, 9, 1], [0, -1, 1], [1, 9, 0], [7, 0, 1]]  # no pulls, no such place, nothing at all


@pytest.fixture(scope="module")
def nosy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the name of a rule from a file that stores arms anywhere, and looks at all that is there."""
    file = tmp_path_factory.mktemp("rules") / "nosy.py"
    file.write_text(NOSY.format(name="nosy", wrong=WRONG))
    yield catalog.add_file(file)
    del catalog._outside["nosy"]


@pytest.mark.parametrize("lowest", [True, False])
def test_what_a_rule_is_shown_while_the_next_arm_is_awaited_is_there(nosy: str, lowest: bool) -> None:
    """Who was dropped is not shown, nor who was replaced; who was stored is, wherever the rule knows it."""
    watched = Watched(shuffled(25), 3, 10**9)
    asked = Stream(rule={"name": nosy, "params": {"lowest": lowest}}, slots=3, on_evict=watched.evict)
    for number in watched.arms():
        asked.offer(number)
        while asked.ask() and not asked.ready and asked.status().trials_used < 4 * (number + 1):
            arm, n = asked.ask()
            asked.tell(arm, *watched.pull(arm, n))
        asked.tell(asked.ask()[0], 0.0, 0)
        assert set(asked.handles.values()) == watched.here
    assert asked.commit().arm in watched.here


@pytest.mark.parametrize("wrong", range(1, len(WRONG)))
def test_a_rule_that_makes_impossible_moves_is_stopped(nosy: str, wrong: int) -> None:
    rule = {"name": nosy, "params": {"wrong": wrong}}
    with pytest.raises(InvalidInput, match="the rule made at decision 9 a move that cannot be made"):
        stream.run(shuffled(25), fixed, trials=1000, rule=rule, slots=3)


def test_a_rule_may_let_arms_go_by_unseen(nosy: str) -> None:
    watched = Watched([0.5] * 9, 3, 5)
    found = stream.run(
        watched.arms(),
        watched.pull,
        trials=5,
        rule={"name": nosy, "params": {"pulls": 0}},
        slots=3,
        on_evict=watched.evict,
    )
    assert found.status.explored == 0 and watched.made == 5 and watched.here == {found.arm}


def test_no_more_pulls_are_asked_than_are_left(nosy: str) -> None:
    watched = Watched([0.5] * 9, 3, 100)
    rule = {"name": nosy, "params": {"pulls": 30}}
    stream.run(watched.arms(), watched.pull, trials=100, rule=rule, slots=3, on_evict=watched.evict)
    assert watched.made == 100


def test_closing_while_something_is_asked_waits_for_the_answer() -> None:
    asked = Stream(trials=10_000)
    asked.offer("a")
    _, n = asked.ask()
    asked.close()
    assert not asked.ready and asked.ask() == ("a", n)
    asked.tell("a", 0.5 * n, n)
    assert asked.ask() == ("a", 10_000 - n)
    for again in (asked.close, lambda: asked.offer("b")):
        if again == asked.close:
            again()
        else:
            with pytest.raises(Conflict, match="the stream is over"):
                again()
    waiting = Stream(trials=10_000)
    waiting.offer("a")
    waiting.tell("a", 0.5 * n, waiting.ask()[1])
    assert waiting.ready
    _, n = waiting.ask()
    waiting.close()
    assert not waiting.ready
    waiting.tell("a", 0.5 * n, n)
    assert not waiting.ready and waiting.ask()[0] == "a"


@pytest.mark.parametrize("given", [{"trials": 3000, "arms": 15}, {"budget": 400, "arms": 15}, {}])
@pytest.mark.parametrize("rule", RULES)
def test_a_stream_that_was_closed_while_something_was_asked_stays_closed(rule: str, given: dict[str, int]) -> None:
    """Whether the question is taken back, or the stream is saved and loaded: it is as if nothing had been asked."""

    def waiting() -> tuple[Stream, list[Any]]:
        gone: list[Any] = []
        asked = Stream(rule=rule, slots=SLOTS, on_evict=lambda arm, record, reason: gone.append(arm), **given)
        arms = iter(shuffled(15)[:5])
        while not (asked.ready and asked.status().arms_seen == 5):
            if asked.ready:
                asked.offer(next(arms))
            else:
                arm, n = asked.ask()
                asked.tell(arm, *fixed(arm, n))
        return asked, gone

    plain, gone_plainly = waiting()
    plain.close()
    play(plain, iter(()), fixed)
    back, gone_back = waiting()
    arm, _ = back.ask()
    back.close()
    gone_loaded = [*gone_back]
    loaded = Stream.load(back.save(), back.handles, lambda arm, record, reason: gone_loaded.append(arm))
    back.tell(arm, 0.0, 0)
    for closed, gone in ((back, gone_back), (loaded, gone_loaded)):
        assert not closed.ready
        with pytest.raises(Conflict, match=r"the stream is over|all is done"):
            closed.offer(0.5)
        play(closed, iter(()), fixed)
        assert closed.digest() == plain.digest() and closed.commit() == plain.commit()
        assert gone == gone_plainly and len(gone) == 4
