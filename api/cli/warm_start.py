"""`onearm warm-start`: a policy that knows a log, as an experiment for the service."""

from __future__ import annotations

import json
import shlex
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple

import click
import msgspec
from click.core import ParameterSource

from ...engine.changes.worlds import changes_of
from ...engine.contexts import context_at, unpack_contexts
from ...engine.errors import counted
from ...engine.snapshot import digest
from ...engine.storage.connections import is_there
from ...engine.storage.events import Events
from ...engine.storage.formats.described import described
from ...engine.storage.period import Period, events_within
from ...engine.storage.records import Event
from ...engine.storage.rows import PLAIN, Naming, Wanted
from ...engine.storage.store import Store
from ...engine.vectors.constants import constants_of
from ...engine.vocabulary import Policy, Problem
from ..console import finite, print_json, progress
from ..experiment.ids import in_url
from ..experiment.tenants import parts_of
from ..experiment.worlds import as_found, in_words
from ..offline.asked import Answer, Question, answer
from ..offline.candidate_kinds import of_policy
from ..offline.data import as_data
from ..offline.options import Options
from ..offline.reading import Place, check_naming, place_of
from ..service.folded import Recovered
from ..service.given_log import given, put, spec_of
from ..service.written import check_free
from .any_log import events_of
from .headed import ASKED, READING, SHOWN, HeadedCommand, under
from .json_option import as_json
from .offline_options import RangeType, naming_options, period_options
from .options import (
    DATABASE_DEFAULT,
    DatabaseCommand,
    Whole,
    database_option,
    format_option,
    policy_file_option,
    seed_option,
)
from .telling import tell

LEARN = 0.5  # of the log: what the policy learns before it is judged, frozen, on the rest
PORT = 8080  # where `onearm serve` listens
SHOWN_MAX = 1000  # letters of a body that a person may want to copy


class Taken(NamedTuple):
    """The log that is taken over, and how it is read."""

    name: str
    form: str | None
    naming: Naming
    period: Period

    def events(self, stack: ExitStack, doing: str) -> Events:
        """Open it, with a bar."""
        return events_within(events_of(self.name, self.form, None, stack, doing, self.naming)[0], self.period)


OPTIONS = (
    click.option(
        "--policy", metavar="NAME[:JSON]", help="The policy that learns; default: the usual one for such a problem."
    ),
    policy_file_option,
    click.option(
        "--reward-range", type=RangeType(), metavar="LOW:HIGH", help="The least and the greatest reward allowed."
    ),
    database_option,
    click.option("--port", type=Whole(1, 65535), default=PORT, help="The port of the commands that are printed."),
)


class WarmStart(HeadedCommand, DatabaseCommand):
    """A command with both of what these two have."""


