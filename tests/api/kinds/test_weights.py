"""Which features weigh most: their names, those of their products with an arm, and what nobody has a name for."""

from __future__ import annotations

import ctypes
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.stored import add, decide, new_database

import onearm
from onearm.api.experiment import weights
from onearm.api.experiment.weights import EVERY, KEPT_BYTES, Remembered, on_record
from onearm.engine.errors import InvalidInput
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import CHANGE

WORDS = ["red", "blue", "green", "old"]
CONTEXT = {"kind": "features", "bits": 10}


def learned(engine: Any, n: int = 60) -> Any:
    """Let an engine learn that `red` pays with arm a, and `blue` with arm b."""
    for step in range(n):
        word = WORDS[step % 4]
        decision = engine.decide({"q": {"_text": word}})
        pays = {"red": "a", "blue": "b"}.get(word)
        engine.learn(decision, reward=float(decision.action_id == pays))
    return engine


def names(weights: list[Any]) -> list[str]:
    return [weight.name for weight in weights]


def test_words_are_named_with_the_arms_that_they_are_good_for() -> None:
    engine = learned(onearm.open(arms=["a", "b"], policy="squarecb", context=CONTEXT, seed=1))
    found = onearm.weights(engine, top=3)
    assert set(names(found.shared)) <= {f"q.{word}" for word in WORDS}
    first, second = found.actions
    assert (first.action_id, second.action_id) == ("a", "b")
    best = max(first.features, key=lambda weight: weight.weight)
    assert best.name == "q.red*id=a" and best.weight > 0.2
    assert max(second.features, key=lambda weight: weight.weight).name == "q.blue*id=b"
    assert all(len(one.features) <= 3 for one in found.actions)
    sizes = [abs(weight.weight) for weight in first.features]
    assert sizes == sorted(sizes, reverse=True)
    assert found.unnamed == []
    assert engine.weights(np.int64(3)) == found


def test_a_weight_is_what_explain_says_that_a_word_adds() -> None:
    engine = learned(onearm.open(arms=["a", "b"], policy="squarecb", context=CONTEXT, seed=1))
    weights = {weight.name: weight.weight for weight in engine.weights().actions[0].features}
    reasons = engine.explain({"q": {"_text": "red"}})["explanation"]
    said = {
        part["name"]: part["contribution"] for one in reasons if one["action_id"] == "a" for part in one["features"]
    }
    assert said["q.red*id=a"] == weights["q.red*id=a"]
    assert said["id=a"] == weights["id=a"]


def test_what_nobody_has_a_name_for_is_told_by_its_slot() -> None:
    engine = learned(onearm.open(arms=["a", "b"], policy="squarecb", context=CONTEXT, seed=1))
    before = engine.weights()
    after = type(engine).load(engine.save()).weights()  # with the state, and without what was shown
    assert after.shared == [] and names(after.actions[0].features) == ["id=a"]
    slot = {weight.name: weight.slot for weight in before.actions[0].features}["q.red*id=a"]
    assert slot in {weight.slot for weight in after.unnamed}
    assert all(weight.name is None for weight in after.unnamed)


def test_names_are_there_again_after_a_restart(tmp_path: Path) -> None:
    log: dict[str, Any] = {"database": f"sqlite:///{tmp_path / 'shop.db'}", "experiment": "words"}
    with onearm.open(**log, arms=["a", "b"], policy="squarecb", context=CONTEXT, seed=1) as engine:
        before = learned(engine).weights()
        assert before.unnamed == []
    with onearm.open(**log, arms=["a", "b"], policy="squarecb", context=CONTEXT, seed=1) as engine:
        assert engine.weights() == before


def test_names_are_of_decisions_that_are_not_erased(tmp_path: Path) -> None:
    store = Store.open(new_database(tmp_path / "run.db"))
    key = add(store)
    said = ['{"context": {"q": "ann"}}', '{"context": {"q": "bob"}, "actions": [{"id": "a"}]}', '{"actions": 5}', "5"]
    events = [decide(key, i + 1, i, sent=text) for i, text in enumerate(said)]
    events[2] = events[2]._replace(kind=CHANGE, number=None)
    store.append([*events, decide(key, 5, 4, sent=said[0])])
    store.erase(key, [0])
    assert list(on_record(store, key, 4)) == [({"q": "bob"}, [{"id": "a"}])], "it is not blank yet"
    store.close()


def pay(engine: Any, context: dict[str, Any]) -> None:
    """Let an engine decide, and learn that arm a pays."""
    decision = engine.decide(context)
    engine.learn(decision, reward=float(decision.action_id == "a"))


def features_named(found: Any) -> set[str]:
    """Return the features that are named in any list, those of contexts."""
    told = [*found.shared, *(weight for one in found.actions for weight in one.features)]
    parts = {part for weight in told for name in weight.name.split(" + ") for part in name.split("*")}
    return {part for part in parts if part.startswith("q")}


def test_names_are_of_what_came_to_this_engine() -> None:
    few = CONTEXT | {"bits": 4}  # every feature of one is in a slot of the other
    engines = [onearm.open(arms=["a", "b"], policy="squarecb", context=few, seed=1) for _ in "ab"]
    learned(engines[0])
    for _ in range(20):
        pay(engines[1], {"q": "mine"})
    assert features_named(engines[1].weights()) == {"q=mine"}


