"""Named features: golden numbers, an encoder spelled out in plain Python, and refusals."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onearm.engine.contexts import context_at, empty_contexts, n_actions, pack_context, put_context, unpack_contexts
from onearm.engine.errors import Damaged, InvalidInput
from onearm.engine.features import Encoder, feature_number, mixed
from onearm.engine.vocabulary import Features, Problem

MASK = 2**64 - 1


def names_of(encoder: Encoder, shared: Any, actions: list[Any]) -> list[list[str]]:
    """Return the names by row, sorted: the order of slots says nothing."""
    return [sorted(row) for row in encoder.names(shared, actions)]


def product(left: int, right: int) -> int:
    """The finaliser of SplitMix64, in whole numbers of any size."""
    z = (left * 0x9E3779B97F4A7C15 + right) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def slot(*features: tuple[str, str], bits: int) -> int:
    numbers = [feature_number(*feature) for feature in features]
    return (numbers[0] if len(numbers) == 1 else product(*numbers)) % 2**bits


def test_numbers_are_golden() -> None:
    """Changing these would make every model on record forget what it knows. `b2sum -l 64` gives the same."""
    golden = {
        ("user", "city=paris"): 0x5F82C7DDD1717C9D,
        ("", "id=a"): 0x717F598B5817CC16,
        ("user.tags", "schön"): 0x8CCA10383D9F1599,
        ("x", "\ud800"): 0x172A2D174F0786F0,
    }
    assert {feature: feature_number(*feature) for feature in golden} == golden
    one, other = (np.array([feature_number(*f)], np.uint64) for f in list(golden)[:2])
    assert mixed(one, other).tolist() == [product(int(one[0]), int(other[0]))] == [0xB03E6F4E24D849E3]
    assert mixed(other, one).tolist() != mixed(one, other).tolist()


def test_the_kinds_of_values_become_the_features_that_are_documented() -> None:
    shared = {
        "user": {"age": 31, "city": "paris", "member": True, "guest": False, "tags": ["new", "vip"], "zero": 0},
        "query": {"_text": "red  shoes\tred"},
        "pixels": [0.5, 0, None, True, 2],
        "address": {"home": {"zip": "x"}},
        "many": [{"a": 1}, {"a": 2, "b": "c"}, [7, "w"]],
        "hour": 9,
        "none": None,
        "_meta": {"x": float("nan")},
    }
    encoder = Encoder(interactions=())
    found = dict(zip(*values_by_name(encoder, shared), strict=True))
    assert found == {
        "user.age": 31,
        "user.city=paris": 1,
        "user.member": 1,
        "user.tags.new": 1,
        "user.tags.vip": 1,
        "query.red": 2,
        "query.shoes": 1,
        "pixels.0": 0.5,
        "pixels.3": 1,
        "pixels.4": 2,
        "address.home.zip=x": 1,
        "many.a": 3,
        "many.b=c": 1,
        "many.2.0": 7,
        "many.2.w": 1,
        "hour": 9,
    }
    assert names_of(encoder, None, [{"id": 7}, {"id": "7"}, {"id": {"x": 7}}])[1:] == [["id=7"], ["id=7"], ["id.x"]]


def values_by_name(encoder: Encoder, shared: Any) -> tuple[list[str], list[float]]:
    """Return names and values of the shared row."""
    features = encoder.encode(shared, [{"id": "a"}])
    return encoder.names(shared, [{"id": "a"}])[0], features.value[: features.start[1]].tolist()


def test_everything_shared_is_multiplied_with_everything_of_an_action() -> None:
    found = names_of(Encoder(), {"u": {"x": 2}, "h": 3}, [{"id": "a"}, {"id": "b", "p": {"q": 5}}])
    assert found == [
        ["h", "u.x"],
        ["h*id=a", "id=a", "u.x*id=a"],
        sorted(["id=b", "p.q", "u.x*id=b", "h*id=b", "u.x*p.q", "h*p.q"]),
    ]


def test_interactions_take_the_pairs_that_are_named() -> None:
    shared = {"u": {"x": 2, "y": 3, "z": {"w": 7}}, "h": 3}
    actions = [{"id": "a", "p": {"q": 5, "r": 1}, "u": {"v": 1}}]
    expected: dict[tuple[tuple[str, str], ...], tuple[list[str], list[str]]] = {
        (): ([], []),
        (("p", "h"),): ([], []),
        (("", "p"),): ([], ["h*p.q", "h*p.r", "id=a*p.q", "id=a*p.r"]),
        (("p", "p"),): ([], ["p.q*p.q", "p.q*p.r", "p.r*p.r"]),
        (("u.z", "p"),): ([], ["u.z.w*p.q", "u.z.w*p.r"]),
        (("u.z", ""),): (["u.z.w*h"], ["u.z.w*id=a"]),
        (("", ""),): (["h*h"], ["h*id=a", "id=a*id=a"]),
        (("p", "u.z"),): ([], ["p.q*u.z.w", "p.r*u.z.w"]),
    }
    plain = names_of(Encoder(interactions=()), shared, actions)
    for pairs, products in expected.items():
        found = names_of(Encoder(interactions=pairs), shared, actions)
        assert found == [sorted(one + other) for one, other in zip(plain, products, strict=True)], pairs
    square = names_of(Encoder(interactions=(("u", "u"),)), shared, actions)
    assert len(square[0]) == len(plain[0]) + 6
    assert len(square[1]) == len(plain[1]) + 3 + 1


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    names = st.sampled_from(["a", "b", "c"])
    values = st.one_of(st.integers(-3, 3), st.floats(-2, 2), st.sampled_from(["u", "v"]))
    return draw(st.dictionaries(names, st.one_of(values, st.dictionaries(names, values)), max_size=4))


def flat(thing: dict[str, Any], space: str = "") -> list[tuple[str, str, float]]:
    """An encoder's reading of objects of numbers and strings, spelled out."""
    found = []
    for key, value in thing.items():
        if isinstance(value, dict):
            found += flat(value, key)
        elif isinstance(value, str):
            found.append((space, f"{key}={value}", 1.0))
        elif value:
            found.append((space, key, float(value)))
    return found


