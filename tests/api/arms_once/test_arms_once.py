"""Streams of arms for people: the rules' own moves, a memory that holds, and an answer to all that can go wrong."""

from __future__ import annotations

import gc
import inspect
import io
import math
import random
import sys
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from onearm.api import arms_once as stream
from onearm.api.arms_once import Record, Stream
from onearm.engine import snapshot
from onearm.engine.actions import PULL, READ
from onearm.engine.errors import Conflict, Damaged, InvalidInput
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import DECIDE, LEARN
from onearm.envs import catalog as envs
from onearm.policies import catalog

SLOTS = 4  # enough for every rule


def _needs_nothing(name: str) -> bool:
    return all(p.default is not p.empty for p in inspect.signature(catalog.factory(name)).parameters.values())


RULES = [name for name in catalog.names() if _needs_nothing(name) and "move" in catalog.make(name).actions]
RULES += ['levels:{"kind":"loglog"}', 'king:{"thinned":true}'] if {"levels", "king"} <= set(RULES) else []

ONE_SLOT = [rule for rule in RULES if not rule.startswith("levels") and "thinned" not in rule]


def fixed(arm: float, n: int) -> tuple[float, int]:
    """Pull an arm that is its own mean."""
    return arm * n, n


def coins(seed: int = 0) -> Any:
    """Return a pull of arms that are their own chances; of a batch only a part may be done."""
    draws = np.random.default_rng(seed)

    def pull(arm: float, n: int) -> tuple[float, int]:
        done = int(draws.integers(1, n + 1)) if n > 1 and draws.random() < 0.3 else n
        return float(draws.binomial(done, arm)), done

    return pull


def shuffled(n: int, seed: int = 0) -> list[float]:
    """Return the means 0, 1/n, 2/n ... in some order."""
    means = [i / n for i in range(n)]
    random.Random(seed).shuffle(means)
    return means


def play(asked: Stream, arms: Iterator[Any], pull: Any) -> None:
    """Do by hand what `run` does."""
    while not asked.done:
        if asked.ready:
            try:
                asked.offer(next(arms))
            except StopIteration:
                asked.close()
        else:
            arm, n = asked.ask()
            asked.tell(arm, *pull(arm, n))


def simulated(rule: str, trials: int, seed: int) -> tuple[Simulation, Any]:
    """Return a simulation of 40 arms, made to its end, and its log."""
    simulation = Simulation(
        catalog.parse(rule), envs.make("arm_stream", arms=40, slots=SLOTS), horizon=trials, seed=seed
    )
    return simulation, simulation.advance_logged(10**4)


def replayed(rule: str, trials: int, seed: int) -> tuple[Stream, Simulation]:
    """Give a run the arms and rewards of a simulation; it has to ask for them."""
    simulation, log = simulated(rule, trials, seed)
    moves, learned = log.action[log.kind == DECIDE].tolist(), log.kind == LEARN
    feedback = iter(zip(moves, log.reward[learned].tolist(), log.detail[learned].tolist(), strict=True))

    def arms() -> Iterator[int]:
        for (what, _, _), _, (_, arm) in feedback:
            assert what == READ
            if arm < 0:
                return
            yield int(arm)

    def pull(arm: int, n: int) -> tuple[float, int]:
        (what, _, pulls), reward, (done, _) = next(feedback)
        assert (what, pulls) == (PULL, n)
        return reward, int(done)

    asked = Stream(trials=trials, arms=40, rule=rule, slots=SLOTS, seed=seed)
    # The simulation reads once more to find that there is nothing; here the number of arms is known.
    rest = iter(arms())
    asked.run(rest, lambda arm, n: pull(arm, n) if asked.status().arms_seen < 40 else last(pull, arm, n))
    return asked, simulation


def last(pull: Any, arm: int, n: int) -> tuple[float, int]:
    """Pull, past the read that found nothing."""
    try:
        return pull(arm, n)
    except AssertionError:
        return pull(arm, n)


