"""Compiled features: the slots, values and refusals of the plain path, to the bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.every_run import every_run
from support.feature_bodies import ENCODERS, LATER, ODD, STRINGS, answer, body, digest, plainly

from onearm.engine.features import Encoder
from onearm.engine.featuriser.desk import desk

GOLDEN = json.loads(Path(__file__).with_name("plain_features.json").read_text())


@pytest.fixture
def fast() -> Any:
    """The desk of this thread, with compiled code."""
    for entry in desk().entries():
        entry.wait()
    return desk()


@pytest.mark.parametrize("part", every_run(range(len(GOLDEN)), range(2)))
def test_what_is_said_in_python_is_what_was_said_before_there_was_compiled_code(part: int) -> None:
    assert digest(range(50 * part, 50 * part + 50)) == GOLDEN[part]


def compiled(fast: Any, encoder: Encoder, shared: Any, actions: Any) -> Any:
    if encoder.dimension is None:
        return fast.encode(encoder.slots_wanted, shared, actions)
    return fast.dense(encoder.rows_wanted, shared, actions)


@pytest.mark.jit
def test_compiled_features_are_those_of_python_to_the_bit(fast: Any) -> None:
    sure = 0
    for seed in range(600):
        shared, actions = body(seed)
        for encoder in (*ENCODERS, *LATER):
            found = compiled(fast, encoder, shared, actions)
            if found is not None:
                sure += 1
                assert answer(lambda *_: found, shared, actions) == answer(plainly(encoder), shared, actions), seed  # noqa: B023
    assert sure > 0.5 * 600 * len([*ENCODERS, *LATER])


@pytest.mark.jit
def test_what_people_usually_send_is_read_by_compiled_code(fast: Any) -> None:
    shared = {"user": {"age": 31, "city": "paris", "tags": ["new", "vip"], "gone": None}, "q": {"_text": "red shoes"}}
    actions = [{"id": "a", "item": {"price": 9.5, "sold": 2**40}}, {"id": 7, "pixels": [[0.5], [1, True]]}]
    for encoder in (encoder for encoder in ENCODERS if encoder.nonzeros > 40):
        assert compiled(fast, encoder, shared, actions) is not None
    assert len(compiled(fast, Encoder(), {"x": [0.1] * 500}, [{"y": [0.2] * 500}] * 3).index) > 400_000


@pytest.mark.jit
@pytest.mark.parametrize("odd", [*ODD, *STRINGS], ids=lambda odd: repr(odd)[:20])
def test_every_odd_value_gives_what_it_gives_in_python(fast: Any, odd: Any) -> None:
    encoder = Encoder()
    for shared in ({"u": {"a": odd}}, {"u": [1, odd, {"b": odd}]}, {"_text": odd}, {"u": {"_tag": odd}}, odd):
        for actions in ([{"id": "a", "v": odd}], [{"id": odd}]):
            assert answer(encoder.encode, shared, actions) == answer(plainly(encoder), shared, actions)


@pytest.mark.jit
def test_an_object_that_comes_twice_is_read_twice(fast: Any) -> None:
    item: dict[str, Any] = {"price": 9.5, "tags": ["new", "vip"], "none": [], "size": {}}
    actions = [{"id": "a", "item": item}, {"id": "b", "item": item, "list": [item, [item, item]]}, {"item": item}]
    found = compiled(fast, Encoder(), {"seen": [item, item["tags"]]}, actions)
    assert answer(lambda *_: found, None, None) == answer(plainly(Encoder()), {"seen": [item, item["tags"]]}, actions)
    nested: Any = 1
    for _ in range(30):
        nested = [nested, nested]
    assert compiled(fast, Encoder(), {"a": nested}, actions) is None


@pytest.mark.jit
def test_more_names_than_are_remembered_are_as_good(fast: Any) -> None:
    encoder = Encoder(bits=20)
    for call in range(30):
        shared = {"words": {f"w{call}-{j}": j + 0.5 for j in range(4000)}}
        found = compiled(fast, encoder, shared, [{"id": "a"}])
        assert answer(lambda *_: found, shared, []) == answer(plainly(encoder), shared, [{"id": "a"}])  # noqa: B023


@pytest.mark.jit
def test_many_keys_are_looked_up_ahead_of_their_turn(fast: Any) -> None:
    """Some lead deeper, some are new, some are there again in another object, some have long names."""
    spaces = [{f"{'key' * (n % 60)}{n % (40 + part)}": n + 0.5 for n in range(90)} for part in range(3)]
    spaces[1] |= {"deep": spaces[0], "list": [spaces[2], "x"], "last": 2}
    shared = {f"space{part}": space for part, space in enumerate(spaces)}
    encoder = Encoder()
    found = fast.encode(encoder.slots_wanted, shared, [{"id": "a"}, {"id": "b", **spaces[1]}])
    wanted = encoder.plainly_encoded(shared, [{"id": "a"}, {"id": "b", **spaces[1]}])
    assert [array.tobytes() for array in found] == [array.tobytes() for array in wanted]
