"""The events of a log: of a file in any format that is read, or of an experiment in a database."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from ...engine.errors import InvalidInput
from ...engine.storage.events import Events
from ...engine.storage.rows import PLAIN, Naming
from ..console import progress
from ..log_files import form_of, module_of, source_of
from ..service.experiment_log import opened_log


def events_of(
    source: str, form: str | None, experiment: str | None, stack: ExitStack, doing: str, naming: Naming = PLAIN
) -> tuple[Events, str]:
    """Open what is read, with a bar; return its events and its format. Columns are named of tables alone."""
    is_database = "://" in source
    if is_database != (form == "database") and (form is not None or not is_database):
        if form == "database":
            raise InvalidInput("no_database_url", f"{source} is no URL of a database, such as sqlite:///onearm.db")
        if is_database:
            raise InvalidInput(
                "no_file", f"{source} is the URL of a database: leave out --from, or say --from database"
            )
    if is_database:
        log = stack.enter_context(opened_log(source, experiment))
        if log.note is not None:
            click.echo(log.note, err=True)
        advance = stack.enter_context(progress(doing, log.size - log.begins, "events"))
        return log.events(advance), "database"
    if experiment is not None:
        raise InvalidInput("no_database", f"{source} is no database: --experiment is for one")
    path = Path(source)
    form = form_of(path, form, "--from")
    file = source_of(path)
    file.progress = stack.enter_context(progress(doing, file.size, "bytes"))
    named = [] if naming == PLAIN else [naming]
    events: Events = module_of(form).read_events(file, *named)
    return events, form
