"""An engine is opened that goes on with a log, by itself or at a service in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..kinds.engines import ENGINES
from .commits import commits_of
from .finding import found
from .journal import Journal
from .threads import shared

WITH_LOG = {kind: shared(engine) for kind, engine in ENGINES.items()}


def opened(
    body: dict[str, Any],
    is_named_alone: bool,
    database: Any,
    *,
    remember: int,
    commit: Any,
    policies: Sequence[dict[str, Any]] | None,
) -> Any:
    """Return the engine of an experiment in a database, as `onearm.open` says; `found` says what it raises."""
    known = found(body, is_named_alone, database)
    if known.needs_service is not None or policies is not None:
        from .hosted import hosted

        return hosted(known, commit, policies or ())
    try:
        journal = Journal(known.share, known.row, known.created, known.kind, commits_of(commit))
    except BaseException:
        known.share.give_up()
        raise
    try:
        return WITH_LOG[known.kind.name](known.created, remember, journal)
    except BaseException:
        journal.close()
        raise
