"""What the package does without its extras: Arrow is not there, and what needs it says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import with_numba

from onearm.engine.errors import installing

HIDDEN = """
import sys

sys.modules["pyarrow"] = None
"""
IMPORTED = """
import importlib, json, pkgutil
import onearm

missing = []
for module in pkgutil.walk_packages(onearm.__path__, "onearm."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        assert error.name == "pyarrow", error
        missing.append(module.name.removeprefix("onearm."))
print(json.dumps(missing))
"""
CONVERT_EACH = """
import contextlib, io, json
from onearm.api.cli.main import run

found = {}
for name in sys.argv[2:]:
    with contextlib.redirect_stderr(io.StringIO()) as said:
        found[name] = run(["convert", sys.argv[1], name]), said.getvalue()
print(json.dumps(found))
"""
FORMATS = "engine.storage.formats."
NEED_IT = {  # tables in columns, and what is made of these alone
    *(FORMATS + name for name in ("cells", "csv_columns", "csv_table", "li", "obd", "parquet", "zstd")),
    *(
        FORMATS + name
        for name in (
            "decision_table",
            "named_features",
            "object_features",
            "jsonl.named_table",
            "arrow_arrays",
            "arrow_batches",
            "frame",
            "beside",
            "own_columns",
            "keys",
        )
    ),
    "engine.storage.obd",
    "api.cli.plan",
    "api.offline.fitted_world",
    "api.offline.transitions",
}


def without_arrow(program: str, *arguments: str) -> with_numba.Done:
    return with_numba.run(HIDDEN + program, *arguments, **with_numba.AS_PYTHON)


def test_arrow_is_needed_for_tables_in_columns_alone() -> None:
    done = without_arrow(IMPORTED.replace("import onearm", "import onearm, onearm.__main__", 1))
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == NEED_IT


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("light") / "log.jsonl"
    env = 'bernoulli:{"mean": [0.1, 0.9]}'
    done = without_arrow(
        with_numba.COMMAND, *("simulate", "--policy", "ucb1", "--horizon", "50", "--env", env, "--log", str(path))
    )
    assert done.returncode == 0, done.stderr
    return path


def test_a_log_is_written_and_read_as_json_lines(log: Path) -> None:
    done = without_arrow(with_numba.COMMAND, "replay", str(log), "--policy", "epsilon_greedy", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["events"] == 50


def test_what_needs_arrow_says_so_before_anything_is_written(log: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("log.parquet", "log.csv", "log.jsonl.zst")]
    done = without_arrow(CONVERT_EACH, str(log), *map(str, files))
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    for file in files:
        code, said = found[str(file)]
        assert code == 2 and installing("logs") in said, (file.name, said)
        assert not file.exists()


def test_a_command_that_needs_arrow_says_so() -> None:
    done = without_arrow(with_numba.COMMAND, "plan", "--help")
    assert (done.returncode, done.stderr) == (
        2,
        f"onearm: onearm plan needs the package pyarrow, which is not installed: {installing('logs')}\n",
    )
