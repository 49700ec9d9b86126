"""The reference of the site names what there is, leaves nothing public out, and says the shape of every array."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from test_readme import ROOT

PAGES = sorted((ROOT / "docs" / "site" / "reference").glob("*.md"))
NAMED = [name for page in PAGES for name in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE)]
PUBLIC = [
    "onearm",
    "onearm.client",
    "onearm.gym",
    "onearm.api.arms_once",
    "onearm.api.solver",
    "onearm.engine.estimate",
]
ARRAY = re.compile(r"\b(?:Array|ndarray|ArrayLike)\b")
SHAPE = re.compile(r"\b(?:float|int|uint)\d+\[.+?\]|\bbool\[.+?\]")  # float64[n, d], bool[k]


def thing(name: str) -> Any:
    """Return what a dotted name stands for."""
    parts = name.split(".")
    for i in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:i]))
        except ModuleNotFoundError:
            continue
        return reduce(getattr, parts[i:], module)
    raise AssertionError(f"there is no {name}")


def without_shapes(name: str, found: Any) -> Iterator[str]:
    """Yield what takes, returns or holds arrays and does not say of which shape: functions, methods, and fields."""
    if inspect.isclass(found):
        yield from (f"{name}.{field}" for field in fields_without_shapes(found))
        said = inspect.getdoc(found) or ""
        made = () if dataclasses.is_dataclass(found) else ("__init__",)
        methods = {key: value for key, value in vars(found).items() if key in made or not key.startswith("_")}
        for key, value in methods.items():
            method = value.fget if isinstance(value, property) else value
            if callable(method) and arrays_of(method) and not SHAPE.search(f"{inspect.getdoc(method)} {said}"):
                yield f"{name}.{key}"
    elif callable(found) and arrays_of(found) and not SHAPE.search(inspect.getdoc(found) or ""):
        yield name


def arrays_of(function: Callable[..., Any]) -> list[str]:
    """Return the names of the parameters that are arrays, and "return"."""
    annotations = getattr(inspect.unwrap(function), "__annotations__", {})
    return [name for name, kind in annotations.items() if ARRAY.search(str(kind))]


def fields_without_shapes(kind: type) -> list[str]:
    """Return the fields of a class that are arrays, and whose comment says no shape."""
    fields = re.findall(r"^    (\w+): ([^=#\n]*)(.*(?:\n    # .*)*)", inspect.getsource(kind), re.MULTILINE)
    return [name for name, type_, said in fields if ARRAY.search(type_) and not SHAPE.search(said)]


@pytest.mark.parametrize("name", NAMED)
def test_the_reference_names_what_there_is_and_says_what_it_does(name: str) -> None:
    assert inspect.getdoc(thing(name)), f"{name} has no docstring"


@pytest.mark.parametrize("name", NAMED)
def test_whatever_takes_or_gives_arrays_says_their_shapes(name: str) -> None:
    assert list(without_shapes(name, thing(name))) == []


@pytest.mark.parametrize("module", PUBLIC)
def test_the_reference_leaves_nothing_public_out(module: str) -> None:
    listed = importlib.import_module(module).__all__
    assert [name for name in listed if f"{module}.{name}" not in NAMED and name != "__version__"] == []


def test_arrays_without_a_shape_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shapeless.py").write_text(
        '"""A module."""\n\n\n'
        'def told(x: "Array") -> float:\n    """Return the sum of x, float64[n]."""\n\n\n'
        'def untold(x: "Array") -> float:\n    """Return the sum of x."""\n\n\n'
        'class Holds:\n    """Two columns."""\n\n    a: "Array"  # float64[n]\n    b: "Array"\n'
        '    c: "Array"  # as a\n    # int64[n]\n\n'
        '    def both(self) -> "Array":\n        """Return both."""\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    names = ("shapeless.told", "shapeless.untold", "shapeless.Holds")
    found = [list(without_shapes(name, thing(name))) for name in names]
    assert found == [[], ["shapeless.untold"], ["shapeless.Holds.b", "shapeless.Holds.both"]]
