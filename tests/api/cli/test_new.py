"""`onearm new`: what it writes does what it was copied from, its test passes, and nothing is written over."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from support.forked import ran

from onearm.api.cli.main import run
from onearm.api.cli.new import ENV, POLICY, Draft, copied, module_of
from onearm.engine.errors import InvalidInput
from onearm.engine.registry import Registry
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies


def test_what_is_written_does_what_it_was_copied_from_and_its_tests_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["new", "policy", "mine", "--out", str(tmp_path)]) == 0
    assert run(["new", "env", "coins", "--out", str(tmp_path)]) == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["coins.py", "mine.py", "test_coins.py", "test_mine.py"]
    given = ["--policy-file", "mine.py", "--env-file", "coins.py", "--horizon", "200", "--seed", "3", "--json"]
    contenders = ["--policy", "mine", "--policy", "ucb1"]
    runs = [
        json.loads(ran(run, "simulate", *given, *contenders, "--env", env).stdout)["runs"]
        for env in ("coins", "bernoulli")
    ]
    assert [one["policy"] for one in runs[0]] == ["mine", "ucb1"]
    found = {(one["regret_mean"], one["reward_mean"]) for some in runs for one in some}
    assert len(found) == 1
    tests = ran(pytest.main, "-p", "no:cacheprovider", ".")
    assert tests.returncode == 0 and "4 passed" in tests.stdout, tests.stdout + tests.stderr


def test_all_that_can_be_copied_stands_alone_under_another_name() -> None:
    """Nothing of the old name is left that would be taken twice, and nothing relative."""
    count = 0
    catalogs: list[tuple[Registry[object], Draft]] = [(policies, POLICY), (envs, ENV)]  # type: ignore[list-item]
    for catalog, draft in catalogs:
        for name in catalog.names():
            try:
                module = module_of(catalog, name, draft)
            except InvalidInput as error:
                assert error.code == "bad_like"
                continue
            count += 1
            source = copied(module, name, "other")
            tree = ast.parse(source)
            assert not [one for one in ast.walk(tree) if isinstance(one, ast.ImportFrom) and one.level]
            made = [one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.ClassDef)]
            assert "other" in made and name not in made
            classes = [one.name for one in tree.body if isinstance(one, ast.ClassDef)]
            assert all(one.startswith("Other") for one in classes)
            assert f'"{name}"' not in source
    assert count > 30


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["policy", "Mine"], "small letters"),
        (["policy", "../mine"], "small letters"),
        (["policy", "class"], "small letters"),
        (["policy", "ucb1"], "exists already"),
        (["policy", "numpy"], "a module 'numpy' exists already"),
        (["policy", "json"], "a module 'json' exists already"),
        (["policy", "test"], "a module 'test' exists already"),
        (["env", "conftest"], "a module 'conftest' exists already"),
        (["env", "bernoulli"], "exists already"),
        (["policy", "mine", "--like", "loop"], "arms or contexts"),
        (["policy", "mine", "--like", "ucb2"], "try ucb1"),
        (["env", "mine", "--like", "service"], "arms or contexts"),
    ],
)
def test_what_is_asked_wrongly_is_told_and_nothing_is_written(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["new", *arguments, "--out", str(tmp_path / "deep")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "deep").exists()


def test_a_folder_that_cannot_be_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text("mine")
    assert run(["new", "policy", "other", "--out", str(tmp_path / "mine.py" / "deep")]) == 2
    assert "nothing can be written to" in capsys.readouterr().err


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test_mine.py").write_text("mine")
    assert run(["new", "policy", "mine", "--out", str(tmp_path)]) == 2
    assert "test_mine.py exists already" in capsys.readouterr().err
    assert [file.read_text() for file in tmp_path.iterdir()] == ["mine"]
