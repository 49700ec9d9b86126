"""Many decisions in one call of Python, and many rewards: what as many single calls would decide and learn."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import re
import tracemalloc
from typing import Any

import golden
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.witness import witness

import onearm
from onearm.api.kinds.arms.decided import ArmDecision, ArmDecisions
from onearm.api.kinds.arms.engine import Engine
from onearm.engine.errors import Conflict, InvalidInput, NotFound
from onearm.policies import catalog

ARMS = ["cat", "dog", "fox", "hen", "owl"]


def opened(name: str, **more: Any) -> Engine:
    """Return a policy at work on five arms, with contexts of two numbers where it reads any."""
    policy = golden.specimen(name)
    length = 2 if policy.context_length_max is None else policy.context_length_max
    context = {"context": length} if "dense" in policy.contexts else {"actions": 2}
    return onearm.open(
        policy.spec, seed=3, horizon=1000, **context | ({"arms": ARMS} if "arms" not in more else {}), **more
    )


def seen(engine: Engine, n: int, draws: np.random.Generator) -> dict[str, Any]:
    """Return what n decisions are asked with."""
    if not engine.spec.intake.per_call:
        return {"contexts": draws.uniform(-0.5, 0.5, (n, engine.problem.context_shape[0]))}
    sizes = draws.integers(1, 4, n)
    actions = [[{"id": f"a{a}", "features": draws.random(2).tolist()} for a in range(size)] for size in sizes]
    return {"contexts": n, "actions": actions}


def one_by_one(engine: Engine, contexts: Any, actions: Any = None, eligible: Any = None) -> list[ArmDecision]:
    """Return what `decide` decides."""
    rows = [None] * contexts if isinstance(contexts, int) else contexts
    listed = [None] * len(rows) if actions is None else actions
    return [engine.decide(row, eligible, actions=offer) for row, offer in zip(rows, listed, strict=True)]


def same_decisions(batch: ArmDecisions, singles: list[ArmDecision]) -> bool:
    ours = zip(batch.number.tolist(), batch.action_id, batch.action.tolist(), batch.propensity.tolist(), strict=True)
    return [repr(tuple(one)) for one in singles] == [repr(each) for each in ours]


@pytest.mark.usefixtures("few_cosines")
@pytest.mark.parametrize("name", golden.without_states())
def test_many_are_decided_and_learned_as_one_by_one(name: str) -> None:
    """Rewards come in parts, in any order, some never, and between them more decisions are made."""
    together, apart = opened(name), opened(name)
    waiting: list[tuple[ArmDecisions, list[ArmDecision]]] = []
    draws = np.random.default_rng(11)
    for n in (7, 1, 12, 5):
        asked = seen(together, n, draws)
        eligible = ARMS[1:4] if n == 12 and "actions" not in asked else None
        batch, singles = together.decide_many(**asked, eligible=eligible), one_by_one(apart, **asked, eligible=eligible)
        assert same_decisions(batch, singles)
        waiting.append((batch, singles))
        for batch, singles in waiting:
            order = draws.permutation(len(batch))[: -(-len(batch) // 3)]
            order = order[[singles[row] is not None for row in order]]
            rewards = draws.integers(0, 3, len(order)) / 2
            together.learn_many(batch[order], rewards)
            for row, reward in zip(order, rewards, strict=True):
                apart.learn(singles[row], reward)
                singles[row] = None  # type: ignore[call-overload]
    assert together.digest() == apart.digest()
    assert (together.number, together.rewards) == (apart.number, apart.rewards)


STEPS = st.lists(
    st.one_of(st.integers(1, 6), st.just("one"), st.tuples(st.integers(0, 10**6), st.booleans())), max_size=20
)


@given(STEPS)
def test_any_course_of_batches_and_single_decisions_is_one_of_single_ones(steps: list[Any]) -> None:
    """What is learned together may be of many batches, decisions and numbers, in any order."""
    together, apart = opened("linear_greedy"), opened("linear_greedy")
    waiting: dict[int, Any] = {}  # decisions of `apart` by number; those of `together` that were made alone
    alone: dict[int, ArmDecision] = {}
    draws = np.random.default_rng(5)
    for step in steps:
        if isinstance(step, tuple):
            seed, as_array = step
            chosen = np.random.default_rng(seed).permutation(sorted(waiting))[: 1 + seed % 7]
            rewards = (chosen % 3) / 2
            given_as = chosen if as_array else [alone.get(number, int(number)) for number in chosen]
            together.learn_many(given_as, rewards)
            for number, reward in zip(chosen, rewards, strict=True):
                apart.learn(waiting.pop(number), reward)
        else:
            contexts = draws.uniform(-0.5, 0.5, (1 if step == "one" else step, 2))
            if step == "one":
                made = together.decide(contexts[0])
                alone[made.number] = made
            else:
                together.decide_many(contexts)
            waiting |= {one.number: one for one in one_by_one(apart, contexts)}
    assert together.digest() == apart.digest()


@pytest.mark.jit
@pytest.mark.usefixtures("entries_are_compiled")
@pytest.mark.parametrize("name", ["linear_thompson", "thompson_beta"])
def test_compiled_batches_have_the_bits_of_single_calls(name: str) -> None:
    together, apart = opened(name), opened(name)
    draws = np.random.default_rng(2)
    for n in (40, 1, 25):
        asked = seen(together, n, draws)
        batch, singles = together.decide_many(**asked), one_by_one(apart, **asked)
        assert same_decisions(batch, singles)
        order = draws.permutation(n)
        together.learn_many(batch[order], order % 2)
        for row in order:
            apart.learn(singles[row], row % 2)
    assert together.digest() == apart.digest()


def test_named_features_and_actions_of_each_call_come_in_batches_too() -> None:
    def shop() -> Engine:
        return onearm.open("squarecb", context={"kind": "features", "bits": 8}, actions={"max": 3}, seed=1)

    together, apart = shop(), shop()
    contexts = [{"user": {"age": age}} for age in range(8)]
    actions = [[{"id": f"{place}-{a}", "price": a + place} for a in range(1 + place % 3)] for place in range(8)]
    for _ in range(3):
        batch, singles = together.decide_many(contexts, actions=actions), one_by_one(apart, contexts, actions)
        assert same_decisions(batch, singles)
        together.learn_many(batch[::-1], np.arange(8.0) / 8)
        for reward, one in zip(np.arange(8.0) / 8, singles[::-1], strict=True):
            apart.learn(one, reward)
    assert together.digest() == apart.digest()
    fixed = onearm.open("squarecb", arms=2, context={"kind": "features"})
    assert len(fixed.decide_many([{"x": 1}, {}])) == 2
    assert len(together.decide_many([], actions=[])) == len(fixed.decide_many([])) == 0


def test_a_batch_is_arrays_that_nobody_can_write() -> None:
    engine = onearm.open("uniform", arms=ARMS, seed=1)
    batch = engine.decide_many(6, eligible=["fox", "owl"])
    assert (batch.number.tolist(), set(batch.action.tolist())) == (list(range(6)), {2, 4})
    assert batch.propensity.tolist() == [0.5] * 6
    assert batch.action_id == [ARMS[arm] for arm in batch.action]
    for array in (batch.number, batch.action, batch.propensity, batch[:2].propensity):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    few = batch[[4, 1]]
    assert (len(few), few.number.tolist(), few.action.tolist()) == (2, [4, 1], batch.action[[4, 1]].tolist())
    assert few[1].number.tolist() == batch[batch.number == 1].number.tolist() == [1]
    assert engine.decide().number == 6
    assert len(engine.decide_many(0)) == 0 and engine.number == 7


def test_the_contexts_of_a_batch_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_outside", {"witness": witness})
    digests = []
    for change in (0.0, 9.0):
        engine = onearm.open("witness", arms=ARMS, context=2)
        contexts = np.full((3, 2), 0.25)
        batch = engine.decide_many(contexts)
        contexts += change
        engine.learn_many(batch, [1.0, 0.5, 0.0])
        digests.append(engine.digest())
    assert digests[0] == digests[1]


def test_a_batch_that_cannot_be_decided_is_explained_and_takes_no_number() -> None:
    plain, dense = onearm.open("ucb1", arms=ARMS), onearm.open("ucb1", arms=ARMS, context=2)
    listed = onearm.open("uniform", actions=2)
    for misuse, message in (
        (lambda: dense.decide_many(3), "the contexts are missing: they must have the shape [n, 2]"),
        (lambda: dense.decide_many([[1, 2], [1, math.nan]]), "context 1 holds a number that is not finite"),
        (lambda: dense.decide_many([[1, 2], [1]]), "are not lists of numbers of one length"),
        (lambda: dense.decide_many([1.0, 2.0]), "have the shape [2]: it must be [n, 2], a row for each"),
        (lambda: dense.decide_many(True), "have the shape []"),
        (lambda: dense.decide_many({"x": 1}), "are not lists of numbers"),
        (lambda: plain.decide_many([[1.0]]), "have the shape [1, 1]: it must be [n, 0]"),
        (lambda: plain.decide_many(-1), "there are -1 contexts: it must be 0 or more"),
        (lambda: plain.decide_many(2, eligible=["cow"]), "there is no action 'cow'"),
        (lambda: plain.decide_many(2, eligible="cat"), "eligible is 'cat': it must be a list of ids"),
        (lambda: plain.decide_many(2, eligible=5), "eligible is 5: it must be a list of ids"),
        (lambda: plain.decide_many(2, actions=[[], []]), "actions is given: this engine has arms"),
        (lambda: listed.decide_many(2), "actions is missing: list the actions of this call"),
        (
            lambda: listed.decide_many(2, actions=[[{"id": "x", "features": [1, 2]}]]),
            "there are 1 lists of actions for 2",
        ),
        (lambda: listed.decide_many(None, actions=[]), "contexts is None: it must be a list of them"),
    ):
        with pytest.raises(InvalidInput, match=re.escape(message)):
            misuse()
    assert plain.number == dense.number == listed.number == 0


def test_a_batch_that_cannot_be_learned_is_refused_whole() -> None:
    engine, other = onearm.open("ucb1", arms=ARMS), onearm.open("ucb1", arms=ARMS)
    first, single, batch = engine.decide_many(4), engine.decide(), engine.decide_many(4)
    engine.learn_many(first[:2], [1.0, 0.0])
    before = engine.digest()
    for decisions, rewards, kind, message in (
        (batch, [1.0] * 3, InvalidInput, "the rewards have the shape [3]: it must be [4], one for each"),
        (batch, 1.0, InvalidInput, "the rewards have the shape []"),
        (batch, [1.0, math.nan, 0.0, 0.0], InvalidInput, "reward 1 is nan: it must be a finite number"),
        (batch, [1.0, 0.0, 0.0, 1e101], InvalidInput, "reward 3 is 1e+101: it must be a finite number"),
        (batch, ["x"] * 4, InvalidInput, "the rewards are not lists of numbers"),
        (batch[[0, 1, 0]], [1.0] * 3, InvalidInput, "decision 5 is given twice: feedback is accepted once"),
        ([5, 6, 5], [1.0] * 3, InvalidInput, "decision 5 is given twice"),
        ([single, 6, 4], [1.0] * 3, InvalidInput, "decision 4 is given twice"),
        ([5, 9], [1.0] * 2, NotFound, "there is no decision 9: decide first"),
        (np.array([5, 2**40]), [1.0] * 2, NotFound, "there is no decision 1099511627776"),
        ([5, -1], [1.0] * 2, NotFound, "there is no decision -1"),
        ([5, 2**70], [1.0] * 2, NotFound, f"there is no decision {2**70}"),
        ([5, 1], [1.0] * 2, Conflict, "decision 1 already has feedback"),
        (first, [1.0] * 4, Conflict, "decision 0 already has feedback"),
        ([5, 0.5], [1.0] * 2, InvalidInput, "the decision is 0.5: give what decide() returned, or its number"),
        ([5, True], [1.0] * 2, InvalidInput, "the decision is True"),
        (5, [1.0], InvalidInput, "the decisions are 5: give what decide_many() returned"),
        ("5", [1.0], InvalidInput, "the decisions are '5'"),
        (single, [1.0], InvalidInput, "the decisions are ArmDecision(number=4"),
        (other.decide_many(3), [1.0] * 3, Conflict, "decision 0 is another one here: it comes from another engine"),
        ([single, other.decide()], [1.0] * 2, Conflict, "decision 3 is another one here"),
    ):
        with pytest.raises(kind, match=re.escape(message)):
            engine.learn_many(decisions, rewards)
        assert engine.digest() == before and engine.rewards == 2
    engine.learn_many([], [])
    engine.learn_many([single, 7, first.number[2]], [0.5, 0.25, 1.0])
    assert engine.rewards == 5
    with pytest.raises(Conflict, match="decision 7 already has feedback"):
        engine.learn(7, 1.0)
    engine.learn(8, 1.0)  # one decision of a batch
    with pytest.raises(Conflict, match="decision 7 already has feedback"):
        engine.learn_many(batch[2:], [1.0, 1.0])


def test_a_number_is_remembered_for_the_last_decisions_and_an_object_for_ever() -> None:
    engine = onearm.open("ucb1", arms=ARMS, remember=3)
    old, batch = engine.decide(), engine.decide_many(3)
    newer = [engine.decide() for _ in range(2)]
    forgotten = "decision {} is forgotten: the last 3 are remembered; pass the decision object, or remember="
    for number in range(3):
        with pytest.raises(NotFound, match=forgotten.format(number)):
            engine.learn(number, 1.0)
        with pytest.raises(NotFound, match=forgotten.format(number)):
            engine.learn_many([5, number], [1.0, 1.0])
    with pytest.raises(NotFound, match=forgotten.format(0)):
        engine.learn(pickle.loads(pickle.dumps(old)), 1.0)
    engine.learn(3, 1.0)
    engine.learn(old, 1.0)
    engine.learn_many(batch[:2], [1.0, 1.0])
    engine.learn(newer[0].number, 1.0)
    for late in (old, newer[0]):
        with pytest.raises(Conflict, match=f"decision {late.number} already has feedback"):
            engine.learn(late, 1.0)
    with pytest.raises(Conflict, match="decision 1 already has feedback"):
        engine.learn_many(batch, [1.0] * 3)
    assert engine.rewards == 5
    none = onearm.open("ucb1", arms=ARMS, remember=0)
    decision = none.decide()
    with pytest.raises(NotFound, match="decision 0 is forgotten: the last 0 are remembered"):
        none.learn(0, 1.0)
    none.learn(decision, 1.0)
    for wrong in (-1, 1.5, True, None):
        with pytest.raises(InvalidInput, match="it must be a whole number, how many decisions to remember"):
            onearm.open("ucb1", remember=wrong)  # type: ignore[call-overload]


def test_decisions_without_feedback_cost_nothing_for_ever() -> None:
    """Neither single ones nor batches do."""
    engine = onearm.open("ucb1", arms=ARMS, context=8, remember=50)
    context = np.zeros(8)

    def go_on() -> None:
        for _ in range(300):
            engine.decide(context)
        for _ in range(30):
            engine.decide_many(np.zeros((10, 8)))

    tracemalloc.start()
    sizes = []
    for _ in range(3):
        go_on()
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    # The contexts of 600 decisions, of 64 bytes each, would be 38,400; caches of Python grow by some 10,000 at times.
    assert sizes[2] - sizes[1] < 20_000


def test_a_decision_can_be_copied_and_is_still_learned_once() -> None:
    engine = onearm.open("uniform", arms=ARMS, seed=4)
    made = engine.decide()
    copies = [copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made)), ArmDecision(*made)]
    assert all(one == made and hash(one) == hash(made) for one in copies)
    assert not any(one != made for one in copies)
    assert made != made._replace(action=4 - made.action)
    assert (
        repr(copies[2])
        == repr(made)
        == f"ArmDecision(number=0, action_id={made[1]!r}, action={made[2]}, propensity=0.2)"
    )
    assert (len(made), made._asdict()["action"], *made[2:]) == (4, made.action, made.action, 0.2)
    with pytest.raises(Conflict, match="it comes from another engine"):
        engine.learn(made._replace(propensity=0.5), 1.0)
    with pytest.raises(AttributeError):
        made.propensity = 0.5  # type: ignore[misc]
    engine.learn(copies[1], 1.0)
    for one in (made, *copies):
        with pytest.raises(Conflict, match="decision 0 already has feedback"):
            engine.learn(one, 1.0)


@pytest.mark.jit
def test_what_python_cannot_learn_compiled_code_learns() -> None:
    """A first tier that raises in the middle leaves nothing behind, and the decision takes its reward all the same."""
    engine, apart = onearm.open("ucb1", arms=ARMS), onearm.open("ucb1", arms=ARMS)
    update = engine._update
    update.finish()

    def half(player: Any, *rest: Any) -> None:
        player.value.state.count[:] = 77
        raise ZeroDivisionError

    update.call, update.compiled = half, False
    for one in (engine, apart):
        one.learn(one.decide(), 0.5)
    assert update.compiled, "it went over to that for good"
    assert engine.digest() == apart.digest()
