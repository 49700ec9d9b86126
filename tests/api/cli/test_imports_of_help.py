"""What answers at once loads nothing that takes long: help, `import onearm`, and what decides without a log."""

from __future__ import annotations

import os
import subprocess
import sys

# Packages that take from 80 ms (rich) to more than a second (numba), and the compiled loop itself.
HEAVY = {"numpy", "numba", "sqlalchemy", "alembic", "rich", "httpx", "fastapi", "pyarrow", "scipy", "gymnasium"}


def loaded(code: str, **settings: str) -> set[str]:
    """Return the packages that a new process has imported once it has run some code."""
    told = f"{code}\nimport sys\nprint(*(name for name in sys.modules if '.' not in name), file=sys.stderr)"
    where = os.environ | settings
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, env=where)
    return set(done.stderr.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    found = loaded("import onearm")
    assert "onearm" in found
    assert found & {*HEAVY, "click"} == set()


def test_the_client_loads_neither_the_loop_nor_numpy() -> None:
    code = "from onearm.client import Client\nwith Client() as client:\n    client.experiment('banner')"
    assert loaded(code) & (HEAVY - {"httpx", "rich"}) == set()  # httpx loads rich by itself


def test_help_loads_nothing_heavy() -> None:
    asked = [[], ["evaluate"], ["export"], ["policies"], ["envs"]]
    code = "from onearm.api.cli.main import run\n"
    found = loaded(code + "".join(f"assert run({[*arguments, '--help']}) == 0\n" for arguments in asked))
    assert "click" in found
    assert found & HEAVY == set()


def test_what_keeps_no_log_loads_no_sql_and_environments_no_package_of_a_data_set() -> None:
    decided = "import onearm\ne = onearm.open(arms=2)\ne.learn(e.decide(), reward=1.0)\n"
    asked = ["simulate", "--policy", "ucb1", "--env", "bernoulli", "--horizon", "9", "--json"]
    simulated = f"from onearm.api.cli.main import run\nassert run({asked}) == 0\n"
    made = "from onearm.envs import catalog\nassert catalog.make('classification').problem.n_arms == 10"
    found = loaded(decided + simulated + made, NUMBA_DISABLE_JIT="1")
    assert "numba" in found
    assert found & {"sqlalchemy", "fastapi", "pyarrow", "gymnasium", "rich", "httpx", "filelock", "sklearn"} == set()