@pytest.mark.parametrize("rule", RULES)
def test_a_run_makes_the_moves_of_a_simulation_to_the_same_bits(rule: str) -> None:
    for seed, trials in enumerate((30, 400, 20_000)):
        asked, simulation = replayed(rule, trials, seed)
        assert asked.digest() == snapshot.digest(simulation.state)
        assert asked.status().trials_used == trials == simulation.trials


@pytest.mark.jit
@pytest.mark.parametrize("rule", ["early_drop", "game_of_coins"])  # the turn of each rule takes up to 12 s to compile
def test_a_compiled_run_makes_the_moves_of_a_simulation(rule: str) -> None:
    asked, simulation = replayed(rule, 20_000, 3)
    assert asked.digest() == snapshot.digest(simulation.state)


@pytest.mark.parametrize("rule", RULES)
def test_asking_and_telling_by_hand_is_what_run_does(rule: str) -> None:
    by_hand, run = (Stream(trials=9000, arms=30, rule=rule, slots=SLOTS, seed=5) for _ in range(2))
    play(by_hand, iter(shuffled(30)), coins(1))
    run.run(shuffled(30), coins(1))
    assert by_hand.digest() == run.digest()
    assert by_hand.commit() == run.commit()


class Watched:
    """Arms and pulls that notice whatever a stream must not do."""

    def __init__(self, means: list[float], slots: int, trials: int, seed: int = 0) -> None:
        self.means, self.slots, self.trials = means, slots, trials
        self.pull_of = coins(seed)
        self.here: set[int] = set()
        self.gone: dict[int, str] = {}
        self.read = self.made = self.peak = 0
        self.pulls = [0] * len(means)

    def arms(self) -> Iterator[int]:
        for number in range(len(self.means)):
            assert len(self.here) <= self.slots, "who has to go goes before the next one comes"
            self.here.add(number)
            self.read += 1
            self.peak = max(self.peak, len(self.here))
            yield number

    def pull(self, arm: int, n: int) -> tuple[float, int]:
        assert arm in self.here
        assert 1 <= n <= self.trials - self.made
        total, done = self.pull_of(self.means[arm], n)
        self.pulls[arm] += done
        self.made += done
        return total, done

    def evict(self, arm: int, record: Record, reason: str) -> None:
        self.here.remove(arm)
        assert arm not in self.gone
        assert (record.number, record.pulls) == (arm, self.pulls[arm])
        self.gone[arm] = reason


@pytest.mark.parametrize("arms", [1, 2, 3, 60])
@pytest.mark.parametrize("trials", [1, 7, 60, 5000])
@pytest.mark.parametrize("rule", RULES)
def test_memory_trials_and_reading_keep_their_limits(rule: str, trials: int, arms: int) -> None:
    slots = 1 if rule in ONE_SLOT else SLOTS
    watched = Watched(shuffled(arms), slots, trials)
    asked = Stream(trials=trials, arms=arms, rule=rule, slots=slots, on_evict=watched.evict)
    found = asked.run(watched.arms(), watched.pull)
    assert watched.made == trials == found.trials == found.status.trials_used
    assert watched.here == {found.arm} and asked.done and asked.held == 1
    assert found.status.trials_left == 0
    assert asked.peak == watched.peak <= slots + 1
    assert watched.read == found.status.arms_seen <= arms
    assert len(watched.gone) == watched.read - 1
    assert set(watched.gone.values()) <= {"dropped", "replaced", "over"}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("place", [0, 17, 39])
def test_the_only_arm_that_pays_is_chosen(rule: str, place: int) -> None:
    means = [float(i == place) for i in range(40)]
    found = stream.run(means, fixed, trials=10**6, arms=40, rule=rule, slots=SLOTS)
    assert found.arm == 1.0
    assert found.record.number == place
    assert found.record.mean == 1.0


