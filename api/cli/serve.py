"""`onearm serve`: the decision service as a process."""

from __future__ import annotations

import functools
import gc
import importlib
import ipaddress
import os
import re
import shlex
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from ...engine.compiled.waiting import WAITING
from ...engine.errors import InvalidInput, Unavailable, counted, installing
from ...engine.storage.access import Access
from ...engine.storage.connections import without_password
from ...engine.storage.records import Experiment
from ..access.rates import Rates
from ..cluster.nodes import Nodes
from ..cluster.workers import Worker
from ..console import say_what_compiles
from ..experiment.ids import in_url
from ..http import service_log
from ..http.app import create_app
from ..http.connection import Limits, PassOn
from ..http.endpoint import BODY_MAX
from ..http.guard import Guard
from ..http.personalizer.calls import Wire
from ..http.server import Network, Server, make_room
from ..http.sharing import SharingServer
from ..service.archives import Archives
from ..service.clocks import CLOSE_AFTER_START
from ..service.live import Live
from ..service.records import CACHE_BYTES
from ..service.room import DEFAULT_LIMITS, StateLimits
from ..service.service import EXPERIMENTS_MAX, Service
from ..terminal import console
from .among import Among, among_options
from .archive_place import ArchivePlace
from .options import (
    DATABASE_DEFAULT,
    DatabaseCommand,
    Finite,
    Whole,
    artefact_option,
    database_option,
    policy_file_option,
)

BACKLOG = 2048
PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
SPANS_TO = "OTEL_EXPORTER_OTLP_ENDPOINT"
EVERY_ADDRESS = {"0.0.0.0", "::"}  # no client asks for one of these
PROGRESS_SECONDS = 2.0  # from one line to the next
SWITCH_SECONDS = 1e-4  # while another thread computes, the loop waits so long for the GIL, thrice a request, not 5e-3


def _limit(name: str) -> dict[str, Any]:
    """Return the type and the default of an option that is a limit."""
    default = Limits._field_defaults[name]
    kind = Whole(1) if isinstance(default, int) else Finite(0.1)
    return {"type": kind, "default": default, "show_default": True}