@given(shared=objects(), own=st.lists(objects(), min_size=1, max_size=4), bits=st.sampled_from([3, 18]))
def test_encode_is_the_plain_reading_of_objects(shared: dict[str, Any], own: list[dict[str, Any]], bits: int) -> None:
    actions = [{**action, "id": str(a)} for a, action in enumerate(own)]
    wanted: list[dict[int, float]] = []
    for row, thing in enumerate([shared, *actions]):
        sums: dict[int, float] = {}
        for space, name, value in flat(thing):
            sums[slot((space, name), bits=bits)] = sums.get(slot((space, name), bits=bits), 0.0) + value
            for other_space, other, factor in flat(shared) if row else []:
                place = slot((other_space, other), (space, name), bits=bits)
                sums[place] = sums.get(place, 0.0) + value * factor
        wanted.append(sums)
    found = Encoder(bits=bits).encode(shared, actions)
    assert (found.start.dtype, found.index.dtype, found.value.dtype) == (np.int64, np.uint32, np.float64)
    assert found.start[0] == 0
    assert found.start[-1] == len(found.index) == len(found.value)
    for row, sums in enumerate(wanted):
        kept = slice(found.start[row], found.start[row + 1])
        assert found.index[kept].tolist() == sorted(sums)
        np.testing.assert_allclose(found.value[kept], [sums[place] for place in sorted(sums)], rtol=1e-12, atol=1e-12)
    names = Encoder(bits=bits).names(shared, actions)
    assert [len(row) for row in names] == np.diff(found.start).tolist()


@given(shared=objects(), own=st.lists(objects(), min_size=1, max_size=4))
def test_dense_rows_are_the_sparse_ones_spread_out(shared: dict[str, Any], own: list[dict[str, Any]]) -> None:
    actions = [{**action, "id": str(a)} for a, action in enumerate(own)]
    encoder = Encoder(bits=6, dimension=64)
    features = encoder.encode(shared, actions)
    rows = np.zeros((len(actions) + 1, 64))
    for row in range(len(rows)):
        kept = slice(features.start[row], features.start[row + 1])
        rows[row, features.index[kept]] = features.value[kept]
    np.testing.assert_allclose(encoder.dense(shared, actions), rows[1:] + rows[0], rtol=1e-12, atol=1e-12)
    for names, own_row in zip(encoder.dense_names(shared, actions), rows[1:], strict=True):
        assert len(names) == 64
        assert all(names[j] for j in np.flatnonzero(own_row + rows[0]))