@pytest.mark.parametrize("known", [{}, {"arms": 50}, {"trials": 40_000}])
@pytest.mark.parametrize("rule", RULES)
def test_arms_and_trials_may_be_unknown(rule: str, known: dict[str, int]) -> None:
    """Without trials a run ends once the rule has chosen."""
    means = [0.5] * 10 + [0.2] * 20 + [0.9] + [0.1] * 19
    watched = Watched(means, SLOTS, known.get("trials", 10**9))
    found = stream.run(watched.arms(), watched.pull, rule=rule, slots=SLOTS, on_evict=watched.evict, **known)
    assert found.status.done and watched.here == {found.arm}
    assert found.status.arms_seen == 50
    assert found.status.trials_used == known.get("trials", watched.made)
    assert found.status.trials_left == (0 if known.get("trials") else None)
    assert 0.0 <= found.missed <= 1.0
    if "trials" in known and rule in ("early_drop", "uniform_exploration", "naive_commit"):
        assert means[found.arm] == 0.9


def test_a_budget_stands_for_trials_of_which_only_those_that_explore_are_made() -> None:
    """T = K (E / K)^1.5: a budget of 50 000 for 500 arms is right for 500 000 trials."""
    arms = shuffled(500)
    asked, whole = Stream(budget=50_000, arms=500), Stream(trials=500_000, arms=500)
    found, of_whole = asked.run(arms, fixed), whole.run(arms, fixed)
    assert found.arm == of_whole.arm
    assert found.trials == of_whole.status.explored == found.status.explored < 50_000
    assert found.status.trials_left is None
    assert asked.done


def test_a_stream_that_is_longer_than_said_is_left_unread() -> None:
    arms = iter([0.1, 0.2, 0.3, 0.9])
    assert stream.run(arms, fixed, trials=1000, arms=3).arm == 0.3
    assert next(arms) == 0.9


def test_a_stream_may_end_early_or_at_once() -> None:
    assert stream.run([0.1, 0.2], fixed, trials=1000, arms=50).arm == 0.2
    with pytest.raises(Conflict, match="no arm has come yet"):
        stream.run([], fixed, trials=1000)
    empty = Stream()
    empty.close()
    assert empty.done and not empty.ready
    with pytest.raises(Conflict, match="all is done"):
        empty.ask()


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


@pytest.mark.parametrize("rule", RULES)
def test_saved_at_any_time_a_stream_goes_on_to_the_same_bits(rule: str) -> None:
    known = {"trials": 3000, "arms": 15}
    for given in (known, {}):
        straight = Stream(rule=rule, slots=SLOTS, seed=2**60, **given)
        play(straight, iter(shuffled(15)), coins(4))
        broken, arms, pull = Stream(rule=rule, slots=SLOTS, seed=2**60, **given), iter(shuffled(15)), coins(4)
        while not broken.done:
            was = broken.status()
            broken = Stream.load(broken.save(), broken.handles)
            assert broken.status() == was
            if broken.ready:
                broken = Stream.load(broken.save(), broken.handles)
                arm = next(arms, None)
                if arm is None:
                    broken.close()
                else:
                    broken.offer(arm)
            else:
                arm, n = broken.ask()
                broken = Stream.load(broken.save(), broken.handles)
                assert broken.ask() == (arm, n)
                broken.tell(arm, *pull(arm, n))
        again = Stream.load(broken.save(), broken.handles)
        assert again.digest() == broken.digest() == straight.digest()
        assert again.commit() == broken.commit() == straight.commit()
        assert again.done