@click.command(cls=WarmStart)
@click.argument("experiment", metavar="NAME")
@click.argument("log")
@under(READING, format_option)
@naming_options("named")
@period_options
@under(ASKED, *OPTIONS)
@seed_option
@under(SHOWN, as_json)
def warm_start(
    experiment: str,
    log: str,
    policy: str | None,
    form: str | None,
    reward_range: tuple[float, float] | None,
    since: int | None,
    until: int | None,
    database: str,
    port: int,
    seed: int,
    naming: Naming,
    as_json: bool,
) -> None:
    """Make the experiment NAME from LOG: its policy has learned all of it. Say what the policy is worth.

    LOG is a file that `onearm convert` knows; options say which columns of a table are what. Clients then send the
    other columns as they are called, {"context": {"country": "de", "age": 31}}, or lists of numbers with --context
    dense. The decisions of the log become given ones of the new experiment, from which the service goes on. First the
    policy learns half of the log, and is judged, frozen, on the rest. No service may have the database open.

    \b
    Examples:
      onearm warm-start shop clicks.csv --action banner --reward clicked --propensity chance --ignore revenue
      onearm warm-start news cooked.dsjson --policy squarecb
    """
    taken = Taken(log, form, _naming(place_of(log, form, None), naming), Period(since, until))
    with ExitStack() as stack:
        events = taken.events(stack, "reading")
        encoder = taken.naming.encoder if events.problem.layout == "named" else None
        spec = spec_of(events, experiment, policy, reward_range, seed, encoder)
        body = _body(events)
    store = Store.open(database) if is_there(database) else None
    try:
        if store is not None:
            check_free(store, experiment)
        evaluation, speed = _judged(taken, spec.policy, reward_range, seed)
        if store is None:  # one is made of a log alone that can be learned
            with ExitStack() as stack:
                deque(given(taken.events(stack, "checking"), spec), maxlen=0)
            store = Store.open(database)
        with ExitStack() as stack:
            events = taken.events(stack, "learning")
            found = put(store, experiment, spec, given(events, spec), time.time_ns() // 1000)
    finally:
        if store is not None:
            store.close()
    data = finite(as_data(evaluation))
    commands = _commands(experiment, body, database, port)
    if as_json:
        made = {"experiment": experiment, "policy": spec.policy.spec, "decisions": found.number}
        changes = msgspec.to_builtins(as_found(changes_of(spec.policy, found.state)))
        learned = {"rewards": found.rewards, "digest": digest(found.state), "changes": changes}
        print_json({**made, **learned, "commands": commands, "evaluation": data})
        return
    tell(evaluation, data, f"{log}: {spec.policy.name}, which learned half of it, on the other half", speed)
    _tell_learned(parts_of(experiment)[1], spec.policy, found)
    for command in commands:
        click.echo(f"  {command}")


def _naming(place: Place, naming: Naming) -> Naming:
    """Return which columns are what; a log that is no table has contexts of its own, where nobody asks for others."""
    asked = click.get_current_context().get_parameter_source("context") is not ParameterSource.DEFAULT
    if not place.is_table and not asked and replace(naming, encoder=None) == PLAIN:
        return PLAIN
    check_naming(place, naming)
    return naming


def _tell_learned(name: str, policy: Policy, found: Recovered) -> None:
    """Say what a policy has learned, and what it found out about the world."""
    for change in changes_of(policy, found.state):
        click.echo(f"while it learned all of the log: {in_words(change)}")
    if "fits_badly" in (constants := constants_of(policy, found.state)):
        times = counted(int(constants["fits_badly"].value), "time")
        click.echo(f"the model fits badly here: {times} it expected more than was paid, and nothing had changed")
    said = f"{counted(found.number, 'decision')} and {counted(found.rewards, 'reward')}"
    click.echo(f"{name} has learned {said}. Serve it, and ask it:", err=True)


def _judged(taken: Taken, policy: Policy, reward_range: tuple[float, float] | None, seed: int) -> Answer:
    """Return what a policy is worth that learned the first half of a log, on the rest; and decisions a second."""
    options = Options(("snips",), learn=LEARN, seed=seed, reward_range=reward_range)
    with ExitStack() as stack:
        wanted = Wanted(naming=taken.naming)
        question = Question([of_policy(policy)], options, wanted, taken.period, named_methods=False)
        return answer(place_of(taken.name, taken.form, None), question, stack, progress)


def _body(events: Events) -> dict[str, Any] | None:
    """Return what a client sends for a decision as one of a log was made; None where that cannot be told."""
    if events.example is not None:
        return {"context": events.example}
    event = next(events.rows)
    problem = events.problem
    if problem.layout == "named":
        shared, actions, ids = described(event, problem)
        return {"context": shared, "actions": [{**one, "id": name} for one, name in zip(actions, ids, strict=True)]}
    if problem.layout == "dense":
        return {"context": _numbers(event, problem)} if problem.context_shape[0] else {}
    return None


def _numbers(event: Event, problem: Problem) -> list[float]:
    assert event.context is not None
    found: list[float] = context_at(unpack_contexts([event.context], problem), 0).tolist()
    return found


def _commands(experiment: str, body: dict[str, Any] | None, database: str, port: int) -> list[str]:
    """Return what a person types next: what serves the experiment, and what asks it for a decision."""
    serve = ["onearm", "serve"]
    serve += [] if database == DATABASE_DEFAULT else ["--database", database]
    serve += [] if port == PORT else ["--port", str(port)]
    tenant, name = parts_of(experiment)
    sent = json.dumps(body, ensure_ascii=False)
    if body is None or len(sent) > SHOWN_MAX or tenant != "default":
        return [shlex.join(serve)]
    url = f"http://127.0.0.1:{port}/v1/experiments/{in_url(name)}/decisions"
    return [shlex.join(serve), shlex.join(["curl", "-d", sent, url])]
