"""Processes that have imported numba, and nothing of ours: each is a copy of one that has.

To import numba, and to let it make its tables ready, takes 1 s of CPU time. What tests look at in such a process begins
behind that: which package it imports, which folder of compiled code it finds, and what it compiles.
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
import json, os, sys
import numba

numba.njit(lambda x: x + 1.0)(1.0)
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


class Done(NamedTuple):
    """What a process left behind, in the words of `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


def run(code: str, *arguments: str, path: Sequence[Path] = (), folder: str | Path = ".", **settings: str) -> Done:
    """Run code with the JIT on, in a copy that finds modules in `path` first; return what it left behind.

    `settings` are its environment beside that of this process, without what numba reads as it is imported.
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
            told = _server().stdin
            assert told is not None
            told.write(json.dumps(asked) + "\n")
            told.flush()
            assert select.select([end], [], [], PATIENCE)[0], "a process of a test does not end"
            ended = os.read(end, 20)
        finally:
            os.close(end)
        return Done(int(ended), Path(names["stdout"]).read_text(), Path(names["stderr"]).read_text())


@functools.cache
def _server() -> subprocess.Popen[str]:
    """Return what is copied; there is one for each process of the tests, and it ends with that."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "0"}
    server = subprocess.Popen([sys.executable, "-P", "-c", SERVER], stdin=subprocess.PIPE, text=True, env=environment)
    util.Finalize(None, server.communicate, exitpriority=0)
    return server
