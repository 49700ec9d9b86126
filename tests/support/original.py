"""A process that has imported something, and copies itself: what runs in a copy need not import that again.

It imports when it is first asked, and ends when nobody is left that could ask. Processes that run tests share it where
it was begun before they were copied (support/copies.py). A copy that ends waits for its threads and runs what `atexit`
was told, but takes nothing apart: to let go of all that was imported takes 0.3 to 0.5 s of CPU.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import util
from pathlib import Path
from typing import IO

# Of two copies for each that connects, one runs what is asked for, and the other one tells of it: its number, and once
# it ended how it did.
SERVER = """
import atexit, contextlib, json, os, select, signal, socket, sys, threading, traceback

listener, alive, first = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), sys.argv[3]
signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asked is interrupted too, and sees to the copies
while alive not in select.select([listener, alive], [], [])[0]:
    if first:
        exec(first, {})
        first = ""
    told, _ = listener.accept()
    if os.fork() == 0:
        break
    told.close()
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
else:
    sys.exit()
asked, streams, _, _ = socket.recv_fds(told, 65536, 2)
while not asked.endswith(b"\\n"):
    asked += told.recv(65536)
asked = json.loads(asked)
if program := os.fork():
    for stream in streams:
        os.close(stream)
    with contextlib.suppress(OSError):  # nobody listens any more
        told.sendall(f"{program}\\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    with contextlib.suppress(OSError):
        told.sendall(f"{code}\\n".encode())
    os._exit(0)
signal.signal(signal.SIGINT, signal.default_int_handler)
for number, stream in enumerate([os.open(os.devnull, os.O_RDONLY), *streams]):
    os.dup2(stream, number)
    os.close(stream)
for one in (listener, told):
    one.close()
os.close(alive)
os.chdir(asked["folder"])
os.environ.clear()
os.environ.update(asked["environment"])
sys.path[:0] = asked["path"]
sys.argv[1:] = asked["arguments"]
code = 0
try:
    exec(asked["code"], {"__name__": "__main__"})
except SystemExit as ended:
    code = ended.code or 0
except BaseException:
    traceback.print_exc()
    code = 1
threading._shutdown()
atexit._run_exitfuncs()
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)
"""


class Original:
    """The process that is copied."""

    def __init__(self, name: str, first: str, **settings: str) -> None:
        """Begin it. What it imports is the code `first`; `settings` are its environment beside that of this process."""
        self._address = str(Path(util.get_temp_dir(), name))
        ended, self._alive = os.pipe()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self._address)
            listener.listen()
            passed = listener.fileno(), ended
            command = [sys.executable, "-P", "-c", SERVER, *map(str, passed), first]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=passed, env=os.environ | settings
            )
        os.close(ended)
        util.Finalize(self, self._end, exitpriority=0)

    def copy(
        self,
        code: str,
        arguments: Sequence[str],
        stdout: IO[str],
        stderr: IO[str],
        path: Sequence[str] = (),
        folder: str | Path = ".",
        **settings: str,
    ) -> Copy:
        """Run code in a copy that finds modules in `path` first."""
        asked = {
            "code": code,
            "arguments": arguments,
            "folder": str(Path(folder).resolve()),
            "path": path,
            "environment": {**os.environ, **settings},
        }
        asking = socket.socket(socket.AF_UNIX)
        asking.connect(self._address)
        written = json.dumps(asked).encode() + b"\n"
        sent = socket.send_fds(asking, [written], [stdout.fileno(), stderr.fileno()])
        asking.sendall(written[sent:])
        return Copy(asking)

    def _end(self) -> None:
        os.close(self._alive)
        self._process.wait()


class Copy:
    """A copy at work."""

    def __init__(self, told: socket.socket) -> None:
        self._told = told
        self._said = b""
        self.pid = int(self._line(None))
        self._code: int | None = None

    def ended(self, timeout: float | None = None) -> int | None:
        """Return its exit code, less the signal's number where one ended it; None where it runs on for so long."""
        if self._code is None and (line := self._line(timeout)):
            self._code = int(line)
            self._told.close()
        return self._code

    def _line(self, timeout: float | None) -> bytes:
        """Return the next line that is told, empty where none is for so long."""
        while b"\n" not in self._said:
            if not select.select([self._told], [], [], timeout)[0]:
                return b""
            more = self._told.recv(64)
            assert more, "a copy ended before it was told how"
            self._said += more
        line, _, self._said = self._said.partition(b"\n")
        return line
