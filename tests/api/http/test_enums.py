"""An error about a value that must be one of a few says which these are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import pytest
from msgspec import inspect
from support.served import Served, assert_refused

from onearm.api.http.bodies import read
from onearm.api.http.creation_schemas import NewExperiment
from onearm.api.http.enums import with_values
from onearm.api.http.routes import TABLE
from onearm.engine.errors import InvalidInput

BODIES = [
    kind for entry in TABLE for kind in get_args(entry.body) or (entry.body,) if hasattr(kind, "__struct_fields__")
]


def wrong(kind: inspect.Type) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Yield bodies of a type with a wrong word for each of its fields that takes one of a few, and these."""
    match kind:
        case inspect.Metadata():
            yield from wrong(kind.type)
        case inspect.UnionType():
            literals = [each for each in kind.types if isinstance(each, inspect.LiteralType)]
            if not any(isinstance(each, inspect.StrType) for each in kind.types):
                for each in kind.types:
                    yield from wrong(each)
            assert len(literals) < 2
        case inspect.LiteralType():
            yield "zz", kind.values
        case inspect.ListType():
            yield from (([found], values) for found, values in wrong(kind.item_type))
        case inspect.StructType():
            for field in kind.fields:
                yield from (({field.encode_name: found}, values) for found, values in wrong(field.type))


CASES = [
    (body, found, values)
    for body in BODIES
    if body is not NewExperiment  # which is checked by hand
    for found, values in wrong(inspect.type_info(body))
]


@pytest.mark.parametrize(
    ("body", "found", "values"), CASES, ids=[f"{body.__name__}: {found}" for body, found, _ in CASES]
)
def test_every_field_that_takes_one_of_a_few_values_names_them(body: Any, found: Any, values: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidInput, match="invalid enum value 'zz'") as refused:
        read(msgspec.json.Decoder(body), msgspec.json.encode(found), "the body")
    assert all(repr(value) in str(refused.value).partition(": it must be ")[2] for value in values)


def test_there_are_such_fields() -> None:
    assert {body.__name__ for body, _, _ in CASES} >= {"JoiningPolicy", "Part", "Promotion"}


def test_what_a_service_answers_names_them(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        served.create()
        answer = served.post("/v1/experiments/e/policies", {"policy": "ucb1", "role": "boss"})
        assert_refused(answer, 422, "bad_body")
        said = "it must be one of 'apprentice', 'canary', 'control', 'live', 'shadow'"
        assert answer.json()["detail"] == f"the policy does not fit: invalid enum value 'boss' - at `$.role`: {said}"


class One(msgspec.Struct, tag="one", tag_field="kind"):
    """A kind."""


class Two(msgspec.Struct, tag="two", tag_field="kind"):
    """Another one."""

    pairs: dict[str, tuple[Literal[1, 2], int]] = {}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"kind": "three"}, "invalid value 'three' - at `$[0].kind`: it must be one of 'one', 'two'"),
        ({"kind": "two", "pairs": {"a": [3, 1]}}, "enum value 3 - at `$[0].pairs[...][0]`: it must be one of 1, 2"),
        ({"kind": "two", "pairs": 3}, "expected `object`, got `int` - at `$[0].pairs`"),
    ],
)
def test_tags_and_items_of_objects_are_told_too(found: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(msgspec.json.Decoder(list[One | Two]), msgspec.json.encode([found]), "the body")
    assert str(refused.value).endswith(said)


def test_a_wrong_value_that_looks_like_a_place_is_a_value() -> None:
    assert with_values("Invalid enum value 'x - at `$.a`' - at `$`", Literal["p"]).endswith(": it must be 'p'")