def test_saved_bytes_are_checked() -> None:
    asked = Stream(trials=1000, arms=10)
    asked.offer("a")
    data = asked.save()
    with pytest.raises(InvalidInput, match=r"the arms \[0\] are missing"):
        Stream.load(data, {1: "a"})
    assert Stream.load(data, {0: "b"}).handles == {0: "b"}
    flipped = []
    for bit in range(8 * len(data)):
        flipped.append(bytearray(data))
        flipped[-1][bit // 8] ^= 1 << bit % 8
    for bad in (b"", b"{}", data[:15], data[:30], data[:-1], data[:-4] + b"oops", data + b"x", *map(bytes, flipped)):
        with pytest.raises(Damaged):
            Stream.load(bad, {0: "a"})
    asked._policy = replace(asked._policy, version=9)
    with pytest.raises(Conflict, match="saved by version 9"):
        Stream.load(asked.save(), {0: "a"})


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


def test_without_trials_all_arms_that_are_kept_are_compared_at_the_end() -> None:
    asked, compared = Stream(rule="levels", slots=SLOTS, arms=60), []
    means = shuffled(60)
    arms = iter(means)
    while not asked.done:
        if asked.ready:
            asked.offer(next(arms))
            continue
        arm, n = asked.ask()
        if asked._holding.over:
            compared.append(arm)
            places = asked._holding.places
            kept = {places[place].arm for place in asked._holding.state.place if place >= 0}
        asked.tell(arm, *fixed(arm, n))
    assert len(kept) > 1 and set(compared) == kept
    assert asked.commit().arm == max(kept)


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


def judged(first: float = 0.5) -> Stream:
    """Return a stream whose first arm is king and whose second is being judged."""
    asked = Stream(trials=8000, arms=8)
    asked.offer("first")
    arm, n = asked.ask()
    assert (arm, n) == ("first", 334)  # 4 u = 400 pulls, cut to a third of the trials, shared: 8000 / 24
    asked.tell(arm, first * n, n)
    asked.offer("second")
    assert asked.ask() == ("second", 8)
    return asked


@pytest.mark.parametrize(
    ("total", "n", "message"),
    [
        (4.0, 9, "9 pulls were done: it must be 0 to 8"),
        (4.0, -1, "-1 pulls were done"),
        (4.0, 8.0, "the pulls done are 8.0: it must be a whole number"),
        (4.0, True, "the pulls done are True"),
        (4.0, None, "the pulls done are None"),
        (math.nan, 8, "8 rewards add up to nan"),
        (math.inf, 8, r"each lies in \[0, 1\], so it must be 0 to 8"),
        (8.1, 8, "8 rewards add up to 8.1"),
        (-0.1, 8, "8 rewards add up to -0.1"),
        (0.5, 0, "0 rewards add up to 0.5"),
        (10**400, 8, "8 rewards add up to inf"),
        ("4", 8, "the sum of rewards is '4': it must be a number"),
        (True, 8, "the sum of rewards is True"),
        (None, 8, "the sum of rewards is None"),
    ],
)
def test_what_cannot_have_been_pulled_is_refused_and_changes_nothing(total: Any, n: Any, message: str) -> None:
    asked = judged()
    before = asked.save()
    with pytest.raises(InvalidInput, match=message):
        asked.tell("second", total, n)
    with pytest.raises(InvalidInput, match=message):
        asked.run([], lambda arm, pulls: (total, n))
    assert asked.save() == before
    assert asked.ask() == ("second", 8)


def test_what_can_have_been_pulled_is_learned() -> None:
    """NumPy's numbers, sums that were rounded, and fewer pulls than were asked."""
    asked = judged()
    asked.tell("second", np.float32(1.5), np.int64(3))
    assert asked.ask() == ("second", 8)
    asked.tell("second", 8.000000000001, 8)
    assert asked.handles == {0: "first", 1: "second"}
    assert asked.status().trials_used == 334 + 11


def test_a_coroutine_is_no_pull() -> None:
    """And it is closed, as Python would warn that it was never awaited."""

    async def later(arm: str, n: int) -> tuple[float, int]:
        return 0.5 * n, n

    asked = judged()
    with pytest.raises(InvalidInput, match=r"pull returned <coroutine .*ask what to pull and tell what it gave"):
        asked.run([], later)  # type: ignore[arg-type]
    gc.collect()
    assert asked.ask() == ("second", 8)


def test_what_is_no_iterable_or_no_function_is_refused() -> None:
    asked = judged()
    with pytest.raises(InvalidInput, match="stream is 3: it must be arms to iterate over, as a list"):
        asked.run(3, fixed)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="pull is None: it must be a function"):
        asked.run([], None)  # type: ignore[arg-type]
    asked.tell("second", 0.0, 8)


