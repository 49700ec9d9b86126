"""What is asked of named features beside themselves: products of three, words in lower case, and words that follow."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from support.feature_bodies import answer, plainly

import onearm
from onearm.api.experiment.context_intake import ContextIntake
from onearm.engine.errors import InvalidInput
from onearm.engine.features import Encoder, feature_number, mixed
from onearm.engine.featuriser.desk import desk


def names(encoder: Encoder, shared: Any, actions: list[Any]) -> list[list[str]]:
    """Return the names of features, in alphabetical order in each row; of slots that are shared both."""
    return [sorted(part for name in row for part in name.split(" + ")) for row in encoder.names(shared, actions)]


def test_three_namespaces_are_multiplied_with_each_other() -> None:
    encoder = Encoder(bits=26, interactions=(("u", "q", "i"),))
    shared, actions = {"u": {"a": 2, "b": 3}, "q": {"x": 5}}, [{"i": {"p": 7}}, {"i": {"p": 1}, "q": {"y": 1}}]
    assert names(encoder, shared, actions) == [
        ["q.x", "u.a", "u.b"],
        ["i.p", "u.a*q.x*i.p", "u.b*q.x*i.p"],
        ["i.p", "q.y", "u.a*q.x*i.p", "u.a*q.y*i.p", "u.b*q.x*i.p", "u.b*q.y*i.p"],
    ]
    found = encoder.encode(shared, actions[:1])
    number = mixed(
        mixed(*(np.array([feature_number(*f)], np.uint64) for f in (("u", "b"), ("q", "x")))), _number("i", "p")
    )
    place = int(np.flatnonzero(found.index == int(number[0]) & (1 << 26) - 1)[0])
    assert found.value[place] == 3 * 5 * 7


def _number(space: str, name: str) -> Any:
    return np.array([feature_number(space, name)], np.uint64)


@pytest.mark.parametrize(
    ("interaction", "n"),
    [
        (("u", "u", "u"), 10),  # of three features so many with repetition, as Vowpal Wabbit's --cubic uuu
        (("u", "u", "q"), 12),
        (("q", "u", "u"), 12),
        (("u", "q", "q"), 9),
    ],
)
def test_each_product_of_a_namespace_with_itself_comes_once(interaction: tuple[str, ...], n: int) -> None:
    shared = {"u": {"a": 1, "b": 1, "c": 1}, "q": {"x": 1, "y": 1}}
    own = names(Encoder(bits=26, interactions=(interaction,)), shared, [{"id": "a"}])[0]
    products = [name for name in own if name.count("*") == 2]
    assert len(products) == len(set(products)) == n


def test_a_product_of_an_actions_feature_is_the_actions_and_never_of_two_actions() -> None:
    encoder = Encoder(bits=26, interactions=(("", "", ""),))
    common, *own = names(encoder, {"h": 1}, [{"id": "a"}, {"id": "b"}])
    assert common == ["h", "h*h*h"]
    for row, label in zip(own, "ab", strict=True):
        assert row == sorted(
            [f"id={label}", f"h*h*id={label}", f"h*id={label}*id={label}", "*".join([f"id={label}"] * 3)]
        )


def test_words_are_read_in_lower_case_and_with_those_that_follow() -> None:
    said = {"q": {"_text": "Red  SHOES\tfor Bob", "brand": "ACME"}}
    assert names(Encoder(bits=26, interactions=(), lower=True), said, [{"id": "A"}]) == [
        ["q.bob", "q.brand=ACME", "q.for", "q.red", "q.shoes"],
        ["id=A"],
    ]
    grams = names(Encoder(bits=26, interactions=(), ngrams=3), said, [{"id": "A"}])[0]
    words = ["Red", "SHOES", "for", "Bob", "brand=ACME"]
    assert grams == sorted(
        f"q.{name}" for name in [*words, "Red SHOES", "SHOES for", "for Bob", "Red SHOES for", "SHOES for Bob"]
    )


def text(draws: random.Random) -> str:
    words = draws.choices(["Red", "SHOES", "a", "x" * 300, "É", "ΣΑΣ", "1.5", "Z" * 990], [9, 9, 9, 1, 1, 1, 9, 1], k=8)
    return "".join(word + draws.choice([" ", "  ", "\t", " \n"]) for word in words[: draws.randint(0, 8)])


@pytest.mark.jit
def test_compiled_code_reads_text_with_its_options_as_python_does() -> None:
    here = desk()
    for entry in here.entries():
        entry.wait()
    encoders = [Encoder(bits=22, interactions=(), lower=lower, ngrams=n) for lower in (True, False) for n in (1, 2, 5)]
    sure = 0
    for seed in range(400):
        draws = random.Random(seed)
        shared, actions = {"q": {"_text": text(draws)}}, [{"id": "a", "_text": text(draws)}]
        for encoder in encoders:
            found = here.encode(encoder.slots_wanted, shared, actions)
            if found is not None:
                sure += 1
                assert answer(lambda *_: found, None, None) == answer(plainly(encoder), shared, actions), seed  # noqa: B023
    assert sure > 1000


def test_options_are_recorded_with_the_context_and_left_out_where_nobody_asked() -> None:
    plain: dict[str, Any] = {"kind": "features", "bits": 10}
    asked = plain | {"interactions": [["u", "q", "i"], ["u", "i"]], "text": {"lower": True, "ngrams": 2}}
    for context in (plain, asked):
        assert ContextIntake.from_json(context, {}).to_json()["context"] == context
    engine = onearm.open(arms=["a", "b"], policy="squarecb", context=asked, seed=1)
    reasons = engine.explain({"q": {"_text": "Red Shoes"}})
    assert {"ranking", "explanation"} <= set(reasons)


@pytest.mark.parametrize(
    "context",
    [
        {"interactions": [["a"]]},
        {"interactions": [["a", "b", "c", "d"]]},
        {"interactions": [["a", "b", 3]]},
        {"text": {"ngrams": 0}},
        {"text": {"ngrams": 6}},
        {"text": {"ngrams": True}},
        {"text": {"lower": 1}},
        {"text": {"upper": True}},
        {"text": []},
    ],
)
def test_options_that_are_none_are_refused(context: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ContextIntake.from_json({"kind": "features"} | context, {})


@pytest.mark.parametrize(("n", "fits"), [(30, True), (31, False)])
def test_products_of_three_count_for_the_limit(n: int, fits: bool) -> None:
    encoder = Encoder(bits=18, interactions=(("u", "u", "u"),), nonzeros=30**3 + 31)
    shared = {"u": [1.0] * n}
    if fits:
        assert len(encoder.encode(shared, [{"id": "a"}]).index) > n
    else:
        with pytest.raises(InvalidInput, match="the context has 29823 features"):
            encoder.encode(shared, [{"id": "a"}])
