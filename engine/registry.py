"""A folder is a catalogue: file name = function name = public name, in whatever folder below it the file lies.

>>> from onearm.policies import catalog
>>> catalog.parse('epsilon_greedy:{"epsilon":0.2}').spec
{'name': 'epsilon_greedy', 'params': {'epsilon': 0.2, 'origin': None}}
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import importlib.util
import inspect
import json
import pkgutil
import sys
from collections.abc import Callable, Collection
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar, get_type_hints

from .errors import InvalidInput, NotFound, OnearmError, as_seen

Made = TypeVar("Made")
Factory = TypeVar("Factory", bound=Callable[..., Any])
EARLIER = "earlier"  # the attribute of a factory


def earlier(**params: Any) -> Callable[[Factory], Factory]:
    """Say what params that came later mean in specs that were stored before, which lack them.

    Decorates the function of a policy or an environment. New specs take the defaults of its signature, and hold every
    param from then on; those that were stored before keep their meaning, and so their bits.
    """

    def decorated(factory: Factory) -> Factory:
        vars(factory)[EARLIER] = params
        return factory

    return decorated


class Registry(Generic[Made]):
    """The policies, or the environments, by name: those of a package, of entry points and of single files.

    `word` is what one of them is called in messages, `package` both the package's name and the entry point group's.
    """

    def __init__(self, word: str, package: str, made: type[Made]) -> None:
        self.word = word
        self.package = package
        self.made = made
        self._outside: dict[str, Callable[..., Made]] = {}
        self._sources: dict[str, str] = {}  # the text of the file of each of these

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted({*self._built_in, *self._entry_points(), *self._outside})

    def knows(self, name: str) -> bool:
        """Whether there is one of that name: entry points, which take 20 ms, are asked where no file is called so."""
        if name in self._outside or name in self._built_in:
            return True
        return name.isidentifier() and name in self._entry_points()

    def factory(self, name: str) -> Callable[..., Made]:
        """Return the public function of that name; raise `InvalidInput` with near names where there is none."""
        if name in self._outside:
            return self._outside[name]
        if module := self._built_in.get(name):
            return getattr(importlib.import_module(module), name)
        if name in (points := self._entry_points()):
            return points[name].load()
        known = self.names()
        near = ", ".join(difflib.get_close_matches(name, known, n=3))
        rule = f"try {near}" if near else f"onearm {self.package.rpartition('.')[2]} lists all {len(known)}"
        raise InvalidInput(f"unknown_{self.word}", f"there is no {self.word} {name!r}: {rule}")

    def make(self, name: str, /, **params: Any) -> Made:
        """Build one from its name and params; its `spec` holds every param, defaults included."""
        factory = self.factory(name)
        signature = _signature(factory)
        params = self._moved_inside(factory, params)
        for given in params:
            if given not in signature.parameters:
                known = ", ".join(signature.parameters) or "none"
                raise InvalidInput(
                    "unknown_param", f"{self.word} {name!r} has no param {given!r}: its params are {known}"
                )
        for needed, parameter in signature.parameters.items():
            if parameter.default is parameter.empty and needed not in params:
                raise InvalidInput("missing_param", f"{self.word} {name!r} needs the param {needed!r}")
        hints = _hints(factory)
        values = {key: self._inner(value, hints.get(key)) for key, value in params.items()}
        bound = signature.bind(**values)
        bound.apply_defaults()
        made = factory(**values)
        if not isinstance(made, self.made):
            raise InvalidInput(
                f"not_a_{self.word}",
                f"{name}() returned {made!r}: the function of a {self.word} returns a {self.made.__name__}",
            )
        spec = {"name": name, "params": {key: _as_json(value) for key, value in bound.arguments.items()}}
        return dataclasses.replace(made, spec=spec)  # type: ignore[type-var]

    def from_spec(self, spec: Any) -> Made:
        """Build one from `{"name": ..., "params": {...}}`."""
        if not isinstance(spec, dict) or not isinstance(spec.get("name"), str):
            raise InvalidInput(
                "bad_spec", f'{self.word} is {as_seen(spec)}: it must be {{"name": ..., "params": {{...}}}}'
            )
        params = spec.get("params", {})
        if unknown := set(spec) - {"name", "params"}:
            raise InvalidInput(
                "bad_spec", f"{self.word} has the fields {sorted(unknown)}: only name and params are known"
            )
        if not isinstance(params, dict):
            raise InvalidInput("bad_spec", f"params of {spec['name']!r} are {as_seen(params)}: they must be an object")
        return self.make(spec["name"], **params)

    def from_stored(self, spec: Any) -> Made:
        """Build what a stored spec meant when it was stored (`earlier`); its own `spec` is the stored one.

        It stays that where it is fitted to a problem, unless the spec left open what follows from the problem.
        """
        whole = self.completed(spec)
        made = self.from_spec(whole)
        kept: dict[str, Any] = {"spec": spec}
        resolve = getattr(made, "resolve", None)
        if resolve is not None:

            def resolve_stored(problem: Any) -> Made:
                found = resolve(problem)
                return dataclasses.replace(found, spec=spec) if found.spec == whole else found

            kept["resolve"] = resolve_stored
        return dataclasses.replace(made, **kept)  # type: ignore[type-var]

    def completed(self, spec: Any) -> Any:
        """Return a stored spec with the params that it lacks in their earlier meaning, those of nested specs too.

        What is no spec is returned as it is: `from_spec` says what is wrong with it.
        """
        match spec:
            case {"name": str(name), "params": dict(params)}:
                factory = self.factory(name)
                inner = {key: self.completed(params[key]) for key in self._nested(factory) if key in params}
                return spec | {"params": vars(factory).get(EARLIER, {}) | params | inner}
        return spec

    def in_full(self, spec: Any) -> Any:
        """Return a spec in which the params that stand beside the bare name of a nested one stand in its own spec.

        What is no spec is returned as it is: `from_spec` says what is wrong with it.

        >>> from onearm.policies import catalog
        >>> catalog.in_full({"name": "floor", "params": {"policy": "ucb1", "params": {"alpha": 2}}})["params"]
        {'policy': {'name': 'ucb1', 'params': {'alpha': 2}}}
        """
        match spec:
            case {"name": str(name), "params": dict(params)} if any(isinstance(one, dict) for one in params.values()):
                factory = self.factory(name)
                whole = self._moved_inside(factory, params)
                inner = {key: self.in_full(whole[key]) for key in self._nested(factory) if key in whole}
                return spec | {"params": whole | inner}
        return spec

    def parse(self, text: str) -> Made:
        """Build one from the command line's form: `name` or `name:{json params}`."""
        return self.from_spec(self.spec_of(text))

    def spec_of(self, text: str) -> dict[str, Any]:
        """Return the spec that `name` or `name:{json params}` stands for."""
        name, _, params = text.partition(":")
        try:
            return {"name": name, "params": json.loads(params) if params else {}}
        except json.JSONDecodeError as error:
            raise InvalidInput(
                "bad_params",
                f"the params of {name!r} are not JSON ({error.msg} at character {error.pos}): "
                f'write a {self.word} as name or name:{{"param": value}}',
            ) from None

    def label(self, spec: dict[str, Any], also: Collection[str] = ()) -> str:
        """Return a name, and in brackets what `differing` returns: "adaptive(policy=ucb1)"."""
        params = self.differing(spec, also)
        return f"{spec['name']}({', '.join(params)})" if params else spec["name"]

    def differing(self, spec: dict[str, Any], also: Collection[str] = ()) -> list[str]:
        """Return "param=value" of each param that is not what it is if left out, and of those that are named `also`.

        A spec in there is told by its label.
        """
        usual = _signature(self.factory(spec["name"])).parameters
        params = {
            key: value for key, value in spec["params"].items() if key in also or value != _as_json(usual[key].default)
        }
        return [f"{key}={self.label(value) if _is_spec(value) else value}" for key, value in params.items()]

    def add_file(self, path: Path) -> str:
        """Load a file from outside the package and take its public function under the file's name; return the name."""
        name = path.stem
        if not path.is_file() or path.suffix != ".py":
            raise NotFound("no_file", f"there is no Python file {path}: name a .py file that holds a {self.word}")
        if name in self.names():
            raise InvalidInput("name_taken", f"a {self.word} {name!r} exists already: rename the file {path}")
        module_name = f"{self.word}_file_{name}"
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except OnearmError:
            raise
        except (Exception, SystemExit) as error:
            raise InvalidInput(
                "bad_file", f"{path} cannot be loaded ({type(error).__name__}: {error}): mend it"
            ) from error
        if not callable(getattr(module, name, None)):
            raise InvalidInput(
                "no_function",
                f"{path} has no function {name}(): the file's name is the {self.word}'s name, and the function of "
                "that name returns it",
            )
        self._outside[name], self._sources[name] = getattr(module, name), path.read_text()
        return name

    def replace_file(self, path: Path) -> str:
        """Load a file as `add_file` does, in place of the one that was loaded before under its name."""
        self._outside.pop(path.stem, None)
        return self.add_file(path)

    @property
    def sources(self) -> dict[str, str]:
        """Return the text of each file from outside the package, by the name under which it was loaded."""
        return dict(self._sources)

    @functools.cached_property
    def _built_in(self) -> dict[str, str]:
        """Return the module of each name: a file of any folder in the package."""
        package = importlib.import_module(self.package)
        folders = [found for found in pkgutil.iter_modules(package.__path__) if found.ispkg]
        return {
            file.name: f"{self.package}.{folder.name}.{file.name}"
            for folder in folders
            for file in pkgutil.iter_modules([f"{package.__path__[0]}/{folder.name}"])
        }

    def _entry_points(self) -> dict[str, Any]:
        return {point.name: point for point in entry_points(group=self.package)}

    def _moved_inside(self, factory: Callable[..., Made], params: dict[str, Any]) -> dict[str, Any]:
        """Return the params of a function, of which `params` that it does not have belong to what is nested in it."""
        nested = self._nested(factory)
        if "params" not in params or "params" in _signature(factory).parameters or len(nested) != 1:
            return params
        inner = params.get(nested[0])
        if not isinstance(inner, str) or ":" in inner:
            raise InvalidInput(
                "bad_params",
                f"params are given beside {nested[0]}, which is {as_seen(inner)}: they belong to a {self.word} that "
                "is given by its name alone",
            )
        own = {key: value for key, value in params.items() if key != "params"}
        return own | {nested[0]: {"name": inner, "params": params["params"]}}

    def _nested(self, factory: Callable[..., Made]) -> list[str]:
        """Return the params of a function that are built from a spec themselves."""
        return [key for key, hint in _hints(factory).items() if self._is_made(hint) and key != "return"]

    def _is_made(self, hint: Any) -> bool:
        """Tell whether a param is one of those that this builds, or may be left out."""
        return hint is self.made or hint == self.made | None

    def _inner(self, value: Any, hint: Any) -> Any:
        """Turn a nested spec into what it names, where the factory asks for one."""
        if not self._is_made(hint) or value is None or isinstance(value, self.made):
            return value
        return self.parse(value) if isinstance(value, str) else self.from_spec(value)


@functools.cache
def _signature(factory: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(factory)


@functools.cache
def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(factory)


def _is_spec(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"name", "params"}


def _as_json(value: Any) -> Any:
    if hasattr(value, "spec"):
        return value.spec
    if isinstance(value, tuple):
        return list(value)
    return value.tolist() if hasattr(value, "tolist") else value