@click.command(cls=DatabaseCommand)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=Whole(0, 65535), default=8080, show_default=True, help="0 takes a free port.")
@database_option
@policy_file_option
@artefact_option
@click.option("--personalizer", is_flag=True, help="Answer clients of Azure Personalizer too, at /personalizer.")
@click.option("--insecure", is_flag=True, help="Let anybody who can reach the address read and write everything.")
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    help="A host name by which clients may reach the service, besides localhost and its address. Repeatable.",
)
@click.option(
    "--cors-origin",
    "cors_origins",
    multiple=True,
    help="An origin whose pages may send requests, such as https://shop.example. Repeatable.",
)
@click.option(
    "--max-connections",
    **_limit("connections"),
    help="How many connections may be open; further ones are refused with 503.",
)
@click.option(
    "--max-header-bytes", **_limit("head_bytes"), help="The size of a request's first line and headers; more is 431."
)
@click.option("--idle-timeout", **_limit("idle_seconds"), help="Seconds until an unused connection is closed.")
@click.option("--read-timeout", **_limit("read_seconds"), help="Seconds that a client may take to send one request.")
@click.option(
    "--max-body-bytes",
    type=Whole(1),
    default=BODY_MAX,
    show_default=True,
    help="The size of a body; more is 413.",
)
@click.option(
    "--state-bytes",
    type=Whole(1),
    default=DEFAULT_LIMITS.one,
    show_default=True,
    help="Memory that the state of one experiment may take; a creation that needs more is 422.",
)
@click.option(
    "--state-bytes-all",
    type=Whole(1),
    default=DEFAULT_LIMITS.all,
    show_default=True,
    help="Memory that all states may take; a creation beyond it is 507.",
)
@click.option(
    "--cache-bytes",
    type=Whole(0),
    default=CACHE_BYTES,
    show_default=True,
    help="Memory for the newest decisions of all experiments; older ones are read from the log.",
)
@click.option(
    "--max-requests-per-second",
    type=Finite(0.01),
    help="How often one key may ask; more is 429. Default: no limit.",
)
@click.option(
    "--max-experiments",
    type=Whole(1),
    default=EXPERIMENTS_MAX,
    show_default=True,
    help="How many experiments a tenant may have, archived ones included; further ones are 409.",
)
@click.option(
    "--close-after-start",
    type=Finite(0.0),
    default=CLOSE_AFTER_START,
    show_default=True,
    help="Seconds for which windows that are open at the start stay open, so that late rewards can come.",
)
@click.option(
    "--archives",
    type=ArchivePlace(click.Path(exists=True, file_okay=False)),
    metavar="FOLDER",
    help="Where the archives of compacted experiments go, such as s3://bucket/archives.  "
    "[default: NAME.archives beside a database of SQLite]",
)
@among_options
@click.option("--tls-cert", type=click.Path(path_type=Path), help="A certificate (PEM): the service speaks HTTPS.")
@click.option(
    "--tls-key",
    type=click.Path(path_type=Path),
    help="The key of the certificate (PEM), if it is in a file of its own.",
)
@click.option(
    "--root-path",
    default="",
    callback=lambda *given: _checked_prefix(*given),
    help="The prefix under which a proxy offers the service, such as /bandit.",
)
@click.option(
    "--forwarded-allow-ips",
    default=Network._field_defaults["proxies"],
    show_default=True,
    metavar="ADDRESSES",
    help="Proxies whose headers X-Forwarded-For and -Proto are believed, separated by commas; '' for none.",
)
@click.option(
    "--log-format",
    type=click.Choice(service_log.FORMS),
    default="text",
    show_default=True,
    help="The form of the log on standard error.",
)
@click.option("--access-log", "--verbose", "access_log", is_flag=True, help="Log every request.")
def serve(
    host: str,
    port: int,
    database: str,
    personalizer: bool,
    insecure: bool,
    allowed_hosts: tuple[str, ...],
    cors_origins: tuple[str, ...],
    max_connections: int,
    max_header_bytes: int,
    idle_timeout: float,
    read_timeout: float,
    max_body_bytes: int,
    state_bytes: int,
    state_bytes_all: int,
    cache_bytes: int,
    max_requests_per_second: float | None,
    max_experiments: int,
    close_after_start: float,
    archives: Archives | None,
    among: Among,
    tls_cert: Path | None,
    tls_key: Path | None,
    root_path: str,
    forwarded_allow_ips: str,
    log_format: str,
    access_log: bool,
) -> None:
    """Run the decision service; an empty database gets the experiment `hello`.

    \b
    Example:
      onearm serve --port 8080 --database sqlite:///run.db
    """
    in_text = log_format == "text"
    among.check(database, personalizer)
    _check_private(host, insecure, database)
    guard = Guard([*({host} - EVERY_ADDRESS), *allowed_hosts], cors_origins)
    limits = Limits(max_connections, max_header_bytes, idle_timeout, read_timeout)
    network = Network(tls_cert, tls_key, forwarded_allow_ips).checked()
    _be_a_server(limits, in_text)
    refused: Counter[str] = Counter()
    with _listen(host, port, not among.is_node) as listener:
        service_log.configure(log_format, access_log)
        worker = among.worker(listener)
        spans, opened = _spans(), among.opened(database, worker, close_after_start)
        address = _address(host, listener.getsockname()[1], "http" if tls_cert is None else "https")
        app = create_app(
            **opened._asdict(),
            guard=guard,
            body_bytes=max_body_bytes,
            cache_bytes=cache_bytes,
            state_limits=StateLimits(state_bytes, state_bytes_all),
            prefix=root_path,
            wire=Wire() if personalizer else None,
            rates=None if max_requests_per_second is None else Rates(max_requests_per_second),
            experiments_max=max_experiments,
            archives=archives,
            refused=refused,
            watcher=None if spans is None else spans.commit,
            started=functools.partial(_begun, worker, opened.nodes, in_text, address, without_password(database)),
            advanced=_Progress(_say if in_text else service_log.log.info).advanced,
        )
        pass_on = None if spans is not None or opened.nodes is None else app.pass_on
        _serve(_served(app, guard, spans), pass_on, limits, network, refused, listener, worker)