@pytest.mark.parametrize("answer", [None, 3.0, (1.0,), (1.0, 2, 3), object()])
def test_a_pull_that_returns_something_else_is_refused(answer: Any) -> None:
    asked = judged()
    with pytest.raises(InvalidInput, match="it must return the sum of rewards, and pulls done"):
        asked.run([], lambda arm, n: answer)
    assert asked.ask() == ("second", 8)


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


def test_only_what_was_asked_can_be_told() -> None:
    asked = Stream(trials=8000, arms=8)
    with pytest.raises(Conflict, match="nothing was asked about 'first'"):
        asked.tell("first", 1.0, 1)
    asked = judged(first=1.0)
    with pytest.raises(
        Conflict, match="'first' was pulled, but something else was asked; tell about 'second', up to 8"
    ):
        asked.tell("first", 1.0, 1)
    asked.tell("second", 0.0, 8)
    assert asked.handles == {0: "first"}
    asked.offer("third")
    with pytest.raises(Conflict, match="'second' was pulled, but it is not held: it was let go, or never came"):
        asked.tell("second", 1.0, 1)


def test_arms_may_be_anything() -> None:
    """They are told apart as objects; texts and numbers also by what they are."""
    arms = [np.zeros(3), np.zeros(3), [1], {}, None]
    asked = Stream(trials=1000, arms=5)
    for arm in arms:
        asked.offer(arm)
        while not asked.ready and not asked.done and asked.status().arms_seen < 6:
            held, n = asked.ask()
            if held is not arm:
                break
            other = np.zeros(3)
            with pytest.raises(Conflict):
                asked.tell(other, 0.0, n)
            asked.tell(held, 0.0, n)
    assert asked.status().arms_seen == 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trials": 0}, r"trials is 0: it must be a whole number from 1 to 2\^62"),
        ({"trials": -1}, "trials is -1"),
        ({"trials": 1e6}, "trials is 1000000.0"),
        ({"trials": True}, "trials is True"),
        ({"trials": 2**62 + 1}, "trials is"),
        ({"arms": 0}, r"arms is 0: it must be a whole number from 1 to 2\^53"),
        ({"arms": 2.5}, "arms is 2.5"),
        ({"slots": 0}, "slots is 0: it must be a whole number from 1 to 64"),
        ({"slots": 65}, "slots is 65"),
        ({"slots": None}, "slots is None"),
        ({"seed": -1}, "the seed is -1"),
        ({"budget": 100.0}, "needs to know the arms"),
        ({"budget": 100.0, "arms": 3, "trials": 10}, "takes the place of the trials"),
        ({"budget": math.nan, "arms": 3}, "budget is nan"),
        ({"budget": 0, "arms": 3}, "budget is 0"),
        ({"rule": "early_dorp"}, "try early_drop"),
        ({"rule": 'early_drop:{"reach":-1}'}, "reach is -1"),
        ({"rule": "ucb1"}, "decides on arms that are all there, but this problem has arms that stream past"),
        ({"rule": 7}, "rule is 7"),
        ({"rule": {}}, "policy is {}"),
        ({"rule": "levels", "arms": 10_000}, "allow 3 slots"),
        ({"reward_range": (1.0, 1.0)}, "the second must be larger"),
        ({"reward_range": (1.0, 0.0)}, "the second must be larger"),
        ({"reward_range": (0.0, math.inf)}, r"reward_range\[1\] is inf"),
        ({"reward_range": 3}, "reward_range is 3"),
        ({"reward_range": "01"}, r"reward_range\[0\] is '0'"),
        ({"on_evict": 3}, "on_evict is 3: it must be a function"),
    ],
)
def test_streams_that_cannot_be_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Stream(**given)


