"""A folder is a catalogue: names, params, specs, and what is said about wrong ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import golden
import numpy as np
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.registry import Registry, earlier
from onearm.engine.vocabulary import Policy
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies


class NestParams(NamedTuple):
    pass


def nest(policy: Policy, weights: Any = (1.0, 2.0), share: float = 0.5) -> Policy:
    """Wrap a policy."""
    return Policy("nest", NestParams(), lambda params, problem: policy)


class GrewParams(NamedTuple):
    width: float
    unit: float


@earlier(unit=1.0)
def grew(width: float = 0.4, unit: float | None = None) -> Policy:
    """Take a param that came later, whose default is not what was before."""
    return Policy("grew", GrewParams(width, 0.0 if unit is None else unit), lambda params, problem: params)


@pytest.fixture
def catalog() -> Registry[Policy]:
    """Return a catalogue of its own, with a wrapper and a policy that got a param."""
    found: Registry[Policy] = Registry("policy", "onearm.policies", Policy)
    found._outside |= {"nest": nest, "grew": grew}
    return found


def test_every_file_of_a_folder_is_a_name(root: Path) -> None:
    for catalog, folder in ((policies, "policies"), (envs, "envs")):
        assert set(catalog.names()) == {file.stem for file in (root / folder).rglob("*.py")} - {"__init__"}
        assert catalog.names() == sorted(catalog.names())


@pytest.mark.parametrize("name", policies.names())
def test_the_spec_of_a_policy_makes_it_again(name: str) -> None:
    made = golden.specimen(name)
    spec = json.loads(json.dumps(made.spec))
    assert set(spec) == {"name", "params"} and spec["name"] == name == made.name
    again = policies.from_spec(spec)
    assert again.spec == made.spec
    assert _bits(again.params) == _bits(made.params)
    assert policies.parse(f"{name}:{json.dumps(spec['params'])}").spec == made.spec


def test_defaults_are_written_into_the_spec() -> None:
    assert policies.make("ucb1").spec == {"name": "ucb1", "params": {"alpha": 1.0, "wait": 0}}
    assert policies.parse('ucb1:{"alpha": 2}').spec == {"name": "ucb1", "params": {"alpha": 2, "wait": 0}}
    assert envs.make("bernoulli", mean=np.array([0.25, 0.5])).spec["params"] == {"mean": [0.25, 0.5]}


@pytest.mark.parametrize("inner", ["ucb1", {"name": "ucb1"}, 'ucb1:{"alpha":1.0}', {"name": "ucb1", "params": {}}])
def test_a_nested_policy_is_built_from_its_spec(catalog: Registry[Policy], inner: Any) -> None:
    made = catalog.make("nest", policy=inner)
    assert made.init(made.params, None).name == "ucb1"  # type: ignore[arg-type]
    assert made.spec["params"]["policy"] == {"name": "ucb1", "params": {"alpha": 1.0, "wait": 0}}
    assert catalog.make("nest", policy=policies.make("ucb1")).spec == made.spec
    assert catalog.from_spec(made.spec).spec == made.spec


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("ucb2", "unknown_policy", "there is no policy 'ucb2': try ucb1"),
        ("", "unknown_policy", "there is no policy ''"),
        ("../ucb1", "unknown_policy", "try ucb1"),
        ("_private", "unknown_policy", "there is no policy"),
        ('ucb1:{"alhpa":1}', "unknown_param", "no param 'alhpa': its params are alpha"),
        ('uniform:{"a":1}', "unknown_param", "its params are none"),
        ("ucb1:{alpha:1}", "bad_params", "not JSON"),
        ("ucb1:1", "bad_spec", "params of 'ucb1' are 1: they must be an object"),
        ("ucb1:[1]", "bad_spec", "they must be an object"),
        ('ucb1:{"alpha":"x"}', "bad_param", "alpha is 'x': it must be a number"),
        ('ucb1:{"alpha":NaN}', "bad_param", "alpha is nan"),
        ("nest", "missing_param", "policy 'nest' needs the param 'policy'"),
        ('nest:{"policy":"ucb2"}', "unknown_policy", "there is no policy 'ucb2'"),
        ('nest:{"policy":3}', "bad_spec", "policy is 3: it must be"),
    ],
)
def test_what_cannot_be_parsed_is_explained(catalog: Registry[Policy], text: str, code: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        catalog.parse(text)
    assert caught.value.code == code
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (None, "policy is None"),
        ("ucb1", "policy is 'ucb1'"),
        ({}, "it must be"),
        ({"name": 3}, "it must be"),
        ({"name": "ucb1", "parms": {}}, "the fields ['parms']: only name and params are known"),
        ({"name": "ucb1", "params": None}, "they must be an object"),
    ],
)
def test_a_spec_that_is_none_is_refused(spec: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        policies.from_spec(spec)
    assert caught.value.code == "bad_spec"
    assert said in str(caught.value)


def test_params_beside_a_bare_name_are_those_of_what_is_nested(catalog: Registry[Policy]) -> None:
    whole = catalog.make("nest", policy={"name": "ucb1", "params": {"alpha": 2.0}}, share=0.25)
    beside = catalog.make("nest", policy="ucb1", params={"alpha": 2.0}, share=0.25)
    assert beside.spec == whole.spec
    assert beside.init(None, None).params == policies.make("ucb1", alpha=2.0).params  # type: ignore[arg-type]
    assert catalog.parse('nest:{"policy":"ucb1","params":{"alpha":2.0},"share":0.25}').spec == whole.spec


def test_so_they_are_at_any_depth() -> None:
    deep = envs.make("delayed", env="scaled", params={"env": "bernoulli", "params": {"mean": [0.5]}, "scale": 2.0})
    assert deep.spec["params"]["env"]["params"]["env"] == {"name": "bernoulli", "params": {"mean": [0.5]}}
    assert deep.problem.reward_range == (0.0, 2.0)


def test_a_function_that_has_params_of_that_name_keeps_them(catalog: Registry[Policy]) -> None:
    def owner(policy: Policy, params: dict[str, int]) -> Policy:
        return Policy("owner", NestParams(), lambda _, problem: params)

    catalog._outside["owner"] = owner
    made = catalog.make("owner", policy="ucb1", params={"alpha": 3})
    assert made.init(made.params, None) == {"alpha": 3}  # type: ignore[arg-type]
    assert made.spec["params"]["policy"]["params"]["alpha"] == 1.0


def test_a_spec_in_full_has_them_inside(catalog: Registry[Policy]) -> None:
    short = {"name": "nest", "params": {"share": 0.5, "policy": "nest", "params": {"policy": "ucb1", "params": {}}}}
    inner = {"name": "nest", "params": {"policy": {"name": "ucb1", "params": {}}}}
    whole = {"name": "nest", "params": {"share": 0.5, "policy": inner}}
    assert catalog.in_full(short) == whole
    assert catalog.in_full(whole) == whole
    for spec in (None, "ucb1", {"name": "ucb1"}, {"name": "ucb1", "params": {"alpha": 2}}, {"name": "nest"}):
        assert catalog.in_full(spec) == spec


@pytest.mark.parametrize(
    ("params", "code", "said"),
    [
        ({"params": {}}, "bad_params", "params are given beside policy, which is None: they belong to a policy"),
        ({"policy": {"name": "ucb1", "params": {}}, "params": {}}, "bad_params", "that is given by its name alone"),
        ({"policy": {"name": "ucb1"}, "params": {}}, "bad_params", "that is given by its name alone"),
        ({"policy": 'ucb1:{"alpha":1}', "params": {}}, "bad_params", "that is given by its name alone"),
        ({"policy": policies.make("ucb1"), "params": {}}, "bad_params", "that is given by its name alone"),
        ({"policy": "ucb1", "params": 3}, "bad_spec", "params of 'ucb1' are 3: they must be an object"),
        ({"policy": "ucb1", "params": {"beta": 1}}, "unknown_param", "policy 'ucb1' has no param 'beta'"),
        ({"policy": "ucb2", "params": {}}, "unknown_policy", "there is no policy 'ucb2'"),
        ({"policy": "ucb1", "params": {}, "shape": 1}, "unknown_param", "policy 'nest' has no param 'shape'"),
    ],
)
def test_params_beside_nothing_or_beside_a_whole_spec_are_refused(
    catalog: Registry[Policy], params: dict[str, Any], code: str, said: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        catalog.make("nest", **params)
    assert caught.value.code == code
    assert said in str(caught.value)


def test_a_function_without_anything_nested_has_no_params_beside() -> None:
    with pytest.raises(InvalidInput, match="policy 'ucb1' has no param 'params': its params are alpha"):
        policies.make("ucb1", params={"alpha": 2})


def test_a_param_that_came_later_has_its_earlier_meaning_in_stored_specs(catalog: Registry[Policy]) -> None:
    stored = {"name": "grew", "params": {"width": 0.5}}
    assert catalog.from_stored(stored).params == GrewParams(0.5, 1.0)
    assert catalog.from_stored(stored).spec == stored
    assert catalog.from_spec(stored).params == GrewParams(0.5, 0.0)
    new = catalog.from_spec(stored).spec
    assert new == {"name": "grew", "params": {"width": 0.5, "unit": None}}
    assert catalog.from_stored(new).params == GrewParams(0.5, 0.0)


def test_so_it_has_in_a_policy_inside_another(catalog: Registry[Policy]) -> None:
    stored = {"name": "nest", "params": {"policy": {"name": "grew", "params": {"width": 0.5}}}}
    whole = {"name": "nest", "params": {"policy": {"name": "grew", "params": {"width": 0.5, "unit": 1.0}}}}
    assert catalog.completed(stored) == whole
    made = catalog.from_stored(stored)
    inside: Any = made.init(made.params, None)  # type: ignore[arg-type]
    assert inside.params == GrewParams(0.5, 1.0)
    assert made.spec == stored


def test_a_label_says_what_is_not_as_usual(catalog: Registry[Policy]) -> None:
    """A policy inside another one by its own label."""
    inner = {"name": "grew", "params": {"width": 0.5}}
    spec = catalog.make("nest", policy=inner).spec
    assert catalog.label(spec["params"]["policy"]) == "grew(width=0.5)"
    assert catalog.label(spec) == "nest(policy=grew(width=0.5))"
    assert catalog.differing(spec) == ["policy=grew(width=0.5)"]
    assert catalog.label({"name": "grew", "params": {}}) == "grew"


@pytest.mark.parametrize("spec", [None, "ucb1", {}, {"name": 3}, {"name": "grew", "params": 3}])
def test_what_is_no_stored_spec_is_refused_as_any_other(catalog: Registry[Policy], spec: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        catalog.from_stored(spec)
    assert caught.value.code == "bad_spec"


def test_where_no_name_is_near_it_is_said_where_all_are_listed() -> None:
    with pytest.raises(InvalidInput) as caught:
        envs.parse("zzzzzzzz")
    assert str(caught.value).endswith(f"onearm envs lists all {len(envs.names())}")


def _bits(params: Any) -> Any:
    if isinstance(params, tuple):
        return [_bits(field) for field in params]
    return params.tobytes() if isinstance(params, np.ndarray) else params
