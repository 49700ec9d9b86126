"""`onearm new`: a policy or an environment of your own, begun from one that works, and its test."""

from __future__ import annotations

import importlib
import inspect
import keyword
import re
import sys
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any, NamedTuple

import click

from ...engine.errors import InvalidInput, as_seen
from ...engine.registry import Registry
from ...envs import catalog as envs
from ...policies import catalog as policies

RESERVED = ("test", "conftest")  # names that pytest and Python take


class Draft(NamedTuple):
    """What is written anew where somebody begins one of his own."""

    like: str  # what it is copied from, if nothing else is said
    families: dict[str, str]  # whose files can be copied, and with which env or policy each is tried
    test: str
    shown: str  # how it is tried from the command line


POLICY = Draft(
    "ucb1",
    {"arms": "bernoulli", "contexts": "linear"},
    '''"""{name}: it learns, its propensities are probabilities, and a seed says all of its draws."""

from pathlib import Path

import numpy as np

from onearm.engine.simulation import simulate
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

NAME = policies.add_file(Path(__file__).with_name("{name}.py"))
WORLD = envs.make("{beside}")


def test_it_is_better_than_chance() -> None:
    regret = {{
        name: simulate(policies.make(name), WORLD, horizon=500, replications=4, seed=1).regret[:, -1].mean()
        for name in (NAME, "uniform")
    }}
    assert regret[NAME] < regret["uniform"] / 2


def test_a_seed_says_all_of_its_draws() -> None:
    one, same = (simulate(policies.make(NAME), WORLD, horizon=100, replications=2, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.regret, same.regret)
''',
    "--policy-file {file} --policy {name} --env {beside}",
)
ENV = Draft(
    "bernoulli",
    {"arms": "ucb1", "contexts": "squarecb"},
    '''"""{name}: a policy learns in it, and a seed says all of its rewards."""

from pathlib import Path

import numpy as np

from onearm.engine.simulation import simulate
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

NAME = envs.add_file(Path(__file__).with_name("{name}.py"))
POLICY = policies.make("{beside}")


def test_what_learns_is_better_than_chance() -> None:
    regret = {{
        policy.name: simulate(policy, envs.make(NAME), horizon=500, replications=4, seed=1).regret[:, -1].mean()
        for policy in (POLICY, policies.make("uniform"))
    }}
    assert regret[POLICY.name] < regret["uniform"]


def test_a_seed_says_all_of_its_rewards() -> None:
    one, same = (simulate(POLICY, envs.make(NAME), horizon=100, replications=2, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.regret, same.regret)
''',
    "--env-file {file} --env {name} --policy {beside}",
)


@click.command()
@click.argument("what", type=click.Choice(["policy", "env"]))
@click.argument("name")
@click.option("--like", metavar="NAME", help="Which one it is copied from; default: ucb1, or bernoulli.")
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The folder that it is written to; default: this one.",
)
def new(what: str, name: str, like: str | None, folder: Path) -> None:
    """Begin a policy or an environment of your own: write a file that works, and its test.

    It is a copy of one of onearm's, under its own name: change what it does.

    \b
    Example:
      onearm new policy mine
      onearm simulate --policy-file mine.py --policy mine --policy ucb1 --env bernoulli --horizon 10000
    """
    catalog: Registry[Any] = policies if what == "policy" else envs
    draft = POLICY if what == "policy" else ENV
    _check_name(name, catalog)
    like = like or draft.like
    module = module_of(catalog, like, draft)
    target, test = folder / f"{name}.py", folder / f"test_{name}.py"
    for file in (target, test):
        if file.exists():
            raise InvalidInput("file_exists", f"{file} exists already: take another name, or another --out")
    beside = draft.families[module.split(".")[2]]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target.write_text(copied(module, like, name), encoding="utf-8")
        test.write_text(draft.test.format(name=name, beside=beside), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(
            "bad_out", f"nothing can be written to {folder} ({error.strerror}): name another folder by --out"
        ) from None
    click.echo(f"{target}   {name}, which does what {like} does: change it")
    click.echo(f"{test}   pytest {test}")
    shown = draft.shown.format(file=target, name=name, beside=beside)
    click.echo(f"onearm simulate {shown} --horizon 10000")


def module_of(catalog: Registry[Any], like: str, draft: Draft) -> str:
    """Return the module of what is copied; raises `InvalidInput` where it is none, or of no such family."""
    module: str = catalog.factory(like).__module__
    package, _, family = module.rpartition(".")[0].rpartition(".")
    if package != catalog.package or family not in draft.families:
        raise InvalidInput(
            "bad_like",
            f"{like!r} cannot be copied: it must be a {catalog.word} of onearm for "
            f"{' or '.join(draft.families)}, such as {draft.like}",
        )
    return module


def copied(module: str, old: str, name: str) -> str:
    """Return the source of a module for outside of the package, where what it makes has another name.

    >>> source = copied("onearm.envs.arms.bernoulli", "bernoulli", "coins")
    >>> [line for line in source.splitlines() if line.startswith(("from onearm.engine.k", "def coins"))]
    ['from onearm.engine.kernel import kernel', 'def coins(mean: Sequence[float] = (0.1, 0.5, 0.9)) -> Environment:']
    """
    source, package = inspect.getsource(importlib.import_module(module)), module.rpartition(".")[0]
    source = re.sub(
        r"^(\s*from )(\.+[\w.]*)( import )",
        lambda found: found[1] + resolve_name(found[2], package) + found[3],
        source,
        flags=re.MULTILINE,
    )
    before, after = _camel(old), _camel(name)
    for made in re.findall(r"^class (\w+)", source, re.MULTILINE):  # numba tells classes apart by their names
        source = re.sub(rf"\b{made}\b", after + made.removeprefix(before), source)
    return re.sub(rf'^def {old}\(|"{old}"', lambda found: found[0].replace(old, name), source, flags=re.MULTILINE)


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _check_name(name: str, catalog: Registry[Any]) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise InvalidInput(
            "bad_name",
            f"the name is {as_seen(name)}: it is that of a file and of a function in it, small letters, digits and "
            "underscores",
        )
    if name in RESERVED or name in sys.stdlib_module_names or find_spec(name) is not None:
        raise InvalidInput(
            "name_taken", f"a module {name!r} exists already, which the file would hide: take another name"
        )
    if name in catalog.names():
        raise InvalidInput("name_taken", f"a {catalog.word} {name!r} exists already: take another name")