def test_a_context_that_is_written_over_was_shown_as_it_was() -> None:
    engine = onearm.open(arms=["a", "b"], policy="squarecb", context=CONTEXT, seed=1)
    context: dict[str, Any] = {}
    for step in range(8):
        context["q"] = f"word{step % 2}"
        pay(engine, context)
    found = engine.weights()
    assert features_named(found) == {"q=word0", "q=word1"} and found.unnamed == []


def test_of_many_decisions_those_that_came_last_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "KEPT", 100)
    engine = onearm.open(arms=["a", "b"], policy="squarecb", context=CONTEXT | {"bits": 14}, seed=1)
    for step in range(100 + 20 * EVERY):
        pay(engine, {"q": "old" if step < 100 else "new"})
    assert features_named(engine.weights()) == {"q=old", "q=new"}


class Unwritten:
    def __reduce__(self) -> str:
        raise ValueError("it stays where it is")


def test_what_is_left_out_may_be_anything_and_the_rest_has_names() -> None:
    engine = onearm.open(arms=["a", "b"], policy="squarecb", context=CONTEXT, seed=1)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    raw = ctypes.pointer(ctypes.c_int(3))
    for left_out in (raw, Unwritten(), deep, lambda: None, b"x" * 10_000_000):
        pay(engine, {"q": {"_text": "red", "_raw": left_out}, "_raw": left_out})
        pay(engine, {"q": {"tags": [{"size": np.float32(2.0), "_raw": left_out}, np.str_("new")]}})
    assert features_named(engine.weights()) == {"q.red", "q.tags.size", "q.tags.new"}
    assert engine._remembered.nbytes < 2_000


class Odd(float):
    def __reduce__(self) -> str:
        raise ValueError("it stays where it is")


def test_numbers_and_names_of_other_types_are_written_down_as_what_they_are() -> None:
    engine = onearm.open(arms=["a", "b"], policy="squarecb", context=CONTEXT, seed=1)
    for _ in range(8):
        pay(engine, {"q": {np.str_("size"): Odd(2.0), "half": Fraction(1, 2), "large": np.int64(1)}})
        pay(engine, {"q": {np.str_("flat"): 1.0}})
    assert features_named(engine.weights()) == {"q.size", "q.half", "q.large", "q.flat"}


def test_of_large_contexts_no_more_than_some_megabytes_are_remembered() -> None:
    remembered = Remembered()
    for step in range(1_200):
        remembered.add({"q": {"_text": f"{step} " + "x" * 20_000}, "_image": b"x" * 10_000_000}, None)
        assert remembered.nbytes <= KEPT_BYTES
    kept = [context["q"]["_text"].partition(" ")[0] for context, _ in remembered]
    assert 200 < len(kept) <= KEPT_BYTES // 20_000 and kept[-1] == str(1_200 // EVERY * EVERY - 1)
    remembered.add({"q": {"_text": "x" * (KEPT_BYTES + 1)}}, None)
    assert len(list(remembered)) == len(kept)


def test_of_listed_actions_all_features_are_in_one_list() -> None:
    engine = onearm.open(policy="squarecb", context=CONTEXT, actions={"max": 5}, seed=1)
    for step in range(40):
        decision = engine.decide({"q": "x"}, actions=[{"id": "a"}, {"id": "b"}])
        engine.learn(decision, reward=float(decision.action_id == "a" if step % 2 else 0.5))
    found = engine.weights()
    assert found.actions == [] and {"id=a", "id=b"} <= set(names(found.shared))


@pytest.mark.parametrize("interactions", [[["q", "q"], ["q", ""]], [["q", "q", "q"]]])
def test_interactions_that_are_named_are_told(interactions: list[list[str]]) -> None:
    context = CONTEXT | {"bits": 14, "interactions": interactions}
    engine = onearm.open(arms=["a", "b"], policy="squarecb", context=context, seed=1)
    for step in range(60):
        both = step % 2 == 0
        decision = engine.decide({"q": {"_text": "red new shoes" if both else "red"}})
        engine.learn(decision, reward=float(both))
    found = engine.weights()
    assert any(name.startswith("q.red*q.shoes") or "q.red*q.red*q.shoes" in name for name in names(found.shared))
    assert found.unnamed == []


@pytest.mark.parametrize(
    ("policy", "context", "top", "code"),
    [
        ("squarecb", CONTEXT, 0, "bad_top"),
        ("squarecb", CONTEXT, True, "bad_top"),
        ("linucb", {"kind": "features", "dimension": 8}, 5, "no_weights"),
        ("ucb1", None, 5, "no_weights"),
        ("uniform", CONTEXT, 5, "no_weights"),
    ],
)
def test_what_has_no_weights_is_refused(policy: str, context: Any, top: Any, code: str) -> None:
    given = {} if context is None else {"context": context}
    engine = onearm.open(arms=["a", "b"], policy=policy, seed=1, **given)
    with pytest.raises(InvalidInput) as refused:
        engine.weights(top)
    assert refused.value.code == code