def test_fewer_trials_than_arms_are_used_up_and_planning_says_so() -> None:
    found = stream.run(shuffled(50), fixed, trials=20, arms=50)
    assert found.trials == 20 and found.status.arms_seen < 50
    assert "there are fewer trials than arms: 30 arms cannot be pulled once" in stream.plan(20, 50).warnings[-1]


def test_rewards_of_another_range_are_the_same_but_for_the_unit() -> None:
    """A shift changes nothing, and the range sets the rule's scale, unless the rule says another."""
    plain, shifted = Stream(trials=9000, arms=30), Stream(trials=9000, arms=30, reward_range=(-2.0, -1.0))
    plain.run(eighths(30), fixed)
    found = shifted.run(eighths(30), lambda arm, n: ((arm - 2.0) * n, n))
    assert shifted.digest() == plain.digest()
    assert found.record.mean == plain.commit().record.mean - 2.0
    assert (found.low, found.high) == (pytest.approx(plain.commit().low - 2.0), -1.0)
    wide = Stream(trials=9000, arms=30, reward_range=(0.0, 5.0))
    assert wide._policy.spec["params"]["scale"] == 5.0
    said = Stream(trials=9000, arms=30, reward_range=(0.0, 5.0), rule='early_drop:{"scale":2.0}')
    assert said._policy.spec["params"]["scale"] == 2.0


def eighths(n: int) -> list[float]:
    """Return means whose sums are exact."""
    return [i % 9 / 8 for i in range(n)]


def test_a_commitment_by_hand() -> None:
    """Hoeffding's interval, for both sides, 2 arms and all numbers of pulls; sqrt(ln 2 / (2 s)) may be missed."""
    asked = judged()
    found = asked.commit()
    assert (found.arm, found.record) == ("first", Record(0, 0.5, 334))
    width = math.sqrt(math.log(2 * 2 * 334 * 335 / 0.05) / (2 * 334))
    assert found.low == pytest.approx(0.5 - width)
    assert found.high == pytest.approx(0.5 + width)
    assert found.missed == pytest.approx(math.sqrt(math.log(2) / (2 * 334)))
    assert found.trials == 334
    assert asked.commit() == found


def test_what_may_be_missed_depends_on_the_pulls_that_were_made() -> None:
    """A king that could be pulled only a part of what was planned is known by that part."""
    asked = Stream(trials=8000, arms=8, rule="game_of_coins")
    asked.offer("first")
    asked.offer("second")
    assert (asked.commit().arm, asked.commit().missed) == ("first", 1.0)
    while asked.commit().record.pulls == 0:
        asked.tell(asked.ask()[0], 20.0, 40)
    found = asked.commit()
    assert (found.record.pulls, found.missed) == (40, pytest.approx(math.sqrt(math.log(2) / 80)))
    assert found.record.pulls < stream.plan(8000, 8, "game_of_coins").pulls


def test_the_interval_holds_for_all_arms_at_once() -> None:
    """The best of 200 arms that are all alike looks better than it is: its mean lies within in 95 % of all runs."""
    inside = 0
    for seed in range(40):
        found = stream.run([0.3] * 200, coins(seed), trials=40_000, arms=200, rule="naive_commit")
        inside += found.low <= 0.3 <= found.high
    assert inside == 40


def test_before_the_first_arm_there_is_nothing_to_commit_to_and_before_the_first_pull_little_is_known() -> None:
    asked = Stream(trials=1000, arms=10)
    with pytest.raises(Conflict, match="no arm has come yet"):
        asked.commit()
    assert asked.status().king is None and asked.status().record is None
    asked.offer("a")
    found = asked.commit()
    assert found.arm == "a" and math.isnan(found.record.mean)
    assert (found.low, found.high, found.missed) == (0.0, 1.0, 0.0)
    assert asked.status().regret == 0.0


