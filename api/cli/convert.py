"""`onearm convert`: a log in another format, with all that the other one can hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import click

from ...engine.errors import InvalidInput, counted
from ...engine.storage.bad_lines import BadLines
from ...engine.storage.events import Events
from ...engine.storage.joined_form import Joining
from ...engine.storage.log import no_good_line
from ...engine.storage.records import Event
from ...engine.storage.whole_log import WholeLog
from ..console import print_json
from ..log_files import EXPORTS, READERS, WRITERS, check_rows, form_to_write, open_joined, open_writer
from .any_log import events_of
from .fitting import WORDS, Copy
from .json_option import as_json
from .options import rows_option

PAGE = 5000  # events


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--from", "source_form", type=click.Choice([*READERS, "database"]), help="The format of IN; default: by its ending."
)
@click.option("--to", "target_form", type=click.Choice(WRITERS), help="The format of OUT; default: by its ending.")
@rows_option
@click.option("--experiment", metavar="NAME", help="If IN is a database: which experiment; default: the only one.")
@click.option("--strict", is_flag=True, help="Write nothing, and end with exit code 1, if a line is bad.")
@click.option("--lossy", is_flag=True, help="Leave out what OUT cannot hold, and count it, instead of refusing.")
@as_json
def convert(
    source: str,
    target: Path,
    source_form: str | None,
    target_form: str | None,
    rows: str,
    experiment: str | None,
    strict: bool,
    lossy: bool,
    as_json: bool,
) -> int:
    """Write the log IN as OUT, in another format.

    IN is a file, - for standard input, or the URL of a database with --experiment. The formats are jsonl and parquet
    (our own, which hold everything), dsjson and vw (Vowpal Wabbit's), obd (the Open Bandit Dataset), li (lines of arm,
    reward and features) and csv. Files that end in .gz or .zst are read and written packed. Bad lines are left out,
    counted and named. OUT appears when it is complete.

    With --rows decisions, the joined form of an export, rewards stand in the rows of their decisions; without, each
    event has its row, whichever form IN has. `onearm verify` finds the same digest in both.

    \b
    Examples:
      onearm convert cooked.dsjson log.jsonl
      onearm convert log.jsonl log.parquet --rows decisions
      onearm convert sqlite:///onearm.db log.parquet --experiment hello
    """
    form = form_to_write(target, target_form)
    check_rows(rows, form)
    partial = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        _check_places(source, target)
        with ExitStack() as stack:
            events, origin = events_of(source, source_form, experiment, stack, "converting")
            copy = Copy(form, lossy)
            write = _write_joined if rows == "decisions" else _write
            write(form, partial, events, copy)
        if not copy.count and events.bad_lines.count:
            raise no_good_line(Path(source), events.bad_lines)
        refused = strict and bool(events.bad_lines.count)
        if not refused:
            partial.replace(target)
    except OSError as error:
        raise InvalidInput("cannot_write", f"cannot write {target} ({error.strerror}): name another file") from None
    finally:
        with suppress(OSError):
            partial.unlink()
    _tell(source, origin, target, form, copy, events.bad_lines, refused=refused, as_json=as_json)
    return 1 if refused else 0


def _check_places(source: str, target: Path) -> None:
    """Check that the target is no folder, and not what is read."""
    if target.is_dir():
        raise InvalidInput("is_folder", f"{target} is a folder: name a file")
    if str(target) == "-" or target.is_symlink() or (target.exists() and not target.is_file()):
        raise InvalidInput("no_file", f"{target} is no plain file: name one, as it is written under another name first")
    read = Path(source.split("///", 1)[-1]) if "://" in source else Path(source)
    if target.exists() and read.exists() and target.samefile(read):
        raise InvalidInput("same_file", f"{target} is what is read: name another file to write")


def _write(form: str, file: Path, events: Events, copy: Copy) -> None:
    """Write a row for each event, or what else the format has rows of."""
    begins = (events.begins,) if form in EXPORTS else ()
    with open_writer(form, file, events.problem, events.spec, *begins) as out:
        for page in _pages(events.rows):
            out.write_events(copy.fitting(page))
    copy.check_left_out(getattr(out, "unrewarded", 0))


def _write_joined(form: str, file: Path, events: Events, copy: Copy) -> None:
    """Write a row for each decision, once all events were read: its reward may be the last one."""
    with closing(WholeLog(events.begins)) as whole:
        whole.extend(event for page in _pages(events.rows) for event in copy.fitting(page))
        joining = Joining(whole.learned)
        with open_joined(form, file, events.problem, events.spec, whole.extent) as out:
            for page in whole.pages():
                out.write_rows(joining.rows(page))


def _pages(events: Iterator[Event]) -> Iterator[list[Event]]:
    while page := list(islice(events, PAGE)):
        yield page


def _tell(
    source: str, origin: str, target: Path, form: str, copy: Copy, bad: BadLines, *, refused: bool, as_json: bool
) -> None:
    counts = {name: copy.count[name] for name in ("decisions", "rewards", "changes")}
    counts |= {name: copy.count[name] for name in ("outcomes", "activations") if copy.count[name]}
    if as_json:
        found: dict[str, Any] = {"from": origin, "to": form, "file": None if refused else str(target), **counts}
        left_out = {"left_out": dict(copy.left_out)}
        print_json(found | left_out | bad.to_dict())
        return
    for field, count in copy.left_out.items():
        click.echo(f"left out: {WORDS[field]} ({count:,})", err=True)
    for kind, count in bad.count.items():
        numbers = ", ".join(map(str, bad.lines[kind]))
        more = " ..." if count > len(bad.lines[kind]) else ""
        why = f" ({bad.reasons[kind]})" if kind in bad.reasons else ""
        click.echo(f"{count:,} bad: {kind} in {bad.places[kind]} {numbers}{more}{why}", err=True)
    if refused:
        lines = counted(bad.count.total(), "line is", "lines are")
        click.echo(f"{lines} bad in {source}, so {target} was not written", err=True)
        return
    words = ", ".join(
        counted(count, name.removesuffix("s")) for name, count in counts.items() if count or name != "changes"
    )
    click.echo(f"{words} of {source} ({origin}) in {target} ({form})", err=True)
