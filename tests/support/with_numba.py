"""Processes that have imported numba, and nothing of ours: each is a copy of one that has.

To import numba, and to let it make its tables ready, takes 1 s of CPU time. What tests look at in such a process begins
behind that: which package it imports, which folder of compiled code it finds, and what it compiles.

With the JIT off such a process has imported what services are made of as well, which takes another second: what tests
look at there is how ours is imported where something is missing, and what is left where a process ends.
"""

from __future__ import annotations

import functools
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing import util
from pathlib import Path
from typing import NamedTuple

PATIENCE = 600.0  # seconds: a busy machine is no bug
# Copies itself for each line that it is told. One copy runs the program, and another one waits for that and tells how
# it ended; both end as any process does.
SERVER = """
import importlib, json, os, sys
import numba

numba.njit(lambda x: x + 1.0)(1.0)
for name in sys.argv[1:]:
    importlib.import_module(name)
copies = 0
for line in sys.stdin:
    if os.fork() == 0:
        break
    copies += 1
    while copies and os.waitpid(-1, os.WNOHANG)[0]:
        copies -= 1
else:
    while copies:
        os.wait()
        copies -= 1
    sys.exit()
asked = json.loads(line)
if program := os.fork():
    code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    os.write(os.open(asked["end"], os.O_WRONLY | os.O_NONBLOCK), str(code).encode())  # an error where nobody listens
    os._exit(0)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
for number, stream in ((1, "stdout"), (2, "stderr")):
    os.dup2(os.open(asked[stream], os.O_WRONLY | os.O_CREAT), number)
os.chdir(asked["folder"])
os.environ.clear()
os.environ.update(asked["environment"])
sys.path[:0] = asked["path"]
sys.argv[1:] = asked["arguments"]
exec(asked["code"], {"__name__": "__main__"})
"""
LIBRARIES = ("alembic.command", "fastapi", "gymnasium", "httpx", "rich.console", "sqlalchemy", "uvicorn")
AS_PYTHON = {"NUMBA_DISABLE_JIT": "1"}  # of the settings of a process, the one that numba reads as it is imported
COMMAND = "import sys\nfrom onearm.api.cli.main import run\nsys.exit(run(sys.argv[1:]))"  # `onearm`, as code


class Done(NamedTuple):
    """What a process left behind, in the words of `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


def run(code: str, *arguments: str, path: Sequence[Path] = (), folder: str | Path = ".", **settings: str) -> Done:
    """Run code in a copy that finds modules in `path` first; return what it left behind.

    `settings` are its environment beside that of this process, without what numba reads as it is imported. But for
    `**AS_PYTHON` the JIT is on.
    """
    with tempfile.TemporaryDirectory() as place:
        names = {name: str(Path(place, name)) for name in ("stdout", "stderr", "end")}
        os.mkfifo(names["end"])
        asked = names | {
            "code": code,
            "arguments": arguments,
            "folder": str(Path(folder).resolve()),
            "path": [*map(str, path)],
            "environment": {**os.environ, **settings},
        }
        end = os.open(names["end"], os.O_RDWR)  # for writing too, or there is an end before it is written
        try:
            told = _server(settings.get("NUMBA_DISABLE_JIT", "0")).stdin
            assert told is not None
            told.write(json.dumps(asked) + "\n")
            told.flush()
            assert select.select([end], [], [], PATIENCE)[0], "a process of a test does not end"
            ended = os.read(end, 20)
        finally:
            os.close(end)
        return Done(int(ended), Path(names["stdout"]).read_text(), Path(names["stderr"]).read_text())


@functools.cache
def _server(disable_jit: str) -> subprocess.Popen[str]:
    """Return what is copied; there is one for each process of the tests, and it ends with that."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": disable_jit}
    imported = LIBRARIES if disable_jit == "1" else ()
    command = [sys.executable, "-P", "-c", SERVER, *imported]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=environment)
    util.Finalize(None, server.communicate, exitpriority=0)
    return server