def test_a_status_by_hand() -> None:
    asked = judged()
    asked.tell("second", 8.0, 8)  # stays: the interval reaches above the record
    status = asked.status()
    assert (status.arms_seen, status.arms, status.held, status.peak) == (2, 8, 2, 2)
    assert (status.trials_used, status.trials_left) == (342, 7658)
    assert (status.explored, status.explored_share) == (342, 342 / 8000)
    assert status.explored_projected == 342 * 4
    assert (status.king, status.king_since, status.crownings) == ("first", 1, 1)
    assert status.record == Record(0, 0.5, 334)
    assert status.regret == 0.5 * 342 - (167.0 + 8.0)
    while not asked.ready:
        _, n = asked.ask()
        asked.tell("second", float(n), n)
    status = asked.status()
    assert (status.king, status.king_since, status.crownings) == ("second", 2, 2)
    assert not status.done and status.held == 1


@pytest.mark.parametrize("rule", RULES)
def test_a_plan_says_about_what_a_run_takes(rule: str) -> None:
    """Where all arms are alike; where each is better than those before, only one rule takes plainly more."""
    found = stream.plan(10**7, 1000, rule, slots=SLOTS)
    assert found.eps == pytest.approx(0.046415888)
    assert found.handles == SLOTS + 1 and found.state_bytes > 0
    assert found.pulls >= 1.0 and 0.0 < found.explored <= 1.0
    assert found.regret <= 10**7
    alike, rising = (
        stream.run(means, fixed, trials=10**7, arms=1000, rule=rule, slots=SLOTS).status.explored_share
        for means in ([0.5] * 1000, [0.3 + i / 2500 for i in range(1000)])
    )
    assert alike == pytest.approx(found.explored, rel=0.25)
    assert rising < (4.0 if rule == "record_ladder" else 1.25) * found.explored


def test_plans_by_hand() -> None:
    """For T = 1000 K, u = 100 and eps = 0.1."""
    found = stream.plan(10**6, 1000, 'uniform_exploration:{"pulls":"unit"}')
    assert (found.eps, found.pulls, found.explored) == (pytest.approx(0.1), 100.0, pytest.approx(0.1))
    assert found.missed == pytest.approx(math.sqrt(math.log(1000) / 200))
    assert found.regret == pytest.approx(10**5 + 9 * 10**5 * found.missed)
    assert found.warnings == () and "26 %" in found.notes[0]
    wide = stream.plan(10**6, 1000, 'uniform_exploration:{"pulls":"unit"}', reward_range=(0.0, 10.0))
    assert (wide.eps, wide.pulls, wide.regret) == (pytest.approx(1.0), 100.0, pytest.approx(10.0 * found.regret))
    assert stream.plan(1000, 1).missed == 0.0
    assert stream.plan(1, 1).pulls == 1.0
    assert "exploring can take 62 %" in stream.plan(500_000, 500, "naive_commit").warnings[0]
    theory = stream.plan(10**9, 1000, 'levels:{"constants":"theory"}', slots=SLOTS)
    assert "the constants of the theory pay where there are 1e+13 trials for each arm" in theory.warnings[-1]
    for missing in ((None, 3), (3, None)):
        with pytest.raises(InvalidInput, match="a plan needs both"):
            stream.plan(*missing)  # type: ignore[arg-type]


def test_a_bar_shows_how_many_arms_came(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with_bar = stream.run(shuffled(30), fixed, trials=3000, arms=30, progress=True)
    assert "reading" in screen.getvalue() and "arms" in screen.getvalue()
    assert with_bar == stream.run(shuffled(30), fixed, trials=3000, arms=30)