def _served(app: Any, guard: Guard, spans: Any) -> Any:
    return guard.with_cors(app) if spans is None else spans.of_requests(guard.with_cors(app))


def _serve(
    app: Any,
    pass_on: PassOn | None,
    limits: Limits,
    network: Network,
    refused: Counter[str],
    listener: socket.socket,
    worker: Worker | None,
) -> None:
    """Answer until this process is told to end."""
    if worker is None:
        Server(app, limits, network=network, refused=refused, pass_on=pass_on).run(sockets=[listener])
    else:
        sharing = SharingServer(
            app, limits, listener, worker.private, network=network, refused=refused, pass_on=pass_on
        )
        sharing.run()


def _begun(
    worker: Worker | None, nodes: Nodes | None, in_text: bool, address: str, database: str, service: Service
) -> None:
    """Say that the service answers; of workers the last one does, when each has its share of the experiments."""

    def say() -> None:
        workers = [] if worker is None or nodes is None else sorted(nodes.membership.view.nodes)
        (_welcome if in_text else _log_start)(address, database, service, workers)

    if worker is None or nodes is None:
        say()
        return
    worker.ready()
    if worker.is_last:
        nodes.membership.settled = say


def _be_a_server(limits: Limits, in_text: bool) -> None:
    """Let this process have as many connections as it may, and nothing that holds all of them up.

    A kernel that compiles does so for a moment only, and says which it is.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    WAITING.listener = say_what_compiles if in_text else _log_what_compiles
    make_room(limits)
    quiet_garbage_collector()


def quiet_garbage_collector() -> None:
    """Keep the collector from walking numba's and FastAPI's heap: it cost half the throughput and most of the p99.

    What is there now is never freed: that is for a process that is the service, and for nothing that runs several.
    While the cache of decisions fills, each brings four objects that stay: a collection must come soon enough to be
    short. Of a million new objects it took .4 s, in which nobody was answered; of 15,000, milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 2, 5_000)


def _spans() -> Any:
    """Return what makes spans for OpenTelemetry, where the environment says whereto; it takes a second to import."""
    if not os.environ.get(SPANS_TO):
        return None
    try:
        spans = importlib.import_module("onearm.api.http.spans")
    except ModuleNotFoundError as error:
        says = f"{SPANS_TO} is set, and there is no module {error.name}: {installing('otel')}, or unset it"
        service_log.log.warning("%s; no spans are sent", says)
        return None
    return spans.Spans(spans.exported())


def _check_private(host: str, insecure: bool, database: str) -> None:
    """Refuse an address that others reach where no key is asked for, unless that is wanted; then say what it means."""
    if is_loopback(host) or _has_keys(database):
        return
    if not insecure:
        where = "" if database == DATABASE_DEFAULT else f" --database {shlex.quote(without_password(database))}"
        raise InvalidInput(
            "open_to_all",
            f"--host {host} is reached by others, and without a key whoever reaches the service may read and write "
            f"everything: make a key, then start it again:\n  onearm keys create --role admin --name me{where}\n"
            f"  onearm serve --host {shlex.quote(host)}{where}\nor add --insecure where all may do that",
        )
    click.echo(
        f"--insecure   everyone who reaches {host} may read and write everything, until there is a key", err=True
    )


