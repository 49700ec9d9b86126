"""Every example in a docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest
from support.moved_modules import MOVED

import onearm

# Importing one of these does something: the command line as a script, Alembic's own scripts, modules that moved.
SCRIPTS = ("onearm.__main__", "onearm.engine.storage.migrations", "onearm.engine._moved")
ROOMS = ("engine", "policies", "envs", "api")


def modules() -> list[str]:
    """Return the names of all modules of the package."""
    names = ["onearm", "onearm.gym"]
    for room in ROOMS:
        package = importlib.import_module(f"onearm.{room}")
        names.append(package.__name__)
        names += [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    rooted = (name for name in names if not name.startswith(SCRIPTS) and name not in {*MOVED, "onearm.engine.rounding"})
    return sorted(name for name in rooted if not name.startswith("onearm.engine._root"))


def examples(module: ModuleType) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]


def with_examples() -> list[str]:
    """Return the names of the modules in whose files examples stand: five of six have none, and nothing to try."""
    specs = {name: importlib.util.find_spec(name) for name in modules()}
    return [name for name, spec in specs.items() if spec and spec.origin and ">>> " in Path(spec.origin).read_text()]


@pytest.mark.parametrize("name", with_examples())
def test_the_examples_of_a_module_are_true(name: str) -> None:
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(verbose=False)
    said: list[str] = []
    for test in examples(module):
        assert not any(example.options.get(doctest.SKIP) for example in test.examples), f"{test.name} is skipped"
        runner.run(test, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


def test_the_examples_are_found() -> None:
    """A finder that finds nothing would pass; these have examples, some at the top and some in a function."""
    assert len(examples(onearm)) == 1
    for name in ("engine.snapshot", "engine.registry", "api.open", "api.gym.runner", "engine.simulation"):
        assert examples(importlib.import_module(f"onearm.{name}")), name
    assert len(modules()) > 40
