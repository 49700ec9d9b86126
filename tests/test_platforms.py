"""The package imports where the modules that only POSIX has are missing."""

from __future__ import annotations

import json

from support import with_numba

PROGRAM = """
import asyncio, importlib, json, multiprocessing.util, pkgutil, sys
import distributed, filelock, numba, pyarrow, uvicorn  # these have ways of their own for other systems

for name in ("fcntl", "grp", "pwd", "resource", "syslog", "termios"):
    sys.modules[name] = None

import onearm

names = [module.name for module in pkgutil.walk_packages(onearm.__path__, "onearm.") if "__main__" not in module.name]
for name in names:
    importlib.import_module(name)
from onearm.api.http.connection import Limits
from onearm.api.http.server import make_room
make_room(Limits(connections=10**9))
print(json.dumps(names))
"""


def test_the_package_imports_without_modules_that_only_posix_has() -> None:
    done = with_numba.run(PROGRAM, **with_numba.AS_PYTHON)
    assert done.returncode == 0, done.stderr
    names = json.loads(done.stdout)
    assert {"onearm.engine.storage.files", "onearm.engine.compiled.worker", "onearm.api.http.server"} <= set(names)
