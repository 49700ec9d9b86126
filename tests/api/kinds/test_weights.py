"""Which features weigh most: their names, those of their products with an arm, and what nobody has a name for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import onearm
from onearm.engine.errors import InvalidInput
from onearm.engine.features import Encoder
from onearm.engine.featuriser import desk as desks

WORDS = ["red", "blue", "green", "old"]
CONTEXT = {"kind": "features", "bits": 10}


@pytest.fixture(autouse=True)
def nothing_met(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what lets this thread forget all names, as where a process begins."""

    def forget() -> None:
        monkeypatch.setattr(desks, "_THREADS", desks.threading.local())

    forget()
    return forget


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


def test_a_weight_is_what_explain_says_that_a_word_adds() -> None:
    engine = learned(onearm.open(arms=["a", "b"], policy="squarecb", context=CONTEXT, seed=1))
    weights = {weight.name: weight.weight for weight in engine.weights().actions[0].features}
    reasons = engine.explain({"q": {"_text": "red"}})["explanation"]
    said = {
        part["name"]: part["contribution"] for one in reasons if one["action_id"] == "a" for part in one["features"]
    }
    assert said["q.red*id=a"] == weights["q.red*id=a"]
    assert said["id=a"] == weights["id=a"]


def test_what_nobody_has_a_name_for_is_told_by_its_slot(nothing_met: Any) -> None:
    engine = learned(onearm.open(arms=["a", "b"], policy="squarecb", context=CONTEXT, seed=1))
    before = engine.weights()
    nothing_met()
    after = engine.weights()
    assert after.shared == [] and names(after.actions[0].features) == ["id=a"]
    slot = {weight.name: weight.slot for weight in before.actions[0].features}["q.red*id=a"]
    assert slot in {weight.slot for weight in after.unnamed}
    assert all(weight.name is None for weight in after.unnamed)


def test_names_are_there_again_after_a_restart(tmp_path: Path, nothing_met: Any) -> None:
    log: dict[str, Any] = {"database": f"sqlite:///{tmp_path / 'shop.db'}", "experiment": "words"}
    with onearm.open(**log, arms=["a", "b"], policy="squarecb", context=CONTEXT, seed=1) as engine:
        before = learned(engine).weights()
    nothing_met()
    with onearm.open(**log, arms=["a", "b"], policy="squarecb", context=CONTEXT, seed=1) as engine:
        assert engine.weights() == before


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


@pytest.mark.jit
def test_names_that_compiled_code_met_are_those_of_python() -> None:
    here = desks.desk()
    for entry in here.entries():
        entry.wait()
    shared = {"user": {"city": "é", "tags": ["new", "a" * 40]}, "q": {"_text": "red shoes"}, "deep": {"er": {"x": 1.5}}}
    encoder = Encoder(bits=10)
    assert here.encode(encoder.slots_wanted, shared, [{"id": "a"}]) is not None and not here.plain
    compiled = here.met()
    here.plain.clear()
    encoder.plainly_encoded(shared, [{"id": "a"}])
    assert compiled.items() >= here.plain.items() and ("user.tags", "a" * 40) in compiled


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