def test_what_shares_a_slot_is_added_and_named_together() -> None:
    encoder = Encoder(bits=1, interactions=(), dimension=1)
    shared, actions = {f"n{i}": 1 for i in range(20)}, [{"id": "a"}]
    features = encoder.encode(shared, actions)
    assert features.start.tolist() == [0, 2, 3]
    assert features.value[:2].sum() == 20
    assert sum(name.count(" + ") for name in encoder.names(shared, actions)[0]) == 18
    assert encoder.dense(shared, actions).tolist() == [[21.0]]
    assert encoder.dense_names(shared, actions)[0][0].count(" + ") == 20
    assert Encoder(dimension=3).dense_names(None, actions)[0].count("") == 2


def deep(levels: int) -> Any:
    return {"x": deep(levels - 1)} if levels > 1 else {"x": 1}


def deep_list(levels: int) -> Any:
    return [deep_list(levels - 1)] if levels > 1 else [1]


REFUSED: dict[str, Any] = {
    "a name of 10 kB": ({"x" * 10_000: 1}, "of 10000 characters"),
    "a string of 10 kB": ({"x": "y" * 10_000}, "of 10000 characters"),
    "a word of 10 kB": ({"_text": "y" * 10_000}, "of 10000 characters"),
    "a string in a list": ({"x": ["y" * 1001]}, "of 1001 characters"),
    "a name that is a number": ({1: 1}, "has a name or string 1"),
    "infinity": ({"x": math.inf}, "the feature 'x' with the value inf"),
    "not a number": ({"x": [math.nan]}, "the feature '0' with the value nan"),
    "a huge number": ({"x": 10**400}, "1000"),
    "a number out of range": ({"x": -1.1e15}, "from -1e"),
    "a complex number": ({"x": 1j}, "1j"),
    "an object nested too deep": (deep(11), "nested deeper than 10"),
    "a list nested too deep": ({"x": deep_list(11)}, "nested deeper than 10"),
    "a text that is none": ({"_text": 7}, "_text 7"),
    "a list": ([1, 2], "JSON object"),
    "a string": ("abc", "JSON object"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_feature_is_refused_wherever_it_stands(kind: str) -> None:
    thing, says = REFUSED[kind]
    for shared, actions, what in ((thing, [{"id": "a"}], "the context"), (None, [{"id": "a"}, thing], "action 1")):
        with pytest.raises(InvalidInput) as caught:
            Encoder().encode(shared, actions)
        assert caught.value.code == "bad_feature"
        assert what in str(caught.value)
        assert says in str(caught.value)
        assert len(str(caught.value)) < 300


def test_the_limits_themselves_are_allowed() -> None:
    shared = {
        "x" * 1000: "y" * 1000,
        "d": deep(9),
        "l": deep_list(9),
        "n": [1e15, -1e15, 1e-300, np.float64(2), np.int64(3)],
    }
    assert len(Encoder().encode(shared, [{"id": "a"}]).value) == 17


def test_sets_that_are_empty_or_too_large_are_refused() -> None:
    for actions, code in (
        ([], "no_actions"),
        ([{"id": "a"}, {}], "no_features"),
        ([{"_tag": "a", "x": 0}], "no_features"),
    ):
        with pytest.raises(InvalidInput) as caught:
            Encoder().encode({"x": 1}, actions)
        assert caught.value.code == code
    shared, actions = {"x": list(range(1, 11))}, [{"id": str(a)} for a in range(9)]  # 10 + 9 + 90
    assert len(Encoder(nonzeros=109).encode(shared, actions).value) == 109
    with pytest.raises(InvalidInput, match="109 features"):
        Encoder(nonzeros=108).encode(shared, actions)
    with pytest.raises(InvalidInput, match="1000999 features"):
        Encoder().encode({"x": [1] * 1000}, [{"y": [1] * 999}])


@pytest.mark.parametrize(
    "wrong",
    [
        {"bits": 0},
        {"bits": 27},
        {"bits": True},
        {"bits": 1.5},
        {"dimension": 0},
        {"dimension": 1025},
        {"nonzeros": 0},
        {"interactions": "ab"},
        {"interactions": [["a"]]},
        {"interactions": [["a", 1]]},
        {"interactions": ["ab"]},
        {"interactions": [["a", "b"]] * 101},
    ],
)
def test_a_spec_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        Encoder(**wrong)
    assert caught.value.code == "bad_param"
    assert next(iter(wrong)) in str(caught.value)


def test_a_spec_comes_from_json() -> None:
    spec = json.loads('{"bits": 12, "interactions": [["user", "item"], ["", "item"]]}')
    assert Encoder(**spec) == Encoder(12, (("user", "item"), ("", "item")))


SETS = Problem(4, (4, 1024), None, 40)


def some_sets() -> list[Features]:
    encoder = Encoder(bits=10)
    return [encoder.encode({"x": k}, [{"id": a, "y": [a, 0.1]} for a in range(k)]) for k in (2, 4, 1)]


def test_contexts_come_back_from_their_bytes() -> None:
    sets = some_sets()
    packed = [pack_context(one, SETS) for one in sets]
    assert n_actions(packed, SETS).tolist() == [2, 4, 1]
    found = unpack_contexts(packed, SETS)
    assert found.start.shape == (3, 6)
    for row, one in enumerate(sets):
        k = len(one.start) - 2
        start = found.start[row]
        assert (start[: k + 2] - start[0]).tolist() == one.start.tolist()
        assert (start[k + 1 :] == start[k + 1]).all()  # what pads has no features
        assert found.index[start[0] : start[-1]].tolist() == one.index.tolist()
        assert found.value[start[0] : start[-1]].tolist() == one.value.tolist()
        put = empty_contexts(2, SETS)
        put_context(put, 1, context_at(found, row))
        assert pack_context(context_at(put, 1)._replace(start=put.start[1, : k + 2]), SETS) == packed[row]
    dense = Problem(3, (3, 2))
    rows = [np.arange(2.0 * k).reshape(k, 2) for k in (1, 3)]
    packed = [pack_context(row, dense) for row in rows]
    assert n_actions(packed, dense).tolist() == [1, 3]
    assert unpack_contexts(packed, dense).tolist() == [[[0, 1], [0, 0], [0, 0]], rows[1].tolist()]
    assert unpack_contexts([b"", None], Problem(2)).shape == (2, 0)
    assert unpack_contexts([np.ones(3).tobytes()], Problem(2, (3,))).tolist() == [[1, 1, 1]]
    assert [len(unpack_contexts([], p).start if p is SETS else unpack_contexts([], p)) for p in (SETS, dense)] == [0, 0]


def test_the_bytes_of_features_are_as_written_down() -> None:
    features = Features(np.array([4, 4, 5, 6]), np.arange(7, dtype=np.uint32), np.arange(7.0))
    numbers = [
        np.array([2], "<i8"),
        np.array([0, 0, 1, 2], "<i4"),
        np.array([4, 5], "<u4"),
        np.array([4.0, 5.0], "<f8"),
    ]
    assert pack_context(features, SETS) == b"".join(part.tobytes() for part in numbers)


def test_bytes_that_are_no_context_of_the_problem_are_refused() -> None:
    good = pack_context(some_sets()[0], SETS)
    wrong = [good[:cut] for cut in range(len(good))] + [good + b"\0" * 4, good + b"\0" * 12, None]
    for place, value in ((0, 3), (0, 0), (0, 255), (8, 1), (12, 200), (41, 255), (8 + 16 + 3, 1)):
        wrong.append(good[:place] + bytes([value]) + good[place + 1 :])
    for data in wrong:
        with pytest.raises(Damaged):
            unpack_contexts([good, data], SETS)
    dense = Problem(3, (3, 2))
    for data in (b"", None, b"\0" * 8, b"\0" * 12, b"\0" * 16 * 4):
        with pytest.raises(Damaged):
            unpack_contexts([data], dense)
    with pytest.raises(Damaged):
        unpack_contexts([b"\0" * 16, b"\0" * 8], Problem(2, (3,)))
