"""`onearm warm`: what it compiled, nobody waits for; and the line that says what a command waits for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import with_numba
from support.direct import Direct

from onearm.api import console
from onearm.api.experiment.warming import PROBLEMS, default_specs, specs_of
from onearm.api.http.app import create_app
from onearm.api.kinds.table import KINDS, kind_of
from onearm.engine.compiled.waiting import WAITING
from onearm.engine.kernel import is_outside
from onearm.engine.storage.store import Store
from onearm.policies import catalog

WARM = """
import sys
from onearm.api.cli.main import run

assert run(sys.argv[1:]) == 0
"""
# Decides and learns, warms once more, and prints how much was compiled.
SERVED = """
import sys
import onearm
from onearm.api.cli.main import run
from onearm.engine import loop
from onearm.engine.kernel import Loop

engine = onearm.open(policy="ucb1", arms=["a", "b", "c"])
for _ in range(3):
    engine.learn(engine.decide(), reward=1.0)
entries = [entry for one in vars(loop).values() if isinstance(one, Loop) for entry in one._entries.values()]
assert entries and all(entry.compiled for entry in entries)
assert run(sys.argv[1:]) == 0
print(sum(one.compilations for one in vars(loop).values() if isinstance(one, Loop)))
"""


def test_every_policy_fits_a_problem_that_is_warmed() -> None:
    for name in catalog.names():
        if not is_outside(catalog.factory(name)):
            try:
                spec = catalog.make(name).spec
            except TypeError:  # it has params without a default
                continue
            except Exception as error:
                assert getattr(error, "code", None) in {"missing_param", "bad_param"}, name
                continue
            assert specs_of(spec), name


def test_every_kind_has_a_default_that_is_warmed() -> None:
    assert {kind_of(spec.problem).name for spec in default_specs()} == {kind.name for kind in KINDS}
    assert len(PROBLEMS) > len(KINDS)


def test_it_says_what_it_compiled_for_a_database(onearm: Any) -> None:
    with Direct(create_app(Store.open("sqlite:///run.db"))) as client:
        body = {"policy": {"name": "ucb1"}, "arms": [{"id": "a"}, {"id": "b"}]}
        assert client.post("/v1/experiments", json=body).status_code == 201
    done = onearm("warm", "--database", "sqlite:///run.db", "--json")
    names = {row["entry"].partition("(")[0] for row in done.json["entries"]}
    assert names == {"decide", "learn", "decide_bound", "learn_bound", "fold", "replay", "explain", "tell_law"}


def test_a_policy_that_fits_nothing_is_told(onearm: Any) -> None:
    done = onearm("warm", "--policy", "no_such_policy")
    assert (done.code, "there is no policy 'no_such_policy'" in done.err) == (2, True)


@pytest.mark.jit
def test_what_was_warmed_is_compiled_in_the_next_process(tmp_path: Path) -> None:
    def run(code: str, *arguments: str) -> str:
        done = with_numba.run(code, *arguments, ONEARM_CACHE_DIR=str(tmp_path))
        assert done.returncode == 0, done.stderr
        return done.stdout

    warm = "warm", "--policy", "ucb1", "--env", "bernoulli", "--json"  # which reads no features: what does takes 20 s
    assert '"was_compiled": false' in run(WARM, *warm)
    told, number = run(SERVED, *warm).rstrip().rsplit("\n", 1)
    assert all(entry["was_compiled"] for entry in json.loads(told)["entries"])
    assert number == "0"


def test_a_person_is_told_what_a_command_compiles_and_a_pipe_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(WAITING, "listener", None)
    for person in (False, True):
        monkeypatch.setattr(console.sys.stderr, "isatty", lambda person=person: person)
        console.tell_what_compiles()
        WAITING.tell("simulate(linucb)")
        WAITING.tell("norm()")
        told = capsys.readouterr().err
        assert told == ("compiling simulate for linucb: up to ten seconds, once for this version of onearm\n" * person)
