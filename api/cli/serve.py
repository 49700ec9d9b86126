"""`onearm serve`: the decision service as a process."""

from __future__ import annotations

import shlex
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import click
import uvicorn
from rich.markup import escape

from ...engine.compiled.waiting import WAITING
from ...engine.errors import Unavailable
from ...engine.storage.store import Store
from ...engine.storage.tables import Experiment
from ..console import say_what_compiles
from ..experiment.ids import in_url
from ..http.app import create_app
from ..service.live import Live
from ..service.service import Service
from ..terminal import console
from .options import DatabaseCommand, artefact_option, database_option, policy_file_option

BACKLOG = 2048
PROGRESS_SECONDS = 2.0  # from one line to the next
SWITCH_SECONDS = 0.001  # while a kernel compiles, the loop waits this long for the GIL, thrice a request; default 0.005


@click.command(cls=DatabaseCommand)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free port.")
@database_option
@policy_file_option
@artefact_option
@click.option("--verbose", is_flag=True, help="Log every request.")
def serve(host: str, port: int, database: str, verbose: bool) -> None:
    """Run the decision service; an empty database gets the experiment `hello`.

    \b
    Example:
      onearm serve --port 8080 --database sqlite:///run.db
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    WAITING.listener = say_what_compiles  # the log of a service is read by people as well
    with _listen(host, port) as listener:
        store = Store.open(database)  # before anything is started: its errors are for the person at the terminal
        address = _address(host, listener.getsockname()[1])

        def started(service: Service) -> None:
            _welcome(address, database, service)

        config = uvicorn.Config(
            create_app(store, started=started, advanced=_Progress().advanced),
            log_level="info" if verbose else "warning",
            access_log=verbose,
            lifespan="on",
            timeout_graceful_shutdown=10,
        )
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """Take the port before anything else, so that a port in use is said in one line."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Unavailable(
            "port_in_use",
            f"cannot listen on {host}:{port} ({error.strerror}): stop what uses the port, or give another --port",
        ) from None
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    return listener


def _address(host: str, port: int) -> str:
    """Return the URL of a host, which may be an IPv6 address, and a port."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _welcome(address: str, database: str, service: Service) -> None:
    open_ids = [name for name, one in service.listed().items() if not _archived(one)]
    first = in_url(open_ids[0]) if open_ids else "ID"
    console.print(f"[bold]onearm[/bold] decides at [bold]{address}[/bold]   database: {escape(database)}")
    console.print(f"experiments: {escape(', '.join(open_ids[:5]) or 'none is open')}")
    if service.waiting:
        console.print(f"recovering   reading the logs of {_count(service.waiting)}; one that is asked for goes first")
    console.print(f"open         {address}/   and   {address}/docs")
    console.print("try          ", end="")
    click.echo(f"curl -d '{{}}' {address}/v1/experiments/{first}/decisions")
    click.echo(f"             {_command()} demo --url {address}        (in a second terminal)")
    console.print("stop with Ctrl-C", highlight=False)
    sys.stdout.flush()  # a log file shows it at once


def _archived(one: Live | Experiment) -> bool:
    return one.archived if isinstance(one, Live) else one.archived_at is not None


def _count(experiments: int) -> str:
    return "1 experiment" if experiments == 1 else f"{experiments:,} experiments"


class _Progress:
    """Says now and then how many experiments answer, and when all do."""

    def __init__(self) -> None:
        self._begun = self._said = time.monotonic()

    def advanced(self, service: Service) -> None:
        """Take note that one more is recovered, or cannot be."""
        now = time.monotonic()
        if service.waiting and now - self._said < PROGRESS_SECONDS:
            return
        self._said = now
        failed = f"; {service.failed:,} cannot be opened" if service.failed else ""
        done = service.known - service.waiting - service.failed
        with suppress(OSError):  # where nobody reads it any more the service goes on
            click.echo(f"recovered    {done:,} of {_count(service.known)} in {now - self._begun:.1f} s{failed}")
            sys.stdout.flush()


def _command() -> str:
    """Return how this command was called, so that a line with it can be pasted."""
    called = sys.argv[0]
    return shlex.quote(called) if Path(called).name == "onearm" else f"{shlex.quote(sys.executable)} -m onearm"