def _has_keys(database: str) -> bool:
    """Tell whether a database has a key; nothing is made or upgraded for that."""
    try:
        access = Access.open(database)
    except InvalidInput as error:
        if error.code in ("no_database", "older_schema"):
            return False
        raise
    try:
        return bool(access.all_keys())
    finally:
        access.close()


def is_loopback(host: str) -> bool:
    """Tell whether an address leads from this machine to itself.

    >>> [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "192.168.0.2", "shop.example")]
    [True, True, True, False, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int, at_once: bool) -> socket.socket:
    """Take the port before anything else, so that a port in use is said in one line.

    Who asks too early waits until all is ready; a node is not asked before that, as others answer meanwhile.
    """
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
    if at_once:
        listener.listen(BACKLOG)
    listener.set_inheritable(True)
    return listener


def _address(host: str, port: int, scheme: str = "http") -> str:
    """Return the URL of a host, which may be an IPv6 address, and a port."""
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _checked_prefix(context: click.Context, option: click.Parameter, root_path: str) -> str:
    """Return a prefix of paths; none is empty."""
    if root_path and not PREFIX.fullmatch(root_path):
        raise InvalidInput("bad_root_path", f"--root-path {root_path!r} is no prefix: write it as /bandit or /a/bandit")
    return root_path


def _welcome(address: str, database: str, service: Service, workers: Sequence[str]) -> None:
    open_ids = [name for name, one in service.listed(None).items() if not _archived(one)]
    console.print(f"[bold]onearm[/bold] decides at [bold]{address}[/bold]   database: {escape(database)}")
    if workers:
        console.print(f"workers      {escape(', '.join(workers))}", highlight=False)
    console.print(f"experiments: {escape(', '.join(open_ids[:5]) or 'none is open')}")
    if service.waiting:
        waiting = counted(service.waiting, "experiment")
        console.print(f"recovering   reading the logs of {waiting}; one that is asked for goes first")
    console.print(f"open         {address}/   and   {address}/docs")
    console.print("try          ", end="")
    keyed = ' -H "Authorization: Bearer $ONEARM_KEY"' if service.keyring.rows else ""
    if open_ids:
        click.echo(
            f"curl -d '{{}}'{keyed} {address}/v1/experiments/{in_url(open_ids[0])}/decisions\n             ", nl=False
        )
    click.echo(f"{_command()} demo --url {address}        (in a second terminal)")
    console.print("stop with Ctrl-C", highlight=False)
    sys.stdout.flush()  # a log file shows it at once


def _log_start(address: str, database: str, service: Service, workers: Sequence[str]) -> None:
    about = {"address": address, "database": database, "experiments": service.known, "recovering": service.waiting}
    if workers:
        about["workers"] = list(workers)
    service_log.log.info("onearm decides", extra={"about": about})


def _log_what_compiles(name: str) -> None:
    service_log.log.info("compiling %s", name)


def _archived(one: Live | Experiment) -> bool:
    return one.archived if isinstance(one, Live) else one.archived_at is not None


class _Progress:
    """Says now and then how many experiments answer, and when all do."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._begun = self._said = time.monotonic()

    def advanced(self, service: Service) -> None:
        """Take note that one more is recovered, or cannot be."""
        if not service.waiting:
            quiet_garbage_collector()
        now = time.monotonic()
        if service.waiting and now - self._said < PROGRESS_SECONDS:
            return
        self._said = now
        failed = f"; {service.failed:,} cannot be opened" if service.failed else ""
        asked = service.known - service.resting
        done = asked - service.waiting - service.failed
        self._say(f"recovered    {done:,} of {counted(asked, 'experiment')} in {now - self._begun:.1f} s{failed}")


def _say(line: str) -> None:
    with suppress(OSError):  # where nobody reads it any more the service goes on
        click.echo(line)
        sys.stdout.flush()


def _command() -> str:
    """Return how this command was called, so that a line with it can be pasted."""
    called = sys.argv[0]
    return shlex.quote(called) if Path(called).name == "onearm" else f"{shlex.quote(sys.executable)} -m onearm"
